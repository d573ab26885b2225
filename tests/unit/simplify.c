/* What simplify makes of small graphs, and that their outputs stay what they were. */
#include "graphs.h"

#include <math.h>

static const Node *only_node(const Maker *m) {
    assert_int_equal(m->g->node.n, 1);
    return m->g->node.at[0];
}

/* y = relu(x.T), z the same again: one node reads x in place. */
static void views_vanish_and_doubles_are_one(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, 3, -1);
    Index *i = ix(&m, "i", 3), *j = ix(&m, "j", 4), *a = ix(&m, "a", 3), *b = ix(&m, "b", 4);
    Tensor *t = make_node(&m, "t", read_at(&m, x, of(&m, j), of(&m, i), NULL), i, j, NULL)->out;
    Tensor *y =
        make_node(&m, "y", two(&m, FnMax, read_at(&m, t, of(&m, a), of(&m, b), NULL), real(&m, 0)),
                  a, b, NULL)
            ->out;
    Index *p = ix(&m, "p", 3), *q = ix(&m, "q", 4);
    Tensor *z =
        make_node(&m, "z", two(&m, FnMax, read_at(&m, t, of(&m, p), of(&m, q), NULL), real(&m, 0)),
                  p, q, NULL)
            ->out;
    Index *u = ix(&m, "u", 3), *v = ix(&m, "v", 4);
    Term *both = two(&m, FnAdd, read_at(&m, y, of(&m, u), of(&m, v), NULL),
                     read_at(&m, z, of(&m, u), of(&m, v), NULL));
    output(&m, make_node(&m, "out", both, u, v, NULL)->out);
    make_node(&m, "dead", real(&m, 3), ix(&m, "k", 9), NULL);
    simplified(&m);
    assert_int_equal(m.g->node.n, 2);
    assert_ptr_equal(m.g->node.at[0]->body->kid[0]->from, x);
}

/* pad, then conv: the conditions of one sum, and no node for the padding. */
static void padding_is_a_condition(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 1, 2, 6, 6, -1), *f = weight(&m, "f", 3, 2, 3, 3, -1);
    Index *n = ix(&m, "n", 1), *c = ix(&m, "c", 2), *h = ix(&m, "h", 8), *w = ix(&m, "w", 8);
    Term *shifted = read_at(&m, x, of(&m, n), of(&m, c), two(&m, FnSub, of(&m, h), whole(&m, 1)),
                            two(&m, FnSub, of(&m, w), whole(&m, 1)), NULL);
    Tensor *padded = make_node(&m, "padded", guarded(&m, shifted, 0), n, c, h, w, NULL)->out;
    Index *a = ix(&m, "n", 1), *o = ix(&m, "o", 3), *y = ix(&m, "y", 8), *z = ix(&m, "z", 8);
    Index *k = ix(&m, "c", 2), *p = ix(&m, "p", 3), *q = ix(&m, "q", 3);
    Term *moved = read_at(&m, padded, of(&m, a), of(&m, k),
                          two(&m, FnSub, two(&m, FnAdd, of(&m, y), of(&m, p)), whole(&m, 1)),
                          two(&m, FnSub, two(&m, FnAdd, of(&m, z), of(&m, q)), whole(&m, 1)), NULL);
    Term *product = two(&m, FnMul, guarded(&m, moved, 0),
                        read_at(&m, f, of(&m, o), of(&m, k), of(&m, p), of(&m, q), NULL));
    output(&m, reduce(&m, make_node(&m, "out", product, a, o, y, z, NULL), RSum, k, p, q, NULL));
    simplified(&m);
    const Node *one = only_node(&m);
    assert_int_equal(one->ncond, 4);
    assert_null(one->body->kid[0]->outside);
    assert_int_equal(one->axis[0].n, 0);
}

/* x.reshape(2, 3, 4) summed over its middle: the reshape leaves no division. */
static void reshapes_leave_no_division(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 24, 5, -1);
    Index *v = ix(&m, "v", 6), *w = ix(&m, "w", 20), *i = ix(&m, "i", 6), *j = ix(&m, "j", 20);
    Term *line = two(&m, FnAdd, two(&m, FnMul, of(&m, v), whole(&m, 20)), of(&m, w));
    Term *body = read_at(&m, x, two(&m, FnFloorDiv, line, whole(&m, 5)),
                         two(&m, FnMod, line, whole(&m, 5)), NULL);
    Tensor *r = make_node(&m, "r", body, v, w, NULL)->out;
    Tensor *s = reduce(&m, make_node(&m, "s", read_at(&m, r, of(&m, i), of(&m, j), NULL), i, NULL),
                       RSum, j, NULL);
    output(&m, s);
    simplified(&m);
    const Node *one = only_node(&m);
    assert_int_equal(one->nbind, 2);
    assert_int_equal(one->body->kid[1]->kind, TIndex);
}

