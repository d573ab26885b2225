/* rowterm.c: the expressions of an op's body become terms; its reductions become nodes.
 *
 * A tensor named alone is read at its own indices, x[e, …] at integer expressions, a scalar op is
 * written out where it is called. A reduction that is not outermost is cut off: it becomes a node
 * with the indices it reads and does not bind, and is read back; equal ones are one node. */
#include "row.h"

#include <math.h>
#include <string.h>

enum { MostWork = 200000, MostDepth = 64 };

static Term *zero(Ctx *c) {
    return term_number(c, I32, 0);
}

static Term *broken(Row *r, Span where, const char *text) {
    row_error(r, where, "%s: %s", r->scope->decl->name, text);
    return term_number(r->c, AnyInt, 0);
}

static Term *size_of(Ctx *c, Dim d) {
    Term *t = term_size(c, d);
    return t->kind == TNumber ? term_number(c, I32, t->number) : t;
}

/* ---- loops */

void row_run(Row *r, Index *i) {
    if (r->nrunning == 2 * MaxParts) {
        row_error(r, r->decl->at, "%s has too many loops", r->decl->name);
        return;
    }
    r->running[r->nrunning++] = i;
    for (int k = 0; k < r->nindex; k++)
        if (r->index[k].index == i)
            r->index[k].runs = true;
}

static bool runs(Row *r, const Index *i) {
    for (int k = 0; k < r->nrunning; k++)
        if (r->running[k] == i)
            return true;
    return false;
}

/* ---- reads */

Term *radix(Ctx *c, Term **digit, Dim *size, int n) {
    Term *at = n ? digit[0] : zero(c);
    for (int k = 1; k < n; k++)
        at = term_apply2(c, FnAdd, I32, term_apply2(c, FnMul, I32, at, size_of(c, size[k])),
                         digit[k]);
    return at;
}

RowTensor *row_tensor(Row *r, Name n) {
    for (int k = r->ntensor - 1; k >= 0 && !r->scope->inlined; k--)
        if (r->tensor[k].name == n)
            return &r->tensor[k];
    return NULL;
}

static Term *running_index(Row *r, Index *i, const RowTensor *t, Span where) {
    if (runs(r, i))
        return term_index(r->c, i);
    return broken(r, where,
                  format(r->c, "`%s` is read at `%s`, which does not run here", t->name, i->name));
}

static Term *own_position(Row *r, const RowTensor *t, const Pat *p, Span where) {
    Part part[MaxParts];
    Term *digit[MaxParts];
    Dim size[MaxParts];
    if (p->kind == PatOne || (p->kind == PatDots && p->stretched))
        return zero(r->c);
    if (p->kind == PatDots)
        return running_index(r, row_dot(r, p->dot), t, where);
    int n = row_parts(r, p->e, p->seq, part);
    for (int k = 0; k < n; k++) {
        RowIndex *i = part[k].name ? row_index_find(r, part[k].name, part[k].seq) : NULL;
        if (!i)
            return broken(r, where, format(r->c, "`%s` has an axis without an index", t->name));
        digit[k] = running_index(r, i->index, t, where);
        size[k] = i->size;
    }
    return radix(r->c, digit, size, n);
}

static bool present(Row *r, const RowTensor *t, Span where) {
    if (t->tensor || t->number)
        return true;
    broken(r, where, format(r->c, "`%s` is not given", t->name));
    return false;
}

static Term *read_own(Row *r, RowTensor *t, Span where) {
    Term *at[MaxRank];
    if (!present(r, t, where))
        return zero(r->c);
    if (!t->tensor)
        return t->number;
    for (int k = 0; k < t->n; k++)
        at[t->axis[k]] = own_position(r, t, &t->pat[k], where);
    if (r->bad)
        return zero(r->c);
    return term_load(r->c, t->tensor, at, t->n, NULL, t->name);
}

static Term *position(Row *r, Expr *e, int seq) {
    Term *t = row_term(r, e, seq);
    if (!elem_is_int(t->elem))
        return broken(r, e->at,
                      format(r->c, "a position must be an integer, found %s", elem_name(t->elem)));
    if (t->elem == AnyInt)
        return t->kind == TNumber ? term_number(r->c, I32, t->number) : t;
    return t->elem == I32 ? t : term_apply1(r->c, FnCast, I32, t);
}

