/* util.c: the arena, names, text and maps that every part uses.
 *
 * All memory of a compilation is one list of growing blocks. Nothing is freed, so a pointer once
 * given stays good to the end; a limit turns a runaway input into a message. Names are interned:
 * the table holds one copy of each spelling, and equal names are equal pointers. */
#include "compiler.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- arena */

enum { BlockSize = 1 << 20, Align = 16 };
static const size_t default_limit = (size_t)768 << 20;

struct Block {
    struct Block *before;
    size_t used, size;
    max_align_t data[];
};

/* The message itself needs a few bytes, so the limit goes first; where even those are missing, it
 * is said without them. */
static _Noreturn void out_of_memory(Ctx *c, const char *fmt, size_t n) {
    if (c->limit == SIZE_MAX) {
        fputs("mithrilc: error: out of memory\n", stderr);
        c->errors++;
    } else {
        c->limit = SIZE_MAX;
        error_plain(c, fmt, n);
    }
    fail(c);
}

static struct Block *new_block(Ctx *c, size_t n) {
    size_t size = n > BlockSize / 4 ? n : BlockSize;
    struct Block *b = calloc(1, sizeof *b + size);
    if (!b)
        out_of_memory(c, "out of memory: no %zu bytes are left", size);
    b->size = size;
    c->used += size;
    return b;
}

/* A large piece gets a block of its own behind the current one, whose rest stays in use. */
static struct Block *room_for(Ctx *c, size_t n) {
    struct Block *b = new_block(c, n);
    if (c->arena && b->size != BlockSize) {
        b->before = c->arena->before;
        c->arena->before = b;
    } else {
        b->before = c->arena;
        c->arena = b;
    }
    return b;
}

void *alloc(Ctx *c, size_t n) {
    size_t limit = c->limit ? c->limit : default_limit;
    if (n > limit || c->used > limit - n)
        out_of_memory(c, "this compilation needs more than %zu MiB of memory", limit >> 20);
    n = (n + Align - 1) / Align * Align;
    struct Block *b = c->arena;
    if (!b || b->size - b->used < n)
        b = room_for(c, n);
    void *p = (char *)b->data + b->used;
    b->used += n;
    return p;
}

/* Makes the piece `old` of n bytes one of `bigger` bytes: where it lies if nothing came after it. */
static void *alloc_more(Ctx *c, void *old, size_t n, size_t bigger) {
    struct Block *b = c->arena;
    size_t room = (n + Align - 1) / Align * Align, more = (bigger + Align - 1) / Align * Align - room;
    if (n && (char *)old + room == (char *)b->data + b->used && b->size - b->used >= more) {
        b->used += more;
        return old;
    }
    void *fresh = alloc(c, bigger);
    if (n)
        memcpy(fresh, old, n);
    return fresh;
}

void vec_grow(Ctx *c, void *at, int *cap, size_t size) {
    if (*cap > INT_MAX / 2)
        out_of_memory(c, "a list has more than %zu entries", (size_t)*cap);
    int bigger = *cap ? 2 * *cap : 4;
    void *old, *fresh;
    memcpy(&old, at, sizeof old); /* `at` points to some T *; this reads it whatever T is */
    fresh = alloc_more(c, old, (size_t)*cap * size, (size_t)bigger * size);
    memcpy(at, &fresh, sizeof fresh);
    *cap = bigger;
}

/* ---- names */

struct Names {
    Name *slot;
    size_t n, cap;
};

static size_t hash_text(const char *s, size_t n) /* FNV-1a */
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

static Name *find_spelling(const struct Names *t, const char *s, size_t n) {
    size_t i = hash_text(s, n) & (t->cap - 1);
    while (t->slot[i] && (strncmp(t->slot[i], s, n) != 0 || t->slot[i][n]))
        i = (i + 1) & (t->cap - 1);
    return &t->slot[i];
}

static void grow_names(Ctx *c, struct Names *t) {
    struct Names bigger = { .n = t->n, .cap = t->cap ? 2 * t->cap : 1024 };
    bigger.slot = NEWN(c, Name, bigger.cap);
    for (size_t i = 0; i < t->cap; i++)
        if (t->slot[i])
            *find_spelling(&bigger, t->slot[i], strlen(t->slot[i])) = t->slot[i];
    *t = bigger;
}

Name intern(Ctx *c, const char *s, size_t n) {
    if (!c->names)
        c->names = NEW(c, struct Names);
    if (2 * c->names->n >= c->names->cap)
        grow_names(c, c->names);
    Name *slot = find_spelling(c->names, s, n);
    if (!*slot) {
        char *copy = alloc(c, n + 1);
        memcpy(copy, s, n);
        *slot = copy;
        c->names->n++;
    }
    return *slot;
}

/* ---- text */

char *format_list(Ctx *c, const char *fmt, va_list args) {
    assert(fmt);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *s = alloc(c, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, args);
    return s;
}

char *format(Ctx *c, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *s = format_list(c, fmt, args);
    va_end(args);
    return s;
}

