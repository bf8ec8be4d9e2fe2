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
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <structmember.h>

#ifdef Py_GIL_DISABLED
#error "without the GIL, a change is not one step: the Python structure is used"
#endif

#define LEAST_BITS 3          /* the smallest table is a part of the cache itself */
#define SPARSE 12             /* a table with so many buckets for an entry is made anew */
#define SLICE 32              /* so many entries leave at once on the way to a target */
#define NO_LIMIT INT64_MAX
#define MOST (INT64_MAX / 4)  /* no sum of three can overflow */
#define REFUSED 1

enum { SIZE, COUNT, EXPIRED, REPLACED, REMOVED, CLEARED, DELIVERED, CAUSES, NOTHING = -1 };

typedef struct Node Node;
typedef struct Expiry Expiry;

struct Node {
    Node *older, *newer; /* in the order of use; what has left is chained by `newer` */
    Node *next;          /* in its bucket */
    PyObject *key, *value;
    Py_hash_t hash;      /* of what has left: the cause */
    int64_t size;
    Expiry *expiry;      /* NULL if it never expires */
};

/* A place in a leftist heap (Crane 1972): the soonest on top, any one found and taken out in
   O(log n) steps, and nothing allocated but the place itself. */
struct Expiry {
    double deadline;
    Node *node;
    Expiry *parent, *left, *right;
    long rank;
};

typedef struct {
    uint64_t low, high; /* sums over a lifetime, which no size a user invents can overflow */
} Sum;

typedef struct {
    int64_t items;
    Sum bytes;
} Tally;

typedef struct {
    PyObject_HEAD
    Node **buckets;
    int bits;          /* the table has 1 << bits buckets */
    Node end;          /* end.newer is the oldest, end.older the newest */
    Expiry *soonest;
    uint64_t changes;  /* grows with every entry that comes, goes, or gets another deadline */
    /* The books; _core/ledger.py says what each figure means. */
    int64_t items, bytes, table_bytes, peak_items, peak_bytes, rejected;
    int64_t item_limit, max_bytes, byte_limit, byte_goal, target, obeyed, crowded_at, entry_limit;
    Tally accepted, left[CAUSES];
    long long hits, misses;
    int tells;
    double ttl_seconds; /* 0 if nothing expires by default */
    PyObject *where, *bound, *entry_bound, *ttl, *sizeof_, *clock, *notify, *name, *place;
} Cache;

static struct {
    PyObject *measured_size, *refusal, *causes;
    int64_t node_bytes, expiry_bytes, bucket_bytes;
} py;

/* ── what leaves ─────────────────────────────────────────────────────────────────────────── */

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

/* ── books ───────────────────────────────────────────────────────────────────────────────── */

static void
add(Sum *sum, int64_t bytes)
{
    sum->low += (uint64_t)bytes;
    sum->high += (sum->low < (uint64_t)bytes) - (uint64_t)(bytes < 0);
}

static void
count(Tally *tally, int64_t bytes)
{
    tally->items++;
    add(&tally->bytes, bytes);
}

static void
note_peak(Cache *c, int64_t bytes)
{
    if (bytes > c->peak_bytes)
        c->peak_bytes = bytes;
}

static void
admit(Cache *c, int64_t size)
{
    c->bytes += size;
    note_peak(c, c->bytes);
    if (++c->items > c->peak_items)
        c->peak_items = c->items;
    count(&c->accepted, size);
}

static void
release(Cache *c, int64_t size, int cause)
{
    c->items--;
    c->bytes -= size;
    count(&c->left[cause], size);
}

/* Which bound so many more items and bytes would break. */
static int
shortage(const Cache *c, int64_t size, int64_t items)
{
    if (c->bytes + size > c->byte_limit)
        return SIZE;
    return c->items + items > c->item_limit ? COUNT : NOTHING;
}

static int64_t
entry_limit(const Cache *c)
{
    return c->entry_limit < c->byte_goal ? c->entry_limit : c->byte_goal;
}

/* Bring the limit as near to the target as what is held allows; say whether it is there. */
static int
follow(Cache *c)
{
    int below = c->target < c->max_bytes;
    c->byte_goal = below ? c->target : c->max_bytes;
    c->crowded_at = below ? c->target : NO_LIMIT;
    if (c->bytes > c->byte_goal) {
        c->byte_limit = c->bytes;
        return 0;
    }
    c->byte_limit = c->byte_goal;
    c->obeyed = c->target;
    return 1;
}

/* ── the table ───────────────────────────────────────────────────────────────────────────── */

static int64_t
table_charge(int bits)
{
    int64_t bytes = py.bucket_bytes << bits, least = py.bucket_bytes << LEAST_BITS;
    return (bytes <= 512 ? bytes : ((bytes + 23) & ~(int64_t)15)) - least;
}

