/* The plan: no two live places overlap, nothing is above the optimum where the bound can be reached. */
#include "../../codegen/codegen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MostTensors = 8 };

typedef struct Test {
    Ctx ctx, *c;
    Graph graph;
    Program program;
    Routine routine, *routines;
    Code code;
    unsigned seed;
} Test;

static Test *new_test(unsigned seed) {
    Test *t = calloc(1, sizeof *t);
    t->c = &t->ctx;
    if (setjmp(t->ctx.stop)) abort();
    t->routine.graph = &t->graph;
    t->routine.name = "net";
    t->routines = &t->routine;
    t->code = (Code){ .program = &t->program, .routine = &t->routines, .n = 1 };
    t->seed = seed;
    return t;
}

static int random_below(Test *t, int n) {
    t->seed = t->seed * 1103515245u + 12345u;
    return (int)(t->seed >> 16 & 0x7fff) % n;
}

static Tensor *temp(Test *t, int floats, const char *path) {
    Type type = { .elem = Float, .rank = 1, .dim = { dim(t->c, floats) } };
    return tensor(t->c, TTemp, name(t->c, "%s", path), name(t->c, "%s", path), &type, (Span){0});
}

/* A step over n tensors; `joint`: y[i] = f(x[i]), which may run in place. */
static void step(Test *t, int n, Tensor **arg, bool joint) {
    Ctx *c = t->c;
    Kernel *k = NEW(c, Kernel);
    Step s = { .kernel = k, .arg = NEWN(c, Tensor *, n) };
    k->name = k->key = "k";
    k->body = NEW(c, Loop);
    for (int i = 0; i < n; i++) {
        Tensor *f = tensor(c, TFormal, name(c, "f%d", i), NULL, &arg[i]->type, (Span){0});
        push(c, &k->formal, f);
        push(c, &k->role, i + 1 == n ? RoleOut : RoleIn);
        s.arg[i] = arg[i];
    }
    if (joint) {
        Index *i = index_new(c, name(c, "i"), arg[0]->type.dim[0]);
        Term *at = term_index(c, i);
        Loop *l = loop_new(c, LFor), *store = loop_new(c, LStore);
        l->index = i;
        l->hi = term_size(c, i->size);
        store->to = k->formal.at[1];
        store->at = NEWN(c, Term *, 1);
        store->at[0] = at;
        store->nat = 1;
        store->value = term_apply1(c, FnNeg, Float, term_load(c, k->formal.at[0], &at, 1, NULL, NULL));
        loop_add(c, l, store);
        loop_add(c, k->body, l);
    }
    push(c, &t->routine.step, s);
}

static const Place *place_of(const Test *t, const Tensor *x) {
    for (int i = 0; i < t->routine.place.n; i++)
        if (t->routine.place.at[i].tensor == x) return &t->routine.place.at[i];
    fail_msg("no place for %s", x->path);
    return NULL;
}

/* ---- brute force: every order, each at the lowest offset that fits, is an optimum for one of them */

typedef struct Block { int64_t bytes, offset; int first, last; } Block;

static bool clash(const Block *a, const Block *b, int64_t at) {
    return a->first <= b->last && b->first <= a->last && at < b->offset + b->bytes && b->offset < at + a->bytes;
}

static void try_all(Block *b, int n, int done, int64_t peak, int64_t *best) {
    if (peak >= *best) return;
    if (done == n) {
        *best = peak;
        return;
    }
    for (int i = done; i < n; i++) {
        Block it = b[i];
        b[i] = b[done];
        int64_t at = 0;
        for (int k = 0; k < done; k++)
            if (clash(&it, &b[k], at)) at = b[k].offset + b[k].bytes, k = -1;
        it.offset = at;
        b[done] = it;
        try_all(b, n, done + 1, at + it.bytes > peak ? at + it.bytes : peak, best);
        b[done] = b[i];
        b[i] = it;
    }
}