/* Most names are known already: only a long one takes room of the arena for its first copy. */
Name name(Ctx *c, const char *fmt, ...) {
    char few[256], *s = few;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(few, sizeof few, fmt, args);
    va_end(args);
    va_start(args, fmt);
    if (n >= (int)sizeof few)
        s = format_list(c, fmt, args);
    va_end(args);
    return intern(c, s, (size_t)n);
}

static void text_room(Ctx *c, Text *t, size_t n) {
    if (t->s && t->cap - t->n > n)
        return;
    size_t cap = t->cap ? t->cap : 32;
    while (cap - t->n <= n)
        cap *= 2;
    t->s = alloc_more(c, t->s, t->cap, cap);
    t->cap = cap;
}

void text_add(Ctx *c, Text *t, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    text_room(c, t, (size_t)n);
    va_start(args, fmt);
    vsnprintf(t->s + t->n, (size_t)n + 1, fmt, args);
    va_end(args);
    t->n += (size_t)n;
}

/* Overlong forms and surrogates are no characters. */
int character_bytes(const unsigned char *s, size_t left) {
    static const struct {
        unsigned char mask, lead, n;
        unsigned least;
    } form[] = {
        {0x80,  0x00, 1, 0      },
        { 0xE0, 0xC0, 2, 0x80   },
        { 0xF0, 0xE0, 3, 0x800  },
        { 0xF8, 0xF0, 4, 0x10000},
    };
    for (int f = 0; f < 4; f++) {
        if ((s[0] & form[f].mask) != form[f].lead)
            continue;
        if (left < form[f].n)
            return 0;
        unsigned code = s[0] & (unsigned char)~form[f].mask;
        for (int i = 1; i < form[f].n; i++) {
            if ((s[i] & 0xC0) != 0x80)
                return 0;
            code = code << 6 | (s[i] & 0x3F);
        }
        bool good = code >= form[f].least && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
        return good ? form[f].n : 0;
    }
    return 0;
}

/* A capital begins a word unless it is one of several in a row. */
Name snake(Ctx *c, Name n) {
    Text t = { 0 };
    for (int i = 0; n[i]; i++) {
        bool upper = isupper((unsigned char)n[i]);
        bool starts = i > 0 && upper &&
                      (!isupper((unsigned char)n[i - 1]) || islower((unsigned char)n[i + 1]));
        text_add(c, &t, "%s%c", starts ? "_" : "", tolower((unsigned char)n[i]));
    }
    return intern(c, t.s, t.n);
}

/* ---- maps */

static MapSlot *find_slot(const Map *m, const void *key) {
    uint64_t h = (uint64_t)(uintptr_t)key * 0x9E3779B97F4A7C15u;
    size_t mask = (size_t)m->cap - 1, i = (size_t)(h >> 32) & mask;
    while (m->slot[i].key && m->slot[i].key != key)
        i = (i + 1) & mask;
    return &m->slot[i];
}

void *map_get(const Map *m, const void *key) {
    return m->cap ? find_slot(m, key)->value : NULL;
}

void map_put(Ctx *c, Map *m, const void *key, void *value) {
    if (2 * m->n >= m->cap) {
        Map bigger = { .n = m->n, .cap = m->cap ? 2 * m->cap : 8 };
        bigger.slot = NEWN(c, MapSlot, bigger.cap);
        for (int i = 0; i < m->cap; i++)
            if (m->slot[i].key)
                *find_slot(&bigger, m->slot[i].key) = m->slot[i];
        *m = bigger;
    }
    MapSlot *s = find_slot(m, key);
    m->n += !s->key;
    *s = (MapSlot){ key, value };
}

void map_clear(Map *m) {
    if (m->n)
        memset(m->slot, 0, sizeof *m->slot * (size_t)m->cap);
    m->n = 0;
}

/* ---- suggestions */

static int smaller(int a, int b) {
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours; row i of the table needs rows i-1,
 * i-2. */
int edit_distance(const char *a, const char *b) {
    enum { Longest = 64 };
    int n = (int)strlen(a), m = (int)strlen(b), row[3][Longest + 1];
    if (n > Longest || m > Longest)
        return strcmp(a, b) ? n + m : 0;
    for (int j = 0; j <= m; j++)
        row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            now[j] =
                smaller(smaller(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = smaller(now[j], before[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

/* ---- files */

static void note_file(Ctx *c, const char *path) {
    for (int i = 0; i < c->files.n; i++)
        if (!strcmp(c->files.at[i], path))
            return;
    push(c, &c->files, intern(c, path, strlen(path)));
}

/* Sizes are not asked for beforehand: a pipe has none. */
static char *read_all(Ctx *c, FILE *f, size_t *n) {
    size_t cap = 1 << 16;
    char *s = alloc(c, cap);
    for (*n = 0;;) {
        *n += fread(s + *n, 1, cap - 1 - *n, f);
        if (*n < cap - 1)
            return s;
        char *bigger = alloc(c, 4 * cap);
        memcpy(bigger, s, *n);
        s = bigger;
        cap *= 4;
    }
}

char *read_file(Ctx *c, const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *s = read_all(c, f, n);
    bool bad = ferror(f);
    fclose(f);
    if (bad)
        return NULL;
    s[*n] = 0;
    note_file(c, path);
    return s;
}
