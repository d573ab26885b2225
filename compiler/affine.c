/* affine.c: integer terms as sums, and the interval each lies in.
 *
 * An integer term is read as `sum of coefficient * part + base`: a part is an index or anything
 * else that is no sum, coefficients and base are sizes. Sums are written back in the order in
 * which their parts appeared, equal parts joined. Divisions take out what is a multiple, and go
 * where the rest provably lies in [0, divisor).
 *
 * What comes from data may wrap; of such terms only the interval of the whole is used. */
#include "compiler.h"

#include <math.h>
#include <string.h>

enum { MostParts = 16 };
typedef struct SumPart { Term *term; Dim coef; } SumPart;
typedef struct Parts { SumPart part[MostParts]; int n; Dim base; } Parts;

static bool wide(Elem e) {
    return e == I32 || e == I64 || e == AnyInt;
}

static bool is_fn(const Term *t, FnId f) {
    return t->kind == TApply && t->fn->id == f;
}

static bool constant_of(Ctx *c, const Term *t, Dim *d) {
    if (t->kind == TSize) {
        *d = t->size;
        return true;
    }
    if (t->kind != TNumber || !elem_is_int(t->elem) || fabs(t->number) > 0x1p53)
        return false;
    *d = dim(c, (int64_t)t->number);
    return true;
}

/* ---- sums */

static bool part_add(Ctx *c, Term *t, Dim by, Parts *l) {
    int i = 0;
    while (i < l->n && l->part[i].term != t)
        i++;
    if (i == MostParts)
        return false;
    Dim sum = i < l->n ? dim_add(c, l->part[i].coef, by) : by;
    l->part[i] = (SumPart){ t, sum };
    if (i == l->n)
        l->n++;
    if (dim_is(sum, 0))
        memmove(&l->part[i], &l->part[i + 1], sizeof(SumPart) * (size_t)(--l->n - i));
    return true;
}

static bool parts_add(Ctx *c, Term *t, Dim by, Parts *l) {
    Dim d;
    if (constant_of(c, t, &d)) {
        l->base = dim_add(c, l->base, dim_mul(c, d, by));
        return true;
    }
    if (t->kind != TApply || !wide(t->elem))
        return part_add(c, t, by, l);
    switch (t->fn->id) {
    case FnAdd: return parts_add(c, t->kid[0], by, l) && parts_add(c, t->kid[1], by, l);
    case FnSub:
        return parts_add(c, t->kid[0], by, l) &&
               parts_add(c, t->kid[1], dim_sub(c, dim(c, 0), by), l);
    case FnNeg: return parts_add(c, t->kid[0], dim_sub(c, dim(c, 0), by), l);
    case FnMul:
        if (constant_of(c, t->kid[1], &d))
            return parts_add(c, t->kid[0], dim_mul(c, by, d), l);
        if (constant_of(c, t->kid[0], &d))
            return parts_add(c, t->kid[1], dim_mul(c, by, d), l);
        break;
    default: break;
    }
    return part_add(c, t, by, l);
}

static int part_of(const Parts *l, FnId f, const Term *x, const Term *d) {
    for (int i = 0; i < l->n; i++) {
        const Term *t = l->part[i].term;
        if (is_fn(t, f) && t->kid[0] == x && t->kid[1] == d)
            return i;
    }
    return -1;
}

/* k * (x // k) + x % k is x. */
static bool join_mods(Ctx *c, Parts *l) {
    for (int i = 0; i < l->n; i++) {
        Term *mod = l->part[i].term;
        Dim k, coef = l->part[i].coef;
        if (!is_fn(mod, FnMod) || !constant_of(c, mod->kid[1], &k))
            continue;
        int q = part_of(l, FnFloorDiv, mod->kid[0], mod->kid[1]);
        if (q < 0 || l->part[q].coef != dim_mul(c, coef, k))
            continue;
        Dim minus = dim_sub(c, dim(c, 0), coef);
        if (!part_add(c, l->part[q].term, dim_mul(c, minus, k), l) || !part_add(c, mod, minus, l))
            return false;
        return parts_add(c, mod->kid[0], coef, l) && join_mods(c, l);
    }
    return true;
}

