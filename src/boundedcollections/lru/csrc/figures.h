/* Looking at everything: what is held, what was counted, and whether it is consistent. */
#ifndef LRU_FIGURES_H
#define LRU_FIGURES_H

#include "entries.h"

typedef struct {
    PyObject *key, *value;
    int64_t size;
    double deadline;
    int expires;
} Seen;

/* A copy of all that is held at one moment, made without a single object; NULL with an error. */
static Seen *
copy_all(Cache *c, Py_ssize_t *count)
{
    if (purge_and_settle(c) < 0)
        return NULL;
    Seen *all = PyMem_New(Seen, (size_t)c->items + 1), *seen = all;
    if (all == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (const Node *n = c->end.newer; n != &c->end; n = n->newer)
        *seen++ = (Seen){.key = Py_NewRef(n->key), .value = Py_NewRef(n->value), .size = n->size,
                         .deadline = n->expiry == NULL ? 0 : n->expiry->deadline,
                         .expires = n->expiry != NULL};
    *count = seen - all;
    return all;
}

static PyObject *
pair_seen(Cache *c, const Seen *seen)
{
    return PyTuple_Pack(2, seen->key, seen->value);
}

static PyObject *
record_seen(Cache *c, const Seen *seen)
{
    int64_t own = charge(0, 0, seen->expires);
    PyObject *deadline =
        seen->expires ? PyFloat_FromDouble(seen->deadline) : Py_NewRef(Py_None);
    return Py_BuildValue("OOLN", seen->key, seen->value, (long long)(seen->size - own), deadline);
}

static PyObject *
tuple_of_all(Cache *c, PyObject *(*made_of)(Cache *, const Seen *))
{
    Py_ssize_t count;
    Seen *all = copy_all(c, &count);
    if (all == NULL)
        return NULL;
    PyObject *result = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = result == NULL ? NULL : made_of(c, &all[i]);
        if (item != NULL)
            PyTuple_SET_ITEM(result, i, item);
        else
            Py_CLEAR(result);
        Py_DECREF(all[i].key);
        Py_DECREF(all[i].value);
    }
    PyMem_Free(all);
    return result;
}

static PyObject *
cache_snapshot(Cache *c, PyObject *unused)
{
    return tuple_of_all(c, pair_seen);
}

static PyObject *
cache_held(Cache *c, PyObject *unused)
{
    return tuple_of_all(c, record_seen);
}

static PyObject *
tally_from(const Tally *tally)
{
    PyObject *high = PyLong_FromUnsignedLongLong(tally->bytes.high);
    PyObject *low = PyLong_FromUnsignedLongLong(tally->bytes.low), *bits = PyLong_FromLong(64);
    PyObject *shifted = high && bits ? PyNumber_Lshift(high, bits) : NULL;
    PyObject *bytes = shifted && low ? PyNumber_Or(shifted, low) : NULL;
    Py_XDECREF(high);
    Py_XDECREF(low);
    Py_XDECREF(bits);
    Py_XDECREF(shifted);
    return bytes == NULL ? NULL : Py_BuildValue("LN", (long long)tally->items, bytes);
}

static PyObject *
limit_from(int64_t limit)
{
    return limit == NO_LIMIT ? Py_NewRef(Py_None) : PyLong_FromLongLong(limit);
}

static PyObject *
cache_figures(Cache *c, PyObject *unused)
{
    Dead dead = {0};
    if (purge(c, &dead) < 0)
        return NULL;
    const Cache now = *c; /* objects are made below, and that may run anything */
    PyObject *bound = Py_NewRef(c->bound);
    PyObject *result = Py_BuildValue(
        "{sLsLsLsLsNsNsNsLsLsNs(NNNNNNN)sL}", "items", (long long)now.items, "current_bytes",
        (long long)now.bytes, "peak_items", (long long)now.peak_items, "peak_bytes",
        (long long)now.peak_bytes, "max_items", limit_from(now.item_limit), "max_bytes",
        bound, "max_entry_bytes", PyLong_FromLongLong(entry_limit(&now)), "hits", now.hits,
        "misses", now.misses, "accepted", tally_from(&now.accepted), "left",
        tally_from(&now.left[SIZE]), tally_from(&now.left[COUNT]),
        tally_from(&now.left[EXPIRED]), tally_from(&now.left[REPLACED]),
        tally_from(&now.left[REMOVED]), tally_from(&now.left[CLEARED]),
        tally_from(&now.left[DELIVERED]), "rejected", (long long)now.rejected);
    return settle(c, &dead, result);
}

#define HOLDS(condition)                                                                           \
    if (!(condition))                                                                              \
        return PyErr_Format(PyExc_AssertionError, "%s does not hold", #condition)

static int
is_placed(const Cache *c, const Expiry *e, const Node *n)
{
    const Expiry *above = e->parent;
    return e->node == n && e->rank == rank_of(e->right) + 1 &&
           rank_of(e->left) >= rank_of(e->right) &&
           (above == NULL ? c->soonest == e
                          : (above->left == e || above->right == e) &&
                                above->deadline <= e->deadline);
}

static PyObject *
cache_check(Cache *c, PyObject *unused)
{
    int64_t items = 0, bytes = 0, found = 0, all_items;
    for (const Node *n = c->end.newer; n != &c->end; n = n->newer, items++) {
        HOLDS(n->newer->older == n && n->size >= 0);
        bytes += n->size;
        HOLDS(n->expiry == NULL || is_placed(c, n->expiry, n));
        for (const Node *m = *bucket_of(c, n->hash); m != NULL; m = m->next)
            found += m == n;
    }
    HOLDS(found == items && c->items == items);
    HOLDS(c->bytes == bytes + c->table_bytes);
    HOLDS(c->table_bytes == table_charge(c->bits));
    HOLDS(c->items <= c->item_limit && c->bytes <= c->byte_limit);
    HOLDS(c->items <= c->peak_items && c->bytes <= c->peak_bytes);
    HOLDS(c->byte_goal <= c->byte_limit && c->byte_limit <= c->max_bytes);
    Sum sum = {.low = (uint64_t)bytes};
    all_items = items;
    for (int cause = 0; cause < CAUSES; cause++) {
        all_items += c->left[cause].items;
        sum.high += c->left[cause].bytes.high;
        uint64_t before = sum.low;
        sum.low += c->left[cause].bytes.low;
        sum.high += sum.low < before;
    }
    HOLDS(c->accepted.items == all_items);
    HOLDS(c->accepted.bytes.low == sum.low && c->accepted.bytes.high == sum.high);
    Py_RETURN_NONE;
}

#endif
