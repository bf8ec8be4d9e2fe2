/* Items and bytes; _core/ledger.py says what each figure means. */
#ifndef LRU_BOOKS_H
#define LRU_BOOKS_H

#include "state.h"

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

#endif
