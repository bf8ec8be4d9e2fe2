/* Reads: those that touch an entry, and those that only look. */
#ifndef LRU_READING_H
#define LRU_READING_H

#include "entries.h"

/* Find what is held and alive, and make it the most recently used one; NULL if there is none. */
static int
hit(Cache *c, PyObject *key, Dead *dead, Node **found)
{
    Py_hash_t hash = hash_of(key);
    if (hash == -1 && PyErr_Occurred())
        return -1;
    for (;;) {
        if (find(c, key, hash, found) < 0)
            return -1;
        if (*found == NULL || (*found)->expiry == NULL)
            break;
        uint64_t changes = c->changes;
        double now;
        if (read_clock(c, &now) < 0)
            return -1;
        if (changes != c->changes)
            continue;
        if (!(now < (*found)->expiry->deadline)) {
            *found = NULL;
            expire(c, now, dead);
        }
        break;
    }
    if (*found == NULL) {
        c->misses++;
        return 0;
    }
    c->hits++;
    touch(c, *found);
    return 0;
}

static PyObject *
cache_get(Cache *c, PyObject *const *args, Py_ssize_t count)
{
    if (count != 1 && count != 2)
        return PyErr_Format(PyExc_TypeError, "get() takes a key and a default, got %zd", count);
    Dead dead = {0};
    Node *found;
    if (hit(c, args[0], &dead, &found) < 0)
        return NULL;
    PyObject *result = found != NULL ? found->value : count == 2 ? args[1] : Py_None;
    return settle(c, &dead, Py_NewRef(result));
}

static PyObject *
no_such_key(PyObject *key)
{
    PyObject *error = PyObject_CallOneArg(PyExc_KeyError, key); /* a tuple would be unpacked */
    if (error != NULL) {
        PyErr_SetObject(PyExc_KeyError, error);
        Py_DECREF(error);
    }
    return NULL;
}

static PyObject *
cache_subscript(Cache *c, PyObject *key)
{
    Dead dead = {0};
    Node *found;
    if (hit(c, key, &dead, &found) < 0)
        return NULL;
    return settle(c, &dead, found != NULL ? Py_NewRef(found->value) : no_such_key(key));
}

/* Find what is held and alive, without touching it. */
static int
look(Cache *c, PyObject *key, Dead *dead, Node **found)
{
    Py_hash_t hash = hash_of(key);
    if ((hash == -1 && PyErr_Occurred()) || purge(c, dead) < 0)
        return -1;
    return find(c, key, hash, found);
}

static PyObject *
cache_peek(Cache *c, PyObject *const *args, Py_ssize_t count)
{
    if (count != 1 && count != 2)
        return PyErr_Format(PyExc_TypeError, "peek() takes a key and a default, got %zd", count);
    Dead dead = {0};
    Node *found;
    PyObject *result = NULL;
    if (look(c, args[0], &dead, &found) == 0)
        result = Py_NewRef(found != NULL ? found->value : count == 2 ? args[1] : Py_None);
    return settle(c, &dead, result);
}

static int
cache_contains(Cache *c, PyObject *key)
{
    Dead dead = {0};
    Node *found;
    PyObject *result = NULL;
    if (look(c, key, &dead, &found) == 0)
        result = found != NULL ? Py_True : Py_False;
    result = settle(c, &dead, Py_XNewRef(result));
    Py_XDECREF(result);
    return result == NULL ? -1 : result == Py_True;
}

static PyObject *
deadline_of(const Node *n)
{
    return n->expiry == NULL ? Py_NewRef(Py_None) : PyFloat_FromDouble(n->expiry->deadline);
}

static PyObject *
cache_look(Cache *c, PyObject *key) /* (key as held, value, deadline), or None */
{
    Dead dead = {0};
    Node *found;
    PyObject *result = NULL;
    if (look(c, key, &dead, &found) == 0)
        result = found == NULL
                     ? Py_NewRef(Py_None)
                     : Py_BuildValue("(NNN)", Py_NewRef(found->key), Py_NewRef(found->value),
                                     deadline_of(found));
    return settle(c, &dead, result);
}

static Py_ssize_t
cache_length(Cache *c)
{
    return purge_and_settle(c) < 0 ? -1 : (Py_ssize_t)c->items;
}

static PyObject *
cache_purge(Cache *c, PyObject *unused)
{
    int gone = purge_and_settle(c);
    return gone < 0 ? NULL : PyLong_FromLong(gone);
}

#endif
