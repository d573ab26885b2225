/* outside.c: guards become conditions. A term that adds nothing is absent, so `x[…] else 0` in a sum
 * of products, `else -inf` in a max and `where(c, a, 0)` are conditions of the reduction, from which
 * the bounds of loops are made. A node that is read only under a condition gets it as its own: the
 * elements where it fails are never read, so nothing computes them. */
#include "simplify.h"

#include <math.h>
#include <string.h>

double reduce_neutral(Reduce r, bool *has) {
    static const double value[] = {
        [RSum] = 0, [RProd] = 1, [RMax] = -INFINITY, [RMin] = INFINITY, [RAny] = 0, [RAll] = 1,
    };
    *has = r != NoReduce && r != RArgMax && r != RArgMin;
    return *has ? value[r] : 0;
}

/* ---- conditions ---- */

static bool is_number(const Term *t, double v) {
    return t->kind == TNumber && t->number == v;
}

/* What is known of the position is known to term_apply. */
Term *in_range(Ctx *c, Term *position, Dim size) {
    Term *low = term_apply2(c, FnGe, Bool, position, term_number(c, I32, 0));
    Term *high = term_apply2(c, FnLt, Bool, position, term_size(c, size));
    return term_apply2(c, FnAnd, Bool, low, high);
}

/* NULL, or the term `false` if the condition can never hold. */
Term *condition_split(Ctx *c, Term *cond, TermList *to) {
    if (cond->kind == TApply && cond->fn->id == FnAnd) {
        Term *no = condition_split(c, cond->kid[0], to);
        return no ? no : condition_split(c, cond->kid[1], to);
    }
    if (cond->kind == TNumber)
        return cond->number != 0 ? NULL : cond;
    for (int i = 0; i < to->n; i++)
        if (to->at[i] == cond)
            return NULL;
    push(c, to, cond);
    return NULL;
}

/* ---- guards of a reduction's body ---- */

typedef struct Absent {
    Ctx *c;
    Reduce reduce;
    double neutral;
    TermList cond;
} Absent;

static bool same_value(double a, double b) {
    return a == b;
}

static Term *rebuilt(Ctx *c, const Term *t, int at, Term *kid) {
    if (kid == t->kid[at])
        return term_apply(c, t->fn, t->elem, t->kid);
    Term *arg[3];
    memcpy(arg, t->kid, sizeof *arg * (size_t)t->n);
    arg[at] = kid;
    return term_apply(c, t->fn, t->elem, arg);
}

static Term *absent_load(Absent *a, Term *t) {
    if (!t->outside || t->outside->kind != TNumber || !same_value(t->outside->number, a->neutral))
        return t;
    for (int i = 0; i < t->n; i++)
        push(a->c, &a->cond, in_range(a->c, t->kid[i], t->from->type.dim[i]));
    return term_load(a->c, t->from, t->kid, t->n, NULL, t->as);
}

/* Does the function pass on that its k-th argument is neutral? */
static bool passes(const Absent *a, const Term *t, int k) {
    switch (t->fn->id) {
    case FnCast:
    case FnStopGradient: return true;
    case FnNeg: return a->reduce == RSum;
    case FnMul: return a->reduce == RSum;
    case FnDiv: return a->reduce == RSum && k == 0 && elem_is_float(t->elem);
    case FnAnd: return a->reduce == RAny;
    case FnOr: return a->reduce == RAll;
    default: return false;
    }
}

static Term *absent(Absent *a, Term *t) {
    if (t->kind == TLoad)
        return absent_load(a, t);
    if (t->kind != TApply || t->n > 3)
        return t;
    if (t->fn->id == FnWhere && term_from_indices(t->kid[0])) {
        bool other = is_number(t->kid[2], a->neutral);
        if (!other && !is_number(t->kid[1], a->neutral))
            return t;
        push(a->c, &a->cond, other ? t->kid[0] : term_apply1(a->c, FnNot, Bool, t->kid[0]));
        return absent(a, t->kid[other ? 1 : 2]);
    }
    for (int k = 0; k < t->n; k++)
        if (passes(a, t, k)) {
            Term *kid = absent(a, t->kid[k]);
            if (kid != t->kid[k]) {
                t = rebuilt(a->c, t, k, kid);
                if (t->kind != TApply)
                    return t;
            }
        }
    return t;
}

static void set_conditions(Ctx *c, Node *n, const TermList *more) {
    TermList all = { 0 };
    Term *no = NULL;
    if (!n->ncond && !more->n)
        return;
    for (int i = 0; i < n->ncond && !no; i++)
        no = condition_split(c, n->cond[i], &all);
    for (int i = 0; i < more->n && !no; i++)
        no = condition_split(c, more->at[i], &all);
    if (no) {
        all.n = 0;
        push(c, &all, no);
    }
    n->cond = all.at;
    n->ncond = all.n;
}