/* x[…, (1 - a, i)]: a group read digit by digit. */
static Term *group_position(Row *r, const Pat *p, Expr *e, int seq) {
    Part part[MaxParts];
    Term *digit[MaxParts];
    Dim size[MaxParts];
    int n = p->kind == PatAxis ? row_parts(r, p->e, p->seq, part) : 0;
    if (n != e->n)
        return broken(r, e->at, "this axis is not a group of so many indices");
    for (int k = 0; k < n; k++) {
        RowIndex *i = part[k].name ? row_index_find(r, part[k].name, part[k].seq) : NULL;
        if (!i)
            return broken(r, e->at, "an axis without an index");
        digit[k] = position(r, e->kid[k], seq);
        size[k] = i->size;
        if (!r->bad && !inside_proved(r->c, digit[k], size[k]))
            return broken(r, e->kid[k]->at,
                          format(r->c, "this digit may be outside 0 … %s",
                                 dim_text(r->c, dim_sub(r->c, size[k], dim(r->c, 1)))));
    }
    return radix(r->c, digit, size, n);
}

/* The positions of x[…], one an axis of the op's list. */
static bool positions(Row *r, Expr *e, RowTensor *t, Term **at, int seq) {
    int k = 0, dots = 0;
    for (int j = 0; j < t->n; j++)
        dots += t->pat[j].kind == PatDots;
    for (int j = 0; j < e->nsub && !r->bad; j++) {
        const Sub *s = &e->sub[j];
        if (s->kind == SubDots) {
            for (int m = 0; m < dots && k < t->n; m++, k++)
                at[k] = own_position(r, t, &t->pat[k], e->at);
            continue;
        }
        if (s->kind != SubAt) {
            broken(r, s->at, "a slice cannot stand in an index expression");
            return false;
        }
        Expr *x = s->a->kind == EPack ? s->a->kid[0] : s->a;
        int times = s->a->kind == EPack ? row_times(r, x) : 1;
        for (int m = 0; m < times && !r->bad; m++, k++) {
            if (k == t->n) {
                broken(
                    r, e->at,
                    format(r->c, "`%s` has rank %d, and is read with more indices", t->name, t->n));
                return false;
            }
            at[k] = x->kind == EGroup ? group_position(r, &t->pat[k], x, seq)
                                      : position(r, x, s->a->kind == EPack ? m : seq);
        }
        if (r->bad)
            return false;
    }
    if (k != t->n)
        broken(r, e->at,
               format(r->c, "`%s` has rank %d, and is read with %d indices", t->name, t->n, k));
    return !r->bad;
}

static RowTensor *indexed(Row *r, Expr *e) {
    RowTensor *t =
        e->kind == EIndex && e->kid[0]->kind == EName ? row_tensor(r, e->kid[0]->name) : NULL;
    if (!t)
        broken(r, e->at, "only a tensor of this op is read with `[…]`");
    return t && present(r, t, e->at) ? t : NULL;
}

static bool from_data(const Term *t) {
    if (t->kind == TLoad)
        return true;
    for (int k = 0; k < t->n; k++)
        if (from_data(t->kid[k]))
            return true;
    return false;
}

static Term *clamped(Ctx *c, Term *at, Dim size) {
    Term *last = size_of(c, dim_sub(c, size, dim(c, 1)));
    return term_apply2(c, FnMax, I32, zero(c), term_apply2(c, FnMin, I32, at, last));
}

static Term *outside_term(Row *r, Expr *e, Elem want) {
    static const double low[] = {
        [I8] = -0x1p7, [I16] = -0x1p15, [I32] = -0x1p31, [I64] = -0x1p63, [U64] = 0
    };
    Term *t = row_term(r, e, Plain), *arg[2];
    Fault fault;
    int which;
    if (t->kind == TNumber && isinf(t->number) && elem_is_int(want) && want < F16)
        return term_number(r->c, want, t->number < 0 ? low[want] : 0x1p31 - 1);
    arg[0] = term_number(r->c, want, 0);
    arg[1] = t;
    if (want == Bool ? t->elem != Bool : !fn_term(r->c, fn(FnEq), NoElem, arg, 2, &fault, &which))
        return broken(r, e->at, format(r->c, "this does not stand for %s", a_elem(want)));
    return term_as(r->c, t, want);
}

