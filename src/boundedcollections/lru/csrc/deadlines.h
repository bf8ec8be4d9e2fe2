/* Which entry expires next. */
#ifndef LRU_DEADLINES_H
#define LRU_DEADLINES_H

#include "state.h"

static long
rank_of(const Expiry *e)
{
    return e == NULL ? 0 : e->rank;
}

/* Put the side of higher rank to the left; say whether that has changed the rank of `e`. */
static int
balance(Expiry *e)
{
    if (rank_of(e->left) < rank_of(e->right)) {
        Expiry *left = e->left;
        e->left = e->right;
        e->right = left;
    }
    long rank = rank_of(e->right) + 1;
    int changed = rank != e->rank;
    e->rank = rank;
    return changed;
}

static Expiry *
meld(Expiry *a, Expiry *b) /* as deep as right sides are long: the logarithm of their number */
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    if (b->deadline < a->deadline) {
        Expiry *sooner = b;
        b = a;
        a = sooner;
    }
    a->right = meld(a->right, b);
    a->right->parent = a;
    balance(a);
    return a;
}

static void
schedule(Cache *c, Node *n, Expiry *e, double deadline)
{
    *e = (Expiry){.deadline = deadline, .node = n, .rank = 1};
    n->expiry = e;
    c->soonest = meld(c->soonest, e);
    c->soonest->parent = NULL;
}

static Expiry *
unschedule(Cache *c, Node *n)
{
    Expiry *e = n->expiry, *above = e->parent, *below = meld(e->left, e->right);
    if (below != NULL)
        below->parent = above;
    if (above == NULL)
        c->soonest = below;
    else if (above->left == e)
        above->left = below;
    else
        above->right = below;
    while (above != NULL && balance(above))
        above = above->parent;
    n->expiry = NULL;
    return e;
}

#endif
