/* value.c: compile-time values: numbers, lists, configs, and how messages show them.
 *
 * An integer is a Dim, a number or a polynomial of sizes; a float is a double. What cannot be decided
 * while compiling becomes a rank-0 tensor, or poison where it hangs on a parameter `check` does not know. */
#include "flatten.h"

#include <math.h>
#include <string.h>

/* ---- making -------------------------------------------------------------------------------------- */

Value no_value(void) {
    return (Value){ .kind = VPoison };
}
Value absent(void) {
    return (Value){ .kind = VNone };
}
bool is_absent(const Value *v) {
    return v->kind == VNone && !v->at.src && !v->item;
}
Value none_at(Span at) {
    return (Value){ .kind = VNone, .at = at };
}
Value dim_value(Dim d) {
    return (Value){ .kind = VInt, .whole = d };
}
Value int_value(Ctx *c, int64_t n) {
    return dim_value(dim(c, n));
}
Value float_value(double d) {
    return (Value){ .kind = VFloat, .number = d };
}
Value bool_value(bool b) {
    return (Value){ .kind = VBool, .number = b };
}
Value str_value(Name s) {
    return (Value){ .kind = VStr, .text = s };
}
Value list_value(Value *item, int n) {
    return (Value){ .kind = VList, .item = item, .n = n };
}
Value of_tensor(Tensor *t) {
    return (Value){ .kind = VTensor, .tensor = t, .at = t->at };
}

/* ---- asking ---------------------------------------------------------------------------------------- */

bool is_number(const Value *v) {
    return v->kind == VInt || v->kind == VFloat;
}

static bool any_item(const Value *v, bool (*holds)(const Value *)) {
    for (int i = 0; i < v->n; i++)
        if (holds(&v->item[i]))
            return true;
    return false;
}

bool has_tensor(const Value *v) {
    if (v->kind == VTensor)
        return true;
    return v->kind == VList && any_item(v, has_tensor);
}

bool has_poison(const Value *v) {
    if (v->kind == VPoison)
        return true;
    return v->kind == VList && any_item(v, has_poison);
}

bool as_double(const Value *v, double *d) {
    int64_t n;
    *d = v->number;
    if (v->kind == VFloat || v->kind == VBool)
        return true;
    if (v->kind != VInt || !dim_number(v->whole, &n))
        return false;
    *d = (double)n;
    return true;
}

typedef struct Asked {
    Elab *e;
    bool yes;
} Asked;

static void ask_symbol(Symbol *s, void *with) {
    Asked *q = with;
    if (map_get(&q->e->unknown, s))
        q->yes = true;
}

bool dim_unknown(Elab *e, Dim d) {
    if (!e->unknown.n)
        return false;
    Asked q = { e, false };
    dim_symbols(d, ask_symbol, &q);
    return q.yes;
}

bool value_unknown(Elab *e, const Value *v) {
    if (v->kind == VInt)
        return dim_unknown(e, v->whole);
    for (int i = 0; v->kind == VList && i < v->n; i++)
        if (value_unknown(e, &v->item[i]))
            return true;
    return false;
}

static bool items_equal(Ctx *c, const Value *a, const Value *b) {
    if (a->n != b->n || a->decl != b->decl)
        return false;
    for (int i = 0; i < a->n; i++)
        if (!value_equal(c, &a->item[i], &b->item[i]))
            return false;
    return true;
}

bool value_equal(Ctx *c, const Value *a, const Value *b) {
    double l, r;
    if (a->kind == VInt && b->kind == VInt)
        return dim_equal(c, a->whole, b->whole);
    if (is_number(a) && is_number(b))
        return as_double(a, &l) && as_double(b, &r) && l == r;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case VNone: return true;
    case VBool: return a->number == b->number;
    case VStr: return a->text == b->text;
    case VElem: return a->elem == b->elem;
    case VModel:
    case VOp: return a->decl == b->decl;
    case VRecipe: return a->recipe == b->recipe;
    case VTensor: return a->tensor == b->tensor;
    case VList:
    case VConfig: return items_equal(c, a, b);
    default: return false;
    }
}