static bool parts_of(Ctx *c, Term *t, Parts *l) {
    *l = (Parts){ .base = dim(c, 0) };
    return parts_add(c, t, dim(c, 1), l) && join_mods(c, l);
}

static bool reads_minus(Dim d) {
    return d->n && d->term[0].coef < 0;
} /* reads as a negative number */

static Term *typed_size(Ctx *c, Elem e, Dim d) {
    int64_t n;
    return dim_number(d, &n) ? term_number(c, e, (double)n) : term_size(c, d);
}

static Term *apply_plain(Ctx *c, FnId f, Elem e, Term *a, Term *b) {
    return term_plain(c, fn(f), e, (Term *[]){ a, b });
}

static Term *times_size(Ctx *c, Elem e, Term *t, Dim by) {
    return dim_is(by, 1)    ? t
           : dim_is(by, -1) ? term_plain(c, fn(FnNeg), e, &t)
                            : apply_plain(c, FnMul, e, t, typed_size(c, e, by));
}

/* The sum as a term. It begins with the first part that is not subtracted. */
static Term *parts_written(Ctx *c, Elem e, const Parts *l) {
    int head = 0;
    Dim zero = dim(c, 0);
    while (head < l->n && reads_minus(l->part[head].coef))
        head++;
    bool base_first = head == l->n && (l->n == 0 || (l->base->n && !reads_minus(l->base)));
    if (head == l->n)
        head = 0;
    Term *t = base_first ? typed_size(c, e, l->base)
                         : times_size(c, e, l->part[head].term, l->part[head].coef);
    for (int i = 0; i < l->n; i++) {
        if (i == head && !base_first)
            continue;
        Dim by = l->part[i].coef;
        bool less = reads_minus(by);
        t = apply_plain(c, less ? FnSub : FnAdd, e, t,
                        times_size(c, e, l->part[i].term, less ? dim_sub(c, zero, by) : by));
    }
    if (base_first || !l->base->n)
        return t;
    bool less = reads_minus(l->base);
    return apply_plain(c, less ? FnSub : FnAdd, e, t,
                       typed_size(c, e, less ? dim_sub(c, zero, l->base) : l->base));
}

bool term_affine(Ctx *c, const Term *t, Affine *a) {
    Parts l;
    *a = (Affine){ .base = dim(c, 0) };
    if (!parts_of(c, (Term *)(uintptr_t)t, &l) || l.n > MaxRank * 2)
        return false;
    for (int i = 0; i < l.n; i++) {
        int64_t coef;
        if (l.part[i].term->kind != TIndex || !dim_number(l.part[i].coef, &coef))
            return false;
        a->index[a->n] = l.part[i].term->index;
        a->coef[a->n++] = coef;
    }
    a->base = l.base;
    return true;
}

/* ---- intervals */

typedef struct Ends { Dim lo, hi; } Ends;                /* inclusive; NULL: not known */

static int64_t type_end(Elem e, bool high) {
    static const struct { int64_t lo, hi; } ends[] = {
        [Bool] = { 0, 1 },
        [I8]  = { INT8_MIN, INT8_MAX },   [U8]  = { 0, UINT8_MAX },
        [I16] = { INT16_MIN, INT16_MAX }, [U16] = { 0, UINT16_MAX },
        [I32] = { INT32_MIN, INT32_MAX }, [U32] = { 0, UINT32_MAX },
        [U64] = { 0, (int64_t)1 << 62 },
    };
    if (e == I64 || e == AnyInt || (size_t)e >= sizeof ends / sizeof *ends)
        return high ? (int64_t)1 << 62 : -((int64_t)1 << 62);
    return high ? ends[e].hi : ends[e].lo;
}

/* Of a value nothing else is known of. */
static Ends type_ends(Ctx *c, Elem e) {
    bool small = e == Bool || e == I8 || e == I16 || e == U8 || e == U16,
         from_0 = e == U32 || e == U64;
    return (Ends){ small || from_0 ? dim(c, type_end(e, false)) : NULL,
                   small ? dim(c, type_end(e, true)) : NULL };
}

