/* row_scalar.c: a scalar function over tensors of fitting shapes, as one node: a + b in a model's
 * body.
 *
 * Shapes are aligned at the right and only a written 1 stretches (rule 39); element types do not
 * mix (rules 31, 32). The messages quote what the user wrote on either side. */
#include "row.h"

#include <string.h>

enum { MostArgs = 8 };

/* ---- shapes */

bool broadcast(Ctx *c, const Type *a, const Type *b, Type *out, int *bad) {
    Type wide = a->rank >= b->rank ? *a : *b;
    int shared = a->rank < b->rank ? a->rank : b->rank;
    for (int k = 1; k <= shared; k++) {
        Dim x = a->dim[a->rank - k], y = b->dim[b->rank - k];
        if (!dim_is(x, 1) && !dim_is(y, 1) && !dim_equal(c, x, y)) {
            *bad = k;
            return false;
        }
        wide.dim[wide.rank - k] = dim_is(x, 1) ? y : x;
    }
    *out = wide;
    return true;
}

Index **loop_indices(Ctx *c, const Type *t) {
    static const char *const letter[MaxRank] = { "i", "j", "k", "l", "m", "n", "o", "p" };
    Index **index = NEWN(c, Index *, t->rank + 1);
    for (int k = 0; k < t->rank; k++)
        index[k] = index_new(c, intern(c, letter[k], 1), t->dim[k]);
    return index;
}

Axis *loop_axes(Ctx *c, Index **index, int n) {
    Axis *axis = NEWN(c, Axis, n + 1);
    for (int k = 0; k < n; k++)
        axis[k] = (Axis){ .index = &index[k], .n = 1 };
    return axis;
}

Term *read_broadcast(Ctx *c, Tensor *t, Index **index, int rank, Name as) {
    Term *at[MaxRank];
    for (int k = 0; k < t->type.rank; k++) {
        Index *i = index[rank - t->type.rank + k];
        at[k] = dim_is(t->type.dim[k], 1) ? term_number(c, I32, 0) : term_index(c, i);
    }
    return term_load(c, t, at, t->type.rank, NULL, as);
}

/* ---- constants */

static bool list_shape(Ctx *c, const Value *v, Type *t) {
    if (v->kind != VList)
        return v->kind == VInt || v->kind == VFloat || v->kind == VBool;
    if (t->rank == MaxRank)
        return false;
    int axis = t->rank++;
    t->dim[axis] = dim(c, v->n);
    Type first = *t;
    for (int k = 0; k < v->n; k++) {
        Type own = { .elem = t->elem, .rank = t->rank };
        memcpy(own.dim, t->dim, sizeof own.dim);
        if (!list_shape(c, &v->item[k], &own))
            return false;
        if (k == 0)
            first = own;
        if (own.rank != first.rank)
            return false;
        for (int j = 0; j < own.rank; j++)
            if (own.dim[j] != first.dim[j])
                return false;
    }
    if (v->n)
        *t = first;
    return true;
}

static bool write_list(Ctx *c, const Value *v, Elem e, void *to, int64_t *at) {
    int64_t n;
    if (v->kind == VList) {
        for (int k = 0; k < v->n; k++)
            if (!write_list(c, &v->item[k], e, to, at))
                return false;
        return true;
    }
    if ((v->kind == VBool) != (e == Bool))
        return false;
    double number = v->number;
    if (v->kind == VInt) {
        if (!dim_number(v->whole, &n))
            return false;
        number = (double)n;
    }
    Term *t = term_number(c, v->kind == VFloat ? AnyFloat : AnyInt, number),
         *pair[2] = { t, term_number(c, e, 0) };
    Fault fault;
    int which;
    if (e != Bool && !fn_term(c, fn(FnEq), NoElem, pair, 2, &fault, &which))
        return false;
    elem_store(e, (char *)to + (*at)++ * elem_bytes(c, e), number);
    return true;
}

Tensor *row_constant(Ctx *c, Value v, Elem e) {
    Type type = { .elem = e };
    int64_t count, at = 0;
    if (!list_shape(c, &v, &type) || !dim_number(type_count(c, &type), &count))
        return NULL;
    void *data = alloc(c, (size_t)(count ? count : 1) * 8);
    if (!write_list(c, &v, elem_storage(c, e), data, &at))
        return NULL;
    Name nm = intern(c, "constant", 8);
    Tensor *t = tensor(c, TConst, nm, nm, &type, v.at);
    t->data = data;
    return t;
}