static Node **
bucket_of(const Cache *c, Py_hash_t hash)
{
    uint64_t mixed = (uint64_t)hash * UINT64_C(0x9E3779B97F4A7C15); /* strides would crowd */
    return &c->buckets[mixed >> (64 - c->bits)];
}

static void
link_all(Cache *c) /* into a table that is empty */
{
    for (Node *n = c->end.newer; n != &c->end; n = n->newer) {
        Node **bucket = bucket_of(c, n->hash);
        n->next = *bucket;
        *bucket = n;
    }
}

static void
book_table(Cache *c)
{
    int64_t charge = table_charge(c->bits);
    c->bytes += charge - c->table_bytes;
    c->table_bytes = charge;
}

/* Make a larger table, if the bound has room for both of them; without, it only gets slower. */
static void
grow(Cache *c)
{
    int64_t both = c->bytes + table_charge(c->bits + 1);
    if (c->items <= (int64_t)1 << c->bits || both > c->byte_limit || c->bits > 48)
        return;
    Node **made = PyMem_Calloc((size_t)2 << c->bits, sizeof(Node *));
    if (made == NULL)
        return;
    note_peak(c, both);
    PyMem_Free(c->buckets);
    c->buckets = made;
    c->bits++;
    link_all(c);
    book_table(c);
}

static void
shrink_table(Cache *c, int bits) /* in place: that needs no room beside it */
{
    int old_bits = c->bits;
    memset(c->buckets, 0, sizeof(Node *) << bits);
    c->bits = bits;
    link_all(c);
    Node **moved = PyMem_Realloc(c->buckets, sizeof(Node *) << bits);
    if (moved != NULL) {
        c->buckets = moved;
        book_table(c);
        return;
    }
    memset(c->buckets, 0, sizeof(Node *) << old_bits);
    c->bits = old_bits;
    link_all(c);
}

/* Make a table that fits, where there is one much larger, or at least one that is not needed. */
static void
tidy(Cache *c)
{
    int bits = LEAST_BITS;
    if ((int64_t)1 << c->bits <= SPARSE * (c->items + (1 << LEAST_BITS)) && c->items > 1)
        return;
    while ((int64_t)1 << bits < c->items)
        bits++;
    if (bits < c->bits)
        shrink_table(c, bits);
}

static int
same_text(PyObject *a, PyObject *b) /* of two exact str, which compare without any other code */
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(a) < 0 || PyUnicode_READY(b) < 0)
        return -1;
#endif
    Py_ssize_t length = PyUnicode_GET_LENGTH(a);
    int kind = PyUnicode_KIND(a);
    return length == PyUnicode_GET_LENGTH(b) && kind == (int)PyUnicode_KIND(b) &&
           memcmp(PyUnicode_DATA(a), PyUnicode_DATA(b), (size_t)length * (size_t)kind) == 0;
}

static Py_hash_t
hash_of(PyObject *key)
{
    if (PyUnicode_CheckExact(key)) {
        Py_hash_t hash = ((PyASCIIObject *)key)->hash;
        if (hash != -1)
            return hash;
    }
    return PyObject_Hash(key);
}

/* Find the node of a key: NULL if there is none; -1 if comparing raised. */
static int
find(Cache *c, PyObject *key, Py_hash_t hash, Node **found)
{
    uint64_t changes;
again:
    changes = c->changes;
    for (Node *n = *bucket_of(c, hash); n != NULL; n = n->next) {
        if (n->hash != hash)
            continue;
        int same;
        if (n->key == key)
            same = 1;
        else if (PyUnicode_CheckExact(key) && PyUnicode_CheckExact(n->key))
            same = same_text(n->key, key);
        else {
            PyObject *held = Py_NewRef(n->key);
            same = PyObject_RichCompareBool(held, key, Py_EQ);
            Py_DECREF(held);
            if (same >= 0 && changes != c->changes)
                goto again; /* the code of a user has changed what was being looked at */
        }
        if (same < 0)
            return -1;
        if (same) {
            *found = n;
            return 0;
        }
    }
    *found = NULL;
    return 0;
}

/* ── deadlines ───────────────────────────────────────────────────────────────────────────── */

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

/* ── entries ─────────────────────────────────────────────────────────────────────────────── */

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