static void check_apart(const Test *t) {
    const Routine *r = &t->routine;
    for (int i = 0; i < r->place.n; i++) {
        for (int j = 0; j < i; j++) {
            const Place *a = &r->place.at[i], *b = &r->place.at[j];
            bool meet = a->first <= b->last && b->first <= a->last;
            assert_true(!meet || a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
            assert_ptr_not_equal(a->name, b->name);
        }
        assert_int_equal(r->place.at[i].offset % 64, 0);
        assert_true(r->place.at[i].offset + r->place.at[i].bytes <= r->peak);
    }
}

/* Chains with skips: each step reads one or two of what was made before. */
static void random_net(Test *t, int n) {
    Tensor *made[MostTensors];
    for (int i = 0; i < n; i++) {
        made[i] = temp(t, 1 + random_below(t, 5) * 16, format(t->c, "t%d", i));
        Tensor *arg[3];
        int args = 0;
        if (i) arg[args++] = made[i - 1];
        if (i > 1 && random_below(t, 2)) arg[args++] = made[random_below(t, i - 1)];
        arg[args++] = made[i];
        step(t, args, arg, false);
    }
}

static void small_nets_are_planned_as_well_as_can_be(void **state) {
    (void)state;
    for (unsigned seed = 1; seed < 300; seed++) {
        Test *t = new_test(seed);
        random_net(t, 3 + random_below(t, MostTensors - 2));
        plan(t->c, &t->code);
        check_apart(t);
        code_check(t->c, &t->code);
        Block b[MostTensors];
        int n = t->routine.place.n;
        for (int i = 0; i < n; i++) {
            const Place *p = &t->routine.place.at[i];
            b[i] = (Block){ (p->bytes + 63) / 64 * 64, 0, p->first, p->last };
        }
        int64_t best = INT64_MAX, bound = 0;
        for (int s = 0; s < t->routine.step.n; s++) {
            int64_t sum = 0;
            for (int i = 0; i < n; i++)
                if (b[i].first <= s && s <= b[i].last) sum += b[i].bytes;
            if (sum > bound) bound = sum;
        }
        try_all(b, n, 0, 0, &best);
        assert_int_equal(t->routine.bound, bound);
        assert_int_equal(t->routine.peak, best);
        assert_int_equal(t->code.work_bytes, best);
    }
}

static void a_chain_of_pointwise_steps_needs_one_place(void **state) {
    (void)state;
    Test *t = new_test(1);
    Tensor *x[5];
    for (int i = 0; i < 5; i++)
        x[i] = temp(t, 100, format(t->c, "a.b%d", i));
    step(t, 1, x, false);
    for (int i = 0; i < 4; i++)
        step(t, 2, x + i, true);
    plan(t->c, &t->code);
    code_check(t->c, &t->code);
    assert_int_equal(t->routine.peak, 448);
    assert_int_equal(t->routine.bound, 448);
    assert_true(t->routine.step.at[1].kernel->aliased);
    assert_string_equal(place_of(t, x[1])->name, "a_b1");
}

static void what_is_read_later_is_not_overwritten(void **state) {
    (void)state;
    Test *t = new_test(1);
    Tensor *x = temp(t, 16, "x"), *y = temp(t, 16, "y"), *z = temp(t, 16, "z");
    step(t, 1, &x, false);
    step(t, 2, (Tensor *[]){ x, y }, true);
    step(t, 3, (Tensor *[]){ x, y, z }, false);
    plan(t->c, &t->code);
    check_apart(t);
    assert_int_equal(t->routine.peak, 192);
    assert_false(t->routine.step.at[1].kernel->aliased);
}

static void terminals_have_no_place(void **state) {
    (void)state;
    Test *t = new_test(1);
    Tensor *x = temp(t, 16, "x"), *y = temp(t, 16, "y");
    push(t->c, &t->graph.output, ((Terminal){ .name = "y", .tensor = y }));
    step(t, 1, &x, false);
    step(t, 2, (Tensor *[]){ x, y }, true);
    plan(t->c, &t->code);
    assert_int_equal(t->routine.place.n, 1);
    assert_int_equal(t->routine.peak, 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_nets_are_planned_as_well_as_can_be),
        cmocka_unit_test(a_chain_of_pointwise_steps_needs_one_place),
        cmocka_unit_test(what_is_read_later_is_not_overwritten),
        cmocka_unit_test(terminals_have_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
