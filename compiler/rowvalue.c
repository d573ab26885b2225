/* rowvalue.c: what is known while compiling inside an op: parameters, sizes, numbers made of them.
 *
 * The evaluator is silent where something is simply not known: the caller then reads the expression
 * as a term. Only what can never be right (768 / 7) is an error. */
#include "row.h"

#include <math.h>
#include <string.h>

Value value_int(Dim d) {
    return (Value){ .kind = VInt, .whole = d };
}
Value value_float(double d) {
    return (Value){ .kind = VFloat, .number = d };
}
Value value_bool(bool b) {
    return (Value){ .kind = VBool, .number = b };
}

bool is_size_name(const char *capital, const char *lower) {
    return *capital >= 'A' && *capital <= 'Z' && *lower == *capital + 32 &&
           !strcmp(capital + 1, lower + 1);
}

Bind *scope_find(Scope *s, Name n) {
    for (int k = 0; k < s->n; k++)
        if (s->at[k].name == n)
            return &s->at[k];
    return NULL;
}

/* `H`: the size of index h, here or of this turn of h... */
static bool size_named(Row *r, Name n, int seq, Dim *out) {
    for (int pass = seq == Plain ? 1 : 0; pass < 2; pass++)
        for (int k = 0; k < r->nindex; k++) {
            RowIndex *i = &r->index[k];
            if (i->live && i->seq == (pass ? Plain : seq) &&
                (is_size_name(n, i->name) || i->name == n)) {
                *out = i->size;
                return true;
            }
        }
    return false;
}

static bool known_name(Row *r, Expr *e, int seq, Value *out) {
    static const struct {
        const char *name;
        double value;
    } constant[] = {
        { "inf", INFINITY },
        { "nan", NAN },
        { "pi", 3.14159265358979323846 },
    };
    Bind *b = scope_find(r->scope, e->name);
    Dim d;
    if (b) {
        if (!b->known)
            return false;
        *out = b->value;
        if (out->kind == VList && seq != Plain) {
            if (seq >= out->n)
                return false;
            *out = out->item[seq];
        }
        return true;
    }
    if (!r->scope->inlined && *e->name >= 'A' && *e->name <= 'Z' &&
        size_named(r, e->name, seq, &d)) {
        *out = value_int(d);
        return true;
    }
    for (size_t k = 0; k < sizeof constant / sizeof *constant; k++)
        if (!strcmp(e->name, constant[k].name)) {
            *out = value_float(constant[k].value);
            return true;
        }
    return false;
}

static bool as_number(const Value *v, double *d) {
    int64_t n;
    if (v->kind == VFloat) {
        *d = v->number;
        return true;
    }
    if (v->kind != VInt || !dim_number(v->whole, &n))
        return false;
    *d = (double)n;
    return true;
}

static bool ints_value(Row *r, Expr *e, Dim a, Dim b, Value *out) {
    const Fn *f = fn_of(e->op);
    if (!f || e->op > OpGe)
        return false;
    Term *arg[2] = { term_size(r->c, a), term_size(r->c, b) }, *t;
    Fault fault;
    int which;
    Dim d;
    t = fn_term(r->c, f, NoElem, arg, 2, &fault, &which);
    if (fault) {
        row_error(r, e->at, "%s", fault_text(r->c, fault, f, arg, 2, which));
        return false;
    }
    if (!t)
        return false;
    if (t->elem == Bool && t->kind == TNumber) {
        *out = value_bool(t->number != 0);
        return true;
    }
    if (t->elem == AnyFloat && t->kind == TNumber) {
        *out = value_float(t->number);
        return true;
    }
    if (!term_is_dim(r->c, t, &d))
        return false;
    *out = value_int(d);
    return true;
}

static bool floats_value(Op op, double a, double b, Value *out) {
    switch (op) {
    case OpAdd:
        *out = value_float(a + b);
        return true;
    case OpSub:
        *out = value_float(a - b);
        return true;
    case OpMul:
        *out = value_float(a * b);
        return true;
    case OpDiv:
        *out = value_float(a / b);
        return true;
    case OpFloorDiv:
        *out = value_float(floor(a / b));
        return true;
    case OpMod:
        *out = value_float(a - b * floor(a / b));
        return true;
    case OpPow:
        *out = value_float(pow(a, b));
        return true;
    case OpEq:
        *out = value_bool(a == b);
        return true;
    case OpNe:
        *out = value_bool(a != b);
        return true;
    case OpLt:
        *out = value_bool(a < b);
        return true;
    case OpLe:
        *out = value_bool(a <= b);
        return true;
    case OpGt:
        *out = value_bool(a > b);
        return true;
    case OpGe:
        *out = value_bool(a >= b);
        return true;
    default:
        return false;
    }
}

static bool binary_value(Row *r, Expr *e, int seq, Value *out) {
    Value a, b;
    double x, y;
    if (!row_value(r, e->kid[0], seq, &a))
        return false;
    if (e->op == OpAnd || e->op == OpOr) {
        if (a.kind != VBool)
            return false;
        if ((a.number != 0) == (e->op == OpOr)) {
            *out = a;
            return true;
        }
        return row_value(r, e->kid[1], seq, out) && out->kind == VBool;
    }
    if (!row_value(r, e->kid[1], seq, &b))
        return false;
    if (a.kind == VInt && b.kind == VInt)
        return ints_value(r, e, a.whole, b.whole, out);
    if (as_number(&a, &x) && as_number(&b, &y))
        return floats_value(e->op, x, y, out);
    if (e->op != OpEq && e->op != OpNe)
        return false;
    bool same = a.kind == b.kind && a.kind == VStr   ? a.text == b.text
                : a.kind == VBool && b.kind == VBool ? a.number == b.number
                                                     : a.kind == VNone && b.kind == VNone;
    *out = value_bool(same == (e->op == OpEq));
    return true;
}