/* where(s <= t, a, -inf), exp(a - m) and two sums: the mask is a condition of each, and of what they read. */
static void masks_are_conditions(void **unused) {
    (void)unused;
    Maker m = maker();
    apply_op(&m, "attention");
    Tensor *x = input(&m, "x", Float, 5, 5, -1), *v = input(&m, "v", Float, 5, 4, -1);
    Index *t = ix(&m, "t", 5), *s = ix(&m, "s", 5), *e = ix(&m, "e", 4);
    Tensor *a = make_node(&m, "a", call1(&m, "tanh", read_at(&m, x, of(&m, t), of(&m, s), NULL)), t,
                          s, NULL)
                    ->out;
    Term *am = choose(&m, two(&m, FnLe, of(&m, s), of(&m, t)),
                      read_at(&m, a, of(&m, t), of(&m, s), NULL), real(&m, -INFINITY));
    Tensor *masked = make_node(&m, "masked", am, t, s, NULL)->out;
    Tensor *most =
        reduce(&m, make_node(&m, "m", read_at(&m, masked, of(&m, t), of(&m, s), NULL), t, NULL),
               RMax, s, NULL);
    Term *less = two(&m, FnSub, read_at(&m, masked, of(&m, t), of(&m, s), NULL),
                     read_at(&m, most, of(&m, t), NULL));
    Tensor *p = make_node(&m, "p", call1(&m, "exp", less), t, s, NULL)->out;
    Term *pv = two(&m, FnMul, read_at(&m, p, of(&m, t), of(&m, s), NULL),
                   read_at(&m, v, of(&m, s), of(&m, e), NULL));
    Tensor *num = reduce(&m, make_node(&m, "num", pv, t, e, NULL), RSum, s, NULL);
    Tensor *den =
        reduce(&m, make_node(&m, "den", read_at(&m, p, of(&m, t), of(&m, s), NULL), t, NULL), RSum,
               s, NULL);
    Term *q = two(&m, FnDiv, read_at(&m, num, of(&m, t), of(&m, e), NULL),
                  read_at(&m, den, of(&m, t), NULL));
    output(&m, make_node(&m, "y", q, t, e, NULL)->out);
    simplified(&m);
    assert_int_equal(m.g->node.n, 6);
    for (int i = 0; i < 5; i++)
        assert_int_equal(m.g->node.at[i]->ncond, 1);
}

static Tensor *conv(Maker *m, Tensor *x, Tensor *f) {
    Index *o = ix(m, "o", 3), *y = ix(m, "y", 4), *z = ix(m, "z", 4), *c = ix(m, "c", 2),
          *p = ix(m, "p", 3), *q = ix(m, "q", 3);
    Term *in = read_at(m, x, of(m, c), two(m, FnAdd, of(m, y), of(m, p)),
                       two(m, FnAdd, of(m, z), of(m, q)), NULL);
    Term *body = two(m, FnMul, in, read_at(m, f, of(m, o), of(m, c), of(m, p), of(m, q), NULL));
    apply_op(m, "conv");
    return reduce(m, make_node(m, "conv", body, o, y, z, NULL), RSum, c, p, q, NULL);
}

static Tensor *along_channels(Maker *m, const char *nm, FnId f, Tensor *x, Tensor *v) {
    Index *o = ix(m, "o", 3), *y = ix(m, "y", 4), *z = ix(m, "z", 4);
    apply_op(m, nm);
    return make_node(m, nm,
                     two(m, f, read_at(m, x, of(m, o), of(m, y), of(m, z), NULL),
                         read_at(m, v, of(m, o), NULL)),
                     o, y, z, NULL)
        ->out;
}

static Tensor *of_weights(Maker *m, const char *nm, FnId f, Tensor *a,
                          Term *(*second)(Maker *, Index *, Tensor *), Tensor *b) {
    Index *o = ix(m, "o", 3);
    return make_node(m, nm, two(m, f, read_at(m, a, of(m, o), NULL), second(m, o, b)), o, NULL)
        ->out;
}

