/* rowterm.c: the expressions of an op's body become terms; its reductions become nodes.
 *
 * A tensor named alone is read at its own indices, x[e, …] at integer expressions, a scalar op is
 * written out where it is called. A reduction that is not outermost is cut off: it becomes a node
 * with the indices it reads and does not bind, and is read back; equal ones are one node. */
#include "row.h"

#include <math.h>
#include <string.h>

enum { MostTerms = 200000, MostWritten = 64 };

Term *zero_term(Ctx *c) {
    return term_number(c, I32, 0);
}

Term *row_broken(Row *r, Span where, const char *text) {
    row_error(r, where, "%s: %s", r->scope->decl->name, text);
    return term_number(r->c, AnyInt, 0);
}

Term *size_number(Ctx *c, Dim d) {
    Term *t = term_size(c, d);
    return t->kind == TNumber ? term_number(c, I32, t->number) : t;
}

/* ---- functions */

Term *row_fn(Row *r, Span where, const Fn *f, Elem to, Term **arg, int n) {
    Fault fault;
    int which;
    if (n != f->arity && f->id != FnCast)
        return row_broken(r, where,
                          format(r->c, "%s needs %d argument%s, found %d", f->name, f->arity,
                                 f->arity == 1 ? "" : "s", n));
    if (r->bad)
        return zero_term(r->c);
    Term *t = fn_term(r->c, f, to, arg, n, &fault, &which);
    return t ? t : row_broken(r, where, fault_text(r->c, fault, f, arg, n, which));
}

static void bind_name(Row *r, Scope *s, Name n, Expr *e, int seq) {
    if (s->n == MaxBinds) {
        row_broken(r, e->at, "too many parameters");
        return;
    }
    Bind *b = &s->at[s->n++];
    *b = (Bind){ .name = n };
    b->known = row_value(r, e, seq, &b->value);
    if (!b->known && !r->bad)
        b->term = row_term(r, e, seq);
}

static bool bind_call(Row *r, Scope *s, Item *op, Expr *e, int seq) {
    int at = 0;
    for (int k = 0; k < e->narg && !r->bad; k++) {
        const Arg *a = &e->arg[k];
        Name n = a->sep == '=' ? a->name : at < op->params.n ? op->params.at[at++].name : NULL;
        if (!n || scope_find(s, n)) {
            row_broken(r, a->at, format(r->c, "%s does not take this argument", op->name));
            return false;
        }
        bind_name(r, s, n, a->value, seq);
    }
    Scope *own = r->scope;
    r->scope = s;
    for (int k = 0; k < op->params.n && !r->bad; k++) {
        const Field *f = &op->params.at[k];
        if (scope_find(s, f->name))
            continue;
        if (f->init)
            bind_name(r, s, f->name, f->init, Plain);
        else {
            r->scope = own;
            row_broken(r, e->at, format(r->c, "%s needs `%s`", op->name, f->name));
        }
    }
    r->scope = own;
    return !r->bad;
}

static Expr *scalar_body(const Item *op) {
    return op->e ? op->e : op->body.at[op->body.n - 1]->value[0];
}

/* A scalar op, written out with its arguments in place. */
static Term *write_out(Row *r, Item *op, Expr *e, int seq) {
    Scope *own = r->scope, *s = NEW(r->c, Scope);
    *s = (Scope){ .decl = op, .depth = own->depth + 1, .inlined = true };
    if (s->depth > MostWritten)
        return row_broken(r, e->at, "ops are written out in ops too deeply");
    if (!bind_call(r, s, op, e, seq))
        return zero_term(r->c);
    r->scope = s;
    Term *t = row_term(r, scalar_body(op), Plain);
    r->scope = own;
    return t;
}

/* float(D) of a compile-time integer is a written number still: it takes the type of what it meets.
 * Of anything else it is the float type of the op's untyped parameters, so that a line serves f32
 * and float alike. */
static Term *convert_term(Row *r, Expr *e, Elem to, Term **arg, int n) {
    Elem from = n == 1 ? arg[0]->elem : NoElem;
    if (to == Float && (from == AnyInt || from == AnyFloat))
        return term_as(r->c, arg[0], AnyFloat);
    if (to == Float && elem_is_float(r->number))
        to = r->number;
    return row_fn(r, e->at, fn(FnCast), to, arg, n);
}