static bool fits_elem(Ctx *c, Dim d, Elem e) {
    int64_t lo, hi;
    dim_bounds(c, d, &lo, &hi);
    return lo >= type_end(e, false) && hi <= type_end(e, true);
}

static bool never_minus(Ctx *c, Dim d) {
    int64_t lo, hi;
    dim_bounds(c, d, &lo, &hi);
    return lo >= 0;
}

/* A number whose products might leave 62 bits. */
static bool large(Dim d) {
    int64_t n;
    return dim_number(d, &n) && (n > (int64_t)1 << 40 || n < -((int64_t)1 << 40));
}

static Ends ends(Ctx *c, Term *t);

static Ends sum_ends(Ctx *c, const Parts *l) {
    Ends sum = { l->base, l->base };
    for (int i = 0; i < l->n; i++) {
        Ends x = ends(c, l->part[i].term);
        Dim by = l->part[i].coef;
        bool up = never_minus(c, by), down = never_minus(c, dim_sub(c, dim(c, 0), by));
        Dim lo = up ? x.lo : x.hi, hi = up ? x.hi : x.lo;
        if (!(up || down) || large(by))
            return (Ends){ NULL, NULL };
        sum.lo = sum.lo && lo && !large(lo) ? dim_add(c, sum.lo, dim_mul(c, by, lo)) : NULL;
        sum.hi = sum.hi && hi && !large(hi) ? dim_add(c, sum.hi, dim_mul(c, by, hi)) : NULL;
    }
    return sum;
}

static Ends product_ends(Ctx *c, Ends a, Ends b) {
    if (!a.lo || !b.lo || !never_minus(c, a.lo) || !never_minus(c, b.lo))
        return (Ends){ NULL, NULL };
    if (large(a.lo) || large(b.lo) || (a.hi && large(a.hi)) || (b.hi && large(b.hi)))
        return (Ends){ dim(c, 0), NULL };
    return (Ends){ dim_mul(c, a.lo, b.lo), a.hi && b.hi ? dim_mul(c, a.hi, b.hi) : NULL };
}

static Ends quotient_ends(Ctx *c, Ends a, Term *by) {
    Dim k;
    if (constant_of(c, by, &k) && never_minus(c, k) && !dim_is(k, 0))
        return (Ends){ a.lo ? dim_floordiv(c, a.lo, k) : NULL,
                       a.hi ? dim_floordiv(c, a.hi, k) : NULL };
    Ends b = ends(c, by);
    if (a.lo && b.lo && never_minus(c, a.lo) && never_minus(c, b.lo))
        return (Ends){ dim(c, 0), a.hi };
    return (Ends){ NULL, NULL };
}

static Ends rest_ends(Ctx *c, Term *by) {
    Ends b = ends(c, by);
    if (!b.lo || !never_minus(c, b.lo))
        return (Ends){ NULL, NULL };
    return (Ends){ dim(c, 0), b.hi ? dim_sub(c, b.hi, dim(c, 1)) : NULL };
}

static Ends join_ends(Ctx *c, FnId f, Ends a, Ends b) {
    Ends r = { a.lo && b.lo ? f == FnMax ? dim_max(c, a.lo, b.lo) : dim_min(c, a.lo, b.lo) : NULL,
               a.hi && b.hi ? f == FnMin ? dim_min(c, a.hi, b.hi) : dim_max(c, a.hi, b.hi) : NULL };
    if (f == FnMax && !r.lo)
        r.lo = a.lo ? a.lo : b.lo; /* one side alone bounds it */
    if (f == FnMin && !r.hi)
        r.hi = a.hi ? a.hi : b.hi;
    return r;
}

