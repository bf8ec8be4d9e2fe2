/* What leaves is chained up, told of when the books are right, and dies. */
#ifndef LRU_DEPARTURES_H
#define LRU_DEPARTURES_H

#include "state.h"

typedef struct {
    Node *first, *last;
    PyObject *replaced_key, *replaced; /* an old value whose entry stays; told of last */
} Dead;

static void
bury(Dead *dead, Node *n, int cause)
{
    n->hash = cause;
    n->newer = NULL;
    if (dead->first == NULL)
        dead->first = n;
    else
        dead->last->newer = n;
    dead->last = n;
}

/* Tell the listener, unless it is the program that ends: then the first such error is kept. */
static void
tell(Cache *c, PyObject *key, PyObject *value, int cause, PyObject **error)
{
    PyObject *told = Py_BuildValue("((OOO))", key, value, PyTuple_GET_ITEM(py.causes, cause));
    PyObject *done = told == NULL ? NULL : PyObject_CallOneArg(c->notify, told);
    Py_XDECREF(told);
    Py_XDECREF(done);
    if (done != NULL)
        return;
    PyObject *type, *traceback, *raised;
    PyErr_Fetch(&type, &raised, &traceback);
    PyErr_NormalizeException(&type, &raised, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(raised, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    if (*error == NULL)
        *error = raised;
    else
        Py_XDECREF(raised);
}

/* Tell of what has left and let it die; return `result`, or NULL with what a listener raised. */
static PyObject *
settle(Cache *c, Dead *dead, PyObject *result)
{
    if (dead->first == NULL && dead->replaced == NULL)
        return result;
    PyObject *type, *value, *traceback, *error = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    for (Node *n = dead->first; n != NULL;) {
        Node *following = n->newer;
        if (c->tells)
            tell(c, n->key, n->value, (int)n->hash, &error);
        Py_DECREF(n->key);
        Py_DECREF(n->value);
        PyMem_Free(n);
        n = following;
    }
    if (dead->replaced != NULL) {
        if (c->tells)
            tell(c, dead->replaced_key, dead->replaced, REPLACED, &error);
        Py_DECREF(dead->replaced_key);
        Py_DECREF(dead->replaced);
    }
    if (error == NULL) {
        PyErr_Restore(type, value, traceback);
        return result;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    Py_XDECREF(result);
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return NULL;
}

#endif
