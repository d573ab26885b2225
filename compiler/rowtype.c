/* rowtype.c: element types of terms (rules 31-33).
 *
 * A written number is AnyInt or AnyFloat until it meets a tensor, an index or a declared type; then
 * the whole subterm made of such numbers is rebuilt with that type (term_as). Two types that are
 * known do not mix. `fn_term` applies one scalar function under these rules and says what is wrong
 * if they forbid it. */
#include "row.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static bool is_any(Elem e) {
    return e == AnyInt || e == AnyFloat;
}

/* Integers are held exactly. A float type rounds, but not to infinity, nor to 0. */
static bool elem_holds(Ctx *c, Elem e, double v) {
    static const double range[][2] = {
        [I8] = { -0x1p7, 0x1p7 },    [I16] = { -0x1p15, 0x1p15 }, [I32] = { -0x1p31, 0x1p31 },
        [I64] = { -0x1p63, 0x1p63 }, [U8] = { 0, 0x1p8 },         [U16] = { 0, 0x1p16 },
        [U32] = { 0, 0x1p32 },       [U64] = { 0, 0x1p64 },
    };
    if (elem_is_float(e) && e != AnyFloat) {
        double kept = elem_cast(elem_storage(c, e), v);
        return isfinite(kept) == isfinite(v) && (kept == 0) == (v == 0);
    }
    if (!elem_is_int(e) || e == AnyInt)
        return true;
    return v == floor(v) && v >= range[e][0] && v < range[e][1];
}

const char *a_elem(Elem e) {
    static const char *const an[] = {
        [NoElem] = "nothing",   [Bool] = "a bool", [I8] = "an i8",      [I16] = "an i16",
        [I32] = "an i32",       [I64] = "an i64",  [U8] = "a u8",       [U16] = "a u16",
        [U32] = "a u32",        [U64] = "a u64",   [F16] = "an f16",    [BF16] = "a bf16",
        [F32] = "an f32",       [F64] = "an f64",  [Float] = "a float", [AnyInt] = "an integer",
        [AnyFloat] = "a float",
    };
    return an[e];
}

bool term_is_dim(Ctx *c, const Term *t, Dim *d) {
    if (t->elem != AnyInt)
        return false;
    if (t->kind == TSize) {
        *d = t->size;
        return true;
    }
    if (t->kind != TNumber || fabs(t->number) > 0x1p53)
        return false;
    *d = dim(c, (int64_t)t->number);
    return true;
}

Term *value_term(Ctx *c, const Value *v) {
    switch (v->kind) {
    case VInt:
        return term_size(c, v->whole);
    case VFloat:
        return term_number(c, AnyFloat, v->number);
    case VBool:
        return term_number(c, Bool, v->number);
    default:
        return NULL;
    }
}

Term *term_as(Ctx *c, Term *t, Elem e) {
    if (t->elem == e || !is_any(t->elem) || e == AnyInt)
        return t;
    if (t->kind == TNumber)
        return term_number(c, e, t->number);
    if (t->kind == TSize)
        return elem_is_float(e) ? term_apply1(c, FnCast, e, t) : t;
    if (t->kind != TApply || t->fn->id == FnCast)
        return term_apply1(c, FnCast, e, t);
    Term *arg[8];
    assert(t->n <= 8);
    for (int k = 0; k < t->n; k++)
        arg[k] = term_as(c, t->kid[k], e);
    return term_apply(c, t->fn, e, arg);
}

/* The type two sides have in common; NoElem if they do not mix. A float that is whole may be an
 * integer. */
static Elem join_elems(Ctx *c, Elem a, Elem b, const Term *x, const Term *y) {
    if (a == b)
        return a;
    if (a == NoElem || b == NoElem)
        return a == NoElem ? b : a;
    if (a == AnyInt && b != Bool)
        return b;
    if (b == AnyInt && a != Bool)
        return a;
    if (a == AnyFloat && elem_is_float(b))
        return b;
    if (b == AnyFloat && elem_is_float(a))
        return a;
    if (a == AnyFloat && elem_is_int(b) && x->kind == TNumber && elem_holds(c, b, x->number))
        return b;
    if (b == AnyFloat && elem_is_int(a) && y->kind == TNumber && elem_holds(c, a, y->number))
        return a;
    return NoElem;
}

