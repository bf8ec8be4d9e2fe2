/*
 * The structure of the cache as compiled code, for builds with the GIL.
 *
 * What it does is what recency.py and keeper.py do, which are the reference: read them first. How
 * it does it differs: entries are nodes of their own, chained in the order of use and in the
 * buckets of one table, and every change is one step under the GIL.
 *
 * Code of a user runs where a key is hashed or compared, where something is measured, where the
 * clock is read, and where a listener is told or something dies. Nothing found before is trusted
 * afterwards, unless `changes` is the same. What leaves is chained up, and dies at the very end,
 * when the books are right; so an exception out of the blue finds nothing half done.
 */
#include "figures.h"
#include "reading.h"
#include "writing.h"

/* ── taking out ──────────────────────────────────────────────────────────────────────────── */

static PyObject *
cache_take(Cache *c, PyObject *args) /* the value of a key, or what is given for none */
{
    PyObject *key, *otherwise;
    Dead dead = {0};
    Node *n;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "OO", &key, &otherwise))
        return NULL;
    if (look(c, key, &dead, &n) == 0) {
        result = Py_NewRef(n != NULL ? n->value : otherwise);
        if (n != NULL)
            detach(c, n, REMOVED, &dead);
        tidy(c);
    }
    return settle(c, &dead, result);
}

static PyObject *
pair_of(const Node *n)
{
    return PyTuple_Pack(2, n->key, n->value);
}

static PyObject *
cache_take_oldest(Cache *c, PyObject *unused)
{
    Dead dead = {0};
    if (purge(c, &dead) < 0)
        return NULL;
    if (c->items == 0)
        return settle(c, &dead, Py_NewRef(Py_None));
    Node *n = c->end.newer;
    detach(c, n, REMOVED, &dead);
    tidy(c);
    return settle(c, &dead, pair_of(n)); /* it is held by `dead` while the pair is made */
}

static PyObject *
end_of(Cache *c, int newest)
{
    Dead dead = {0};
    if (purge(c, &dead) < 0)
        return NULL;
    if (c->items == 0)
        return settle(c, &dead, Py_NewRef(Py_None));
    Node *n = newest ? c->end.older : c->end.newer;
    PyObject *key = Py_NewRef(n->key), *value = Py_NewRef(n->value);
    return settle(c, &dead, Py_BuildValue("(NN)", key, value));
}

static PyObject *
cache_oldest(Cache *c, PyObject *unused)
{
    return end_of(c, 0);
}

static PyObject *
cache_newest(Cache *c, PyObject *unused)
{
    return end_of(c, 1);
}

/* Move everything to the dead. */
static void
empty(Cache *c, int cause, Dead *dead)
{
    while (evict_oldest(c, cause, dead))
        ;
    tidy(c);
}

static PyObject *
cache_empty(Cache *c, PyObject *unused)
{
    Dead dead = {0};
    if (purge(c, &dead) < 0)
        return NULL;
    empty(c, CLEARED, &dead);
    return settle(c, &dead, Py_NewRef(Py_None));
}

/* ── bounds ──────────────────────────────────────────────────────────────────────────────── */

/* A limit that was checked; None leaves it as it is. */
static int
limit_of(PyObject *object, int64_t *limit)
{
    int overflow;
    if (object == Py_None)
        return 0;
    int64_t figure = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (figure == -1 && PyErr_Occurred())
        return -1;
    *limit = overflow > 0 || figure > MOST - 1 ? MOST - 1 : overflow < 0 ? 0 : figure;
    return 0;
}

static PyObject *
cache_bound(Cache *c, PyObject *args)
{
    PyObject *max_items, *max_bytes, *max_entry;
    int64_t item_limit = c->item_limit, most = c->max_bytes, entry = c->entry_limit;
    Dead dead = {0};
    if (!PyArg_ParseTuple(args, "OOO", &max_items, &max_bytes, &max_entry) ||
        limit_of(max_items, &item_limit) < 0 || limit_of(max_bytes, &most) < 0 ||
        limit_of(max_entry, &entry) < 0)
        return NULL;
    if (purge(c, &dead) < 0)
        return NULL;
    int64_t goal = most < c->target ? most : c->target;
    int64_t above = c->byte_limit < most ? c->byte_limit : most;
    c->byte_limit = c->bytes <= goal ? goal : above;
    c->byte_goal = goal;
    c->crowded_at = goal < most ? goal : NO_LIMIT;
    c->max_bytes = most;
    c->item_limit = item_limit;
    c->entry_limit = entry;
    if (max_bytes != Py_None)
        Py_SETREF(c->bound, Py_NewRef(max_bytes));
    if (max_entry != Py_None)
        Py_SETREF(c->entry_bound, Py_NewRef(max_entry));
    make_room(c, 0, 0, &dead);
    return settle(c, &dead, Py_NewRef(Py_None));
}