static Term *read_at(Row *r, Expr *e, int seq) {
    RowTensor *t = indexed(r, e);
    Term *at[MaxRank], *own[MaxRank];
    bool inside = true;
    if (!t)
        return zero(r->c);
    if (!t->tensor)
        return t->number;
    if (!positions(r, e, t, at, seq))
        return zero(r->c);
    for (int k = 0; k < t->n; k++) {
        Dim size = t->tensor->type.dim[t->axis[k]];
        bool proved = inside_proved(r->c, at[k], size);
        if (!proved && !t->outside && from_data(at[k])) {
            if (dim_is(size, 0))
                return broken(r, e->at, format(r->c, "`%s` has size 0, and is read", t->name));
            at[k] = clamped(r->c, at[k], size);
            proved = true;
        }
        inside = inside && proved;
        own[t->axis[k]] = at[k];
    }
    Term *out = t->outside && !inside ? outside_term(r, t->outside, t->tensor->type.elem) : NULL;
    return term_load(r->c, t->tensor, own, t->n, out, t->name);
}

/* inside(x[…]): what is not certain already. */
static Term *ask_inside(Row *r, Expr *e, int seq) {
    RowTensor *t = indexed(r, e);
    Term *at[MaxRank], *all = term_number(r->c, Bool, 1);
    if (!t || !t->tensor || !positions(r, e, t, at, seq))
        return all;
    for (int k = 0; k < t->n; k++) {
        Dim size = t->tensor->type.dim[t->axis[k]];
        if (inside_proved(r->c, at[k], size))
            continue;
        Term *lo = term_apply2(r->c, FnGe, Bool, at[k], zero(r->c)),
             *hi = term_apply2(r->c, FnLt, Bool, at[k], size_of(r->c, size));
        all = term_apply2(r->c, FnAnd, Bool, all, term_apply2(r->c, FnAnd, Bool, lo, hi));
    }
    return all;
}

/* ---- functions */

static Term *apply_fn(Row *r, Span where, const Fn *f, Elem to, Term **arg, int n) {
    Fault fault;
    int which;
    if (n != f->arity && f->id != FnCast)
        return broken(r, where,
                      format(r->c, "%s needs %d argument%s, found %d", f->name, f->arity,
                             f->arity == 1 ? "" : "s", n));
    if (r->bad)
        return zero(r->c);
    Term *t = fn_term(r->c, f, to, arg, n, &fault, &which);
    return t ? t : broken(r, where, fault_text(r->c, fault, f, arg, n, which));
}

