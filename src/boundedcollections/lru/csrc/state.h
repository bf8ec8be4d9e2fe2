/* What a cache consists of, and what it was told when the module was set up. */
#ifndef LRU_STATE_H
#define LRU_STATE_H

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
    PyObject *listener, *pop, *press; /* names, made once: each anew would stay in Python's cache */
    int64_t node_bytes, expiry_bytes, bucket_bytes;
} py;

#endif