static Ends apply_ends(Ctx *c, Term *t) {
    Parts l;
    Term *a = t->kid[0], *b = t->n > 1 ? t->kid[1] : NULL;
    switch (t->fn->id) {
    case FnAdd:
    case FnSub:
    case FnNeg: return wide(t->elem) && parts_of(c, t, &l) ? sum_ends(c, &l) : (Ends){ NULL, NULL };
    case FnMul:
        if (wide(t->elem) && parts_of(c, t, &l) && !(l.n == 1 && l.part[0].term == t))
            return sum_ends(c, &l);
        return product_ends(c, ends(c, a), ends(c, b));
    case FnFloorDiv: return quotient_ends(c, ends(c, a), b);
    case FnMod:      return rest_ends(c, b);
    case FnMin: case FnMax: return join_ends(c, t->fn->id, ends(c, a), ends(c, b));
    case FnWhere:    return join_ends(c, FnWhere, ends(c, b), ends(c, t->kid[2]));
    case FnSign:     return (Ends){dim(c, -1), dim(c, 1)};
    case FnAbs:      return ends(c, a).lo && never_minus(c, ends(c, a).lo) ? ends(c, a) : (Ends){dim(c, 0), NULL};
    case FnCast:     return elem_is_float(a->elem) ? (Ends){NULL, NULL} : ends(c, a);
    case FnStopGradient: return ends(c, a);
    default:         return (Ends){NULL, NULL};
    }
}

/* needs: an integer or bool term. gives: what it provably lies between. */
static Ends ends(Ctx *c, Term *t) {
    Dim d;
    Ends all = type_ends(c, t->elem);
    if (constant_of(c, t, &d))
        return (Ends){ d, d };
    if (t->kind == TIndex) {
        int64_t n;
        bool empty = dim_number(t->index->size, &n) && n < 1;
        return (Ends){ dim(c, 0), empty ? dim(c, 0) : dim_sub(c, t->index->size, dim(c, 1)) };
    }
    if (t->kind != TApply || !elem_is_int(t->elem))
        return all;
    Ends r = apply_ends(c, t);
    bool wraps = term_reads(t) && !((!r.lo || fits_elem(c, r.lo, t->elem)) &&
                                    (!r.hi || fits_elem(c, r.hi, t->elem)));
    bool sum = t->fn->id == FnAdd || t->fn->id == FnSub || t->fn->id == FnMul || t->fn->id == FnNeg;
    if (sum && term_reads(t) && (!r.lo || !r.hi))
        wraps = true;
    if (wraps)
        return all;
    return (Ends){ r.lo ? r.lo : all.lo, r.hi ? r.hi : all.hi };
}

bool term_range(Ctx *c, const Term *t, int64_t *lo, int64_t *hi) {
    int64_t unused;
    *lo = type_end(t->elem, false);
    *hi = type_end(t->elem, true);
    if (!elem_is_int(t->elem) && t->elem != Bool)
        return false;
    Ends e = ends(c, (Term *)(uintptr_t)t);
    if (e.lo)
        dim_bounds(c, e.lo, lo, &unused);
    if (e.hi)
        dim_bounds(c, e.hi, &unused, hi);
    return true;
}

bool term_inside(Ctx *c, const Term *t, Dim size) {
    if (!elem_is_int(t->elem))
        return false;
    if (t->kind == TIndex && t->index->size == size)
        return true;
    Ends e = ends(c, (Term *)(uintptr_t)t);
    return e.lo && e.hi && never_minus(c, e.lo) && dim_less(c, e.hi, size) == 1;
}

/* ---- division */

/* a = q * k + r: what k divides goes to q, and of a plain number what is a multiple. */
static void split_parts(Ctx *c, const Parts *a, Dim k, Parts *q, Parts *r) {
    *q = *r = (Parts){ .n = 0 };
    dim_split(c, a->base, k, &q->base, &r->base);
    for (int i = 0; i < a->n; i++) {
        Dim by;
        bool whole = dim_exact(c, a->part[i].coef, k, &by);
        Parts *to = whole ? q : r;
        to->part[to->n++] = (SumPart){ a->part[i].term, whole ? by : a->part[i].coef };
    }
}

/* 0 <= r < k? */
static bool rest_inside(Ctx *c, const Parts *r, Dim k) {
    Ends e = sum_ends(c, r);
    return e.lo && e.hi && never_minus(c, e.lo) && dim_less(c, e.hi, k) == 1;
}

static int64_t parts_factor(const Parts *r, int64_t k) {
    for (int i = 0; i < r->n; i++) {
        int64_t a = 1;
        dim_number(r->part[i].coef, &a);
        while (a) {
            int64_t t = k % a;
            k = a;
            a = t;
        }
    }
    return k < 0 ? -k : k;
}