/* ---- showing --------------------------------------------------------------------------------------- */

static char *number_text(Ctx *c, double d) {
    char *s = format(c, "%.17g", d);
    for (int digits = 6; digits < 17; digits++) {
        char *t = format(c, "%.*g", digits, d);
        double back;
        if (sscanf(t, "%lf", &back) == 1 && back == d) {
            s = t;
            break;
        }
    }
    return strpbrk(s, ".einf") ? s : format(c, "%s.0", s);
}

static char *items_text(Ctx *c, const Value *v, const char *open, const char *close) {
    enum { Shown = 8 };
    Text t = { 0 };
    text_add(c, &t, "%s", open);
    for (int i = 0; i < v->n && i < Shown; i++)
        text_add(c, &t, "%s%s", i ? ", " : "", value_text(c, &v->item[i]));
    text_add(c, &t, "%s%s", v->n > Shown ? ", …" : "", close);
    return t.s;
}

static const char *recipe_name(const Recipe *r) {
    if (r->decl)
        return r->decl->name;
    return r->fn ? r->fn->name : r->maker->name;
}

char *value_text(Ctx *c, const Value *v) {
    switch (v->kind) {
    case VPoison: return format(c, "…");
    case VNone: return format(c, "none");
    case VInt: return dim_text(c, v->whole);
    case VFloat: return number_text(c, v->number);
    case VBool: return format(c, v->number != 0 ? "true" : "false");
    case VStr: return format(c, "\"%s\"", v->text);
    case VElem: return format(c, "%s", elem_name(v->elem));
    case VList: return items_text(c, v, "[", "]");
    case VConfig: return format(c, "%s(…)", v->decl->name);
    case VTensor: return type_text(c, &v->tensor->type);
    case VModel:
    case VOp: return format(c, "%s", v->decl->name);
    case VRecipe: return format(c, "%s(…)", recipe_name(v->recipe));
    case VInit: return format(c, "%s()", v->init->kind);
    }
    return format(c, "?");
}

char *value_kind(Ctx *c, const Value *v) {
    switch (v->kind) {
    case VNone: return format(c, "none");
    case VInt: return format(c, "the int %s", value_text(c, v));
    case VFloat: return format(c, "the float %s", value_text(c, v));
    case VBool: return format(c, "%s", value_text(c, v));
    case VStr: return format(c, "a str");
    case VElem: return format(c, "a dtype");
    case VList: return format(c, "a list of %d", v->n);
    case VConfig: return format(c, "a %s", v->decl->name);
    case VTensor: return format(c, "a tensor");
    case VModel: return format(c, "the model %s, without its parameters", v->decl->name);
    case VOp: return format(c, "the op %s", v->decl->name);
    case VRecipe: return format(c, "a block");
    default: return format(c, "an initialiser");
    }
}

/* Sizes, and so ints, end at 2^62. */
Value int_at(Act *a, int64_t n, Span at) {
    static const int64_t most = (int64_t)1 << 62;
    if (n <= most && n >= -most)
        return int_value(a->e->c, n);
    error_at(a->e->c, at, "%lld is too large: an int goes to 2^62", (long long)n);
    return no_value();
}

/* ---- arithmetic ------------------------------------------------------------------------------------- */

static bool fits(Op op, int64_t a, int64_t b, int64_t *r) {
    switch (op) {
    case OpAdd:
        if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b)
            return false;
        *r = a + b;
        return true;
    case OpSub:
        if (b < 0 ? a > INT64_MAX + b : a < INT64_MIN + b)
            return false;
        *r = a - b;
        return true;
    default: break;
    }
    if (a == 0 || b == 0) {
        *r = 0;
        return true;
    }
    if ((a == -1 && b == INT64_MIN) || (b == -1 && a == INT64_MIN))
        return false;
    if (a > 0 ? (b > 0 ? a > INT64_MAX / b : b < INT64_MIN / a)
              : (b > 0 ? a < INT64_MIN / b : a < INT64_MAX / b))
        return false;
    *r = a * b;
    return true;
}

