/* rowread.c: reads of tensors inside an op: x at its own indices, x[e, …] at integer expressions.
 *
 * A position that comes from data is clamped; `else` says what lies outside (rule 67). */
#include "row.h"

#include <math.h>

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

bool index_runs(Row *r, const Index *i) {
    for (int k = 0; k < r->nrunning; k++)
        if (r->running[k] == i)
            return true;
    return false;
}

/* ---- reads */

Term *radix(Ctx *c, Term **digit, Dim *size, int n) {
    Term *at = n ? digit[0] : zero_term(c);
    for (int k = 1; k < n; k++)
        at = term_apply2(c, FnAdd, I32, term_apply2(c, FnMul, I32, at, size_number(c, size[k])),
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
    if (index_runs(r, i))
        return term_index(r->c, i);
    return row_broken(
        r, where, format(r->c, "`%s` is read at `%s`, which does not run here", t->name, i->name));
}

static Term *own_position(Row *r, const RowTensor *t, const Pat *p, Span where) {
    Part part[MaxParts];
    Term *digit[MaxParts];
    Dim size[MaxParts];
    if (p->kind == PatOne || (p->kind == PatDots && p->stretched))
        return zero_term(r->c);
    if (p->kind == PatDots)
        return running_index(r, row_dot(r, p->dot), t, where);
    int n = row_parts(r, p->e, p->seq, part);
    for (int k = 0; k < n; k++) {
        RowIndex *i = part[k].name ? row_index_find(r, part[k].name, part[k].seq) : NULL;
        if (!i)
            return row_broken(r, where, format(r->c, "`%s` has an axis without an index", t->name));
        digit[k] = running_index(r, i->index, t, where);
        size[k] = i->size;
    }
    return radix(r->c, digit, size, n);
}

static bool present(Row *r, const RowTensor *t, Span where) {
    if (t->tensor || t->number)
        return true;
    row_broken(r, where, format(r->c, "`%s` is not given", t->name));
    return false;
}

Term *read_own_term(Row *r, RowTensor *t, Span where) {
    Term *at[MaxRank];
    if (!present(r, t, where))
        return zero_term(r->c);
    if (!t->tensor)
        return t->number;
    for (int k = 0; k < t->n; k++)
        at[t->axis[k]] = own_position(r, t, &t->pat[k], where);
    if (r->bad)
        return zero_term(r->c);
    return term_load(r->c, t->tensor, at, t->n, NULL, t->name);
}

static Term *position_term(Row *r, Expr *e, int seq) {
    Term *t = row_term(r, e, seq);
    if (!elem_is_int(t->elem))
        return row_broken(
            r, e->at, format(r->c, "a position must be an integer, found %s", elem_name(t->elem)));
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
        return row_broken(r, e->at, "this axis is not a group of so many indices");
    for (int k = 0; k < n; k++) {
        RowIndex *i = part[k].name ? row_index_find(r, part[k].name, part[k].seq) : NULL;
        if (!i)
            return row_broken(r, e->at, "an axis without an index");
        digit[k] = position_term(r, e->kid[k], seq);
        size[k] = i->size;
        if (!r->bad && !inside_proved(r->c, digit[k], size[k]))
            return row_broken(r, e->kid[k]->at,
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
            row_broken(r, s->at, "a slice cannot stand in an index expression");
            return false;
        }
        Expr *x = s->a->kind == EPack ? s->a->kid[0] : s->a;
        int times = s->a->kind == EPack ? row_times(r, x) : 1;
        for (int m = 0; m < times && !r->bad; m++, k++) {
            if (k == t->n) {
                row_broken(
                    r, e->at,
                    format(r->c, "`%s` has rank %d, and is read with more indices", t->name, t->n));
                return false;
            }
            at[k] = x->kind == EGroup ? group_position(r, &t->pat[k], x, seq)
                                      : position_term(r, x, s->a->kind == EPack ? m : seq);
        }
        if (r->bad)
            return false;
    }
    if (k != t->n)
        row_broken(r, e->at,
                   format(r->c, "`%s` has rank %d, and is read with %d indices", t->name, t->n, k));
    return !r->bad;
}

static RowTensor *indexed_tensor(Row *r, Expr *e) {
    RowTensor *t =
        e->kind == EIndex && e->kid[0]->kind == EName ? row_tensor(r, e->kid[0]->name) : NULL;
    if (!t)
        row_broken(r, e->at, "only a tensor of this op is read with `[…]`");
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
    Term *last = size_number(c, dim_sub(c, size, dim(c, 1)));
    return term_apply2(c, FnMax, I32, zero_term(c), term_apply2(c, FnMin, I32, at, last));
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
        return row_broken(r, e->at, format(r->c, "this does not stand for %s", a_elem(want)));
    return term_as(r->c, t, want);
}

Term *read_at(Row *r, Expr *e, int seq) {
    RowTensor *t = indexed_tensor(r, e);
    Term *at[MaxRank], *own[MaxRank];
    bool inside = true;
    if (!t)
        return zero_term(r->c);
    if (!t->tensor)
        return t->number;
    if (!positions(r, e, t, at, seq))
        return zero_term(r->c);
    for (int k = 0; k < t->n; k++) {
        Dim size = t->tensor->type.dim[t->axis[k]];
        bool proved = inside_proved(r->c, at[k], size);
        if (!proved && !t->outside && from_data(at[k])) {
            if (dim_is(size, 0))
                return row_broken(r, e->at, format(r->c, "`%s` has size 0, and is read", t->name));
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
Term *ask_inside(Row *r, Expr *e, int seq) {
    RowTensor *t = indexed_tensor(r, e);
    Term *at[MaxRank], *all = term_number(r->c, Bool, 1);
    if (!t || !t->tensor || !positions(r, e, t, at, seq))
        return all;
    for (int k = 0; k < t->n; k++) {
        Dim size = t->tensor->type.dim[t->axis[k]];
        if (inside_proved(r->c, at[k], size))
            continue;
        Term *lo = term_apply2(r->c, FnGe, Bool, at[k], zero_term(r->c)),
             *hi = term_apply2(r->c, FnLt, Bool, at[k], size_number(r->c, size));
        all = term_apply2(r->c, FnAnd, Bool, all, term_apply2(r->c, FnAnd, Bool, lo, hi));
    }
    return all;
}
