/* code_check.c: what every pass over loops must keep. */
#include "loops.h"

#include <assert.h>

typedef struct Checker {
    Ctx *c;
    const Kernel *k;
    VEC(const void *) open;             /* indices and locals in scope */
} Checker;

static bool is_open(const Checker *k, const void *what) {
    for (int i = 0; i < k->open.n; i++)
        if (k->open.at[i] == what)
            return true;
    return false;
}

static bool is_formal(const Checker *k, const Tensor *t) {
    for (int i = 0; i < k->k->formal.n; i++)
        if (k->k->formal.at[i] == t)
            return true;
    return false;
}

static void check_tensor(const Checker *k, const Tensor *t, int nat) {
    assert(t->kind == TLocal ? is_open(k, t) : is_formal(k, t));
    assert(nat == t->type.rank);
    (void)k, (void)t, (void)nat;
}

static void check_term(const Checker *k, const Term *t) {
    if (!t)
        return;
    if (t->kind == TIndex)
        assert(is_open(k, t->index));
    if (t->kind == TLoad) {
        check_tensor(k, t->from, t->n);
        assert(!t->outside);
    }
    for (int i = 0; i < t->n; i++)
        check_term(k, t->kid[i]);
}

static void check_loop(Checker *k, const Loop *l) {
    int mark = k->open.n;
    assert((l->kind == LFor) == (l->index != NULL));
    assert((l->kind == LAccum) == (l->reduce != NoReduce));
    assert(l->step >= 0 && (l->kind != LFor || l->hi));
    assert((l->best != NULL) == (l->reduce == RArgMax || l->reduce == RArgMin));
    check_term(k, l->lo);
    check_term(k, l->hi);
    if (l->index) {
        assert(!is_open(k, l->index));
        push(k->c, &k->open, l->index);
    }
    check_term(k, l->value);
    check_term(k, l->position);
    for (int i = 0; i < l->nat; i++)
        check_term(k, l->at[i]);
    if (l->kind == LStore || l->kind == LAccum)
        check_tensor(k, l->to, l->nat);
    for (int i = 0; i < l->n; i++) {
        check_loop(k, l->kid[i]);
        if (l->kid[i]->kind != LLet)
            continue;
        assert(!is_open(k, l->kid[i]->to));
        push(k->c, &k->open, l->kid[i]->to);
    }
    if (l->kind != LSeq)
        k->open.n = mark;
}

static void check_kernel(Ctx *c, const Kernel *k) {
    assert(k->name && k->key && k->role.n == k->formal.n);
    for (int i = 0; i < k->formal.n; i++)
        for (int j = 0; j < i; j++)
            assert(k->formal.at[i]->name != k->formal.at[j]->name);
    check_loop(&(Checker){ .c = c, .k = k }, k->body);
}

static void check_apart(const Place *a, const Place *b) {
    bool handed = a->offset == b->offset && (a->first == b->last || b->first == a->last);
    bool apart = a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset;
    assert(handed || apart);
    (void)handed, (void)apart;
}

/* Two places that are live in one step lie apart, unless one was written over the other. They stand in order of
 * their first step, so what ended before one of them ended before all that follow. */
static void check_places(Ctx *c, const Routine *r) {
    const Place **live = NEWN(c, const Place *, r->place.n);
    for (int i = 0, n = 0; i < r->place.n; i++) {
        const Place *a = &r->place.at[i];
        int left = 0;
        assert(a->offset >= 0 && a->offset % 64 == 0 && a->offset + a->bytes <= r->peak);
        assert(i == 0 || a[-1].first <= a->first);
        for (int j = 0; j < n; j++) {
            if (live[j]->last < a->first)
                continue;
            check_apart(a, live[j]);
            live[left++] = live[j];
        }
        live[left++] = a;
        n = left;
    }
}

/* needs: code after lower, schedule or plan. Asserts what the next pass relies on. */
void code_check(Ctx *c, const Code *code) {
    Map names = {0};
    for (int i = 0; i < code->kernel.n; i++) {
        Kernel *k = code->kernel.at[i];
        check_kernel(c, k);
        assert(!map_get(&names, k->name));
        map_put(c, &names, k->name, k);
    }
    for (int i = 0; i < code->n; i++) {
        const Routine *r = code->routine[i];
        for (int s = 0; s < r->step.n; s++)
            for (int f = 0; f < r->step.at[s].kernel->formal.n; f++)
                assert(r->step.at[s].arg[f]);
        check_places(c, r);
    }
}