static void bind_name(Row *r, Scope *s, Name n, Expr *e, int seq) {
    if (s->n == MaxBinds) {
        broken(r, e->at, "too many parameters");
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
            broken(r, a->at, format(r->c, "%s does not take this argument", op->name));
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
            broken(r, e->at, format(r->c, "%s needs `%s`", op->name, f->name));
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
    if (s->depth > MostDepth)
        return broken(r, e->at, "ops are written out in ops too deeply");
    if (!bind_call(r, s, op, e, seq))
        return zero(r->c);
    r->scope = s;
    Term *t = row_term(r, scalar_body(op), Plain);
    r->scope = own;
    return t;
}

/* float(D) of a compile-time integer is a written number still: it takes the type of what it meets.
 * Of anything else it is the float type of the op's untyped parameters, so that a line serves f32
 * and float alike. */
static Term *convert(Row *r, Expr *e, Elem to, Term **arg, int n) {
    Elem from = n == 1 ? arg[0]->elem : NoElem;
    if (to == Float && (from == AnyInt || from == AnyFloat))
        return term_as(r->c, arg[0], AnyFloat);
    if (to == Float && elem_is_float(r->number))
        to = r->number;
    return apply_fn(r, e->at, fn(FnCast), to, arg, n);
}

static Term *call(Row *r, Expr *e, int seq) {
    Term *arg[8];
    Value v;
    if (e->kid[0]->kind != EName)
        return broken(r, e->at, "this cannot be called here");
    Name f = e->kid[0]->name;
    if (!strcmp(f, "inside") && e->narg == 1)
        return ask_inside(r, e->arg[0].value, seq);
    if (row_value(r, e, seq, &v) && value_term(r->c, &v))
        return value_term(r->c, &v);
    const Fn *own = fn_named(r->c, f);
    Elem to = own ? NoElem : elem_named(f);
    Item *op = own || to ? NULL : row_find(r->c, r->scope->decl, f);
    if (!own && !to && !op)
        return broken(r, e->at, format(r->c, "there is no function `%s`", f));
    if (op && !row_is_scalar(r->c, op))
        return broken(
            r, e->at,
            format(r->c, "`%s` is no scalar function, and cannot stand in an index expression", f));
    if (op && op->kind == IOp)
        return write_out(r, op, e, seq);
    if (e->narg < 1 || e->narg > 8)
        return broken(r, e->at, format(r->c, "%s does not take %d arguments", f, e->narg));
    for (int k = 0; k < e->narg; k++) {
        if (e->arg[k].sep)
            return broken(r, e->arg[k].at, format(r->c, "%s takes its arguments in order", f));
        arg[k] = row_term(r, e->arg[k].value, seq);
    }
    if (r->bad)
        return zero(r->c);
    if (to)
        return convert(r, e, to, arg, e->narg);
    return apply_fn(r, e->at, own ? own : row_extern_fn(r->c, op), NoElem, arg, e->narg);
}

/* ---- reductions */

static const struct {
    const char *name;
    Reduce reduce;
} reductions[] = {
    { "sum", RSum }, { "prod", RProd }, { "max", RMax },       { "min", RMin },
    { "any", RAny }, { "all", RAll },   { "argmax", RArgMax }, { "argmin", RArgMin },
};

static Reduce reduction_of(const Expr *e) {
    if (e->kind != ECall || e->kid[0]->kind != EName || e->narg == 0 ||
        e->arg[e->narg - 1].sep != ':')
        return NoReduce;
    for (size_t k = 0; k < sizeof reductions / sizeof *reductions; k++)
        if (!strcmp(e->kid[0]->name, reductions[k].name))
            return reductions[k].reduce;
    return NoReduce;
}

static void add_cond(Row *r, Clause *k, Term *t, Span where) {
    if (t->elem != Bool) {
        broken(r, where, format(r->c, "a condition must be bool, found %s", elem_name(t->elem)));
        return;
    }
    if (t->kind == TNumber && t->number != 0)
        return;
    if (t->kind == TApply && t->fn->id == FnAnd) {
        add_cond(r, k, t->kid[0], where);
        add_cond(r, k, t->kid[1], where);
        return;
    }
    for (int j = 0; j < k->ncond; j++)
        if (k->cond[j] == t)
            return;
    if (k->ncond == MaxParts) {
        broken(r, where, "too many conditions");
        return;
    }
    k->cond[k->ncond++] = t;
}

static void take(Row *r, Clause *k, Index *i, Span where) {
    if (k->nbind == MaxParts) {
        broken(r, where, "too many binders");
        return;
    }
    k->bind[k->nbind++] = i;
    row_run(r, i);
}

/* k < e, k <= e: a new index. A bound that is an index becomes a condition. */
static void new_binder(Row *r, Clause *k, Expr *e, int seq) {
    Term *bound = row_term(r, e->kid[1], seq);
    Dim size;
    if (r->bad)
        return;
    if (!elem_is_int(bound->elem) || !term_upper(r->c, bound, &size)) {
        broken(r, e->kid[1]->at, "a bound must be made of indices and sizes");
        return;
    }
    if (e->op == OpLe)
        size = dim_add(r->c, size, dim(r->c, 1));
    RowIndex *i = row_index_add(r, e->kid[0]->name, seq, size, NULL);
    if (!i)
        return;
    i->binder = true;
    take(r, k, i->index, e->at);
    if (bound->kind == TNumber || bound->kind == TSize)
        return;
    add_cond(
        r, k,
        term_apply2(r->c, e->op == OpLe ? FnLe : FnLt, Bool, term_index(r->c, i->index), bound),
        e->at);
}

static void binder(Row *r, Clause *k, Expr *e, int seq) {
    if (r->bad)
        return;
    if (e->kind == EPack) {
        Expr *x = e->kid[0];
        int times = row_times(r, x);
        if (x->kind == EBinary && x->kid[0]->kind == EName)
            row_seq_set(r, x->kid[0]->name, times);
        for (int m = 0; m < times && !r->bad; m++)
            binder(r, k, x, m);
        return;
    }
    Name n = e->kind == EName ? e->name : NULL;
    RowIndex *i = n ? row_index_find(r, n, seq) : NULL;
    if (i && i->runs) {
        broken(
            r, e->at,
            format(r->c, "`%s` runs already; give the reduction an index of its own: `k < …`", n));
        return;
    }
    if (i) {
        take(r, k, i->index, e->at);
        return;
    }
    if (n && !row_tensor(r, n) && !scope_find(r->scope, n)) {
        broken(r, e->at,
               format(r->c, "`%s` is no index here; a new one needs a bound, `%s < …`", n, n));
        return;
    }
    if (e->kind == EBinary && (e->op == OpLt || e->op == OpLe) && e->kid[0]->kind == EName) {
        n = e->kid[0]->name;
        if (!row_index_find(r, n, seq) && !row_index_find(r, n, Plain) && !row_tensor(r, n) &&
            !scope_find(r->scope, n)) {
            new_binder(r, k, e, seq);
            return;
        }
    }
    add_cond(r, k, row_term(r, e, seq), e->at);
}

static void end_loops(Row *r, int running) {
    for (int k = running; k < r->nrunning; k++)
        for (int j = 0; j < r->nindex; j++)
            if (r->index[j].index == r->running[k]) {
                r->index[j].runs = false;
                if (r->index[j].binder)
                    r->index[j].live = false;
            }
    r->nrunning = running;
}

static double unit(Reduce reduce) {
    static const double of[] = {
        [RSum] = 0, [RProd] = 1, [RMax] = -INFINITY, [RMin] = INFINITY, [RAny] = 0, [RAll] = 1
    };
    return reduce < RArgMax ? of[reduce] : 0;
}

static void check_kind(Row *r, const Clause *k, Span where) {
    bool logic = k->reduce == RAny || k->reduce == RAll;
    if (logic != (k->body->elem == Bool))
        broken(r, where,
               logic ? format(r->c, "`any` and `all` need bool, found %s", elem_name(k->body->elem))
                     : format(r->c, "arithmetic on bool"));
}

static bool constant(const Term *t) {
    return t->kind == TNumber || t->kind == TSize ||
           (t->kind == TApply && t->fn->id == FnCast && constant(t->kid[0]));
}

/* A sum of a number is a count; over no index at all, a reduction is its body. */
static void fold(Row *r, Clause *k, Span where) {
    Fault fault;
    int which;
    if (k->reduce == RSum && k->ncond == 0 && constant(k->body)) {
        Dim n = dim(r->c, 1);
        for (int j = 0; j < k->nbind; j++)
            n = dim_mul(r->c, n, k->bind[j]->size);
        Term *arg[2] = { k->body, term_size(r->c, n) };
        *k = (Clause){ .body = apply_fn(r, where, fn(FnMul), NoElem, arg, 2) };
    } else if (k->nbind == 0) {
        Term *body = k->reduce == RArgMax || k->reduce == RArgMin ? zero(r->c) : k->body;
        for (int j = 0; j < k->ncond; j++) {
            Term *arg[3] = { k->cond[j], body, term_number(r->c, k->body->elem, unit(k->reduce)) };
            body = fn_term(r->c, fn(FnWhere), NoElem, arg, 3, &fault, &which);
        }
        *k = (Clause){ .body = body };
    }
}

static bool reduction(Row *r, Expr *e, int seq, Clause *k) {
    int running = r->nrunning;
    *k = (Clause){ .reduce = reduction_of(e) };
    if (r->scope->inlined) {
        broken(r, e->at, "a reduction cannot stand in a scalar op");
        return false;
    }
    for (int j = 0; j < e->narg; j++) {
        const Arg *a = &e->arg[j];
        binder(r, k, a->sep == ':' ? a->key : a->value, seq);
    }
    if (!r->bad)
        k->body = row_term(r, e->arg[e->narg - 1].value, seq);
    if (!r->bad)
        check_kind(r, k, e->at);
    end_loops(r, running);
    if (!r->bad)
        fold(r, k, e->at);
    return !r->bad;
}

static bool clause_uses(const Clause *k, const Index *i) {
    for (int j = 0; j < k->nbind; j++)
        if (k->bind[j] == i)
            return false;
    for (int j = 0; j < k->ncond; j++)
        if (term_uses(k->cond[j], i))
            return true;
    return term_uses(k->body, i);
}

static bool same_clause(const Clause *a, const Clause *b) {
    return a->reduce == b->reduce && a->nbind == b->nbind && a->ncond == b->ncond &&
           a->body == b->body && !memcmp(a->bind, b->bind, sizeof *a->bind * (size_t)a->nbind) &&
           !memcmp(a->cond, b->cond, sizeof *a->cond * (size_t)a->ncond);
}

static Name reduce_name(Ctx *c, Reduce reduce) {
    for (size_t k = 0; k < sizeof reductions / sizeof *reductions; k++)
        if (reductions[k].reduce == reduce)
            return intern(c, reductions[k].name, strlen(reductions[k].name));
    return intern(c, "t", 1);
}

static Term *read_cut(Row *r, const Cut *cut) {
    Term *at[MaxRank];
    for (int k = 0; k < cut->nfree; k++)
        at[k] = term_index(r->c, cut->free[k]);
    return term_load(r->c, cut->out, at, cut->nfree, NULL, cut->out->name);
}

/* A reduction inside an expression: a node of its own, read back. */
static Term *cut_off(Row *r, Clause *k, Span where) {
    Cut cut = { .clause = *k };
    for (int j = 0; j < r->nrunning && cut.nfree < MaxParts; j++)
        if (clause_uses(k, r->running[j]))
            cut.free[cut.nfree++] = r->running[j];
    for (int j = 0; j < r->ncut; j++)
        if (same_clause(&r->cut[j].clause, k))
            return read_cut(r, &r->cut[j]);
    if (cut.nfree > MaxRank || r->ncut == MaxCuts)
        return broken(r, where, "too many indices around this reduction");
    Axis *axis = NEWN(r->c, Axis, cut.nfree + 1);
    for (int j = 0; j < cut.nfree; j++) {
        axis[j] = (Axis){ .index = NEWN(r->c, Index *, 1), .n = 1 };
        axis[j].index[0] = cut.free[j];
    }
    cut.out = row_emit(r, reduce_name(r->c, k->reduce), axis, cut.nfree, k, NoElem);
    if (!cut.out)
        return zero(r->c);
    r->cut[r->ncut++] = cut;
    return read_cut(r, &cut);
}

/* ---- expressions */

static Term *named(Row *r, Expr *e, int seq) {
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
            return broken(r, e->at, format(r->c, "`%s` does not run here", e->name));
        RowTensor *t = row_tensor(r, e->name);
        if (t)
            return read_own(r, t, e->at);
    }
    if (row_value(r, e, seq, &v)) {
        Term *t = value_term(r->c, &v);
        if (t)
            return t;
        return broken(r, e->at, format(r->c, "`%s` is no number here", e->name));
    }
    return broken(r, e->at, format(r->c, "`%s` is not known here", e->name));
}

