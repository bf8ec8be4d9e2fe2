/* The table that finds an entry by its key: buckets of chained nodes. */
#ifndef LRU_TABLE_H
#define LRU_TABLE_H

#include "books.h"

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

#endif
