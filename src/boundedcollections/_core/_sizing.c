/*
 * The walks behind deep_size and footprint, for builds with the GIL.
 *
 * The rules are those of _deep.py and _footprint.py, which are the reference: read them first.
 * What is here is the closed set of exact builtin types; every other object is handed to the
 * Python function that takes it apart there. Public headers only.
 *
 * No code of a user runs while a list, tuple or dict is being iterated: between two items there
 * is arithmetic, PyMem and calls of `T.__sizeof__` of exact builtin types, none of which can run
 * the garbage collector. Everything else waits on the stack, where it is held, until no iteration
 * is going on; other containers are copied by one call. So nothing can change or vanish under the
 * walk.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifdef Py_GIL_DISABLED
#error "without the GIL, counts of references prove nothing: the Python walks are used"
#endif

#if defined(__GNUC__) || defined(__clang__)
#define INLINE inline __attribute__((always_inline))
#define PREFETCH(x) __builtin_prefetch(x)
#else
#define INLINE inline
#define PREFETCH(x) ((void)0)
#endif

#define FEW 64
#define KEYS 32
#define LAST 64
#define SHORT 64
#define WIDELY 7 /* a str with more references than this is divided among them */
#define MOST (INT64_MAX / 2)

/* ── a set of objects, by identity, that holds them ──────────────────────────────────────── */

typedef struct {
    PyObject **places; /* `first`, while there are few */
    size_t room, count;
    PyObject *first[FEW];
} Set;