static Term *binary(Row *r, Expr *e, int seq) {
    static const FnId as[] = {
        [OpAdd] = FnAdd,
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
        [OpAnd] = FnAnd,
        [OpOr] = FnOr,
    };
    Term *arg[2] = { row_term(r, e->kid[0], seq), row_term(r, e->kid[1], seq) };
    if (e->op == OpMatmul || e->op == OpJoin)
        return broken(r, e->at, format(r->c, "`%s` has no meaning here", op_text(e->op)));
    if (r->bad)
        return arg[0];
    if (arg[0]->elem == I32 && arg[1]->kind == TNumber && arg[1]->number == 0 &&
        (e->op == OpFloorDiv || e->op == OpMod))
        return broken(r, e->at, "division by zero");
    return apply_fn(r, e->at, fn(as[e->op]), NoElem, arg, 2);
}

static Term *choice(Row *r, Expr *e, int seq) {
    int yes = row_truth(r, e->kid[0]);
    if (yes < 0)
        return broken(
            r, e->kid[0]->at,
            "the condition of `if` must be known while compiling; `where` chooses by element");
    return row_term(r, e->kid[yes ? 1 : 2], seq);
}

Term *row_term(Row *r, Expr *e, int seq) {
    Clause k;
    if (r->bad)
        return zero(r->c);
    if (++r->work > MostWork)
        return broken(r, e->at, "this op is too large");
    switch (e->kind) {
    case EInt:
        return term_number(r->c, AnyInt, (double)e->whole);
    case EFloat:
        return term_number(r->c, AnyFloat, e->number);
    case EBool:
        return term_number(r->c, Bool, e->whole != 0);
    case EName:
        return named(r, e, seq);
    case EIndex: {
        Value v;
        if (row_value(r, e, seq, &v) && value_term(r->c, &v))
            return value_term(r->c, &v);
        return read_at(r, e, seq);
    }
    case EBinary:
        return binary(r, e, seq);
    case EUnary: {
        Term *arg = row_term(r, e->kid[0], seq);
        if (e->op == OpNeg && arg->kind == TNumber && arg->elem != Bool)
            return term_number(r->c, arg->elem, -arg->number);
        return apply_fn(r, e->at, fn(e->op == OpNot ? FnNot : FnNeg), NoElem, &arg, 1);
    }
    case EIf:
        return choice(r, e, seq);
    case ECall:
        if (reduction_of(e) == NoReduce)
            return call(r, e, seq);
        if (!reduction(r, e, seq, &k))
            return zero(r->c);
        return k.reduce ? cut_off(r, &k, e->at) : k.body;
    default:
        return broken(r, e->at, "this is no scalar expression");
    }
}

