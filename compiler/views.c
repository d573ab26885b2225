/* views.c: reading through a node. A node that only says where an element comes from is substituted
 * into its readers, and of the division that reshapes leave in positions nothing remains: what term_apply
 * cannot take out of it goes when an index read as v // n and v % n becomes two. */
#include "simplify.h"

#include <string.h>

static Term *add(Ctx *c, Term *a, Term *b) {
    return term_apply2(c, FnAdd, I32, a, b);
}

Term *position_of(Ctx *c, const Axis *a) {
    Term *sum = term_number(c, I32, 0);
    for (int i = 0; i < a->n; i++) {
        Dim weight = dim(c, 1);
        for (int k = i + 1; k < a->n; k++)
            weight = dim_mul(c, weight, a->index[k]->size);
        sum = add(c, sum,
                  term_apply2(c, FnMul, I32, term_index(c, a->index[i]), term_size(c, weight)));
    }
    return sum;
}

/* ---- reading through ---- */

void load_indices(Ctx *c, const Node *p, const Term *load, Indices *from, TermList *to) {
    for (int a = 0; a < p->naxis; a++) {
        int n = p->axis[a].n, start = from->n;
        for (int k = 0; k < n; k++) {
            push(c, from, p->axis[a].index[k]);
            push(c, to, NULL);
        }
        Term *rest = load->kid[a];
        for (int k = n - 1; k > 0; k--) {
            Term *by = term_size(c, p->axis[a].index[k]->size);
            to->at[start + k] = term_apply2(c, FnMod, I32, rest, by);
            rest = term_apply2(c, FnFloorDiv, I32, rest, by);
        }
        if (n > 0)
            to->at[start] = rest;
    }
}

static bool at_least(Ctx *c, Dim a, Dim b) {
    return a == b || dim_less(c, a, b) == 0;
}

/* Is whatever stands outside p's axis of first index `i` outside the tensor that p reads as well? */
static bool outside_too(Ctx *c, const Term *body, Index *i) {
    for (int k = 0; k < body->n; k++) {
        Affine a;
        if (!term_affine(c, body->kid[k], &a) || a.n != 1 || a.index[0] != i || a.coef[0] != 1)
            continue;
        Dim beyond = dim_add(c, i->size, a.base);
        if (at_least(c, dim(c, 0), a.base) && at_least(c, beyond, body->from->type.dim[k]))
            return true;
    }
    return false;
}

/* One guard serves for both tensors when what is outside the one is outside the other, with the same value. */
static bool one_guard(Ctx *c, const Node *p, const Term *load) {
    const Term *body = p->body;
    if (body->kind != TLoad || (body->outside && body->outside != load->outside))
        return false;
    for (int a = 0; a < p->naxis; a++) {
        Term *inside = in_range(c, load->kid[a], p->out->type.dim[a]);
        bool always = inside->kind == TNumber && inside->number != 0;
        if (!always && (p->axis[a].n == 0 || !outside_too(c, body, p->axis[a].index[0])))
            return false;
    }
    return true;
}

static Term *inside_of(Ctx *c, const Node *p, const Term *load) {
    Term *all = term_number(c, Bool, 1);
    for (int a = 0; a < p->naxis; a++) {
        Term *one = in_range(c, load->kid[a], p->out->type.dim[a]);
        all = term_apply2(c, FnAnd, Bool, all, one);
    }
    return all;
}

Term *load_through(Ctx *c, const Node *p, const Term *load) {
    Indices from = ON_STACK(Index *, 16);
    TermList to = ON_STACK(Term *, 16);
    load_indices(c, p, load, &from, &to);
    Term *body = term_subst(c, p->body, from.at, to.at, from.n);
    if (!load->outside)
        return body;
    if (one_guard(c, p, load) && body->kind == TLoad)
        return term_load(c, body->from, body->kid, body->n, load->outside, body->as);
    Term *arg[3] = { inside_of(c, p, load), body, load->outside };
    return term_apply(c, fn(FnWhere), body->elem, arg);
}

/* ---- what is a view ---- */

static bool by_index(const Term *load) {
    for (int i = 0; i < load->n; i++)
        if (!term_from_indices(load->kid[i]))
            return false;
    return !load->outside || load->outside->kind == TNumber;
}

enum { ViewWeight = 64, ArithmeticCost = 12 };

bool is_view(const Node *n) {
    if (n->reduce || n->at || n->out->kind != TTemp)
        return false;
    const Term *b = n->body;
    if (b->kind == TLoad)
        return by_index(b) && term_weight(b, ViewWeight) < ViewWeight;
    return term_from_indices(b) && !term_calls(b) && term_cost(b) <= ArithmeticCost;
}

static bool choice(const Term *t) {
    if (t->kind == TNumber || (t->kind == TLoad && by_index(t)))
        return true;
    return t->kind == TApply && t->fn->id == FnWhere && term_from_indices(t->kid[0]) &&
           choice(t->kid[1]) && choice(t->kid[2]);
}

bool is_guarded_view(const Node *n) {
    if (n->reduce || n->at || n->out->kind != TTemp || n->body->kind != TApply)
        return false;
    return choice(n->body) && term_weight(n->body, ViewWeight) < ViewWeight;
}