static Value overflow(Act *a, Op op, const Value *l, const Value *r, Span at) {
    Ctx *c = a->e->c;
    error_at(c, at, "%s %s %s does not fit in 64 bits", value_text(c, l), op_text(op),
             value_text(c, r));
    return no_value();
}

static Value zero_divisor(Act *a, Op op, const Value *l, Span at) {
    Ctx *c = a->e->c;
    error_at(c, at, "%s %s 0: division by zero", value_text(c, l), op_text(op));
    return no_value();
}

static Value inexact(Act *a, const Value *l, const Value *r, Span at) {
    Ctx *c = a->e->c;
    int64_t n, k;
    bool number = dim_number(l->whole, &n);
    if (number && dim_number(r->whole, &k)) {
        error_at(c, at, "%lld / %lld is not a whole number (`//` rounds down)", (long long)n,
                 (long long)k);
        return no_value();
    }
    char *s = value_text(c, l), *t = value_text(c, r);
    error_at(c, at, "%s / %s need not be a whole number (`//` rounds down)", s, t);
    if (!number)
        help(c, "`require %s %% %s == 0` makes it one", s, t);
    return no_value();
}

/* An integer to a power: b times itself. Bases 0, 1 and -1 never grow; others stop at 64 bits. */
static Value int_power(Act *a, const Value *l, const Value *r, Span at) {
    Ctx *c = a->e->c;
    int64_t n, base;
    if (!dim_number(r->whole, &n)) {
        if (dim_unknown(a->e, r->whole))
            return no_value();
        error_at(c, at, "an exponent must be a number, found %s", value_text(c, r));
        return no_value();
    }
    bool number = dim_number(l->whole, &base);
    if (n < 0)
        return number ? float_value(pow((double)base, (double)n)) : no_value();
    if (number && (base == 0 || base == 1))
        return int_value(c, n == 0 ? 1 : base);
    if (number && base == -1)
        return int_value(c, n % 2 ? -1 : 1);
    if (n > (number ? 63 : 8))
        return overflow(a, OpPow, l, r, at);
    Value p = int_value(c, 1);
    for (int64_t i = 0; i < n && p.kind == VInt; i++)
        p = number_op(a, OpMul, p, *l, at);
    return p;
}

static Value int_op(Act *a, Op op, Value l, Value r, Span at) {
    Ctx *c = a->e->c;
    int64_t x, y, z;
    Dim q;
    bool numbers = dim_number(l.whole, &x) && dim_number(r.whole, &y);
    switch (op) {
    case OpAdd:
    case OpSub:
    case OpMul:
        if (numbers && !fits(op, x, y, &z))
            return overflow(a, op, &l, &r, at);
        if (numbers)
            return int_at(a, z, at);
        return dim_value(op == OpAdd   ? dim_add(c, l.whole, r.whole)
                         : op == OpSub ? dim_sub(c, l.whole, r.whole)
                                       : dim_mul(c, l.whole, r.whole));
    case OpDiv:
    case OpFloorDiv:
    case OpMod:
        if (dim_is(r.whole, 0))
            return zero_divisor(a, op, &l, at);
        if (numbers && x == INT64_MIN && y == -1)
            return overflow(a, op, &l, &r, at);
        if (op == OpFloorDiv)
            return dim_value(dim_floordiv(c, l.whole, r.whole));
        if (op == OpMod)
            return dim_value(dim_mod(c, l.whole, r.whole));
        if (dim_exact(c, l.whole, r.whole, &q))
            return dim_value(q);
        if (dim_unknown(a->e, l.whole) || dim_unknown(a->e, r.whole))
            return no_value();
        return inexact(a, &l, &r, at);
    case OpPow: return int_power(a, &l, &r, at);
    default: return no_value();
    }
}

static Value float_op(Act *a, Op op, const Value *l, const Value *r, double x, double y, Span at) {
    switch (op) {
    case OpAdd: return float_value(x + y);
    case OpSub: return float_value(x - y);
    case OpMul: return float_value(x * y);
    case OpDiv:
        if (y == 0)
            return zero_divisor(a, op, l, at);
        return float_value(x / y);
    case OpPow: return float_value(pow(x, y));
    case OpFloorDiv:
        if (y == 0)
            return zero_divisor(a, op, l, at);
        return float_value(floor(x / y));
    case OpMod:
        if (y == 0)
            return zero_divisor(a, op, l, at);
        return float_value(x - floor(x / y) * y);
    default: (void)r; return no_value();
    }
}

