/* How entries come, move, and go; and what they weigh. */
#ifndef LRU_ENTRIES_H
#define LRU_ENTRIES_H

#include "deadlines.h"
#include "departures.h"
#include "table.h"

static void
unlink_node(Node *n)
{
    n->older->newer = n->newer;
    n->newer->older = n->older;
}

static void
make_newest(Cache *c, Node *n)
{
    n->newer = &c->end;
    n->older = c->end.older;
    n->older->newer = n;
    c->end.older = n;
}

static void
touch(Cache *c, Node *n)
{
    if (c->end.older != n) {
        unlink_node(n);
        make_newest(c, n);
    }
}

static void
detach(Cache *c, Node *n, int cause, Dead *dead)
{
    Node **place = bucket_of(c, n->hash);
    while (*place != n)
        place = &(*place)->next;
    *place = n->next;
    unlink_node(n);
    if (n->expiry != NULL)
        PyMem_Free(unschedule(c, n));
    c->changes++;
    release(c, n->size, cause);
    bury(dead, n, cause);
}

static int
evict_oldest(Cache *c, int cause, Dead *dead)
{
    if (c->items == 0)
        return 0;
    detach(c, c->end.newer, cause, dead);
    return 1;
}

/* Evict down to the bounds, with so many more items and bytes. No table is left of what was made
   for more, so an entry that fits by itself is never evicted for its own growth. */
static void
make_room(Cache *c, int64_t size, int64_t items, Dead *dead)
{
    int cause;
    while ((cause = shortage(c, size, items)) != NOTHING && evict_oldest(c, cause, dead))
        tidy(c);
}

/* Come nearer to the target by one slice of evictions, and no further in one write. */
static void
obey(Cache *c, Dead *dead)
{
    for (int i = 0; i < SLICE; i++)
        if (follow(c) || !evict_oldest(c, SIZE, dead))
            break;
    tidy(c);
    follow(c);
}

static int
expire(Cache *c, double now, Dead *dead)
{
    int gone = 0;
    while (c->soonest != NULL && c->soonest->deadline <= now) {
        detach(c, c->soonest->node, EXPIRED, dead);
        gone++;
    }
    tidy(c);
    return gone;
}

static int
read_clock(Cache *c, double *now)
{
    PyObject *read = PyObject_CallNoArgs(c->clock);
    if (read == NULL)
        return -1;
    *now = PyFloat_AsDouble(read);
    Py_DECREF(read);
    return *now == -1 && PyErr_Occurred() ? -1 : 0;
}

/* Let go what is due, and return how much that was; without anything that expires no clock is
   read. Where the clock fails nothing has left, so there is nothing to settle. */
static int
purge(Cache *c, Dead *dead)
{
    double now;
    if (c->soonest == NULL)
        return 0;
    return read_clock(c, &now) < 0 ? -1 : expire(c, now, dead);
}

/* The same, and tell of it at once. */
static int
purge_and_settle(Cache *c)
{
    Dead dead = {0};
    int gone = purge(c, &dead);
    if (gone < 0)
        return -1;
    PyObject *settled = settle(c, &dead, Py_NewRef(Py_None));
    Py_XDECREF(settled);
    return settled == NULL ? -1 : gone;
}

/* ── sizes ───────────────────────────────────────────────────────────────────────────────── */

static int
measured(Cache *c, PyObject *thing, int64_t *bytes)
{
    PyObject *size = PyObject_CallOneArg(c->sizeof_, thing);
    if (size == NULL)
        return -1;
    int overflow = 0;
    int64_t figure = PyLong_CheckExact(size) ? PyLong_AsLongLongAndOverflow(size, &overflow) : -1;
    if (figure < 0 && overflow <= 0) { /* not an ordinary figure: it is checked, or raises */
        Py_SETREF(size, PyObject_CallOneArg(py.measured_size, size));
        if (size == NULL)
            return -1;
        figure = PyLong_AsLongLongAndOverflow(size, &overflow);
    }
    Py_DECREF(size);
    *bytes = overflow || figure > MOST ? MOST : figure;
    return 0;
}

static int64_t
charge(int64_t of_key, int64_t of_value, int expires)
{
    int64_t total = of_key + of_value + py.node_bytes + (expires ? py.expiry_bytes : 0);
    return total > MOST ? MOST : total;
}

static int
measure(Cache *c, PyObject *key, PyObject *value, int expires, int64_t *size)
{
    int64_t of_key, of_value;
    if (measured(c, key, &of_key) < 0 || measured(c, value, &of_value) < 0)
        return -1;
    *size = charge(of_key, of_value, expires);
    return 0;
}

#endif