static Parts shrunk(Ctx *c, const Parts *r, int64_t g) {
    Parts s = *r;
    Dim by = dim(c, g);
    s.base = dim_floordiv(c, r->base, by);
    for (int i = 0; i < s.n; i++)
        dim_exact(c, r->part[i].coef, by, &s.part[i].coef);
    return s;
}

static Parts single(Ctx *c, Term *t) {
    return (Parts){ .part = { { t, dim(c, 1) } }, .n = 1, .base = dim(c, 0) };
}

/* q + by * t */
static Term *sum_with(Ctx *c, Elem e, Parts q, Term *t, Dim by, Dim base) {
    q.base = dim_add(c, q.base, base);
    return parts_add(c, t, by, &q) ? parts_written(c, e, &q) : NULL;
}

/* (x // a) // k is x // (a k), and x % a inside % k is x where k divides a. */
static Term *nested(Ctx *c, FnId f, Elem e, Term *x, int64_t k) {
    Dim d;
    int64_t a;
    if (!is_fn(x, f) || !constant_of(c, x->kid[1], &d) || !dim_number(d, &a) || a < 1)
        return NULL;
    if (f == FnFloorDiv && a < INT32_MAX / k)
        return term_apply2(c, f, e, x->kid[0], term_number(c, e, (double)(a * k)));
    return f == FnMod && a % k == 0 ? term_apply2(c, f, e, x->kid[0], term_number(c, e, (double)k))
                                    : NULL;
}

static Term *quotient_or_rest(Ctx *c, FnId f, Elem e, Term *x, Term *by) {
    Parts a, q, r;
    Dim d, zero = dim(c, 0), one = dim(c, 1);
    int64_t k = 0, n;
    bool div = f == FnFloorDiv;
    if (!constant_of(c, by, &d) || dim_is(d, 0) || !never_minus(c, d))
        return NULL;
    if (dim_is(d, 1))
        return div ? x : term_number(c, e, 0.0);
    if (term_reads(x))
        a = single(c, x);
    else if (!parts_of(c, x, &a))
        return NULL;
    if (a.n == 0)
        return typed_size(c, e, div ? dim_floordiv(c, a.base, d) : dim_mod(c, a.base, d));
    split_parts(c, &a, d, &q, &r);
    if (rest_inside(c, &r, d))
        return parts_written(c, e, div ? &q : &r);
    if (!dim_number(d, &k))
        return NULL;
    Term *t = r.n == 1 && !r.base->n && dim_is(r.part[0].coef, 1)
                  ? nested(c, f, e, r.part[0].term, k)
                  : NULL;
    if (t)
        return sum_with(c, e, div ? q : (Parts){ .base = zero }, t, one, zero);
    int64_t g = dim_number(r.base, &n) ? parts_factor(&r, k) : 1;
    if (g == 1 && q.n == 0 && !q.base->n)
        return NULL;
    Parts s = shrunk(c, &r, g);
    Term *rest = term_apply2(c, f, e, parts_written(c, e, &s), term_number(c, e, (double)(k / g)));
    return div ? sum_with(c, e, q, rest, one, zero)
               : sum_with(c, e, (Parts){ .base = zero }, rest, dim(c, g),
                          dim_mod(c, r.base, dim(c, g)));
}

/* ---- comparison */

/* The interval of a - b; sums are subtracted as such where nothing in them can wrap. */
static Ends difference(Ctx *c, Term *a, Term *b) {
    Parts l = { .base = dim(c, 0) };
    Dim minus_1 = dim(c, -1);
    if (!term_reads(a) && !term_reads(b) && parts_add(c, a, dim(c, 1), &l) &&
        parts_add(c, b, minus_1, &l) && join_mods(c, &l))
        return sum_ends(c, &l);
    Ends x = ends(c, a), y = ends(c, b);
    return (Ends){ x.lo && y.hi ? dim_sub(c, x.lo, y.hi) : NULL,
                   x.hi && y.lo ? dim_sub(c, x.hi, y.lo) : NULL };
}