static INLINE PyObject **
place_in(const Set *set, PyObject *x)
{
    size_t mask = set->room - 1;
    size_t i = (size_t)(((uint64_t)(uintptr_t)x >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32) & mask;
    while (set->places[i] != NULL && set->places[i] != x)
        i = (i + 1) & mask;
    return &set->places[i];
}

static int
grow(Set *set)
{
    PyObject **old = set->places;
    size_t room = set->room;
    PyObject **larger = PyMem_Calloc(4 * room, sizeof(PyObject *));
    if (larger == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    set->places = larger;
    set->room = 4 * room;
    for (size_t i = 0; i < room; i++)
        if (old[i] != NULL)
            *place_in(set, old[i]) = old[i];
    if (old != set->first)
        PyMem_Free(old);
    return 0;
}

static INLINE int
has(const Set *set, PyObject *x)
{
    return *place_in(set, x) != NULL;
}

static int
put(Set *set, PyObject *x)
{
    if (2 * set->count >= set->room && grow(set) < 0)
        return -1;
    *place_in(set, x) = Py_NewRef(x);
    set->count++;
    return 0;
}

/* ── set up once, by the Python side ─────────────────────────────────────────────────────── */

typedef PyObject *(*Sizeof)(PyObject *, PyObject *);

static struct {
    PyObject *take_apart, *open_up;
    PyObject *leaves; /* a tuple of types; their sizes are in leaf_sizes */
    Sizeof *leaf_sizes;
    Set free; /* what exists in every process anyway */
    Sizeof str_size, int_size, dict_size, set_size; /* set's serves frozenset too */
    Py_ssize_t gc_header;
} py;

static Sizeof
sizeof_of(PyObject *type)
{
    PyObject *found = PyObject_GetAttrString(type, "__sizeof__");
    if (found == NULL)
        return NULL;
    PyMethodDef *method =
        Py_IS_TYPE(found, &PyMethodDescr_Type) ? ((PyMethodDescrObject *)found)->d_method : NULL;
    Py_DECREF(found); /* its type keeps it */
    if (method == NULL || method->ml_flags != METH_NOARGS) {
        PyErr_Format(PyExc_ImportError, "the __sizeof__ of %R is not as expected", type);
        return NULL;
    }
    return method->ml_meth;
}

/* ── what a walk holds ───────────────────────────────────────────────────────────────────── */

typedef struct {
    PyObject *classes;      /* a dict for the Python side, which remembers those of this walk */
    PyObject **stack;       /* held: counted themselves, but not yet what they contain */
    size_t stacked, stack_room;
    Set seen;               /* what may be met again */
    PyObject *last_keys[LAST]; /* a few of `seen`, each at a place by its address */
    int64_t total, ceiling;
    double shares;
    Py_ssize_t unique;      /* an object with more references than this may be met again */
    PyObject **ours;        /* the items of the list of ours that is being visited, and how many */
    Py_ssize_t ours_count;
    int inside;             /* whether what is visited is a part of the value, not the value */
} Walk;

/* Count x itself, which has `extra` references beside those of the value and of its surroundings,
   and push it if it contains others. */
typedef int (*Visit)(Walk *, PyObject *x, Py_ssize_t extra);

static int
push(Walk *w, PyObject *x)
{
    if (w->stacked == w->stack_room) {
        size_t room = w->stack_room ? 2 * w->stack_room : 64;
        PyObject **grown = PyMem_Realloc(w->stack, room * sizeof(*grown));
        if (grown == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        w->stack = grown;
        w->stack_room = room;
    }
    w->stack[w->stacked++] = Py_NewRef(x);
    return 0;
}

static INLINE void
add(Walk *w, int64_t bytes)
{
    w->total = bytes > MOST - w->total ? MOST : w->total + bytes;
}

/* ── sizes of exact builtin types ────────────────────────────────────────────────────────── */

static Py_ssize_t
called(Sizeof size_of, PyObject *x)
{
    PyObject *size = size_of(x, NULL);
    if (size == NULL)
        return -1;
    Py_ssize_t bytes = PyLong_AsSsize_t(size);
    Py_DECREF(size);
    return bytes;
}

static Py_ssize_t
str_bytes(PyObject *x)
{
#if PY_VERSION_HEX < 0x030C0000
    int simple = PyUnicode_IS_COMPACT_ASCII(x) && ((PyASCIIObject *)x)->wstr == NULL;
#else
    int simple = PyUnicode_IS_COMPACT_ASCII(x);
#endif
    if (simple)
        return (Py_ssize_t)sizeof(PyASCIIObject) + PyUnicode_GET_LENGTH(x) + 1;
    return called(py.str_size, x);
}

static Py_ssize_t
int_bytes(PyObject *x)
{
#if PY_VERSION_HEX < 0x030C0000
    int one_digit = Py_ABS(Py_SIZE(x)) <= 1;
#else
    int one_digit = PyUnstable_Long_IsCompact((PyLongObject *)x);
#endif
    return one_digit ? PyLong_Type.tp_basicsize + (Py_ssize_t)sizeof(digit)
                     : called(py.int_size, x);
}

static INLINE Py_ssize_t
bytes_bytes(PyObject *x)
{
    return PyBytes_Type.tp_basicsize + PyBytes_GET_SIZE(x);
}

static INLINE Py_ssize_t
list_items_bytes(PyObject *x)
{
    return ((PyListObject *)x)->allocated * (Py_ssize_t)sizeof(PyObject *);
}

static INLINE Py_ssize_t
tuple_bytes(PyObject *x)
{
    return PyTuple_Type.tp_basicsize + PyTuple_GET_SIZE(x) * (Py_ssize_t)sizeof(PyObject *);
}

/* ── deep_size ───────────────────────────────────────────────────────────────────────────── */

static Py_ssize_t
leaf_bytes(PyObject *x)
{
    PyTypeObject *type = Py_TYPE(x);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(py.leaves); i++)
        if ((PyObject *)type == PyTuple_GET_ITEM(py.leaves, i))
            return called(py.leaf_sizes[i], x) + (PyType_IS_GC(type) ? py.gc_header : 0);
    return 0;
}

static INLINE int
deep_visit(Walk *w, PyObject *x, Py_ssize_t extra)
{
    if (Py_REFCNT(x) - extra > w->unique) {
        if (has(&w->seen, x))
            return 0;
        if (put(&w->seen, x) < 0)
            return -1;
    }
    PyTypeObject *type = Py_TYPE(x);
    Py_ssize_t bytes;
    int opens = 0;
    if (type == &PyUnicode_Type)
        bytes = str_bytes(x);
    else if (type == &PyLong_Type || type == &PyBool_Type)
        bytes = int_bytes(x);
    else if (type == &PyDict_Type) {
        bytes = called(py.dict_size, x) + py.gc_header;
        opens = 1;
    }
    else if (type == &PyList_Type) {
        bytes = PyList_Type.tp_basicsize + list_items_bytes(x) + py.gc_header;
        opens = 1;
    }
    else if (type == &PyFloat_Type)
        bytes = PyFloat_Type.tp_basicsize;
    else if (x == Py_None)
        bytes = (Py_ssize_t)sizeof(PyObject);
    else if (type == &PyTuple_Type) {
        bytes = tuple_bytes(x) + py.gc_header;
        opens = 1;
    }
    else if (type == &PyBytes_Type)
        bytes = bytes_bytes(x);
    else if (PyAnySet_CheckExact(x)) {
        bytes = called(py.set_size, x) + py.gc_header;
        opens = 1;
    }
    else {
        bytes = leaf_bytes(x);
        opens = bytes == 0; /* not one of them: its bytes are counted when it is opened */
    }
    if (bytes < 0 || (opens && push(w, x) < 0))
        return -1;
    add(w, (bytes + 7) & ~(int64_t)7);
    return 0;
}

/* ── footprint ───────────────────────────────────────────────────────────────────────────── */

static INLINE int64_t
allocated(Py_ssize_t bytes)
{
    return bytes <= 512 ? (bytes + 15) & ~(int64_t)15 : (bytes + 23) & ~(int64_t)15;
}

/* How often a list of ours holds x, but for once; at most, if the list is long. */
static Py_ssize_t
copies_of(const Walk *w, const PyObject *x)
{
    Py_ssize_t copies = -1;
    if (w->ours_count > SHORT)
        return w->ours_count - 1;
    for (Py_ssize_t i = 0; i < w->ours_count; i++)
        copies += w->ours[i] == x;
    return copies < 0 ? 0 : copies;
}

static INLINE int
spent_visit(Walk *w, PyObject *x, Py_ssize_t extra)
{
    PyTypeObject *type = Py_TYPE(x);
    Py_ssize_t references = Py_REFCNT(x) - extra, bytes;
    if (references > w->unique) {
        if (type == &PyUnicode_Type && references > WIDELY && w->inside && !has(&py.free, x)) {
            Py_ssize_t others = references - copies_of(w, x);
            if (others > WIDELY + has(&w->seen, x)) { /* to remember it is a reference */
                if ((bytes = str_bytes(x)) < 0)
                    return -1;
                w->shares += (double)bytes / (double)others;
                return 0;
            }
        }
        if (has(&w->seen, x) || has(&py.free, x))
            return 0;
        if (put(&w->seen, x) < 0)
            return -1;
    }
    Py_ssize_t beside = 0; /* a second block */
    int opens = 0;
    if (type == &PyUnicode_Type)
        bytes = str_bytes(x);
    else if (type == &PyLong_Type)
        bytes = int_bytes(x);
    else if (type == &PyDict_Type) {
        bytes = PyDict_Type.tp_basicsize;
        beside = called(py.dict_size, x) - bytes;
        opens = 1;
    }
    else if (type == &PyList_Type) {
        bytes = PyList_Type.tp_basicsize;
        beside = list_items_bytes(x);
        opens = 1;
    }
    else if (type == &PyFloat_Type)
        bytes = PyFloat_Type.tp_basicsize;
    else if (type == &PyTuple_Type) {
        bytes = tuple_bytes(x);
        opens = 1;
    }
    else if (type == &PyBytes_Type)
        bytes = bytes_bytes(x);
    else if (PyAnySet_CheckExact(x)) {
        bytes = PySet_Type.tp_basicsize;
        beside = called(py.set_size, x) - bytes;
        opens = 1;
    }
    else
        return push(w, x); /* its bytes are counted when it is opened */
    if (bytes < 0 || beside < 0 || (opens && push(w, x) < 0))
        return -1;
    add(w, allocated(bytes + (opens ? py.gc_header : 0)) + allocated(beside));
    return 0;
}

/* ── the walk ────────────────────────────────────────────────────────────────────────────── */

#define AHEAD 8
#define NEXT 4

/* Visit what is in slots. Objects, and the tables of dicts, lie anywhere in memory: ask for them
   before they are due. */
static INLINE int
visit_slots(Walk *w, Visit visit, PyObject **slots, Py_ssize_t count, Py_ssize_t extra)
{
    for (Py_ssize_t i = 0; i < count && w->total <= w->ceiling; i++) {
        if (i + AHEAD < count)
            PREFETCH(slots[i + AHEAD]);
        if (i + NEXT < count && PyDict_CheckExact(slots[i + NEXT]))
            PREFETCH(((PyDictObject *)slots[i + NEXT])->ma_keys);
        if (visit(w, slots[i], extra) < 0)
            return -1;
    }
    return 0;
}

/* Visit the items of a list or tuple of ours, which holds each of them once more, or oftener. */
static int
visit_ours(Walk *w, Visit visit, PyObject *list)
{
    w->ours = PySequence_Fast_ITEMS(list);
    w->ours_count = PySequence_Fast_GET_SIZE(list);
    int failed = visit_slots(w, visit, w->ours, w->ours_count, 1);
    w->ours_count = 0;
    return failed;
}

static int
visit_set(Walk *w, Visit visit, PyObject *x)
{
    PyObject *copy = PySequence_List(x);
    if (copy == NULL)
        return -1;
    int failed = visit_slots(w, visit, PySequence_Fast_ITEMS(copy), PyList_GET_SIZE(copy), 1);
    Py_DECREF(copy);
    return failed;
}

/* Count an object of another type by what the Python side says of it, and visit what it holds.
   That may run the code of a user. */
static int
visit_parts(Walk *w, Visit visit, PyObject *x)
{
    if (w->classes == NULL && (w->classes = PyDict_New()) == NULL)
        return -1;
    PyObject *by_id = w->unique > 0 ? Py_False : Py_True, *bytes, *objects;
    PyObject *parts =
        visit == deep_visit
            ? PyObject_CallFunctionObjArgs(py.take_apart, x, w->classes, by_id, NULL)
            : PyObject_CallFunctionObjArgs(py.open_up, x, w->classes, NULL);
    int direct = 1, overflow, failed = 1;
    if (parts == NULL)
        return -1;
    if (PyArg_ParseTuple(parts, "O!O|p", &PyLong_Type, &bytes, &objects, &direct)) {
        if (!direct && w->unique > 0)
            PyErr_SetString(PyExc_RuntimeError, "a count of references proves nothing here");
        else {
            int64_t size = PyLong_AsLongLongAndOverflow(bytes, &overflow);
            add(w, overflow ? MOST : size);
            failed = visit_ours(w, visit, objects);
        }
    }
    Py_DECREF(parts);
    return failed ? -1 : 0;
}

/* Records have the same keys: what was met a short while ago needs no visit. */
static INLINE int
is_repeated(Walk *w, Visit visit, PyObject *key)
{
    if (visit != deep_visit) /* footprint has to count how often */
        return 0;
    PyObject **place = &w->last_keys[((uintptr_t)key >> 4) % LAST];
    if (*place == key)
        return 1;
    *place = Py_REFCNT(key) > 1 ? key : NULL; /* then it is about to be remembered */
    return 0;
}

static INLINE int
visit_dict(Walk *w, Visit visit, PyObject *x)
{
    PyObject *slots[2 * KEYS], *key, *value;
    Py_ssize_t i = 0, count, more;
    do {
        count = 0;
        while (count < 2 * KEYS - 1 && (more = PyDict_Next(x, &i, &key, &value))) {
            PREFETCH(value);
            if (!is_repeated(w, visit, key))
                slots[count++] = key;
            slots[count++] = value;
        }
        if (visit_slots(w, visit, slots, count, 0) < 0)
            return -1;
    } while (more && w->total <= w->ceiling);
    return 0;
}

static INLINE int
visit_contents(Walk *w, Visit visit, PyObject *x)
{
    if (PyDict_CheckExact(x))
        return visit_dict(w, visit, x);
    if (PyList_CheckExact(x) || PyTuple_CheckExact(x))
        return visit_slots(w, visit, PySequence_Fast_ITEMS(x), PySequence_Fast_GET_SIZE(x), 0);
    return PyAnySet_CheckExact(x) ? visit_set(w, visit, x) : visit_parts(w, visit, x);
}

static INLINE int
visit_everything(Walk *w, Visit visit, PyObject *obj)
{
    Py_ssize_t unique = w->unique;
    w->unique = 0; /* the value itself is referred to from anywhere */
    if (visit(w, obj, 0) < 0)
        return -1;
    w->unique = unique;
    w->inside = 1;
    if (visit == deep_visit && PyModule_CheckExact(obj)) /* counted like that as a whole value */
        if (visit_dict(w, visit, PyModule_GetDict(obj)) < 0)
            return -1;
    while (w->stacked > 0 && w->total <= w->ceiling) {
        PyObject *x = w->stack[--w->stacked];
        int failed = visit_contents(w, visit, x);
        Py_DECREF(x);
        if (failed)
            return -1;
    }
    return 0;
}

static void
let_go(Walk *w)
{
    while (w->stacked > 0)
        Py_DECREF(w->stack[--w->stacked]);
    PyMem_Free(w->stack);
    for (size_t i = 0; i < w->seen.room; i++)
        Py_XDECREF(w->seen.places[i]);
    if (w->seen.places != w->seen.first)
        PyMem_Free(w->seen.places);
    Py_XDECREF(w->classes);
}

/* A `Walk` of the Python side: an object, a limit, and whether counts of references are trusted. */
static INLINE PyObject *
walk(PyObject *const *args, Py_ssize_t count, Visit visit)
{
    if (count != 3 || py.take_apart == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected an object, a limit and a count, after set_up");
        return NULL;
    }
    Walk w = {.ceiling = MOST, .seen.room = FEW};
    w.seen.places = w.seen.first;
    int overflow;
    w.unique = PyLong_AsLongAndOverflow(args[2], &overflow) > 0;
    if (PyLong_Check(args[1])) { /* otherwise it is infinite */
        int64_t limit = PyLong_AsLongLongAndOverflow(args[1], &overflow);
        if (!overflow && limit < MOST)
            w.ceiling = limit;
    }
    if (PyErr_Occurred())
        return NULL;
    PyObject *result = NULL;
    if (visit_everything(&w, visit, args[0]) == 0)
        result = w.shares > 0 ? PyLong_FromDouble((double)w.total + w.shares)
                              : PyLong_FromLongLong(w.total);
    let_go(&w);
    return result;
}

static PyObject *
deep_walk(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    return walk(args, count, deep_visit);
}

static PyObject *
spent_walk(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    return walk(args, count, spent_visit);
}

/* ── the module ──────────────────────────────────────────────────────────────────────────── */

static PyObject *
set_up(PyObject *module, PyObject *args)
{
    PyObject *take_apart, *open_up, *leaves, *free;
    Py_ssize_t gc_header;
    if (!PyArg_ParseTuple(args, "OOO!O!n", &take_apart, &open_up, &PyTuple_Type, &leaves,
                          &PyTuple_Type, &free, &gc_header))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(leaves);
    if ((py.leaf_sizes = PyMem_Calloc((size_t)count + 1, sizeof(Sizeof))) == NULL)
        return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++)
        if ((py.leaf_sizes[i] = sizeof_of(PyTuple_GET_ITEM(leaves, i))) == NULL)
            return NULL;
    py.free.places = py.free.first;
    py.free.room = FEW;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(free); i++)
        if (put(&py.free, PyTuple_GET_ITEM(free, i)) < 0)
            return NULL;
    if ((py.str_size = sizeof_of((PyObject *)&PyUnicode_Type)) == NULL ||
        (py.int_size = sizeof_of((PyObject *)&PyLong_Type)) == NULL ||
        (py.dict_size = sizeof_of((PyObject *)&PyDict_Type)) == NULL ||
        (py.set_size = sizeof_of((PyObject *)&PySet_Type)) == NULL)
        return NULL;
    py.gc_header = gc_header;
    py.leaves = Py_NewRef(leaves);
    py.take_apart = Py_NewRef(take_apart);
    py.open_up = Py_NewRef(open_up);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"set_up", set_up, METH_VARARGS, NULL},
    {"deep_walk", (PyCFunction)(void (*)(void))deep_walk, METH_FASTCALL, NULL},
    {"spent_walk", (PyCFunction)(void (*)(void))spent_walk, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_sizing",
    .m_size = -1, /* one interpreter: another one imports the Python walks */
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__sizing(void)
{
    return PyModule_Create(&definition);
}
