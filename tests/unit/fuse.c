/* Which nodes become one kernel, and that the kernels compute what the graph did. */
#include "graphs.h"

#include <math.h>

static Term *row(Maker *m, Tensor *x, Index *t) {
    return read_at(m, x, of(m, t), NULL);
}

static Term *cell(Maker *m, Tensor *x, Index *t, Index *i) {
    return read_at(m, x, of(m, t), of(m, i), NULL);
}

static Tensor *softmax(Maker *m, Tensor *x, int rows, int cols) {
    apply_op(m, "softmax");
    Index *t = ix(m, "t", rows), *i = ix(m, "i", cols), *u = ix(m, "t", rows),
          *k = ix(m, "i", cols);
    Index *v = ix(m, "t", rows), *j = ix(m, "i", cols), *w = ix(m, "t", rows),
          *l = ix(m, "i", cols);
    Tensor *most = reduce(m, make_node(m, "m", cell(m, x, t, i), t, NULL), RMax, i, NULL);
    Tensor *e = make_node(m, "e", call1(m, "exp", two(m, FnSub, cell(m, x, u, k), row(m, most, u))),
                          u, k, NULL)
                    ->out;
    Tensor *s = reduce(m, make_node(m, "s", cell(m, e, v, j), v, NULL), RSum, j, NULL);
    return make_node(m, "y", two(m, FnDiv, cell(m, e, w, l), row(m, s, w)), w, l, NULL)->out;
}

static void softmax_is_one(void **unused) {
    (void)unused;
    Maker m = maker();
    output(&m, softmax(&m, input(&m, "x", Float, 4, 7, -1), 4, 7));
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 1);
    assert_int_equal(b->bunch.at[0]->node.n, 4);
    assert_int_equal(b->bunch.at[0]->nouter, 1);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(b->bunch.at[0]->node.at[i]->axis[0].index[0], b->bunch.at[0]->outer[0]);
}

/* One row, whose index is gone: the loops over it follow each other in one kernel. */
static void one_row_is_one(void **unused) {
    (void)unused;
    Maker m = maker();
    output(&m, softmax(&m, input(&m, "x", Float, 1, 7, -1), 1, 7));
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 1);
    assert_int_equal(b->bunch.at[0]->nouter, 0);
}

static Tensor *linear(Maker *m, Tensor *x, Tensor *w, int rows, int in, int out) {
    apply_op(m, "linear");
    Index *t = ix(m, "t", rows), *j = ix(m, "j", out), *k = ix(m, "k", in);
    return reduce(m,
                  make_node(m, "y", two(m, FnMul, cell(m, x, t, k), cell(m, w, j, k)), t, j, NULL),
                  RSum, k, NULL);
}

static Tensor *relu(Maker *m, Tensor *x, int rows, int cols) {
    apply_op(m, "relu");
    Index *t = ix(m, "t", rows), *i = ix(m, "i", cols);
    return make_node(m, "relu", two(m, FnMax, cell(m, x, t, i), real(m, 0)), t, i, NULL)->out;
}

static void two_linears_are_two(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, 6, -1);
    x = relu(&m, linear(&m, x, weight(&m, "a", 5, 6, -1), 4, 6, 5), 4, 5);
    output(&m, relu(&m, linear(&m, x, weight(&m, "b", 3, 5, -1), 4, 5, 3), 4, 3));
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(b->bunch.at[i]->node.n, 2);
        assert_int_equal(b->bunch.at[i]->nouter, 2);
    }
}

static Tensor *add(Maker *m, Tensor *x, Tensor *y, int rows, int cols) {
    apply_op(m, "add");
    Index *t = ix(m, "t", rows), *i = ix(m, "i", cols);
    return make_node(m, "sum", two(m, FnAdd, cell(m, x, t, i), cell(m, y, t, i)), t, i, NULL)->out;
}

