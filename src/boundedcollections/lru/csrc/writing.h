/* Writes. */
#ifndef LRU_WRITING_H
#define LRU_WRITING_H

#include "reading.h"

#define REFUSED 1

typedef struct {
    PyObject *key, *value;
    Py_hash_t hash;
    int64_t size;
    int expires;
    double deadline;
} Entry;

static int
insert(Cache *c, const Entry *entry, Expiry *expiry, Dead *dead)
{
    Node *n = PyMem_Malloc(sizeof(Node));
    if (n == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *n = (Node){.key = Py_NewRef(entry->key), .value = Py_NewRef(entry->value),
                .hash = entry->hash, .size = entry->size};
    make_room(c, entry->size, 1, dead);
    admit(c, entry->size);
    c->changes++;
    Node **bucket = bucket_of(c, n->hash);
    n->next = *bucket;
    *bucket = n;
    make_newest(c, n);
    if (expiry != NULL)
        schedule(c, n, expiry, entry->deadline);
    grow(c);
    return 0;
}

/* Give a node another size, after evicting others for it. */
static void
rebook(Cache *c, Node *n, int64_t size, Dead *dead)
{
    touch(c, n);
    make_room(c, size - n->size, 0, dead);
    c->bytes += size - n->size;
    note_peak(c, c->bytes);
    n->size = size;
}

/* Give a node another content in place. */
static void
exchange(Cache *c, Node *n, const Entry *entry, Expiry *expiry, Dead *dead)
{
    int64_t old_size = n->size;
    rebook(c, n, entry->size, dead);
    count(&c->accepted, entry->size);
    count(&c->left[REPLACED], old_size);
    dead->replaced_key = Py_NewRef(n->key);
    dead->replaced = n->value;
    n->value = Py_NewRef(entry->value);
    if (n->expiry != NULL || expiry != NULL)
        c->changes++;
    if (n->expiry != NULL)
        PyMem_Free(unschedule(c, n));
    if (expiry != NULL)
        schedule(c, n, expiry, entry->deadline);
}

/* Hold an entry as the most recently used one, in the place of `n`, which is what is held under
   its key. Nothing is changed if that fails. */
static int
hold(Cache *c, const Entry *entry, Node *n, Dead *dead)
{
    Expiry *expiry = NULL;
    if (entry->expires && (expiry = PyMem_Malloc(sizeof(Expiry))) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (n != NULL && n->key != entry->key) { /* written since this was measured, by an equal key */
        detach(c, n, REPLACED, dead);
        n = NULL;
    }
    if (n != NULL)
        exchange(c, n, entry, expiry, dead);
    else if (insert(c, entry, expiry, dead) < 0) {
        PyMem_Free(expiry);
        return -1;
    }
    tidy(c);
    return 0;
}

/* The same, unless it is larger than an entry may be: then what it was to replace is stale. */
static int
hold_if_small(Cache *c, const Entry *entry, Node *n, Dead *dead, int64_t limit)
{
    if (entry->size <= limit)
        return hold(c, entry, n, dead);
    if (n != NULL)
        detach(c, n, REPLACED, dead);
    c->rejected++;
    return REFUSED;
}

static PyObject *
refusal(Cache *c, int64_t size)
{
    return PyObject_CallFunction(py.refusal, "OLLO", c->where, (long long)size,
                                 (long long)entry_limit(c),
                                 c->byte_goal < c->max_bytes ? Py_True : Py_False);
}

static int
press(Cache *c, int64_t size)
{
    PyObject *bytes = PyLong_FromLongLong(size);
    PyObject *done = bytes == NULL ? NULL : PyObject_CallMethodOneArg((PyObject *)c, py.press, bytes);
    Py_XDECREF(bytes);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Measure and write; return None, or the error of a refusal. With `present`, only what is missing
   is written; otherwise *present becomes what is held. */
static PyObject *
write_entry(Cache *c, PyObject *key, PyObject *value, double seconds, PyObject **present)
{
    Entry entry = {.value = value, .hash = hash_of(key), .expires = seconds > 0};
    Node *n;
    if ((entry.hash == -1 && PyErr_Occurred()) || find(c, key, entry.hash, &n) < 0)
        return NULL;
    /* A mapping goes on holding the key it has, so that is what counts. */
    entry.key = Py_NewRef(n != NULL ? n->key : key);
    uint64_t changes = c->changes;
    Dead dead = {0};
    PyObject *result = NULL;
    double now = -INFINITY;
    int kept;
    if (measure(c, entry.key, value, entry.expires, &entry.size) < 0)
        goto done;
    if ((entry.expires || c->soonest != NULL) && read_clock(c, &now) < 0)
        goto done;
    entry.deadline = now + seconds;
    if (c->bytes + entry.size > c->crowded_at && press(c, entry.size) < 0)
        goto done;
    if (c->obeyed != c->target)
        obey(c, &dead);
    if (c->soonest != NULL)
        expire(c, now, &dead);
    if (changes != c->changes && find(c, entry.key, entry.hash, &n) < 0)
        goto done;
    if (present != NULL && n != NULL) {
        *present = Py_NewRef(n->value);
        result = Py_NewRef(Py_None);
        goto done;
    }
    kept = hold_if_small(c, &entry, n, &dead, entry_limit(c));
    if (kept == 0)
        result = Py_NewRef(Py_None);
    else if (kept == REFUSED)
        result = refusal(c, entry.size);
done:
    result = settle(c, &dead, result);
    Py_DECREF(entry.key);
    return result;
}

static int
cache_assign(Cache *c, PyObject *key, PyObject *value)
{
    if (value == NULL) { /* `del` shares the slot, and is written in Python */
        PyObject *taken = PyObject_CallMethodOneArg((PyObject *)c, py.pop, key);
        Py_XDECREF(taken);
        return taken == NULL ? -1 : 0;
    }
    PyObject *refused = write_entry(c, key, value, c->ttl_seconds, NULL);
    if (refused == NULL)
        return -1;
    int failed = refused != Py_None;
    if (failed)
        PyErr_SetObject((PyObject *)Py_TYPE(refused), refused);
    Py_DECREF(refused);
    return failed ? -1 : 0;
}

/* Seconds or None, as 0. */
static int
seconds_from(PyObject *object, double *seconds)
{
    *seconds = object == Py_None ? 0 : PyFloat_AsDouble(object);
    return *seconds == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
cache_put(Cache *c, PyObject *args)
{
    PyObject *key, *value, *ttl;
    double seconds;
    if (!PyArg_ParseTuple(args, "OOO", &key, &value, &ttl) || seconds_from(ttl, &seconds) < 0)
        return NULL;
    return write_entry(c, key, value, seconds, NULL);
}

static PyObject *
cache_keep(Cache *c, PyObject *args) /* (what is held then, or not; the error of a refusal) */
{
    PyObject *key, *value, *ttl, *present = NULL;
    double seconds = c->ttl_seconds;
    if (!PyArg_ParseTuple(args, "OOO", &key, &value, &ttl) ||
        (ttl != Py_None && seconds_from(ttl, &seconds) < 0))
        return NULL;
    PyObject *refused = write_entry(c, key, value, seconds, &present);
    PyObject *result =
        refused == NULL ? NULL : PyTuple_Pack(2, present != NULL ? present : value, refused);
    Py_XDECREF(present);
    Py_XDECREF(refused);
    return result;
}

static PyObject *
cache_restore(Cache *c, PyObject *args) /* an entry that was measured already */
{
    Entry entry = {0};
    PyObject *ttl;
    long long bytes;
    double now = 0;
    Node *n;
    if (!PyArg_ParseTuple(args, "OOLO", &entry.key, &entry.value, &bytes, &ttl) ||
        seconds_from(ttl, &entry.deadline) < 0)
        return NULL;
    entry.expires = ttl != Py_None;
    entry.size = charge(bytes < 0 || bytes > MOST ? MOST : bytes, 0, entry.expires);
    entry.hash = hash_of(entry.key);
    if ((entry.hash == -1 && PyErr_Occurred()) || (entry.expires && read_clock(c, &now) < 0) ||
        find(c, entry.key, entry.hash, &n) < 0)
        return NULL;
    entry.deadline += now;
    Dead dead = {0};
    int kept = hold_if_small(c, &entry, n, &dead, c->byte_goal);
    return settle(c, &dead, kept < 0 ? NULL : Py_NewRef(Py_None));
}

static PyObject *
cache_rebook(Cache *c, PyObject *args) /* a value that was measured anew; return its size */
{
    PyObject *key, *value, *deadline;
    int64_t size;
    Dead dead = {0};
    Node *n;
    if (!PyArg_ParseTuple(args, "OOO", &key, &value, &deadline) ||
        measure(c, key, value, deadline != Py_None, &size) < 0)
        return NULL;
    if (look(c, key, &dead, &n) < 0)
        return settle(c, &dead, NULL);
    if (n != NULL && n->value != value)
        size = n->size; /* overwritten meanwhile: that figure is newer */
    else if (n != NULL && size > entry_limit(c))
        detach(c, n, SIZE, &dead);
    else if (n != NULL) {
        add(&c->accepted.bytes, size - n->size);
        rebook(c, n, size, &dead);
    }
    tidy(c);
    return settle(c, &dead, PyLong_FromLongLong(size));
}

#endif