static bool unary_value(Row *r, Expr *e, int seq, Value *out) {
    Value a;
    if (!row_value(r, e->kid[0], seq, &a))
        return false;
    if (e->op == OpNot && a.kind == VBool)
        *out = value_bool(a.number == 0);
    else if (e->op == OpNeg && a.kind == VInt)
        *out = value_int(dim_sub(r->c, dim(r->c, 0), a.whole));
    else if (e->op == OpNeg && a.kind == VFloat)
        *out = value_float(-a.number);
    else
        return false;
    return true;
}

static bool known_list(Row *r, Expr *e, int seq, Value *out) {
    *out = (Value){ .kind = VList, .n = e->n, .item = NEWN(r->c, Value, e->n + 1), .at = e->at };
    for (int k = 0; k < e->n; k++)
        if (!row_value(r, e->kid[k], seq, &out->item[k]))
            return false;
    return true;
}

static bool given_value(Row *r, Expr *e, Value *out) {
    if (e->narg != 1 || e->arg[0].value->kind != EName)
        return false;
    Name n = e->arg[0].value->name;
    Bind *b = scope_find(r->scope, n);
    if (b) {
        *out = value_bool(!(b->known && b->value.kind == VNone));
        return true;
    }
    for (int k = r->ntensor - 1; k >= 0; k--)
        if (r->tensor[k].name == n) {
            *out = value_bool(r->tensor[k].tensor || r->tensor[k].number);
            return true;
        }
    return false;
}

static bool convert_value(Ctx *c, const char *f, const Value *v, Value *out) {
    double d;
    if (!strcmp(f, "len") && v->kind == VList) {
        *out = value_int(dim(c, v->n));
        return true;
    }
    if (!strcmp(f, "abs") && as_number(v, &d)) {
        *out = v->kind == VInt ? value_int(dim(c, (int64_t)fabs(d))) : value_float(fabs(d));
        return true;
    }
    if (!strcmp(f, "float") && as_number(v, &d)) {
        *out = value_float(d);
        return true;
    }
    if (!strcmp(f, "int") && v->kind == VInt) {
        *out = *v;
        return true;
    }
    if (!strcmp(f, "int") && as_number(v, &d) && fabs(d) < 0x1p62) {
        *out = value_int(dim(c, (int64_t)d));
        return true;
    }
    return false;
}

/* Of calls only these few: the rest is arithmetic of terms, folded there. */
static bool known_call(Row *r, Expr *e, int seq, Value *out) {
    Value a, b;
    double x, y;
    if (e->kid[0]->kind != EName)
        return false;
    Name f = e->kid[0]->name;
    if (!strcmp(f, "given"))
        return given_value(r, e, out);
    for (int k = 0; k < e->narg; k++)
        if (e->arg[k].sep)
            return false;
    if (e->narg == 1 && row_value(r, e->arg[0].value, seq, &a) && convert_value(r->c, f, &a, out))
        return true;
    bool max = !strcmp(f, "max");
    if (e->narg == 2 && (max || !strcmp(f, "min")) && row_value(r, e->arg[0].value, seq, &a) &&
        row_value(r, e->arg[1].value, seq, &b)) {
        if (a.kind == VInt && b.kind == VInt) {
            *out = value_int((max ? dim_max : dim_min)(r->c, a.whole, b.whole));
            return true;
        }
        if (as_number(&a, &x) && as_number(&b, &y)) {
            *out = value_float(max == (x > y) ? x : y);
            return true;
        }
        return false;
    }
    return false;
}

bool row_value(Row *r, Expr *e, int seq, Value *out) {
    Value v;
    int64_t n;
    switch (e->kind) {
    case EInt:
        *out = value_int(dim(r->c, e->whole));
        return true;
    case EFloat:
        *out = value_float(e->number);
        return true;
    case EBool:
        *out = value_bool(e->whole != 0);
        return true;
    case EStr:
        *out = (Value){ .kind = VStr, .text = e->name };
        return true;
    case ENone:
        *out = (Value){ .kind = VNone, .at = e->at };
        return true;
    case EName:
        return known_name(r, e, seq, out);
    case EList:
        return known_list(r, e, seq, out);
    case EUnary:
        return unary_value(r, e, seq, out);
    case EBinary:
        return binary_value(r, e, seq, out);
    case ECall:
        return known_call(r, e, seq, out);
    case EIf:
        return row_value(r, e->kid[0], seq, &v) && v.kind == VBool &&
               row_value(r, e->kid[v.number != 0 ? 1 : 2], seq, out);
    case EIndex:
        if (e->nsub != 1 || e->sub[0].kind != SubAt || !row_value(r, e->kid[0], Plain, &v) ||
            v.kind != VList)
            return false;
        if (!row_value(r, e->sub[0].a, seq, out) || out->kind != VInt ||
            !dim_number(out->whole, &n))
            return false;
        if (n < -v.n || n >= v.n)
            return false;
        *out = v.item[n < 0 ? n + v.n : n];
        return true;
    default:
        return false;
    }
}

bool row_size(Row *r, Expr *e, int seq, Dim *out) {
    Value v;
    if (!row_value(r, e, seq, &v) || v.kind != VInt)
        return false;
    *out = v.whole;
    return true;
}

int row_truth(Row *r, Expr *e) {
    Value v;
    return row_value(r, e, Plain, &v) && v.kind == VBool ? v.number != 0 : -1;
}