static Term *compared(Ctx *c, FnId f, Term *a, Term *b) {
    Ends e = difference(c, a, b);
    int64_t lo = INT64_MIN, hi = INT64_MAX, unused;
    if (a == b)
        lo = hi = 0;
    else if (e.lo || e.hi) {
        if (e.lo)
            dim_bounds(c, e.lo, &lo, &unused);
        if (e.hi)
            dim_bounds(c, e.hi, &unused, &hi);
    }
    int known = -1;
    switch (f) {
    case FnLt: known = hi < 0 ? 1 : lo >= 0 ? 0 : -1; break;
    case FnLe: known = hi <= 0 ? 1 : lo > 0 ? 0 : -1; break;
    case FnGt: known = lo > 0 ? 1 : hi <= 0 ? 0 : -1; break;
    case FnGe: known = lo >= 0 ? 1 : hi < 0 ? 0 : -1; break;
    case FnEq: known = lo == 0 && hi == 0 ? 1 : lo > 0 || hi < 0 ? 0 : -1; break;
    default:   known = lo == 0 && hi == 0 ? 0 : lo > 0 || hi < 0 ? 1 : -1; break;
    }
    return known < 0 ? NULL : term_number(c, Bool, known);
}

static Term *decided(Ctx *c, bool max, Elem e, Term *a, Term *b) {
    Dim x, y;
    if (constant_of(c, a, &x) && constant_of(c, b, &y))
        return typed_size(c, e, max ? dim_max(c, x, y) : dim_min(c, x, y));
    Term *less = compared(c, FnLe, a, b);
    if (!less)
        less = compared(c, FnGe, b, a);
    if (less)
        return (less->number != 0.0) == max ? b : a;
    Term *more = compared(c, FnGe, a, b);
    return more && more->number != 0.0 ? max ? a : b : NULL;
}

/* ---- what term_apply asks */

static bool number_is(const Term *t, double v) {
    return t->kind == TNumber && t->number == v;
}

/* Of any integer type, and of what may have too many parts. */
static Term *narrow_integer(Ctx *c, FnId f, Elem e, Term **arg) {
    Term *a = arg[0], *b = arg[1];
    switch (f) {
    case FnAdd: return number_is(b, 0) ? a : number_is(a, 0) ? b : NULL;
    case FnSub: return number_is(b, 0) ? a : NULL;
    case FnMul:
        return number_is(b, 1)                      ? a
               : number_is(a, 1)                    ? b
               : number_is(a, 0) || number_is(b, 0) ? term_number(c, e, 0.0)
                                                    : NULL;
    default: return NULL;
    }
}

static Term *power(Ctx *c, Elem e, Term *a, Term *n) {
    if (number_is(n, 1))
        return a;
    if (number_is(n, 0))
        return term_number(c, e, 1.0);
    return number_is(n, 2) ? term_apply2(c, FnMul, e, a, a) : NULL;
}

Term *term_integer(Ctx *c, const Fn *f, Elem e, Term **arg) {
    Parts l;
    switch (f->id) {
    case FnAdd:
    case FnSub:
    case FnMul:
    case FnNeg:
        if (wide(e))
            return parts_of(c, term_plain(c, f, e, arg), &l) ? parts_written(c, e, &l) : NULL;
        return f->id == FnNeg ? NULL : narrow_integer(c, f->id, e, arg);
    case FnFloorDiv:
    case FnMod: return quotient_or_rest(c, f->id, e, arg[0], arg[1]);
    case FnMax:
    case FnMin: return arg[0] == arg[1] ? arg[0] : decided(c, f->id == FnMax, e, arg[0], arg[1]);
    case FnEq:
    case FnNe:
    case FnLt:
    case FnLe:
    case FnGt:
    case FnGe: return compared(c, f->id, arg[0], arg[1]);
    case FnPow: return power(c, e, arg[0], arg[1]);
    case FnAbs: return ends(c, arg[0]).lo && never_minus(c, ends(c, arg[0]).lo) ? arg[0] : NULL;
    case FnCast: return arg[0]->kind == TSize && wide(e) ? arg[0] : NULL;
    default:    return NULL;
    }
}
