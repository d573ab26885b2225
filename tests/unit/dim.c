/* Sizes: one normal form however they are written, bounds that hold, and texts as the language
 * shows them. */
#include "../../compiler/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static Symbol symbol(Ctx *c, const char *s, int64_t lo, int64_t hi) {
    return (Symbol){ .name = intern(c, s, strlen(s)), .lo = lo, .hi = hi, .bounded = true };
}

static Dim plus(Ctx *c, Dim a, int64_t n) {
    return dim_add(c, a, dim(c, n));
}

static Dim over(Ctx *c, Dim a, int64_t n) {
    return dim_floordiv(c, a, dim(c, n));
}

static Dim times(Ctx *c, Dim a, int64_t n) {
    return dim_mul(c, a, dim(c, n));
}

static void chains_of_convolutions_have_one_form(void **state) {
    (void)state;
    static Ctx c;
    Symbol h = symbol(&c, "H", 0, INT32_MAX);
    Dim x = dim_symbol(&c, &h);
    Dim once = plus(&c, over(&c, plus(&c, x, 2 * 3 - 7), 2), 1);
    Dim twice = plus(&c, over(&c, plus(&c, once, 2 * 1 - 3), 2), 1);
    assert_string_equal(dim_text(&c, once), "(H + 1) // 2");
    assert_ptr_equal(twice, over(&c, plus(&c, over(&c, plus(&c, x, 1), 2), 1), 2));
    assert_string_equal(dim_text(&c, twice), "(H + 3) // 4");
}

static void halving_and_doubling_is_no_identity(void **state) {
    (void)state;
    static Ctx c;
    Symbol h = symbol(&c, "H", 0, INT32_MAX);
    Dim x = dim_symbol(&c, &h), half = over(&c, x, 2), q;
    assert_string_equal(dim_text(&c, times(&c, half, 2)), "2 * (H // 2)");
    assert_false(dim_equal(&c, times(&c, half, 2), x));
    assert_false(dim_exact(&c, x, dim(&c, 2), &q));
    dim_assume_multiple(&c, x, 8);
    assert_true(dim_equal(&c, times(&c, half, 2), x));
    assert_true(dim_exact(&c, x, dim(&c, 2), &q));
    assert_string_equal(dim_text(&c, q), "H / 2");
    assert_string_equal(dim_text(&c, times(&c, q, 2)), "H");
    assert_true(dim_is(dim_mod(&c, x, dim(&c, 4)), 0));
}

static void what_is_assumed_equal_is_equal(void **state) {
    (void)state;
    static Ctx c;
    Symbol b = symbol(&c, "B", 0, INT32_MAX), m = symbol(&c, "M", 0, INT32_MAX);
    Dim x = dim_symbol(&c, &b), y = dim_symbol(&c, &m);
    assert_false(dim_equal(&c, x, y));
    dim_assume_equal(&c, x, y);
    assert_true(dim_equal(&c, dim_mul(&c, x, y), dim_mul(&c, y, y)));
}

static void windows_end_inside(void **state) {
    (void)state;
    static Ctx c;
    Symbol h = symbol(&c, "H", 3, INT32_MAX);
    Dim x = dim_symbol(&c, &h), last = plus(&c, times(&c, over(&c, plus(&c, x, -3), 2), 2), 2);
    assert_int_equal(dim_less(&c, last, x), 1);
    assert_int_equal(dim_less(&c, x, last), 0);
}

static void rest_and_quotient_belong_together(void **state) {
    (void)state;
    static Ctx c;
    Symbol h = symbol(&c, "H", 0, INT32_MAX);
    Dim x = dim_symbol(&c, &h);
    assert_true(
        dim_equal(&c, dim_sub(&c, x, times(&c, over(&c, x, 3), 3)), dim_mod(&c, x, dim(&c, 3))));
}

static void what_is_too_large_is_said_and_survived(void **state) {
    (void)state;
    static Ctx c;
    Symbol h = symbol(&c, "H", 0, INT32_MAX), w = symbol(&c, "W", 0, INT32_MAX);
    Dim x = dim(&c, 3), y = plus(&c, dim_add(&c, dim_symbol(&c, &h), dim_symbol(&c, &w)), 1);
    for (int i = 0; i < 100; i++)
        x = dim_mul(&c, x, x);
    assert_int_equal(c.errors, 1);
    for (int i = 0; i < 100; i++)
        y = dim_mul(&c, y, plus(&c, y, i));
    assert_int_equal(c.errors, 2);
    assert_true(y->n > 0);
}

/* Random expressions over x and y: the normal form, the bounds and the plain value agree. */
static void normal_forms_keep_the_value(void **state) {
    (void)state;
    static Ctx c;
    Symbol sx = symbol(&c, "x", -20, 20), sy = symbol(&c, "y", 1, 15);
    uint32_t seed = 1;
#define PICK(n) ((int)((seed = seed * 1664525u + 1013904223u) >> 8) % (n))
    for (int turn = 0; turn < 4000; turn++) {
        int64_t vx = PICK(41) - 20, vy = PICK(15) + 1, v[4] = { vx, vy, PICK(9) - 4, vx + vy };
        Dim d[4] = { dim_symbol(&c, &sx), dim_symbol(&c, &sy), dim(&c, v[2]) };
        d[3] = dim_add(&c, d[0], d[1]);
        for (int k = 0; k < 8; k++) {
            int i = PICK(4), j = PICK(4), to = PICK(4);
            int64_t by = PICK(7) + 2, a = v[i], b = v[j], q = a / by - (a % by < 0), lo, hi, got;
            Dim n = dim(&c, by), r;
            if (a > 1000 || a < -1000 || b > 1000 || b < -1000)
                break;
            switch (PICK(7)) {
            case 0:  r = dim_add(&c, d[i], d[j]); a = a + b; break;
            case 1:  r = dim_sub(&c, d[i], d[j]); a = a - b; break;
            case 2:  r = dim_mul(&c, d[i], d[j]); a = a * b; break;
            case 3:  r = dim_floordiv(&c, d[i], n); a = q; break;
            case 4:  r = dim_mod(&c, d[i], n); a = a - q * by; break;
            case 5:  r = dim_min(&c, d[i], d[j]); a = a < b ? a : b; break;
            default: r = dim_max(&c, d[i], d[j]); a = a > b ? a : b; break;
            }
            d[to] = r;
            v[to] = a;
            dim_bounds(&c, r, &lo, &hi);
            assert_true(lo <= a && a <= hi);
            assert_true(dim_number(
                dim_subst(&c, dim_subst(&c, r, &sx, dim(&c, vx)), &sy, dim(&c, vy)), &got));
            assert_int_equal(got, a);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_of_convolutions_have_one_form),
        cmocka_unit_test(halving_and_doubling_is_no_identity),
        cmocka_unit_test(what_is_assumed_equal_is_equal),
        cmocka_unit_test(windows_end_inside),
        cmocka_unit_test(rest_and_quotient_belong_together),
        cmocka_unit_test(what_is_too_large_is_said_and_survived),
        cmocka_unit_test(normal_forms_keep_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