static bool join_all(Ctx *c, Term **arg, int from, int n, Elem *out, Fault *fault, int *which) {
    Elem e = arg[from]->elem;
    int typed = from;
    for (int k = from + 1; k < n; k++) {
        Elem next = join_elems(c, e, arg[k]->elem, arg[typed], arg[k]);
        if (next == NoElem) {
            bool one = e == Bool, other = arg[k]->elem == Bool;
            *which = other || (!one && is_any(arg[k]->elem)) ? k : typed;
            *fault = one || other ? FaultBool : is_any(arg[*which]->elem) ? FaultNumber : FaultMix;
            return false;
        }
        if (next != e || is_any(arg[typed]->elem))
            typed = k;
        e = next;
    }
    for (int k = from; k < n; k++)
        if (arg[k]->kind == TNumber && is_any(arg[k]->elem) && !elem_holds(c, e, arg[k]->number)) {
            *which = k;
            *fault = FaultNumber;
            return false;
        }
    *out = e;
    return true;
}

/* Compile-time integers stay polynomials. NULL: no such form. */
static Term *dims_term(Ctx *c, FnId id, Dim a, Dim b, Fault *fault) {
    Dim q;
    int64_t n;
    switch (id) {
    case FnAdd:
        return term_size(c, dim_add(c, a, b));
    case FnSub:
        return term_size(c, dim_sub(c, a, b));
    case FnMul:
        return term_size(c, dim_mul(c, a, b));
    case FnMax:
        return term_size(c, dim_max(c, a, b));
    case FnMin:
        return term_size(c, dim_min(c, a, b));
    case FnFloorDiv:
    case FnMod:
        if (dim_is(b, 0)) {
            *fault = FaultDivide;
            return NULL;
        }
        return term_size(c, id == FnMod ? dim_mod(c, a, b) : dim_floordiv(c, a, b));
    case FnDiv:
        if (dim_is(b, 0) || !dim_exact(c, a, b, &q)) {
            *fault = FaultDivide;
            return NULL;
        }
        return term_size(c, q);
    case FnPow:
        if (!dim_number(b, &n) || n < 0 || n > 62)
            return NULL;
        for (q = dim(c, 1); n > 0; n--)
            q = dim_mul(c, q, a);
        return term_size(c, q);
    case FnEq:
    case FnNe:
        if (dim_equal(c, a, b))
            return term_number(c, Bool, id == FnEq);
        if (dim_less(c, a, b) == 1 || dim_less(c, b, a) == 1)
            return term_number(c, Bool, id == FnNe);
        return NULL;
    case FnLt:
    case FnGe: {
        int l = dim_less(c, a, b);
        return l < 0 ? NULL : term_number(c, Bool, (id == FnLt) == l);
    }
    case FnGt:
    case FnLe: {
        int l = dim_less(c, b, a);
        return l < 0 ? NULL : term_number(c, Bool, (id == FnGt) == l);
    }
    default:
        return NULL;
    }
}

enum { Compares = 1, Floats = 2, Numbers = 4, Bools = 8, Ints = 16, Chooses = 32 };

static int demands(FnId id) {
    static const int row[] = {
        [FnAdd] = Numbers,
        [FnSub] = Numbers,
        [FnMul] = Numbers,
        [FnDiv] = Numbers | Floats,
        [FnFloorDiv] = Numbers,
        [FnMod] = Numbers,
        [FnPow] = Numbers | Floats,
        [FnNeg] = Numbers,
        [FnMax] = Numbers,
        [FnMin] = Numbers,
        [FnAbs] = Numbers,
        [FnSign] = Numbers,
        [FnEq] = Compares,
        [FnNe] = Compares,
        [FnLt] = Compares | Numbers,
        [FnLe] = Compares | Numbers,
        [FnGt] = Compares | Numbers,
        [FnGe] = Compares | Numbers,
        [FnAnd] = Bools,
        [FnOr] = Bools,
        [FnNot] = Bools,
        [FnWhere] = Chooses,
        [FnIsNan] = Compares | Numbers | Floats,
        [FnIsInf] = Compares | Numbers | Floats,
        [FnBand] = Ints,
        [FnBor] = Ints,
        [FnBxor] = Ints,
        [FnShl] = Ints,
        [FnShr] = Ints,
        [FnExtern] = Numbers | Floats,
    };
    return id < sizeof row / sizeof *row ? row[id] : 0;
}

/* Do the types meet what the function asks? e is their common type. */
static bool meets(int need, Elem e, Term **arg, int n, Fault *fault, int *which) {
    *which = 0;
    for (int k = n - 1; k >= 0; k--)
        if (!is_any(arg[k]->elem))
            *which = k;
    if ((need & Numbers) && e == Bool)
        *fault = FaultBool;
    else if ((need & Bools) && e != Bool)
        *fault = FaultNotBool;
    else if ((need & Ints) && !elem_is_int(e))
        *fault = FaultNotInt;
    else if ((need & Floats) && elem_is_int(e) && e != AnyInt)
        *fault = FaultNotFloat;
    return *fault == Fine;
}