static bool any_float(const Value *v) {
    if (v->kind == VFloat)
        return true;
    for (int k = 0; v->kind == VList && k < v->n; k++)
        if (any_float(&v->item[k]))
            return true;
    return false;
}

static bool any_bool(const Value *v) {
    while (v->kind == VList && v->n)
        v = &v->item[0];
    return v->kind == VBool;
}

/* A list of numbers beside a tensor is a constant tensor of its type. */
bool constant_args(Ctx *c, Value *arg, int n, Elem want) {
    for (int k = 0; k < n && want == NoElem; k++)
        if (arg[k].kind == VTensor && arg[k].tensor->type.elem != Bool)
            want = arg[k].tensor->type.elem;
    for (int k = 0; k < n; k++) {
        if (arg[k].kind != VList)
            continue;
        Elem e = any_bool(&arg[k])    ? Bool
                 : any_float(&arg[k]) ? (elem_is_float(want) ? want : Float)
                 : want               ? want
                                      : I32;
        Tensor *t = row_constant(c, arg[k], e);
        if (!t) {
            error_at(c, arg[k].at,
                     "this list is no tensor: numbers of one type are wanted, as many in each row");
            return false;
        }
        arg[k] = tensor_value(t, arg[k].at);
    }
    return true;
}

/* ---- messages */

/* Words and symbols of a function: `-` subtracts. */
static const struct Word {
    FnId id;
    const char *symbol, *verb, *join, *op;
} words[] = {
    { FnAdd, "+", "add", "and", "add" },
    { FnSub, "-", "subtract", "and", "sub" },
    { FnMul, "*", "multiply", "and", "mul" },
    { FnDiv, "/", "divide", "by", "div" },
    { FnFloorDiv, "//", "divide", "by", "floor_div" },
    { FnMod, "%", "divide", "by", "mod" },
    { FnPow, "**", "raise", "to", "power" },
    { FnEq, "==", "compare", "with", "equal" },
    { FnNe, "!=", "compare", "with", "not_equal" },
    { FnLt, "<", "compare", "with", "less" },
    { FnLe, "<=", "compare", "with", "less_equal" },
    { FnGt, ">", "compare", "with", "greater" },
    { FnGe, ">=", "compare", "with", "greater_equal" },
    { FnAnd, "and", "join", "and", "logical_and" },
    { FnOr, "or", "join", "and", "logical_or" },
};

static const struct Word *word_of(const Fn *f) {
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (words[k].id == f->id)
            return &words[k];
    return NULL;
}

static char *quote(Ctx *c, const Value *v) {
    return v->at.src ? source_text(c, v->at) : format(c, "…");
}

static bool simple(const char *text) {
    for (; *text; text++)
        if (strchr(" +-*/%<>=", *text))
            return false;
    return true;
}

static char *call_of(Ctx *c, const char *f, const Value *v) {
    return format(c, "%s(%s)", f, quote(c, v));
}

static char *operand(Ctx *c, const char *text) {
    return format(c, simple(text) ? "%s" : "(%s)", text);
}

static void cannot_broadcast(Ctx *c, const Fn *f, Value *arg, int a, int b, int bad, Span at) {
    const struct Word *w = word_of(f);
    const Type *x = &arg[a].tensor->type, *y = &arg[b].tensor->type;
    Dim p = x->dim[x->rank - bad], q = y->dim[y->rank - bad];
    int64_t m, n;
    char *why =
        dim_number(p, &m) && dim_number(q, &n)
            ? format(c, "axis %d from the right is %s and %s", bad, dim_text(c, p), dim_text(c, q))
            : sizes_differ(c, p, q);
    error_at(c, at, "cannot %s %s %s %s: %s", w ? w->verb : format(c, "apply %s to", f->name),
             type_text(c, x), w ? w->join : "and", type_text(c, y), why);
    note_sizes(c, p, q);
}