/* Made of mean, square, rsqrt and products, each a call of its own. */
static Tensor *rms_norm(Maker *m, Tensor *x, Tensor *scale, int rows, int cols) {
    Index *a = ix(m, "t", rows), *b = ix(m, "i", cols), *c = ix(m, "t", rows),
          *d = ix(m, "i", cols);
    Index *e = ix(m, "t", rows), *f = ix(m, "t", rows), *g = ix(m, "t", rows),
          *h = ix(m, "i", cols);
    apply_op(m, "square");
    Tensor *sq =
        make_node(m, "sq", two(m, FnMul, cell(m, x, a, b), cell(m, x, a, b)), a, b, NULL)->out;
    apply_op(m, "mean");
    Tensor *s = reduce(m, make_node(m, "s", cell(m, sq, c, d), c, NULL), RSum, d, NULL);
    Tensor *mean = make_node(m, "mean", two(m, FnDiv, row(m, s, e), real(m, cols)), e, NULL)->out;
    apply_op(m, "rsqrt");
    Term *root = call1(m, "sqrt", two(m, FnAdd, row(m, mean, f), real(m, 1e-5)));
    Tensor *r = make_node(m, "r", two(m, FnDiv, real(m, 1), root), f, NULL)->out;
    apply_op(m, "mul");
    Term *y = two(m, FnMul, two(m, FnMul, cell(m, x, g, h), row(m, r, g)), row(m, scale, h));
    return make_node(m, "norm", y, g, h, NULL)->out;
}

static void norm_is_one_and_needs_its_input_whole(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, 6, -1), *s = weight(&m, "s", 6, -1),
           *w = weight(&m, "w", 6, 6, -1);
    Tensor *h = add(&m, x, linear(&m, x, w, 4, 6, 6), 4, 6);
    output(&m, add(&m, h, linear(&m, rms_norm(&m, h, s, 4, 6), weight(&m, "v", 6, 6, -1), 4, 6, 6),
                   4, 6));
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 3);
    assert_int_equal(b->bunch.at[1]->nouter, 1);
    assert_int_equal(b->bunch.at[1]->node.at[0]->reduce, RSum);
}

/* q·k, the causal mask, softmax and ·v, for each head. */
static void attention_is_one(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *q = input(&m, "q", Float, 2, 5, 4, -1), *k = input(&m, "k", Float, 2, 5, 4, -1),
           *v = input(&m, "v", Float, 2, 5, 4, -1);
    apply_op(&m, "attention");
    Index *h = ix(&m, "h", 2), *t = ix(&m, "t", 5), *s = ix(&m, "s", 5), *d = ix(&m, "d", 4),
          *e = ix(&m, "e", 4);
    Term *qk = two(&m, FnMul, read_at(&m, q, of(&m, h), of(&m, t), of(&m, d), NULL),
                   read_at(&m, k, of(&m, h), of(&m, s), of(&m, d), NULL));
    Tensor *dot = reduce(&m, make_node(&m, "dot", qk, h, t, s, NULL), RSum, d, NULL);
    Tensor *a = make_node(&m, "a",
                          two(&m, FnMul, real(&m, 0.5),
                              read_at(&m, dot, of(&m, h), of(&m, t), of(&m, s), NULL)),
                          h, t, s, NULL)
                    ->out;
    Term *am = choose(&m, two(&m, FnLe, of(&m, s), of(&m, t)),
                      read_at(&m, a, of(&m, h), of(&m, t), of(&m, s), NULL), real(&m, -INFINITY));
    Tensor *c = make_node(&m, "c", am, h, t, s, NULL)->out;
    Tensor *most = reduce(
        &m, make_node(&m, "m", read_at(&m, c, of(&m, h), of(&m, t), of(&m, s), NULL), h, t, NULL),
        RMax, s, NULL);
    Term *less = two(&m, FnSub, read_at(&m, c, of(&m, h), of(&m, t), of(&m, s), NULL),
                     read_at(&m, most, of(&m, h), of(&m, t), NULL));
    Tensor *p = make_node(&m, "p", call1(&m, "exp", less), h, t, s, NULL)->out;
    Term *pv = two(&m, FnMul, read_at(&m, p, of(&m, h), of(&m, t), of(&m, s), NULL),
                   read_at(&m, v, of(&m, h), of(&m, s), of(&m, e), NULL));
    Tensor *num = reduce(&m, make_node(&m, "num", pv, h, t, e, NULL), RSum, s, NULL);
    Tensor *den = reduce(
        &m, make_node(&m, "den", read_at(&m, p, of(&m, h), of(&m, t), of(&m, s), NULL), h, t, NULL),
        RSum, s, NULL);
    Term *y = two(&m, FnDiv, read_at(&m, num, of(&m, h), of(&m, t), of(&m, e), NULL),
                  read_at(&m, den, of(&m, h), of(&m, t), NULL));
    output(&m, make_node(&m, "y", y, h, t, e, NULL)->out);
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 1);
    assert_int_equal(b->bunch.at[0]->nouter, 2);
}