Term *fn_term(Ctx *c, const Fn *f, Elem to, Term **arg, int n, Fault *fault, int *which) {
    Term *own[8];
    Dim a, b;
    Elem e;
    int need = demands(f->id), from = need & Chooses ? 1 : 0;
    *fault = Fine;
    *which = 0;
    assert(n >= 1 && n <= 8);
    if (f->id == FnCast)
        return arg[0]->kind == TNumber && is_any(arg[0]->elem) && elem_is_float(to)
                   ? term_number(c, to, arg[0]->number)
                   : term_apply1(c, FnCast, to, arg[0]);
    if (n == 2 && term_is_dim(c, arg[0], &a) && term_is_dim(c, arg[1], &b)) {
        Term *t = dims_term(c, f->id, a, b, fault);
        if (t || *fault)
            return t;
    }
    if (n == 1 && f->id == FnNeg && term_is_dim(c, arg[0], &a))
        return term_size(c, dim_sub(c, dim(c, 0), a));
    if ((need & Chooses) && arg[0]->elem != Bool) {
        *fault = FaultNotBool;
        return NULL;
    }
    if (!join_all(c, arg, from, n, &e, fault, which)) {
        if (need & Bools)
            *fault = FaultNotBool;
        if (*fault == FaultBool && !(need & Numbers))
            *fault = FaultMix;
        return NULL;
    }
    if (!meets(need, e, arg + from, n - from, fault, which)) {
        if (*fault == FaultNotFloat && f->id != FnExtern && !(need & Compares))
            *fault = FaultIntDivide;
        return NULL;
    }
    if ((need & Floats) && e == AnyInt)
        e = AnyFloat;
    for (int k = 0; k < n; k++)
        own[k] = k < from ? arg[k] : term_as(c, arg[k], e);
    return term_apply(c, f, need & Compares ? Bool : e, own);
}

/* What is wrong, said without knowing the user's text: for operators of the library. */
char *fault_text(Ctx *c, Fault fault, const Fn *f, Term **arg, int n, int which) {
    const char *first = elem_name(arg[n > 2 ? 1 : 0]->elem), *last = elem_name(arg[n - 1]->elem);
    switch (fault) {
    case FaultMix:
        return format(c, "%s and %s do not mix", first, last);
    case FaultBool:
        return format(c, "arithmetic on bool");
    case FaultNotBool:
        return format(c, "`%s` needs a bool, found %s", f->name, elem_name(arg[which]->elem));
    case FaultIntDivide:
        return format(c, "`%s` of integer tensors (%s) is not defined", f->name,
                      elem_name(arg[which]->elem));
    case FaultNotFloat:
        return format(c, "`%s` of %s is not defined: it needs a float", f->name,
                      a_elem(arg[which]->elem));
    case FaultNotInt:
        return format(c, "`%s` needs an integer, found %s", f->name, elem_name(arg[which]->elem));
    case FaultDivide:
        if (f->id != FnDiv || (arg[1]->kind == TNumber && arg[1]->number == 0))
            return format(c, "%s is divided by zero", term_text(c, arg[0]));
        return format(c, "%s / %s is not a whole number (`//` rounds down)", term_text(c, arg[0]),
                      term_text(c, arg[1]));
    case FaultNumber: {
        const Term *other = arg[which == n - 1 && n > 1 ? n - 2 : n - 1];
        Elem e = other->elem == Float ? elem_storage(c, Float) : other->elem;
        return format(c, "%s is not %s", term_text(c, arg[which]), a_elem(e));
    }
    default:
        return format(c, "");
    }
}

bool elem_admits(Name type, Elem e) {
    if (!strcmp(type, "any"))
        return true;
    if (!strcmp(type, "int"))
        return elem_is_int(e);
    if (!strcmp(type, "float"))
        return elem_is_float(e);
    if (!strcmp(type, "bool"))
        return e == Bool;
    if (is_any(e))
        return elem_named(type) != Bool && (e == AnyInt || elem_is_float(elem_named(type)));
    return elem_named(type) == e;
}

Elem elem_settled(Row *r, Elem e) {
    if (e == AnyFloat)
        return elem_is_float(r->number) ? r->number : Float;
    return e == AnyInt ? I32 : e;
}