static void divides_integers(Ctx *c, const Fn *f, Value *arg, int n, Elem e, Span at) {
    const struct Word *w = word_of(f);
    error_at(c, at, "`%s` of integer tensors (%s) is not defined", w->symbol, elem_name(e));
    char *side[2];
    for (int k = 0; k < n; k++) {
        int64_t whole;
        char *text = arg[k].kind == VInt && dim_number(arg[k].whole, &whole)
                         ? format(c, "%lld.0", (long long)whole)
                         : NULL;
        side[k] = text ? text : call_of(c, "float", &arg[k]);
    }
    help(c, f->id == FnDiv ? "`%s %s %s`, or `//` to round down" : "`%s %s %s`", side[0], w->symbol,
         side[1]);
}

static void mixes(Ctx *c, const Fn *f, Value *arg, int n, Elem a, Elem b, Span at) {
    const struct Word *w = word_of(f);
    const char *why =
        a == Float || b == Float ? ": `float` is the working precision, and may be bf16" : "";
    error_at(c, at, "%s and %s do not mix%s", elem_name(a), elem_name(b), why);
    if (!w || n != 2)
        return;
    char *x = operand(c, quote(c, &arg[0])), *y = operand(c, quote(c, &arg[1]));
    const char *left = elem_name(a), *right = elem_name(b);
    if (elem_is_int(a) && elem_is_float(b))
        help(c, "`%s %s %s`", call_of(c, right, &arg[0]), w->symbol, y);
    else if (elem_is_float(a) && elem_is_int(b))
        help(c, "`%s %s %s`", x, w->symbol, call_of(c, left, &arg[1]));
    else
        help(c, "`%s %s %s`, or `%s %s %s`", x, w->symbol, call_of(c, left, &arg[1]),
             call_of(c, right, &arg[0]), w->symbol, y);
}

static void not_representable(Ctx *c, const Fn *f, Value *arg, int n, int which, Elem e) {
    const struct Word *w = word_of(f);
    int other = which == n - 1 && n > 1 ? n - 2 : n - 1;
    error_at(c, arg[which].at, "%s is not %s, the type of `%s`", quote(c, &arg[which]),
             a_elem(e == Float ? elem_storage(c, e) : e), quote(c, &arg[other]));
    if (!w || n != 2 || arg[which].kind != VFloat || elem_is_float(e))
        return;
    char *number = quote(c, &arg[which]), *converted = call_of(c, "float", &arg[other]);
    help(c, "`%s %s %s`", which ? converted : number, w->symbol, which ? number : converted);
}

static void scalar_fault(Ctx *c, Fault fault, const Fn *f, Value *arg, Term **term, int n,
                         int which, Span at) {
    int from = f->id == FnWhere ? 1 : 0, typed = from;
    for (int k = n - 1; k >= from; k--)
        if (term[k]->elem != AnyInt && term[k]->elem != AnyFloat)
            typed = k;
    const struct Word *w = word_of(f);
    switch (fault) {
    case FaultIntDivide:
        divides_integers(c, f, arg, n, term[which]->elem, at);
        return;
    case FaultMix:
        for (int k = from; k < n; k++)
            if (term[k]->elem != term[typed]->elem && term[k]->elem != AnyInt &&
                term[k]->elem != AnyFloat) {
                mixes(c, f, arg, n, term[typed]->elem, term[k]->elem, at);
                return;
            }
        break;
    case FaultNumber:
        not_representable(c, f, arg, n, which, term[typed]->elem);
        return;
    case FaultBool:
        error_at(c, arg[which].at.src ? arg[which].at : at,
                 "arithmetic on bool; `%s`, or `where(%s, …, 0.0)`",
                 call_of(c, "float", &arg[which]), quote(c, &arg[which]));
        return;
    case FaultNotBool:
        error_at(c, arg[which].at.src ? arg[which].at : at, "`%s` needs bool, found %s",
                 w ? w->symbol : f->name, elem_name(term[which]->elem));
        return;
    default:
        break;
    }
    error_at(c, at, "%s", fault_text(c, fault, f, term, n, which));
}

/* ---- applied */