/* A scale made after the convolution it is for: the kernel waits for it. */
static void an_epilogue_waits_for_what_it_needs(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, 6, -1), *g = weight(&m, "g", 5, -1);
    Tensor *y = linear(&m, x, weight(&m, "a", 5, 6, -1), 4, 6, 5);
    apply_op(&m, "sqrt");
    Index *o = ix(&m, "o", 5), *t = ix(&m, "t", 4), *i = ix(&m, "i", 5);
    Tensor *s = make_node(&m, "s", call1(&m, "exp", row(&m, g, o)), o, NULL)->out;
    apply_op(&m, "mul");
    output(&m,
           make_node(&m, "out", two(&m, FnMul, cell(&m, y, t, i), row(&m, s, i)), t, i, NULL)->out);
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 2);
    assert_ptr_equal(b->bunch.at[0]->node.at[0]->out, s);
    assert_int_equal(b->bunch.at[1]->node.n, 2);
}

/* What reads the state runs before what overwrites it. */
static void reads_come_before_writes(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, -1), *s = state(&m, "s", 4, -1);
    Index *i = ix(&m, "i", 4), *k = ix(&m, "k", 4), *o = ix(&m, "o", 4);
    Term *last = two(&m, FnSub, whole(&m, 3), of(&m, i));
    Tensor *flip =
        make_node(&m, "flip", two(&m, FnMul, read_at(&m, s, last, NULL), real(&m, 2)), i, NULL)
            ->out;
    Term *next = two(&m, FnAdd, row(&m, s, k), row(&m, x, k));
    write_state(&m, make_node(&m, "w", next, k, NULL), s, of(&m, k), NULL);
    output(&m, make_node(&m, "out", two(&m, FnAdd, row(&m, flip, o), real(&m, 1)), o, NULL)->out);
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 2);
    assert_ptr_equal(b->bunch.at[0]->node.at[0]->out, flip);
    assert_int_equal(b->bunch.at[1]->node.at[0]->out->kind, TState);
}

/* A chain of elementwise calls is one node; a dear one read twice is computed once. */
static void cheap_is_repeated_and_dear_is_not(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, 6, -1);
    Tensor *y = relu(&m, add(&m, x, x, 4, 6), 4, 6);
    Index *t = ix(&m, "t", 4), *i = ix(&m, "i", 6), *u = ix(&m, "u", 6), *v = ix(&m, "v", 4);
    Tensor *e = make_node(&m, "e", call1(&m, "exp", cell(&m, y, t, i)), t, i, NULL)->out;
    output(
        &m,
        make_node(&m, "turned", two(&m, FnAdd, cell(&m, e, v, u), real(&m, 1)), u, v, NULL)->out);
    output(&m, relu(&m, e, 4, 6));
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 2);
    assert_int_equal(b->bunch.at[0]->node.n, 2);
}

/* Two sums over x of one call, and what reads both. */
static void siblings_are_one(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, 6, -1);
    apply_op(&m, "spread");
    Index *t = ix(&m, "t", 4), *i = ix(&m, "i", 6), *u = ix(&m, "u", 4), *k = ix(&m, "k", 6),
          *v = ix(&m, "v", 4);
    Tensor *most = reduce(&m, make_node(&m, "most", cell(&m, x, t, i), t, NULL), RMax, i, NULL);
    Tensor *least = reduce(&m, make_node(&m, "least", cell(&m, x, u, k), u, NULL), RMin, k, NULL);
    output(&m,
           make_node(&m, "y", two(&m, FnSub, row(&m, most, v), row(&m, least, v)), v, NULL)->out);
    simplified(&m);
    Bunches *b = fused(&m);
    assert_int_equal(b->bunch.n, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_one),
        cmocka_unit_test(one_row_is_one),
        cmocka_unit_test(two_linears_are_two),
        cmocka_unit_test(norm_is_one_and_needs_its_input_whole),
        cmocka_unit_test(attention_is_one),
        cmocka_unit_test(an_epilogue_waits_for_what_it_needs),
        cmocka_unit_test(reads_come_before_writes),
        cmocka_unit_test(cheap_is_repeated_and_dear_is_not),
        cmocka_unit_test(siblings_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
