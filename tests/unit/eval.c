/* The reference evaluator: strips compute what plain loops compute, and nothing is read outside. */
#include "../../compiler/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static Ctx ctx, *const c = &ctx;
static Graph graph;
static Map env;

static Name nm(const char *s) {
    return intern(c, s, strlen(s));
}

static Index *index_of(const char *s, int64_t n) {
    return index_new(c, nm(s), dim(c, n));
}

static Term *n(double v) {
    return term_number(c, AnyInt, v);
}

static Term *at(Index *i) {
    return term_index(c, i);
}

static Term *i32(FnId f, Term *a, Term *b) {
    return term_apply2(c, f, I32, a, b);
}

static Term *f32(FnId f, Term *a, Term *b) {
    return term_apply2(c, f, F32, a, b);
}

static Tensor *tensor_of(TensorKind k, Elem e, int rank, const int64_t *size) {
    Type t = { e, rank, { 0 } };
    for (int i = 0; i < rank; i++)
        t.dim[i] = dim(c, size[i]);
    return tensor(c, k, nm("t"), NULL, &t, (Span){ 0 });
}
#define SIZES(...)      \
    (const int64_t[]) { \
        __VA_ARGS__     \
    }

static Tensor *given(Elem e, int rank, const int64_t *size, const void *data, size_t bytes) {
    Tensor *t = tensor_of(TInput, e, rank, size);
    void *p = malloc(bytes + 1);
    if (bytes)
        memcpy(p, data, bytes);
    map_put(c, &env, t, p);
    return t;
}

static Term *load1(Tensor *t, Term *a, Term *outside) {
    return term_load(c, t, &a, 1, outside, NULL);
}

static Term *load2(Tensor *t, Term *a, Term *b, Term *outside) {
    return term_load(c, t, (Term *[]){ a, b }, 2, outside, NULL);
}

static Node *node(Tensor *out, Reduce r, Term *body, Index **axis, int naxis, Index **bind,
                  int nbind) {
    Node *x = node_new(c, &graph, out);
    *x = (Node){ .out = out,
                 .axis = NEWN(c, Axis, naxis),
                 .naxis = naxis,
                 .reduce = r,
                 .bind = bind,
                 .nbind = nbind,
                 .body = body };
    for (int i = 0; i < naxis; i++)
        x->axis[i] = (Axis){ &axis[i], 1 };
    return x;
}

static void *result(Node *x) {
    assert_true(eval_node(c, x, &env, &graph, NULL));
    return map_get(&env, x->out);
}

/* ---- a plain evaluator of floats to compare with */

typedef struct At { Index *index[4]; int64_t value[4]; int n; } At;

static double plain(const Term *t, const At *p) {
    double arg[3] = { 0 };
    if (t->kind == TNumber)
        return t->number;
    for (int i = 0; t->kind == TIndex && i < p->n; i++)
        if (p->index[i] == t->index)
            return (double)p->value[i];
    for (int i = 0; i < t->n; i++)
        arg[i] = plain(t->kid[i], p);
    if (t->kind == TApply)
        return fn_eval(t->fn, t->fn->id >= FnEq && t->fn->id <= FnGe ? I32 : t->elem, arg);
    int64_t off = 0;
    for (int i = 0; i < t->n; i++) {
        int64_t size = eval_dim(t->from->type.dim[i], NULL, NULL);
        if (arg[i] < 0 || arg[i] >= (double)size)
            return t->outside ? plain(t->outside, p) : 0.0;
        off = off * size + (int64_t)arg[i];
    }
    return ((const float *)map_get(&env, t->from))[off];
}

static int pick(uint32_t *seed, int m) {
    *seed = *seed * 1664525u + 1013904223u;
    return (int)(*seed >> 8) % m;
}