static Term *call_term(Row *r, Expr *e, int seq) {
    Term *arg[8];
    Value v;
    if (e->kid[0]->kind != EName)
        return row_broken(r, e->at, "this cannot be called here");
    Name f = e->kid[0]->name;
    if (!strcmp(f, "inside") && e->narg == 1)
        return ask_inside(r, e->arg[0].value, seq);
    if (row_value(r, e, seq, &v) && value_term(r->c, &v))
        return value_term(r->c, &v);
    const Fn *own = fn_named(r->c, f);
    Elem to = own ? NoElem : elem_named(f);
    Item *op = own || to ? NULL : row_find(r->c, r->scope->decl, f);
    if (!own && !to && !op)
        return row_broken(r, e->at, format(r->c, "there is no function `%s`", f));
    if (op && !row_is_scalar(r->c, op))
        return row_broken(
            r, e->at,
            format(r->c, "`%s` is no scalar function, and cannot stand in an index expression", f));
    if (op && op->kind == IOp)
        return write_out(r, op, e, seq);
    if (e->narg < 1 || e->narg > 8)
        return row_broken(r, e->at, format(r->c, "%s does not take %d arguments", f, e->narg));
    for (int k = 0; k < e->narg; k++) {
        if (e->arg[k].sep)
            return row_broken(r, e->arg[k].at, format(r->c, "%s takes its arguments in order", f));
        arg[k] = row_term(r, e->arg[k].value, seq);
    }
    if (r->bad)
        return zero_term(r->c);
    if (to)
        return convert_term(r, e, to, arg, e->narg);
    return row_fn(r, e->at, own ? own : row_extern_fn(r->c, op), NoElem, arg, e->narg);
}

/* ---- expressions */

static Term *named_term(Row *r, Expr *e, int seq) {
    Value v;
    Bind *b = scope_find(r->scope, e->name);
    if (b && !b->known && b->term)
        return b->term;
    if (!b && !r->scope->inlined) {
        RowIndex *i = row_index_find(r, e->name, seq);
        if (!i && seq != Plain)
            i = row_index_find(r, e->name, Plain);
        if (i && i->runs)
            return term_index(r->c, i->index);
        if (i)
            return row_broken(r, e->at, format(r->c, "`%s` does not run here", e->name));
        RowTensor *t = row_tensor(r, e->name);
        if (t)
            return read_own_term(r, t, e->at);
    }
    if (row_value(r, e, seq, &v)) {
        Term *t = value_term(r->c, &v);
        if (t)
            return t;
        return row_broken(r, e->at, format(r->c, "`%s` is no number here", e->name));
    }
    return row_broken(r, e->at, format(r->c, "`%s` is not known here", e->name));
}

/* Is it said for each turn of a loop that has none? */
static bool never_computed(const Term *t) {
    if (t->kind == TIndex)
        return dim_is(t->index->size, 0);
    for (int i = 0; i < t->n; i++)
        if (never_computed(t->kid[i]))
            return true;
    return false;
}

static Term *binary_term(Row *r, Expr *e, int seq) {
    Term *arg[2] = { row_term(r, e->kid[0], seq), row_term(r, e->kid[1], seq) };
    if (e->op == OpMatmul || e->op == OpJoin)
        return row_broken(r, e->at, format(r->c, "`%s` has no meaning here", op_text(e->op)));
    if (r->bad)
        return arg[0];
    if (arg[0]->elem == I32 && arg[1]->kind == TNumber && arg[1]->number == 0 &&
        (e->op == OpFloorDiv || e->op == OpMod))
        return never_computed(arg[0]) ? arg[1] : row_broken(r, e->at, "division by zero");
    return row_fn(r, e->at, fn_of(e->op), NoElem, arg, 2);
}

static Term *choice_term(Row *r, Expr *e, int seq) {
    int yes = row_truth(r, e->kid[0]);
    if (yes < 0)
        return row_broken(
            r, e->kid[0]->at,
            "the condition of `if` must be known while compiling; `where` chooses by element");
    return row_term(r, e->kid[yes ? 1 : 2], seq);
}

Term *row_term(Row *r, Expr *e, int seq) {
    Clause k;
    if (r->bad)
        return zero_term(r->c);
    if (++r->work > MostTerms)
        return row_broken(r, e->at, "this op is too large");
    switch (e->kind) {
    case EInt:
        return term_number(r->c, AnyInt, (double)e->whole);
    case EFloat:
        return term_number(r->c, AnyFloat, e->number);
    case EBool:
        return term_number(r->c, Bool, e->whole != 0);
    case EName:
        return named_term(r, e, seq);
    case EIndex: {
        Value v;
        if (row_value(r, e, seq, &v) && value_term(r->c, &v))
            return value_term(r->c, &v);
        return read_at(r, e, seq);
    }
    case EBinary:
        return binary_term(r, e, seq);
    case EUnary: {
        Term *arg = row_term(r, e->kid[0], seq);
        if (e->op == OpNeg && arg->kind == TNumber && arg->elem != Bool)
            return term_number(r->c, arg->elem, -arg->number);
        return row_fn(r, e->at, fn(e->op == OpNot ? FnNot : FnNeg), NoElem, &arg, 1);
    }
    case EIf:
        return choice_term(r, e, seq);
    case ECall:
        if (row_reduction(e) == NoReduce)
            return call_term(r, e, seq);
        if (!row_reduce(r, e, seq, &k))
            return zero_term(r->c);
        return k.reduce ? row_cut_off(r, &k, e->at) : k.body;
    default:
        return row_broken(r, e->at, "this is no scalar expression");
    }
}