static Term *plain(Maker *m, Index *o, Tensor *b) {
    return read_at(m, b, of(m, o), NULL);
}

static Term *rooted(Maker *m, Index *o, Tensor *b) {
    Term *x = read_at(m, b, of(m, o), NULL);
    return call1(m, "sqrt", two(m, FnAdd, two(m, FnMul, x, x), real(m, 0.5)));
}

/* conv, bias, batch norm, relu: f * a, bias * a + d, and one addition is left. */
static void batch_norm_goes_into_the_weights(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 2, 6, 6, -1), *f = weight(&m, "f", 3, 2, 3, 3, -1),
           *b = weight(&m, "bias", 3, -1);
    Tensor *g = weight(&m, "gamma", 3, -1), *v = weight(&m, "var", 3, -1),
           *d = weight(&m, "beta", 3, -1);
    Tensor *scale = of_weights(&m, "scale", FnDiv, g, rooted, v),
           *shift = of_weights(&m, "shift", FnSub, d, plain, scale);
    Tensor *y = along_channels(&m, "add", FnAdd, conv(&m, x, f), b);
    y = along_channels(&m, "add", FnAdd, along_channels(&m, "mul", FnMul, y, scale), shift);
    Index *o = ix(&m, "o", 3), *h = ix(&m, "y", 4), *w = ix(&m, "z", 4);
    Term *r = two(&m, FnMax, read_at(&m, y, of(&m, o), of(&m, h), of(&m, w), NULL), real(&m, 0));
    output(&m, make_node(&m, "out", r, o, h, w, NULL)->out);
    load_weights(&m);
    simplified(&m);
    assert_int_equal(m.p->param.n, 2);
    assert_string_equal(m.p->param.at[0]->path, "f");
    assert_string_equal(m.p->param.at[1]->path, "bias");
    assert_int_equal(m.g->node.n, 3);
}

/* A weight that something else reads too stays as it is. */
static void a_shared_weight_is_left_alone(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 2, 6, 6, -1), *f = weight(&m, "f", 3, 2, 3, 3, -1),
           *g = weight(&m, "gamma", 3, -1);
    output(&m, along_channels(&m, "mul", FnMul, conv(&m, x, f), g));
    output(&m, conv(&m, x, f));
    load_weights(&m);
    simplified(&m);
    assert_int_equal(m.p->param.n, 2);
    assert_ptr_equal(m.p->param.at[0], f);
}

/* s[2:4] <- (x * w) seen through a view: the contraction writes into the state. */
static void a_written_view_is_turned_round(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 2, 3, -1), *w = weight(&m, "w", 4, 3, -1),
           *s = state(&m, "s", 2, 6, 2, -1);
    Index *t = ix(&m, "t", 2), *j = ix(&m, "j", 4), *k = ix(&m, "k", 3);
    Term *product = two(&m, FnMul, read_at(&m, x, of(&m, t), of(&m, k), NULL),
                        read_at(&m, w, of(&m, j), of(&m, k), NULL));
    Tensor *y = reduce(&m, make_node(&m, "y", product, t, j, NULL), RSum, k, NULL);
    Index *h = ix(&m, "h", 2), *r = ix(&m, "r", 2), *e = ix(&m, "e", 2);
    Term *seen = read_at(&m, y, of(&m, r),
                         two(&m, FnAdd, two(&m, FnMul, of(&m, h), whole(&m, 2)), of(&m, e)), NULL);
    Node *write = make_node(&m, "w", seen, h, r, e, NULL);
    Tensor *next = write_state(&m, write, s, of(&m, h), two(&m, FnAdd, of(&m, r), whole(&m, 2)),
                               of(&m, e), NULL);
    Index *a = ix(&m, "a", 6);
    output(&m,
           make_node(&m, "out",
                     two(&m, FnAdd, read_at(&m, next, whole(&m, 0), of(&m, a), whole(&m, 1), NULL),
                         real(&m, 1)),
                     a, NULL)
               ->out);
    simplified(&m);
    assert_int_equal(m.g->node.n, 2);
    assert_int_equal(m.g->node.at[0]->reduce, RSum);
    assert_ptr_equal(m.g->node.at[0]->out, next);
}