/* A comparison of sizes that their bounds do not decide is a bool when the code runs. */
static Value undecided(Act *a, Op op, Value l, Value r, Span at) {
    static const FnId which[] = {
        [OpEq] = FnEq, [OpNe] = FnNe, [OpLt] = FnLt, [OpLe] = FnLe, [OpGt] = FnGt, [OpGe] = FnGe
    };
    if (a->e->check || dim_unknown(a->e, l.whole) || dim_unknown(a->e, r.whole))
        return no_value();
    Value arg[2] = { size_tensor(a, l.whole, I32), size_tensor(a, r.whole, I32) };
    return row_scalar(a->e->c, a->e->graph, fn(which[op]), NoElem, arg, 2, at, a->in->path, NULL);
}

static Value compare_ints(Act *a, Op op, Value l, Value r, Span at) {
    Ctx *c = a->e->c;
    int less = dim_less(c, l.whole, r.whole), more = dim_less(c, r.whole, l.whole);
    bool same = dim_equal(c, l.whole, r.whole);
    if (same)
        return bool_value(op == OpEq || op == OpLe || op == OpGe);
    if (less == 1)
        return bool_value(op == OpNe || op == OpLt || op == OpLe);
    if (more == 1)
        return bool_value(op == OpNe || op == OpGt || op == OpGe);
    if (op == OpLt && less == 0)
        return bool_value(false);
    if (op == OpGe && less == 0)
        return bool_value(true);
    if (op == OpGt && more == 0)
        return bool_value(false);
    if (op == OpLe && more == 0)
        return bool_value(true);
    return undecided(a, op, l, r, at);
}

static bool compare(Op op, double x, double y) {
    switch (op) {
    case OpEq: return x == y;
    case OpNe: return x != y;
    case OpLt: return x < y;
    case OpLe: return x <= y;
    case OpGt: return x > y;
    default: return x >= y;
    }
}

static bool is_comparison(Op op) {
    return op >= OpEq && op <= OpGe;
}

Value number_op(Act *a, Op op, Value l, Value r, Span at) {
    double x, y;
    Value v;
    if (l.kind == VInt && r.kind == VInt) {
        v = is_comparison(op) ? compare_ints(a, op, l, r, at) : int_op(a, op, l, r, at);
    } else if (as_double(&l, &x) && as_double(&r, &y)) {
        v = is_comparison(op) ? bool_value(compare(op, x, y)) : float_op(a, op, &l, &r, x, y, at);
    } else {
        if (value_unknown(a->e, &l) || value_unknown(a->e, &r))
            return no_value();
        static const FnId which[] = { [OpAdd] = FnAdd,
                                      [OpSub] = FnSub,
                                      [OpMul] = FnMul,
                                      [OpDiv] = FnDiv,
                                      [OpFloorDiv] = FnFloorDiv,
                                      [OpMod] = FnMod,
                                      [OpPow] = FnPow,
                                      [OpEq] = FnEq,
                                      [OpNe] = FnNe,
                                      [OpLt] = FnLt,
                                      [OpLe] = FnLe,
                                      [OpGt] = FnGt,
                                      [OpGe] = FnGe,
                                      [OpNot] = 0 };
        Value arg[2] = { l, r };
        for (int i = 0; i < 2; i++)
            if (arg[i].kind == VInt)
                arg[i] = size_tensor(a, arg[i].whole, Float);
        v = row_scalar(a->e->c, a->e->graph, fn(which[op]), NoElem, arg, 2, at, a->in->path, NULL);
    }
    v.at = at;
    return v;
}

Value size_tensor(Act *a, Dim d, Elem e) {
    Ctx *c = a->e->c;
    Type t = { .elem = e };
    Node *n = made_node(a, &t, name(c, "size"), "size", NULL);
    n->body = term_apply1(c, FnCast, e, term_size(c, d));
    return of_tensor(n->out);
}