bool guards_to_conditions(Ctx *c, Node *n) {
    Absent a = { .c = c, .reduce = n->reduce };
    bool has;
    a.neutral = reduce_neutral(n->reduce, &has);
    Term *body = has ? absent(&a, n->body) : n->body;
    bool changed = body != n->body;
    int before = n->ncond;
    n->body = body;
    set_conditions(c, n, &a.cond);
    return changed || before != n->ncond;
}

/* ---- guards of a node move to its readers ---- */

typedef struct Guard {
    Term *cond, *body;
    double otherwise;
} Guard;

/* What t is when the choice `w` takes its infinite side and all else is finite; NAN: not known. */
static double far_value(const Term *t, const Term *w, double v) {
    if (t == w)
        return v;
    if (t->kind == TNumber)
        return t->number;
    if (t->kind != TApply || t->n > 3)
        return NAN;
    double arg[3];
    int known = 0, last = 0;
    for (int i = 0; i < t->n; i++) {
        arg[i] = far_value(t->kid[i], w, v);
        if (!isnan(arg[i])) {
            known++;
            last = i;
        }
    }
    if (known == t->n)
        return t->fn->id == FnCast || t->fn->id == FnStopGradient ? arg[0]
                                                                  : fn_eval(t->fn, t->elem, arg);
    if (known != 1 || !isinf(arg[last]))
        return NAN;
    if (t->fn->id == FnAdd)
        return arg[last];
    return t->fn->id == FnSub ? (last == 0 ? arg[0] : -arg[1]) : NAN;
}

static Term *infinite_choice(Term *t) {
    if (t->kind != TApply)
        return NULL;
    if (t->fn->id == FnWhere && term_from_indices(t->kid[0]) && t->kid[2]->kind == TNumber &&
        isinf(t->kid[2]->number))
        return t;
    for (int i = 0; i < t->n; i++) {
        Term *found = infinite_choice(t->kid[i]);
        if (found)
            return found;
    }
    return NULL;
}

typedef struct Swap {
    Term *from, *to;
} Swap;

static Term *swap(Ctx *c, Term *t, void *with) {
    (void)c;
    const Swap *s = with;
    return t == s->from ? s->to : t;
}

/* n's body as: where(cond, body, otherwise). */
static bool guard_of(Ctx *c, const Node *n, Guard *g) {
    Term *b = n->body;
    if (b->kind != TApply || n->reduce || n->at)
        return false;
    if (b->fn->id == FnWhere && term_from_indices(b->kid[0]) && b->kid[2]->kind == TNumber) {
        *g = (Guard){ b->kid[0], b->kid[1], b->kid[2]->number };
        return true;
    }
    Term *w = infinite_choice(b);
    if (!w)
        return false;
    double v = far_value(b, w, w->kid[2]->number);
    *g = (Guard){ w->kid[0], term_map(c, b, swap, &(Swap){ w, w->kid[1] }), v };
    return !isnan(v);
}

/* Does every read of `from` in t stand where its being neutral makes the whole neutral? */
static bool absorbs(const Absent *a, const Term *t, const Tensor *from) {
    if (!reads_from(t, from) || (t->kind == TLoad && t->from == from && !t->outside))
        return true;
    if (t->kind != TApply)
        return false;
    for (int k = 0; k < t->n; k++)
        if (reads_from(t->kid[k], from) && !(passes(a, t, k) && absorbs(a, t->kid[k], from)))
            return false;
    return true;
}

static bool reader_absorbs(Ctx *c, const Node *r, const Node *p, double otherwise) {
    bool has;
    Absent a = { .c = c, .reduce = r->reduce };
    a.neutral = reduce_neutral(r->reduce, &has);
    if (!has || !same_value(a.neutral, otherwise))
        return false;
    for (int i = 0; i < r->ncond; i++)
        if (reads_from(r->cond[i], p->out))
            return false;
    for (int i = 0; r->at && i < r->out->type.rank; i++)
        if (reads_from(r->at[i], p->out))
            return false;
    return absorbs(&a, r->body, p->out);
}

static void guard_reader(Ctx *c, Node *r, const Node *p, const Guard *g) {
    Loads loads = ON_STACK(const Term *, 16);
    TermList more = ON_STACK(Term *, 16);
    term_loads(c, r->body, &loads);
    for (int i = 0; i < loads.n; i++) {
        if (loads.at[i]->from != p->out)
            continue;
        Indices from = ON_STACK(Index *, 16);
        TermList to = ON_STACK(Term *, 16);
        load_indices(c, p, loads.at[i], &from, &to);
        push(c, &more, term_subst(c, g->cond, from.at, to.at, from.n));
    }
    set_conditions(c, r, &more);
}