/* A view of a state is not read after the state has been overwritten. */
static void views_stay_before_writes(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, -1), *s = state(&m, "s", 4, -1);
    Index *i = ix(&m, "i", 4), *k = ix(&m, "k", 4), *o = ix(&m, "o", 4);
    Term *last = two(&m, FnSub, whole(&m, 3), of(&m, i));
    Tensor *flip = make_node(&m, "flip", read_at(&m, s, last, NULL), i, NULL)->out;
    Node *write = make_node(&m, "w", read_at(&m, x, of(&m, k), NULL), k, NULL);
    write_state(&m, write, s, of(&m, k), NULL);
    output(&m, make_node(&m, "out", two(&m, FnAdd, read_at(&m, flip, of(&m, o), NULL), real(&m, 1)),
                         o, NULL)
                   ->out);
    simplified(&m);
    assert_int_equal(m.g->node.n, 3);
    assert_ptr_equal(m.g->node.at[2]->body->kid[0]->from, flip);
}

/* theta ** (-i / 4) is a table; cos of it with a position that comes at run time is not. */
static void constants_are_tables(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *pos = input(&m, "pos", Float, -1);
    Index *i = ix(&m, "i", 4), *k = ix(&m, "k", 4), *o = ix(&m, "o", 4);
    Tensor *range = make_node(&m, "range", of(&m, i), i, NULL)->out;
    Term *power =
        two(&m, FnDiv, term_apply1(m.c, FnCast, Float, read_at(&m, range, of(&m, k), NULL)),
            real(&m, -4));
    Tensor *table = make_node(&m, "freq", two(&m, FnPow, real(&m, 100), power), k, NULL)->out;
    Term *angle = two(&m, FnMul, read_at(&m, pos, NULL), read_at(&m, table, of(&m, o), NULL));
    output(&m, make_node(&m, "out", call1(&m, "cos", angle), o, NULL)->out);
    simplified(&m);
    const Node *one = only_node(&m);
    assert_int_equal(one->body->kid[0]->kid[1]->from->kind, TConst);
}

/* mean: sum(i: x) / sum(i: 1) */
static void counts_are_numbers(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 3, 8, -1);
    Index *t = ix(&m, "t", 3), *i = ix(&m, "i", 8), *u = ix(&m, "u", 3);
    Tensor *s = reduce(&m, make_node(&m, "s", read_at(&m, x, of(&m, t), of(&m, i), NULL), t, NULL),
                       RSum, i, NULL);
    Tensor *n = reduce(&m, make_node(&m, "n", real(&m, 1), NULL), RSum, i, NULL);
    output(&m,
           make_node(&m, "out",
                     two(&m, FnDiv, read_at(&m, s, of(&m, u), NULL), read_at(&m, n, NULL)), u, NULL)
               ->out);
    simplified(&m);
    assert_int_equal(m.g->node.n, 2);
    assert_true(m.g->node.at[1]->body->kid[1]->number == 8);
}

/* h = h + h, forty times: terms must not be written out. */
static void sharing_stays(void **unused) {
    (void)unused;
    Maker m = maker();
    Tensor *x = input(&m, "x", Float, 4, -1);
    for (int round = 0; round < 40; round++) {
        Index *i = ix(&m, "i", 8), *k = ix(&m, "k", 4);
        Term *twice = choose(
            &m, two(&m, FnLt, of(&m, i), whole(&m, 4)),
            read_at(&m, x, two(&m, FnMod, of(&m, i), whole(&m, 4)), NULL),
            read_at(&m, x, two(&m, FnMod, two(&m, FnAdd, of(&m, i), whole(&m, 1)), whole(&m, 4)),
                    NULL));
        Tensor *y = make_node(&m, "y", twice, i, NULL)->out;
        x = make_node(&m, "z", read_at(&m, y, two(&m, FnAdd, of(&m, k), whole(&m, 2)), NULL), k,
                      NULL)
                ->out;
    }
    output(&m, x);
    simplified(&m);
    assert_true(m.g->node.n <= 80);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_vanish_and_doubles_are_one),
        cmocka_unit_test(padding_is_a_condition),
        cmocka_unit_test(reshapes_leave_no_division),
        cmocka_unit_test(masks_are_conditions),
        cmocka_unit_test(batch_norm_goes_into_the_weights),
        cmocka_unit_test(a_shared_weight_is_left_alone),
        cmocka_unit_test(a_written_view_is_turned_round),
        cmocka_unit_test(views_stay_before_writes),
        cmocka_unit_test(constants_are_tables),
        cmocka_unit_test(counts_are_numbers),
        cmocka_unit_test(sharing_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