/* ---- an index read as v // n and v % n becomes two ---- */

enum { MostCuts = 8 };
typedef struct Cuts {
    Index *index;
    int64_t by[MostCuts];
    int n;
} Cuts;
typedef struct Radix {
    VEC(Cuts) cut;
} Radix;

static void cut_add(Ctx *c, Radix *r, Index *i, int64_t by) {
    Cuts *found = NULL;
    for (int k = 0; k < r->cut.n && !found; k++)
        if (r->cut.at[k].index == i)
            found = &r->cut.at[k];
    if (!found) {
        push(c, &r->cut, ((Cuts){ .index = i }));
        found = &r->cut.at[r->cut.n - 1];
    }
    int at = 0;
    while (at < found->n && found->by[at] > by)
        at++;
    if (found->n == MostCuts || (at < found->n && found->by[at] == by))
        return;
    memmove(&found->by[at + 1], &found->by[at], sizeof found->by[0] * (size_t)(found->n - at));
    found->by[at] = by;
    found->n++;
}

static void find_cuts(Ctx *c, const Term *t, Radix *r) {
    for (int i = 0; i < t->n; i++)
        find_cuts(c, t->kid[i], r);
    if (t->outside)
        find_cuts(c, t->outside, r);
    if (t->kind != TApply || (t->fn->id != FnFloorDiv && t->fn->id != FnMod))
        return;
    Dim whole;
    const Term *v = t->kid[0], *by = t->kid[1];
    if (v->kind != TIndex || by->kind != TNumber || by->number < 2)
        return;
    if (dim_exact(c, v->index->size, dim(c, (int64_t)by->number), &whole) && !dim_is(whole, 1))
        cut_add(c, r, v->index, (int64_t)by->number);
}

/* The digits of one index, from the largest; none when the cuts do not nest. */
static bool digits(Ctx *c, const Cuts *cut, Axis *a) {
    a->index = NEWN(c, Index *, cut->n + 1);
    Dim above = cut->index->size;
    for (int k = 0; k <= cut->n; k++) {
        Dim below = dim(c, k < cut->n ? cut->by[k] : 1), size;
        if (!dim_exact(c, above, below, &size))
            return false;
        a->index[a->n++] = index_new(c, cut->index->name, size);
        above = below;
    }
    return true;
}

static void replace_in_axes(Ctx *c, Node *n, const Index *old, const Axis *by) {
    Axis *axis = NEWN(c, Axis, n->naxis + 1);
    for (int a = 0; a < n->naxis; a++) {
        Indices list = { 0 };
        for (int k = 0; k < n->axis[a].n; k++) {
            bool hit = n->axis[a].index[k] == old;
            for (int d = 0; hit && d < by->n; d++)
                push(c, &list, by->index[d]);
            if (!hit)
                push(c, &list, n->axis[a].index[k]);
        }
        axis[a] = (Axis){ list.at, list.n };
    }
    n->axis = axis;
    Indices bind = { 0 };
    for (int k = 0; k < n->nbind; k++) {
        bool hit = n->bind[k] == old;
        for (int d = 0; hit && d < by->n; d++)
            push(c, &bind, by->index[d]);
        if (!hit)
            push(c, &bind, n->bind[k]);
    }
    n->bind = bind.at;
    n->nbind = bind.n;
}

bool split_radix(Ctx *c, Node *n) {
    Radix r = { 0 };
    bool changed = false;
    find_cuts(c, n->body, &r);
    for (int i = 0; i < n->ncond; i++)
        find_cuts(c, n->cond[i], &r);
    for (int i = 0; n->at && i < n->out->type.rank; i++)
        find_cuts(c, n->at[i], &r);
    for (int k = 0; k < r.cut.n; k++) {
        Axis a = { 0 };
        if (!digits(c, &r.cut.at[k], &a))
            continue;
        Term *whole = position_of(c, &a);
        replace_in_axes(c, n, r.cut.at[k].index, &a);
        node_subst(c, n, &r.cut.at[k].index, &whole, 1);
        changed = true;
    }
    return changed;
}

bool axis_of_position(Ctx *c, const Term *position, Dim size, Axis *a) {
    Affine f;
    if (!term_affine(c, position, &f) || !dim_is(f.base, 0))
        return false;
    *a = (Axis){ NEWN(c, Index *, f.n + 1), 0 };
    Dim weight = dim(c, 1);
    Indices found = ON_STACK(Index *, 16);
    while (found.n < f.n) { // from the index that runs fastest
        int hit = -1;
        for (int i = 0; i < f.n; i++)
            if (dim_is(weight, f.coef[i]))
                hit = i;
        for (int i = 0; hit >= 0 && i < found.n; i++)
            if (found.at[i] == f.index[hit])
                return false;
        if (hit < 0)
            return false;
        push(c, &found, f.index[hit]);
        weight = dim_mul(c, weight, f.index[hit]->size);
    }
    for (int i = found.n - 1; i >= 0; i--)
        a->index[a->n++] = found.at[i];
    return dim_equal(c, weight, size);
}
