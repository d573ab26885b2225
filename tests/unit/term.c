/* Terms: folding changes no value, neither of an integer nor of any bit of a float. */
#include "../../compiler/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static Ctx ctx, *const c = &ctx;

static Name nm(const char *s) {
    return intern(c, s, strlen(s));
}

static Term *n(double v) {
    return term_number(c, AnyInt, v);
}

static Term *i32(FnId f, Term *a, Term *b) {
    return term_apply2(c, f, I32, a, b);
}

static Term *f32(FnId f, Term *a, Term *b) {
    return term_apply2(c, f, F32, a, b);
}

static Tensor *vector(const char *s, Elem e, Dim size) {
    Type t = { e, 1, { size } };
    return tensor(c, TInput, nm(s), NULL, &t, (Span){ 0 });
}

static void mixed_radix_is_taken_apart(void **state) {
    (void)state;
    Term *i = term_index(c, index_new(c, nm("i"), dim(c, 10))),
         *j = term_index(c, index_new(c, nm("j"), dim(c, 8)));
    Term *flat = i32(FnAdd, i32(FnMul, i, n(8)), j);
    assert_ptr_equal(i32(FnFloorDiv, flat, n(8)), i);
    assert_ptr_equal(i32(FnMod, flat, n(8)), j);
    assert_string_equal(term_text(c, i32(FnFloorDiv, flat, n(4))), "i * 2 + j // 4");
    assert_ptr_equal(
        i32(FnAdd, i32(FnMul, i32(FnFloorDiv, flat, n(7)), n(7)), i32(FnMod, flat, n(7))), flat);
    assert_ptr_equal(i32(FnMax, n(0), i32(FnMin, i, n(9))), i);
}

static void sizes_that_vary_are_sizes(void **state) {
    (void)state;
    Symbol *s = NEW(c, Symbol);
    *s = (Symbol){ .name = nm("T"), .lo = 1, .hi = 512, .bounded = true };
    Dim size = dim_symbol(c, s);
    Term *i = term_index(c, index_new(c, nm("i"), dim(c, 4))),
         *t = term_index(c, index_new(c, nm("t"), size));
    Term *flat = i32(FnAdd, i32(FnMul, i, term_size(c, size)), t);
    assert_ptr_equal(i32(FnFloorDiv, flat, term_size(c, size)), i);
    assert_ptr_equal(i32(FnMod, flat, term_size(c, size)), t);
    Term *back = i32(FnSub, i32(FnSub, term_size(c, size), n(1)), t);
    assert_true(term_inside(c, back, size));
    assert_false(term_inside(c, i32(FnAdd, t, n(1)), size));
    assert_string_equal(term_text(c, back), "T - 1 - t");
    Term *data = term_load(c, vector("id", I32, size), &t, 1, NULL, NULL);
    Term *held = i32(FnMax, n(0), i32(FnMin, data, i32(FnSub, term_size(c, size), n(1))));
    assert_true(term_inside(c, held, size));
}

static void data_may_wrap(void **state) {
    (void)state;
    Term *t = term_index(c, index_new(c, nm("t"), dim(c, 9)));
    Term *x = term_load(c, vector("x", I32, dim(c, 9)), &t, 1, NULL, NULL);
    assert_string_equal(term_text(c, i32(FnFloorDiv, i32(FnMul, x, n(4)), n(4))), "x[t] * 4 // 4");
    assert_string_equal(term_text(c, term_apply2(c, FnGt, Bool, i32(FnAdd, x, n(1)), x)),
                        "x[t] + 1 > x[t]");
}

static void floats_keep_their_bits(void **state) {
    (void)state;
    Term *t = term_index(c, index_new(c, nm("t"), dim(c, 9)));
    Term *x = term_load(c, vector("x", F32, dim(c, 9)), &t, 1, NULL, NULL);
    assert_ptr_equal(f32(FnMul, x, n(1)), x);
    assert_ptr_equal(f32(FnAdd, x, term_number(c, F32, -0.0)), x);
    assert_string_equal(term_text(c, f32(FnAdd, x, n(0))), "x[t] + 0.0");
    assert_string_equal(term_text(c, f32(FnMul, x, n(0))), "x[t] * 0.0");
    assert_string_equal(term_text(c, f32(FnSub, x, f32(FnSub, x, n(1)))), "x[t] - (x[t] - 1.0)");
}

static void a_read_that_is_inside_has_no_value_outside(void **state) {
    (void)state;
    Index *i = index_new(c, nm("t"), dim(c, 9));
    Term *t = term_index(c, i), *before = i32(FnSub, t, n(1));
    Term *x = term_load(c, vector("x", F32, dim(c, 9)), &before, 1, n(0), NULL);
    assert_non_null(x->outside);
    Term *next = i32(FnAdd, term_index(c, index_new(c, nm("u"), dim(c, 8))), n(1));
    Term *y = term_subst(c, x, &i, &next, 1);
    assert_string_equal(term_text(c, y), "x[u]");
}