/* Evict down to the bounds, with so many more items and bytes; `kept` stays whatever happens. */
static void
make_room(Cache *c, int64_t size, int64_t items, const Node *kept, Dead *dead)
{
    int cause;
    while ((cause = shortage(c, size, items)) != NOTHING && c->end.newer != kept &&
           evict_oldest(c, cause, dead))
        tidy(c);
    if (cause != NOTHING)
        tidy(c); /* nothing else is held, but the table was made for more */
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

/* Let go what is due; without anything that expires no clock is read. */
static int
purge(Cache *c, Dead *dead, int *gone)
{
    double now;
    *gone = 0;
    if (c->soonest == NULL)
        return 0;
    if (read_clock(c, &now) < 0)
        return -1;
    *gone = expire(c, now, dead);
    return 0;
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

/* ── reading ─────────────────────────────────────────────────────────────────────────────── */

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
    int gone;
    Py_hash_t hash = hash_of(key);
    if ((hash == -1 && PyErr_Occurred()) || purge(c, dead, &gone) < 0)
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
    Dead dead = {0};
    int gone;
    PyObject *result = settle(c, &dead, purge(c, &dead, &gone) < 0 ? NULL : Py_NewRef(Py_None));
    Py_XDECREF(result);
    return result == NULL ? -1 : (Py_ssize_t)c->items;
}

static PyObject *
cache_purge(Cache *c, PyObject *unused)
{
    Dead dead = {0};
    int gone;
    return settle(c, &dead, purge(c, &dead, &gone) < 0 ? NULL : PyLong_FromLong(gone));
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────── */

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
    make_room(c, entry->size, 1, NULL, dead);
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
    make_room(c, size - n->size, 0, n, dead);
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
    PyObject *done = PyObject_CallMethod((PyObject *)c, "_press", "L", (long long)size);
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
        PyObject *taken = PyObject_CallMethod((PyObject *)c, "pop", "(O)", key);
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
    int gone;
    if (purge(c, &dead, &gone) < 0)
        return settle(c, &dead, NULL);
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
    int gone;
    if (purge(c, &dead, &gone) < 0)
        return settle(c, &dead, NULL);
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
    int gone;
    if (purge(c, &dead, &gone) < 0)
        return settle(c, &dead, NULL);
    empty(c, CLEARED, &dead);
    return settle(c, &dead, Py_NewRef(Py_None));
}

/* ── looking at everything ───────────────────────────────────────────────────────────────── */

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
    Dead dead = {0};
    int gone;
    PyObject *alive = settle(c, &dead, purge(c, &dead, &gone) < 0 ? NULL : Py_NewRef(Py_None));
    if (alive == NULL)
        return NULL;
    Py_DECREF(alive);
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
    int gone;
    PyObject *result = NULL;
    if (purge(c, &dead, &gone) == 0) {
        const Cache now = *c; /* objects are made below, and that may run anything */
        PyObject *bound = Py_NewRef(c->bound);
        result = Py_BuildValue(
            "{sLsLsLsLsNsNsNsLsLsNs(NNNNNNN)sL}", "items", (long long)now.items, "current_bytes",
            (long long)now.bytes, "peak_items", (long long)now.peak_items, "peak_bytes",
            (long long)now.peak_bytes, "max_items", limit_from(now.item_limit), "max_bytes",
            bound, "max_entry_bytes", PyLong_FromLongLong(entry_limit(&now)), "hits", now.hits,
            "misses", now.misses, "accepted", tally_from(&now.accepted), "left",
            tally_from(&now.left[SIZE]), tally_from(&now.left[COUNT]),
            tally_from(&now.left[EXPIRED]), tally_from(&now.left[REPLACED]),
            tally_from(&now.left[REMOVED]), tally_from(&now.left[CLEARED]),
            tally_from(&now.left[DELIVERED]), "rejected", (long long)now.rejected);
    }
    return settle(c, &dead, result);
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
    int gone;
    if (!PyArg_ParseTuple(args, "OOO", &max_items, &max_bytes, &max_entry) ||
        limit_of(max_items, &item_limit) < 0 || limit_of(max_bytes, &most) < 0 ||
        limit_of(max_entry, &entry) < 0)
        return NULL;
    if (purge(c, &dead, &gone) < 0)
        return settle(c, &dead, NULL);
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
    make_room(c, 0, 0, NULL, &dead);
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
    int gone;
    if (purge(c, &dead, &gone) < 0)
        return settle(c, &dead, NULL);
    obey(c, &dead);
    return settle(c, &dead, PyBool_FromLong(c->obeyed != c->target));
}

/* ── invariants ──────────────────────────────────────────────────────────────────────────── */

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
        (listener = PyObject_GetAttrString(notify, "listener")) == NULL)
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
    if (type == NULL || PyModule_AddObjectRef(module, "Recency", type) < 0 ||
        PyModule_AddIntConstant(module, "NODE_BYTES", sizeof(Node)) < 0 ||
        PyModule_AddIntConstant(module, "EXPIRY_BYTES", sizeof(Expiry)) < 0 ||
        PyModule_AddIntConstant(module, "BUCKET_BYTES", sizeof(Node *)) < 0)
        Py_CLEAR(module);
    Py_XDECREF(type);
    return module;
}
