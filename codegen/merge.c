/* merge.c: loops over the same range become one.
 *
 * In a sequence, a loop joins an earlier one of the same bounds when it may move up to it and when nothing
 * that one of them writes is read or written by the other in a different turn. So softmax becomes three loops, and
 * what follows a reduction at its own index is written where the sum ends. Inside a joined loop the same is
 * done again. */
#include "loops.h"

#include <stdlib.h>

typedef struct Access { Tensor *storage; Term *const *at; int nat; bool write; } Access;
typedef struct Accesses { Ctx *c; VEC(Access) list; } Accesses;

static void note_access(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Accesses *a = with;
    push(a->c, &a->list, ((Access){ storage_of(t), at, nat, write }));
}

static Accesses accesses(Ctx *c, const Loop *l) {
    Accesses a = { .c = c };
    loop_accesses(l, note_access, &a);
    return a;
}

static bool conflict(const Access *a, const Access *b) {
    return a->storage == b->storage && (a->write || b->write);
}

static bool independent(Ctx *c, const Loop *x, const Loop *y) {
    Accesses a = accesses(c, x), b = accesses(c, y);
    for (int i = 0; i < a.list.n; i++)
        for (int k = 0; k < b.list.n; k++)
            if (conflict(&a.list.at[i], &b.list.at[k]))
                return false;
    return true;
}

static bool span_of(Ctx *c, const Term *atom, int64_t coef, int64_t *lo, int64_t *hi) {
    int64_t from, to, far = INT64_C(1) << 31;
    if (!term_range(c, atom, &from, &to) || from < -far || to > far || llabs(coef) > far)
        return false;
    *lo += coef > 0 ? coef * from : coef * to;
    *hi += coef > 0 ? coef * to : coef * from;
    return true;
}

/* Do positions p (in a loop over i) and q (in one over j) differ whenever i and j do? They do when both
 * grow alike with the index and the rest of them cannot make up for one turn. */
static bool apart(Ctx *c, Term *p, Index *i, Term *q, Index *j) {
    Linear a, b;
    int64_t ka = 0, kb = 0, lo = 0, hi = 0, base;
    linear(c, p, &a);
    linear(c, q, &b);
    linear_take(&a, term_index(c, i), &ka);
    linear_take(&b, term_index(c, j), &kb);
    if (ka == 0 || ka != kb)
        return false;
    for (int n = 0; n < a.n; n++)
        if (term_uses(a.atom[n], i))
            return false;
    for (int n = 0; n < b.n; n++)
        if (term_uses(b.atom[n], j))
            return false;
    linear_add(c, &a, &b, -1);                          // what neither loop runs is the same in both, and falls out
    if (!dim_number(a.base, &base))
        return false;
    for (int n = 0; n < a.n; n++)
        if (!span_of(c, a.atom[n], a.coef[n], &lo, &hi))
            return false;
    return lo + base > -llabs(ka) && hi + base < llabs(ka);
}

static bool same_turn(Ctx *c, const Access *a, Index *i, const Access *b, Index *j) {
    if (a->nat != b->nat)
        return false;
    for (int d = 0; d < a->nat; d++)
        if (apart(c, a->at[d], i, b->at[d], j))
            return true;
    return false;
}

static bool same_range(Ctx *c, const Loop *x, const Loop *y) {
    return dim_equal(c, x->index->size, y->index->size) && x->lo == y->lo && x->hi == y->hi &&
           x->step == y->step;
}

static bool may_join(Ctx *c, const Loop *x, const Loop *y) {
    if (x->kind != LFor || y->kind != LFor || !same_range(c, x, y))
        return false;
    Accesses a = accesses(c, x), b = accesses(c, y);
    for (int i = 0; i < a.list.n; i++)
        for (int k = 0; k < b.list.n; k++)
            if (conflict(&a.list.at[i], &b.list.at[k]) &&
                !same_turn(c, &a.list.at[i], x->index, &b.list.at[k], y->index))
                return false;
    return true;
}

/* What must go up with a loop that joins an earlier one: the starts of its accumulators, scalars it reads. */
typedef struct Company { int at[16], n; } Company;

static bool may_pass(Ctx *c, const Loop *seq, const Company *with, const Loop *other) {
    for (int i = 0; i < with->n; i++)
        if (!independent(c, seq->kid[with->at[i]], other))
            return false;
    return true;
}

/* Where loop `at` may go: the place of the loop it joins, or -1. */
static int place_to_join(Ctx *c, const Loop *seq, int at, Company *with) {
    for (int i = at - 1; i >= 0; i--) {
        const Loop *other = seq->kid[i];
        bool passes = may_pass(c, seq, with, other);
        if (passes && may_join(c, other, seq->kid[at]))
            return i;
        if (passes && independent(c, other, seq->kid[at]))
            continue;
        if (other->n || other->kind == LIf || with->n == 16)
            return -1;
        with->at[with->n++] = i;
    }
    return -1;
}

static void join_loops(Ctx *c, Loop *seq, int to, int from, const Company *with) {
    Loop *y = loop_remove(seq, from), *x = seq->kid[to];
    loop_replace_index(c, y, y->index, term_index(c, x->index));
    for (int i = 0; i < y->n; i++)
        loop_add(c, x, y->kid[i]);
    for (int i = with->n - 1; i >= 0; i--)              // the earliest first: they keep their order
        loop_insert(c, seq, to++, loop_remove(seq, with->at[i]));
}

void loops_merge(Ctx *c, Loop *seq) {
    for (int i = 0; i < seq->n; i++) {
        Company with = {0};
        int to = seq->kid[i]->kind == LFor ? place_to_join(c, seq, i, &with) : -1;
        if (to < 0)
            continue;
        join_loops(c, seq, to, i, &with);
        i--;
    }
    for (int i = 0; i < seq->n; i++)
        if (seq->kid[i]->n)
            loops_merge(c, seq->kid[i]);
}