static void strips_compute_what_loops_compute(void **state) {
    (void)state;
    static const FnId ops[] = { FnAdd, FnSub, FnMul, FnMax, FnMin };
    static const Reduce reduces[] = { RSum, RMax, RMin };
    uint32_t seed = 3;
#define PICK(m) pick(&seed, m)
    float data[42];
    for (int i = 0; i < 42; i++)
        data[i] = (float)PICK(100) / 16.0f - 3.0f;
    Tensor *x = given(F32, 2, SIZES(6, 7), data, sizeof data);
    for (int turn = 0; turn < 400; turn++) {
        int64_t size[4] = { PICK(5), PICK(300) + 1, PICK(4), PICK(5) };
        if (turn % 3)
            size[1] = PICK(6);
        Index *i[4];
        for (int k = 0; k < 4; k++)
            i[k] = index_of("i", size[k]);
        Term *body[3];
        for (int k = 0; k < 3; k++) {
            Term *a = i32(FnSub, i32(FnMul, at(i[PICK(4)]), n(PICK(5) - 2)), n(PICK(3) - 1));
            Term *b = i32(PICK(2) ? FnAdd : FnFloorDiv, i32(FnAdd, at(i[PICK(4)]), at(i[PICK(4)])),
                          n(PICK(3) + 1));
            body[k] = load2(x, a, b, term_number(c, F32, PICK(2)));
        }
        body[0] = f32(ops[PICK(5)], body[0], f32(ops[PICK(5)], body[1], body[2]));
        Tensor *out = tensor_of(TTemp, F32, 2, SIZES(size[0], size[1]));
        Node *y = node(out, reduces[PICK(3)], body[0], i, 2, i + 2, 2);
        Term *cond = term_apply2(c, FnLe, Bool, at(i[2]), i32(FnAdd, at(i[PICK(2)]), at(i[3])));
        if (PICK(2)) {
            y->cond = &cond;
            y->ncond = 1;
        }
        const float *got = result(y);
        At p = { { i[0], i[1], i[2], i[3] }, { 0 }, 4 };
        for (p.value[0] = 0; p.value[0] < size[0]; p.value[0]++)
            for (p.value[1] = 0; p.value[1] < size[1]; p.value[1]++) {
                double want = y->reduce == RSum ? 0.0 : y->reduce == RMax ? -INFINITY : INFINITY;
                for (p.value[2] = 0; p.value[2] < size[2]; p.value[2]++)
                    for (p.value[3] = 0; p.value[3] < size[3]; p.value[3]++) {
                        if (y->ncond && plain(cond, &p) == 0.0)
                            continue;
                        double v = plain(y->body, &p);
                        want = y->reduce == RSum   ? want + v
                               : y->reduce == RMax ? fmax(want, v)
                                                   : fmin(want, v);
                    }
                double have = (double)got[p.value[0] * size[1] + p.value[1]];
                if (want != have && !(fabs(want - have) <= 1e-4 * (1.0 + fabs(want))))
                    fail_msg("%s: %g, want %g", term_text(c, y->body), have, want);
            }
    }
}

static void positions_from_data_gather_and_scatter(void **state) {
    (void)state;
    Tensor *id = given(I32, 1, SIZES(5), (int[]){ 1, 3, -7, 99, 1 }, 5 * sizeof(int));
    Tensor *w = given(F16, 1, SIZES(4), (uint16_t[]){ 0x3c00, 0x4000, 0x4200, 0x4400 },
                      4 * sizeof(uint16_t));
    Index *i = index_of("i", 5), *v = index_of("v", 4), *k = index_of("k", 5);
    Term *held = i32(FnMax, n(0), i32(FnMin, load1(id, at(i), NULL), n(3)));
    const uint16_t *e = result(
        node(tensor_of(TTemp, F16, 1, SIZES(5)), NoReduce, load1(w, held, NULL), &i, 1, NULL, 0));
    assert_true(e[0] == 0x4000 && e[1] == 0x4400 && e[2] == 0x3c00 && e[3] == 0x4400);
    Node *count =
        node(tensor_of(TTemp, I32, 1, SIZES(4)), RSum, term_number(c, I32, 1), &v, 1, &k, 1);
    Term *same = term_apply2(c, FnEq, Bool, load1(id, at(k), NULL), at(v));
    count->cond = &same;
    count->ncond = 1;
    const int *s = result(count);
    assert_true(s[0] == 0 && s[1] == 2 && s[2] == 0 && s[3] == 1);
}