/* What heads a kernel that is this function alone. */
static const char *scalar_line(Ctx *c, const Fn *f, Elem to, int n) {
    const struct Word *w = word_of(f);
    if (f->id == FnCast)
        return format(c, "op %s(x) = %s(x)", elem_name(to), elem_name(to));
    if (w)
        return format(c, "op %s(a, b) = a %s b", w->op, w->symbol);
    if (f->id == FnNeg)
        return "op neg(x) = -x";
    if (f->id == FnNot)
        return "op not(x) = not x";
    if (n == 1)
        return format(c, "op %s(x) = %s(x)", f->name, f->name);
    if (f->id == FnWhere)
        return "op where(c, a, b) = where(c, a, b)";
    return format(c, "op %s(a, b) = %s(a, b)", f->name, f->name);
}

static Name op_name(Ctx *c, const Fn *f, Elem to) {
    const struct Word *w = word_of(f);
    const char *n = f->id == FnCast  ? elem_name(to)
                    : w              ? w->op
                    : f->id == FnNeg ? "neg"
                    : f->id == FnNot ? "logical_not"
                                     : f->name;
    return intern(c, n, strlen(n));
}

static const char *arg_name(int k, int n) {
    static const char *const two[] = { "a", "b" }, *const three[] = { "c", "a", "b" };
    return n == 1 ? "x" : n == 2 ? two[k] : n == 3 ? three[k] : "x";
}

static bool common_shape(Ctx *c, const Fn *f, Value *arg, int n, Type *shape, Span at) {
    int wide = -1, bad;
    for (int k = 0; k < n; k++) {
        if (arg[k].kind != VTensor)
            continue;
        if (wide >= 0 && !broadcast(c, shape, &arg[k].tensor->type, shape, &bad)) {
            for (int j = 0; j < k; j++) {
                Type pair;
                if (arg[j].kind != VTensor ||
                    broadcast(c, &arg[j].tensor->type, &arg[k].tensor->type, &pair, &bad))
                    continue;
                cannot_broadcast(c, f, arg, j, k, bad, at);
                return false;
            }
            error_at(c, at, "%s: these shapes do not fit", f->name);
            return false;
        }
        if (wide < 0)
            *shape = arg[k].tensor->type;
        wide = k;
    }
    return true;
}

Value row_scalar(Ctx *c, Graph *g, const Fn *f, Elem to, Value *given, int n, Span at, Name path,
                 Name hint) {
    Value arg[MostArgs];
    Term *term[MostArgs];
    Type shape = { .rank = 0 };
    Fault fault;
    int which;
    if (n < 1 || n > MostArgs) {
        error_at(c, at, "%s does not take %d arguments", f->name, n);
        return poison(at);
    }
    for (int k = 0; k < n; k++) {
        arg[k] = given[k];
        if (arg[k].kind == VPoison)
            return poison(at);
    }
    if (!constant_args(c, arg, n, NoElem) || !common_shape(c, f, arg, n, &shape, at))
        return poison(at);
    Index **index = loop_indices(c, &shape);
    for (int k = 0; k < n; k++) {
        const char *as = arg_name(k, n);
        term[k] = arg[k].kind == VTensor ? read_broadcast(c, arg[k].tensor, index, shape.rank,
                                                          intern(c, as, strlen(as)))
                                         : value_term(c, &arg[k]);
        if (!term[k]) {
            error_at(c, arg[k].at.src ? arg[k].at : at, "%s needs a tensor or a number here",
                     f->name);
            return poison(at);
        }
    }
    Clause clause = { .body = fn_term(c, f, to, term, n, &fault, &which) };
    if (!clause.body) {
        scalar_fault(c, fault, f, arg, term, n, which, at);
        return poison(at);
    }
    Row settle = { .number = NoElem };
    Elem e = elem_settled(&settle, clause.body->elem);
    clause.body = clause.body->kind == TSize ? term_apply1(c, FnCast, e, clause.body)
                                             : term_as(c, clause.body, e);
    Name own = op_name(c, f, to);
    Call *call = call_new(c, own, scalar_line(c, f, to, n), path, at);
    Axis *axis = loop_axes(c, index, shape.rank);
    for (int k = 0; k < shape.rank; k++)
        if (dim_is(shape.dim[k], 1))
            axis[k].n = 0;
    Tensor *t = row_node(c, g, call, hint && *hint ? hint : own, path, axis, shape.rank, &clause);
    return t ? tensor_value(t, at) : poison(at);
}