static PyObject *
cache_claimed(Cache *c, PyObject *unused)
{
    return PyLong_FromLongLong(c->bytes);
}

static PyObject *
cache_least(Cache *c, PyObject *unused)
{
    return PyLong_FromLongLong(charge(0, 0, 1));
}

static PyObject *
cache_aim(Cache *c, PyObject *target)
{
    return limit_of(target, &c->target) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
cache_shed(Cache *c, PyObject *unused)
{
    Dead dead = {0};
    if (purge(c, &dead) < 0)
        return NULL;
    obey(c, &dead);
    return settle(c, &dead, PyBool_FromLong(c->obeyed != c->target));
}

/* ── life ────────────────────────────────────────────────────────────────────────────────── */

#define OBJECTS 9

static PyObject **
object_in(Cache *c, size_t i)
{
    PyObject **all[OBJECTS] = {&c->where, &c->bound,  &c->entry_bound, &c->ttl,  &c->sizeof_,
                               &c->clock, &c->notify, &c->name,        &c->place};
    return all[i];
}

static PyObject *
cache_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    Cache *c = (Cache *)type->tp_alloc(type, 0);
    if (c == NULL)
        return NULL;
    c->end.older = c->end.newer = &c->end;
    c->bits = LEAST_BITS;
    if ((c->buckets = PyMem_Calloc((size_t)1 << LEAST_BITS, sizeof(Node *))) == NULL) {
        Py_DECREF(c);
        return PyErr_NoMemory();
    }
    for (size_t i = 0; i < OBJECTS; i++)
        *object_in(c, i) = Py_NewRef(Py_None); /* without __init__ there are errors, no crashes */
    return (PyObject *)c;
}

static PyObject *
cache_start(Cache *c, PyObject *args, PyObject *keywords) /* what __init__ has checked */
{
    static char *names[] = {"where", "max_items", "max_bytes", "max_entry_bytes", "ttl_seconds",
                            "sizeof", "clock", "notify", NULL};
    PyObject *where, *max_items, *max_bytes, *max_entry, *ttl, *sizeof_, *clock, *notify, *listener;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "$OOOOOOOO", names, &where, &max_items,
                                     &max_bytes, &max_entry, &ttl, &sizeof_, &clock, &notify) ||
        (listener = PyObject_GetAttr(notify, py.listener)) == NULL)
        return NULL;
    c->tells = listener != Py_None;
    Py_DECREF(listener);
    Dead dead = {0};
    empty(c, CLEARED, &dead); /* of one that is initialised again */
    c->peak_items = c->peak_bytes = c->rejected = c->hits = c->misses = 0;
    c->accepted = (Tally){0};
    memset(c->left, 0, sizeof(c->left));
    c->item_limit = c->entry_limit = c->target = c->obeyed = c->crowded_at = NO_LIMIT;
    if (limit_of(max_items, &c->item_limit) < 0 || limit_of(max_bytes, &c->max_bytes) < 0 ||
        limit_of(max_entry, &c->entry_limit) < 0 || seconds_from(ttl, &c->ttl_seconds) < 0)
        return settle(c, &dead, NULL);
    c->byte_limit = c->byte_goal = c->max_bytes;
    Py_SETREF(c->where, Py_NewRef(where));
    Py_SETREF(c->bound, Py_NewRef(max_bytes));
    Py_SETREF(c->entry_bound, Py_NewRef(max_entry));
    Py_SETREF(c->ttl, Py_NewRef(ttl));
    Py_SETREF(c->sizeof_, Py_NewRef(sizeof_));
    Py_SETREF(c->clock, Py_NewRef(clock));
    Py_SETREF(c->notify, Py_NewRef(notify));
    return settle(c, &dead, Py_NewRef(Py_None));
}