static double value(const Term *t, const Index *const *index, const double *at) {
    double arg[3] = { 0 };
    int64_t size = 0;
    if (t->kind == TNumber)
        return t->number;
    if (t->kind == TIndex)
        return at[t->index == index[0] ? 0 : 1];
    if (t->kind == TSize) {
        dim_number(t->size, &size);
        return (double)size;
    }
    for (int i = 0; i < t->n; i++)
        arg[i] = value(t->kid[i], index, at);
    return fn_eval(t->fn, t->fn->id >= FnEq && t->fn->id <= FnGe ? I32 : t->elem, arg);
}

static void integer_folding_keeps_the_value(void **state) {
    (void)state;
    static const FnId ops[] = { FnAdd, FnSub, FnMul, FnFloorDiv, FnMod, FnMax, FnMin, FnWhere };
    Index *i = index_new(c, nm("i"), dim(c, 6)), *j = index_new(c, nm("j"), dim(c, 4));
    const Index *index[2] = { i, j };
    uint32_t seed = 7;
#define PICK(n) ((seed = seed * 1664525u + 1013904223u) >> 8) % (n)
    for (int turn = 0; turn < 3000; turn++) {
        Term *folded[4] = { term_index(c, i), term_index(c, j), term_number(c, I32, PICK(9)),
                            term_number(c, I32, 4) };
        Term *plain[4] = { folded[0], folded[1], folded[2], folded[3] };
        for (int k = 0; k < 6; k++) {
            unsigned a = PICK(4), b = PICK(4), to = PICK(4);
            const Fn *f = fn(ops[PICK(8)]);
            Term *by = term_number(c, I32, 1 + PICK(9)), *x[3] = { folded[a], folded[b] },
                 *y[3] = { plain[a], plain[b] };
            if (f->id == FnFloorDiv || f->id == FnMod)
                x[1] = y[1] = by;
            if (f->id == FnWhere) {
                Term *less = term_apply2(c, FnLt, Bool, x[0], x[1]);
                Term *also = term_plain(c, fn(FnLt), Bool, (Term *[]){ y[0], y[1] });
                x[2] = x[1];
                x[1] = x[0];
                x[0] = less;
                y[2] = y[1];
                y[1] = y[0];
                y[0] = also;
            }
            folded[to] = term_apply(c, f, I32, x);
            plain[to] = term_plain(c, f, I32, y);
            int64_t lo, hi;
            term_range(c, folded[to], &lo, &hi);
            for (int v = 0; v < 24; v++) {
                double at[2] = { v / 4, v % 4 }, want = value(plain[to], index, at),
                       got = value(folded[to], index, at);
                if (fabs(want) > 1e6)
                    goto next; /* positions do not wrap, and are folded as if they cannot */
                if (got != want)
                    fail_msg("%s is %g, %s is %g", term_text(c, plain[to]), want,
                             term_text(c, folded[to]), got);
                assert_true((double)lo <= got && got <= (double)hi);
            }
        }
    next:;
    }
}

static void integers_round_down_wrap_and_saturate(void **state) {
    (void)state;
    assert_true(fn_eval(fn(FnAdd), U8, (double[]){ 200, 100 }) == 44);
    assert_true(fn_eval(fn(FnMul), I32, (double[]){ 65536, 65536 }) == 0);
    assert_true(fn_eval(fn(FnFloorDiv), I32, (double[]){ -7, 2 }) == -4);
    assert_true(fn_eval(fn(FnMod), I32, (double[]){ -7, 2 }) == 1);
    assert_true(fn_eval(fn(FnFloorDiv), I64, (double[]){ -0x1p63, -1 }) == -0x1p63);
    assert_true(elem_cast(U8, 300.7) == 255 && elem_cast(U8, -3) == 0 && elem_cast(I32, NAN) == 0 &&
                elem_cast(I8, -1.9) == -1);
    assert_true(elem_cast(F16, 65519.9) == 65504 && isinf(elem_cast(F16, 65520)) &&
                elem_cast(BF16, 3.14159) == 3.140625);
    assert_true(isnan(fn_eval(fn(FnMax), F32, (double[]){ 1, NAN })) &&
                isnan(fn_eval(fn(FnMin), F32, (double[]){ NAN, 1 })));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_radix_is_taken_apart),
        cmocka_unit_test(sizes_that_vary_are_sizes),
        cmocka_unit_test(data_may_wrap),
        cmocka_unit_test(floats_keep_their_bits),
        cmocka_unit_test(a_read_that_is_inside_has_no_value_outside),
        cmocka_unit_test(integer_folding_keeps_the_value),
        cmocka_unit_test(integers_round_down_wrap_and_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