static bool guard_to_readers(Ctx *c, const Uses *u, Node *p) {
    Guard g;
    const Use *use = use_of(u, p->out);
    if (p->out->kind != TTemp || use->root || !use->reader.n || !guard_of(c, p, &g))
        return false;
    for (int i = 0; i < use->reader.n; i++)
        if (!reader_absorbs(c, use->reader.at[i], p, g.otherwise))
            return false;
    for (int i = 0; i < use->reader.n; i++)
        guard_reader(c, use->reader.at[i], p, &g);
    TermList own = ON_STACK(Term *, 16);
    push(c, &own, g.cond);
    p->body = g.body;
    set_conditions(c, p, &own);
    return true;
}

bool guards_to_readers(Ctx *c, Graph *g, const Uses *u) {
    bool changed = false;
    for (int i = 0; i < g->node.n; i++)
        changed |= guard_to_readers(c, u, g->node.at[i]);
    return changed;
}

/* ---- narrowing ---- */

/* A condition may be asked where p stands if what it reads is there already. */
static bool known_at(const Uses *u, const Term *t, const Node *p) {
    if (t->kind == TLoad) {
        const Use *use = use_of(u, t->from);
        return t->from->type.rank == 0 && t->from->kind != TState &&
               use->at < use_of(u, p->out)->at;
    }
    for (int i = 0; i < t->n; i++)
        if (!known_at(u, t->kid[i], p))
            return false;
    return true;
}

static bool all_mapped(const Term *t, const Indices *from) {
    if (t->kind == TIndex) {
        for (int i = 0; i < from->n; i++)
            if (from->at[i] == t->index)
                return true;
        return false;
    }
    for (int i = 0; i < t->n; i++)
        if (!all_mapped(t->kid[i], from))
            return false;
    return true;
}

/* The conditions under which r reads `load`, in p's own indices. */
static void seen_under(Ctx *c, const Uses *u, const Node *p, const Node *r, const Term *load,
                       TermList *to) {
    Indices own = ON_STACK(Index *, 16);
    Indices theirs = ON_STACK(Index *, 16);
    TermList read = ON_STACK(Term *, 16);
    TermList back = ON_STACK(Term *, 16);
    load_indices(c, p, load, &own, &read);
    for (int i = 0; i < own.n; i++)
        if (read.at[i]->kind == TIndex) {
            push(c, &theirs, read.at[i]->index);
            push(c, &back, term_index(c, own.at[i]));
        }
    for (int i = 0; i < r->ncond; i++)
        if (all_mapped(r->cond[i], &theirs) && known_at(u, r->cond[i], p))
            push(c, to, term_subst(c, r->cond[i], theirs.at, back.at, theirs.n));
}

static void keep_common(TermList *all, const TermList *these) {
    int kept = 0;
    for (int i = 0; i < all->n; i++)
        for (int k = 0; k < these->n; k++)
            if (all->at[i] == these->at[k]) {
                all->at[kept++] = all->at[i];
                break;
            }
    all->n = kept;
}

static void narrow_node(Ctx *c, const Uses *u, Node *p) {
    const Use *use = use_of(u, p->out);
    if (p->reduce || p->at || p->out->kind != TTemp || use->root)
        return;
    TermList all = ON_STACK(Term *, 16);
    bool first = true;
    for (int i = 0; i < use->reader.n; i++) {
        const Node *r = use->reader.at[i];
        Loads loads = ON_STACK(const Term *, 16);
        node_loads(c, r, &loads);
        bool in_body = false;
        for (int k = 0; k < loads.n; k++) {
            if (loads.at[k]->from != p->out)
                continue;
            in_body = true;
            TermList these = { 0 };
            seen_under(c, u, p, r, loads.at[k], &these);
            if (first)
                all = these;
            else
                keep_common(&all, &these);
            first = false;
        }
        for (int k = 0; k < r->ncond; k++)
            if (!in_body || reads_from(r->cond[k], p->out))
                return; // the condition itself reads it: everywhere
    }
    set_conditions(c, p, &all);
}

/* needs: a graph in its final form. gives: Node.cond of nodes without reduction, from the last to the first. */
void narrow(Ctx *c, Graph *g) {
    Uses *u = graph_uses(c, g);
    for (int i = g->node.n - 1; i >= 0; i--)
        narrow_node(c, u, g->node.at[i]);
}