static void nan_wins_and_the_first_maximum_counts(void **state) {
    (void)state;
    Tensor *x =
        given(F32, 2, SIZES(2, 4), (float[]){ 1, 7, 7, 2, 5, NAN, 9, NAN }, 8 * sizeof(float));
    Index *i = index_of("i", 2), *j = index_of("j", 4);
    const float *m = result(
        node(tensor_of(TTemp, F32, 1, SIZES(2)), RMax, load2(x, at(i), at(j), NULL), &i, 1, &j, 1));
    assert_true(m[0] == 7 && isnan(m[1]));
    const int *a = result(node(tensor_of(TTemp, I32, 1, SIZES(2)), RArgMax,
                               load2(x, at(i), at(j), NULL), &i, 1, &j, 1));
    assert_true(a[0] == 1 && a[1] == 1);
}

static void integers_wrap_and_casts_saturate(void **state) {
    (void)state;
    Tensor *x = given(U8, 1, SIZES(3), (uint8_t[]){ 200, 100, 7 }, 3);
    Index *i = index_of("i", 3);
    const uint8_t *s = result(
        node(tensor_of(TTemp, U8, 0, SIZES(0)), RSum, load1(x, at(i), NULL), NULL, 0, &i, 1));
    assert_int_equal(*s, (200 + 100 + 7) % 256);
    Tensor *f = given(F32, 1, SIZES(3), (float[]){ 300.9f, NAN, -1.0f }, 3 * sizeof(float));
    Term *v = load1(f, at(i), NULL);
    const uint8_t *u = result(node(tensor_of(TTemp, U8, 1, SIZES(3)), NoReduce,
                                   term_apply1(c, FnCast, U8, v), &i, 1, NULL, 0));
    assert_true(u[0] == 255 && u[1] == 0 && u[2] == 0);
}

static void a_state_is_written_in_place(void **state) {
    (void)state;
    Tensor *old = given(F32, 1, SIZES(6), (float[]){ 0, 1, 2, 3, 4, 5 }, 6 * sizeof(float));
    Tensor *new = tensor_of(TState, F32, 1, SIZES(6));
    old->kind = TState;
    new->before = old;
    Index *i = index_of("i", 5);
    Node *w = node(new, NoReduce, load1(old, at(i), NULL), &i, 1, NULL, 0);
    Term *next = i32(FnAdd, at(i), n(1));
    w->at = &next;
    const float *s = result(w);
    assert_ptr_equal(s, map_get(&env, old));
    assert_true(s[0] == 0 && s[1] == 0 && s[2] == 1 && s[5] == 4);
}

static void nothing_too_large_is_tried(void **state) {
    (void)state;
    Index *i = index_of("i", 1000000000), *j = index_of("j", 1000000000);
    Term *one = term_number(c, F32, 1);
    int before = c->errors;
    Node *x = node(tensor_of(TTemp, F32, 2, SIZES(1000000000, 1000000000)), NoReduce, one,
                   (Index *[]){ i, j }, 2, NULL, 0);
    assert_false(eval_node(c, x, &env, &graph, NULL));
    assert_int_equal(c->errors, before + 1);
    Index *none = index_of("i", 0);
    const float *m = result(node(tensor_of(TTemp, F32, 0, SIZES(0)), RMax, one, NULL, 0, &none, 1));
    assert_true(*m == -INFINITY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strips_compute_what_loops_compute),
        cmocka_unit_test(positions_from_data_gather_and_scatter),
        cmocka_unit_test(nan_wins_and_the_first_maximum_counts),
        cmocka_unit_test(integers_wrap_and_casts_saturate),
        cmocka_unit_test(a_state_is_written_in_place),
        cmocka_unit_test(nothing_too_large_is_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