static int
cache_traverse(Cache *c, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(c));
    for (size_t i = 0; i < OBJECTS; i++)
        Py_VISIT(*object_in(c, i));
    for (const Node *n = c->end.newer; n != NULL && n != &c->end; n = n->newer) {
        Py_VISIT(n->key);
        Py_VISIT(n->value);
    }
    return 0;
}

static int
cache_clear(Cache *c)
{
    if (c->buckets != NULL) {
        Dead dead = {0};
        c->tells = 0; /* nobody is left to be told */
        empty(c, CLEARED, &dead);
        settle(c, &dead, NULL);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        if (*object_in(c, i) != NULL)
            Py_SETREF(*object_in(c, i), Py_NewRef(Py_None));
    return 0;
}

static void
cache_dealloc(Cache *c)
{
    PyTypeObject *type = Py_TYPE(c);
    PyObject_GC_UnTrack(c);
    cache_clear(c);
    for (size_t i = 0; i < OBJECTS; i++)
        Py_XDECREF(*object_in(c, i));
    PyMem_Free(c->buckets);
    type->tp_free(c);
    Py_DECREF(type);
}

static PyObject *
cache_sizeof(Cache *c, PyObject *unused)
{
    int64_t own = Py_TYPE(c)->tp_basicsize + ((int64_t)sizeof(Node *) << c->bits);
    for (const Node *n = c->end.newer; n != &c->end; n = n->newer)
        own += (int64_t)sizeof(Node) + (n->expiry == NULL ? 0 : (int64_t)sizeof(Expiry));
    return PyLong_FromLongLong(own);
}

/* ── the type ────────────────────────────────────────────────────────────────────────────── */

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

PyDoc_STRVAR(get_doc, "get($self, key, default=None, /)\n--\n\n"
"Return the value of `key` and make it the most recently used; `default` without it.\n\n"
">>> from boundedcollections import SizeAwareLRU\n"
">>> cache = SizeAwareLRU({\"a\": 1}, max_bytes=1_000)\n"
">>> cache.get(\"a\"), cache.get(\"b\"), cache.get(\"b\", 0)\n"
"(1, None, 0)");
PyDoc_STRVAR(peek_doc, "peek($self, key, default=None, /)\n--\n\n"
"Return the value of `key` without touching its recency or the counts of hits and misses.\n\n"
">>> from boundedcollections import SizeAwareLRU\n"
">>> SizeAwareLRU({\"a\": 1}, max_bytes=1_000).peek(\"a\")\n"
"1");
PyDoc_STRVAR(snapshot_doc, "snapshot($self, /)\n--\n\n"
"Return all entries of this moment as pairs, least recently used first.\n\n"
">>> from boundedcollections import SizeAwareLRU\n"
">>> SizeAwareLRU({\"a\": 1, \"b\": 2}, max_bytes=1_000).snapshot()\n"
"(('a', 1), ('b', 2))");

static PyMethodDef cache_methods[] = {
    {"get", FAST(cache_get), METH_FASTCALL, get_doc},
    {"peek", FAST(cache_peek), METH_FASTCALL, peek_doc},
    {"snapshot", (PyCFunction)cache_snapshot, METH_NOARGS, snapshot_doc},
    {"__sizeof__", (PyCFunction)cache_sizeof, METH_NOARGS, NULL},
    {"__class_getitem__", (PyCFunction)Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {"_aim", (PyCFunction)cache_aim, METH_O, NULL},
    {"_bound", (PyCFunction)cache_bound, METH_VARARGS, NULL},
    {"_check", (PyCFunction)cache_check, METH_NOARGS, NULL},
    {"_claimed_bytes", (PyCFunction)cache_claimed, METH_NOARGS, NULL},
    {"_empty", (PyCFunction)cache_empty, METH_NOARGS, NULL},
    {"_figures", (PyCFunction)cache_figures, METH_NOARGS, NULL},
    {"_held", (PyCFunction)cache_held, METH_NOARGS, NULL},
    {"_keep", (PyCFunction)cache_keep, METH_VARARGS, NULL},
    {"_least_bytes", (PyCFunction)cache_least, METH_NOARGS, NULL},
    {"_look", (PyCFunction)cache_look, METH_O, NULL},
    {"_newest", (PyCFunction)cache_newest, METH_NOARGS, NULL},
    {"_oldest", (PyCFunction)cache_oldest, METH_NOARGS, NULL},
    {"_purge", (PyCFunction)cache_purge, METH_NOARGS, NULL},
    {"_put", (PyCFunction)cache_put, METH_VARARGS, NULL},
    {"_rebook", (PyCFunction)cache_rebook, METH_VARARGS, NULL},
    {"_restore", (PyCFunction)cache_restore, METH_VARARGS, NULL},
    {"_shed", (PyCFunction)cache_shed, METH_NOARGS, NULL},
    {"_start", FAST(cache_start), METH_VARARGS | METH_KEYWORDS, NULL},
    {"_take", (PyCFunction)cache_take, METH_VARARGS, NULL},
    {"_take_oldest", (PyCFunction)cache_take_oldest, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef cache_members[] = {
    {"name", T_OBJECT, offsetof(Cache, name), 0, NULL},
    {"_place", T_OBJECT, offsetof(Cache, place), 0, NULL},
    {"_notify", T_OBJECT, offsetof(Cache, notify), READONLY, NULL},
    {"_sizeof", T_OBJECT, offsetof(Cache, sizeof_), READONLY, NULL},
    {"_clock", T_OBJECT, offsetof(Cache, clock), READONLY, NULL},
    {"_max_entry_bytes", T_OBJECT, offsetof(Cache, entry_bound), READONLY, NULL},
    {"_ttl_seconds", T_OBJECT, offsetof(Cache, ttl), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot cache_slots[] = {
    {Py_tp_new, cache_new},
    {Py_tp_dealloc, cache_dealloc},
    {Py_tp_traverse, cache_traverse},
    {Py_tp_clear, cache_clear},
    {Py_tp_methods, cache_methods},
    {Py_tp_members, cache_members},
    {Py_mp_length, cache_length},
    {Py_mp_subscript, cache_subscript},
    {Py_mp_ass_subscript, cache_assign},
    {Py_sq_contains, cache_contains},
    {0, NULL},
};

static PyType_Spec cache_spec = {
    .name = "boundedcollections.lru._recency.Recency",
    .basicsize = sizeof(Cache),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = cache_slots,
};

/* ── the module ──────────────────────────────────────────────────────────────────────────── */

static PyObject *
set_up(PyObject *module, PyObject *args)
{
    PyObject *measured_size, *make_refusal, *causes;
    if (!PyArg_ParseTuple(args, "OOO!", &measured_size, &make_refusal, &PyTuple_Type, &causes))
        return NULL;
    Py_XSETREF(py.measured_size, Py_NewRef(measured_size));
    Py_XSETREF(py.refusal, Py_NewRef(make_refusal));
    Py_XSETREF(py.causes, Py_NewRef(causes));
    Py_RETURN_NONE;
}

static PyObject *
set_charges(PyObject *module, PyObject *args) /* what an entry, a deadline and a bucket cost */
{
    long long node, expiry, bucket;
    if (!PyArg_ParseTuple(args, "LLL", &node, &expiry, &bucket))
        return NULL;
    py.node_bytes = node;
    py.expiry_bytes = expiry;
    py.bucket_bytes = bucket;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"set_up", set_up, METH_VARARGS, NULL},
    {"set_charges", set_charges, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_recency",
    .m_size = -1, /* one interpreter: another one imports the Python structure */
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__recency(void)
{
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = module == NULL ? NULL : PyType_FromSpec(&cache_spec);
    if (type == NULL || (py.listener = PyUnicode_InternFromString("listener")) == NULL ||
        (py.pop = PyUnicode_InternFromString("pop")) == NULL ||
        (py.press = PyUnicode_InternFromString("_press")) == NULL || PyModule_AddObjectRef(module, "Recency", type) < 0 ||
        PyModule_AddIntConstant(module, "NODE_BYTES", sizeof(Node)) < 0 ||
        PyModule_AddIntConstant(module, "EXPIRY_BYTES", sizeof(Expiry)) < 0 ||
        PyModule_AddIntConstant(module, "BUCKET_BYTES", sizeof(Node *)) < 0)
        Py_CLEAR(module);
    Py_XDECREF(type);
    return module;
}
