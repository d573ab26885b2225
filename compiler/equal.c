/* equal.c: when are two nodes the same computation? When they differ in nothing but the names of their
 * indices. The sweep asks by hash and comparison, which make no terms; what outlives a graph, the values
 * that fold keeps, is found by a key. */
#include "simplify.h"

typedef struct Slot {
    VEC(Index *) index;
} Slot;
struct Keys {
    VEC(Slot) slot;
};

Keys *keys_new(Ctx *c) {
    return NEW(c, Keys);
}

static Index *canonical(Ctx *c, Keys *k, int place, Dim size) {
    while (k->slot.n <= place)
        push(c, &k->slot, ((Slot){ 0 }));
    Slot *s = &k->slot.at[place];
    for (int i = 0; i < s->index.n; i++)
        if (s->index.at[i]->size == size)
            return s->index.at[i];
    push(c, &s->index, index_new(c, intern(c, "i", 1), size));
    return s->index.at[s->index.n - 1];
}

/* Terms are interned, so with canonical indices in place equal nodes have equal pointers. */
Name node_key(Ctx *c, Keys *k, const Node *n) {
    Indices from = ON_STACK(Index *, 16);
    TermList to = ON_STACK(Term *, 16);
    Text key = { 0 };
    node_axes(c, n, &from);
    for (int i = 0; i < n->nbind; i++)
        push(c, &from, n->bind[i]);
    for (int i = 0; i < from.n; i++)
        push(c, &to, term_index(c, canonical(c, k, i, from.at[i]->size)));
    text_add(c, &key, "%d %d", (int)n->reduce, (int)n->out->type.elem);
    for (int a = 0; a < n->naxis; a++)
        text_add(c, &key, " %d", n->axis[a].n);
    text_add(c, &key, " | %d", n->nbind);
    for (int i = 0; i < from.n; i++)
        text_add(c, &key, " %p", (const void *)to.at[i]);
    for (int i = 0; i < n->ncond; i++)
        text_add(c, &key, " c%p", (void *)term_subst(c, n->cond[i], from.at, to.at, from.n));
    text_add(c, &key, " = %p", (void *)term_subst(c, n->body, from.at, to.at, from.n));
    return intern(c, key.s, key.n);
}

/* For the sweep a hash and a comparison do, which make no terms. An index stands for its place. */
typedef struct Places {
    Index **at;
    int n;
} Places;

static Places places_of(Ctx *c, const Node *n, Indices *list) {
    node_axes(c, n, list);
    for (int i = 0; i < n->nbind; i++)
        push(c, list, n->bind[i]);
    return (Places){ list->at, list->n };
}

static int place_in(const Places *p, const Index *x) {
    int i = 0;
    while (i < p->n && p->at[i] != x)
        i++;
    return i;
}

static uintptr_t mixed(uintptr_t h, uintptr_t v) {
    return (h ^ v) * (uintptr_t)0x9e3779b97f4a7c15;
}

static uintptr_t term_hash(const Term *t, const Places *p) {
    uintptr_t h = mixed((uintptr_t)t->kind * 31 + (uintptr_t)t->elem, (uintptr_t)t->n);
    if (t->kind == TNumber || t->kind == TSize)
        return mixed(h, (uintptr_t)t);
    if (t->kind == TIndex)
        return mixed(h, (uintptr_t)place_in(p, t->index));
    h = mixed(h, t->kind == TLoad ? (uintptr_t)t->from : (uintptr_t)t->fn);
    for (int i = 0; i < t->n; i++)
        h = mixed(h, term_hash(t->kid[i], p)) + 1;
    return t->outside ? mixed(h, term_hash(t->outside, p)) : h;
}

static bool term_same(const Term *a, const Places *p, const Term *b, const Places *q) {
    if (a->kind != b->kind || a->elem != b->elem || a->n != b->n || a->from != b->from ||
        a->fn != b->fn || !a->outside != !b->outside)
        return false;
    if (a->kind == TNumber || a->kind == TSize)
        return a == b;
    if (a->kind == TIndex)
        return place_in(p, a->index) == place_in(q, b->index);
    for (int i = 0; i < a->n; i++)
        if (!term_same(a->kid[i], p, b->kid[i], q))
            return false;
    return !a->outside || term_same(a->outside, p, b->outside, q);
}

uintptr_t node_hash(Ctx *c, const Node *n) {
    Indices list = ON_STACK(Index *, 16);
    Places own = places_of(c, n, &list), *p = &own;
    uintptr_t h = mixed((uintptr_t)n->reduce, term_hash(n->body, p));
    for (int i = 0; i < n->ncond; i++)
        h = mixed(h, term_hash(n->cond[i], p));
    for (int i = 0; i < p->n; i++)
        h = mixed(h, (uintptr_t)p->at[i]->size);
    return h ? h : 1;
}

bool node_same(Ctx *c, const Node *a, const Node *b) {
    Indices first = ON_STACK(Index *, 16);
    Indices second = ON_STACK(Index *, 16);
    Places x = places_of(c, a, &first), y = places_of(c, b, &second), *p = &x, *q = &y;
    if (a->reduce != b->reduce || a->naxis != b->naxis || a->nbind != b->nbind ||
        a->ncond != b->ncond || p->n != q->n || a->out->type.elem != b->out->type.elem)
        return false;
    for (int i = 0; i < a->naxis; i++)
        if (a->axis[i].n != b->axis[i].n)
            return false;
    for (int i = 0; i < p->n; i++)
        if (p->at[i]->size != q->at[i]->size)
            return false;
    for (int i = 0; i < a->ncond; i++)
        if (!term_same(a->cond[i], p, b->cond[i], q))
            return false;
    return term_same(a->body, p, b->body, q);
}