/* ---- nodes */

bool row_clause(Row *r, Expr *e, Clause *k) {
    *k = (Clause){ 0 };
    while (e->kind == EIf && !r->bad) {
        int yes = row_truth(r, e->kid[0]);
        if (yes < 0)
            break;
        e = e->kid[yes ? 1 : 2];
    }
    if (reduction_of(e) != NoReduce)
        return reduction(r, e, Plain, k);
    k->body = row_term(r, e, Plain);
    return !r->bad;
}

static Elem declared(Row *r, Elem want, Term *body) {
    if (want == NoElem || body->elem == want)
        return elem_settled(r, body->elem);
    if (want == Float && elem_is_float(body->elem))
        return elem_settled(r, body->elem);
    if (body->elem == AnyInt && want != Bool)
        return want;
    if (body->elem == AnyFloat && elem_is_float(want))
        return want;
    row_error(r, r->decl->at, "%s: the result is %s, and declared %s", r->decl->name,
              elem_name(elem_settled(r, body->elem)), elem_name(want));
    return want;
}

Tensor *row_emit(Row *r, Name nm, Axis *axis, int naxis, Clause *k, Elem want) {
    if (r->bad)
        return NULL;
    bool position_ = k->reduce == RArgMax || k->reduce == RArgMin;
    Elem e = position_ ? elem_settled(r, k->body->elem) : declared(r, want, k->body);
    if (r->bad)
        return NULL;
    k->body = k->body->elem == AnyInt && k->body->kind == TSize
                  ? term_apply1(r->c, FnCast, e, k->body)
                  : term_as(r->c, k->body, e);
    Tensor *t = row_node(r->c, r->g, r->call, nm, r->path, axis, naxis, k);
    if (!t)
        r->bad = true;
    return t;
}
