/* scale.c: a scale that follows a contraction goes into its weight. What a batch norm does to the result
 * of a convolution is y*a[c] + d[c] with a and d known; since y is a sum of products with a weight that
 * has the index c, the scale is one of the weight, computed when compiling, and an addition is left. */
#include "simplify.h"

typedef struct Line {
    Term *scale, *shift;
} Line; /* t = of * scale + shift; NULL: 1 and 0 */

typedef struct Site { /* a contraction, and what follows it as far as that is linear */
    Graph *graph;
    Node *node, *last;
    const Term *weight; /* the load in the contraction's body */
    Line line;          /* in the contraction's own indices */
    Indices at;         /* last's indices that stand for the contraction's, in their order */
    Tensor *folded;
} Site;

typedef struct Sites {
    VEC(Site) site;
} Sites;

static Term *apply(Ctx *c, FnId f, Term *a, Term *b) {
    return term_apply2(c, f, a->elem, a, b);
}

static Term *times(Ctx *c, Term *a, Term *b) {
    return a ? apply(c, FnMul, a, b) : b;
}

static Line scaled(Ctx *c, Line l, Term *by) {
    return (Line){ times(c, l.scale, by), l.shift ? apply(c, FnMul, l.shift, by) : NULL };
}

static Line divided(Ctx *c, Line l, Term *by) {
    Term *one = term_number(c, by->elem, 1);
    return (Line){ apply(c, FnDiv, l.scale ? l.scale : one, by),
                   l.shift ? apply(c, FnDiv, l.shift, by) : NULL };
}

static Line shifted(Ctx *c, Line l, FnId f, Term *by) {
    if (!l.shift)
        return (Line){ l.scale, f == FnAdd ? by : term_apply1(c, FnNeg, by->elem, by) };
    return (Line){ l.scale, apply(c, f, l.shift, by) };
}

/* Is t linear in `load`, with what is known for coefficients? */
static bool line_of(Fold *f, Term *t, const Term *load, Line *l) {
    *l = (Line){ 0 };
    if (t == load)
        return true;
    if (t->kind != TApply || t->n != 2)
        return false;
    int k = reads_from(t->kid[0], load->from) ? 0 : 1;
    Term *by = t->kid[1 - k];
    if (!fold_known(f, by) || !line_of(f, t->kid[k], load, l))
        return false;
    switch (t->fn->id) {
    case FnMul: *l = scaled(f->c, *l, by); return true;
    case FnAdd: *l = shifted(f->c, *l, FnAdd, by); return true;
    case FnSub: *l = shifted(f->c, *l, FnSub, by); return k == 0;
    case FnDiv: *l = divided(f->c, *l, by); return k == 0;
    default: return false;
    }
}

/* ---- what follows a contraction ---- */

/* The one node that reads n, if it reads each element once, at indices of its own. */
static Node *follower(Ctx *c, const Uses *u, const Node *n, const Term **load, Indices *at) {
    const Use *use = use_of(u, n->out);
    if (use->root || use->reader.n != 1)
        return NULL;
    Node *r = use->reader.at[0];
    Loads loads = ON_STACK(const Term *, 16);
    TermList to = ON_STACK(Term *, 16);
    Indices from = ON_STACK(Index *, 16);
    Indices all = ON_STACK(Index *, 16);
    int reads = 0;
    node_loads(c, r, &loads);
    for (int i = 0; i < loads.n; i++)
        if (loads.at[i]->from == n->out) {
            *load = loads.at[i];
            reads++;
        }
    if (reads != 1 || r->reduce || r->at || r->ncond || (*load)->outside)
        return NULL;
    load_indices(c, n, *load, &from, &to);
    node_axes(c, r, &all);
    for (int i = 0; i < to.n; i++) {
        if (to.at[i]->kind != TIndex)
            return NULL;
        for (int k = 0; k < i; k++)
            if (to.at[k] == to.at[i])
                return NULL;
        push(c, at, to.at[i]->index);
    }
    return all.n == at->n ? r : NULL;
}

static void in_own_indices(Ctx *c, const Indices *theirs, const Indices *own, Line *l) {
    TermList to = ON_STACK(Term *, 16);
    for (int i = 0; i < own->n; i++)
        push(c, &to, term_index(c, own->at[i]));
    if (l->scale)
        l->scale = term_subst(c, l->scale, theirs->at, to.at, own->n);
    if (l->shift)
        l->shift = term_subst(c, l->shift, theirs->at, to.at, own->n);
}

/* before, then after: x*a + b, then *s + d, is x*(a*s) + (b*s + d). */
static Line composed(Ctx *c, Line before, Line after) {
    Line l = after.scale ? scaled(c, before, after.scale) : before;
    return after.shift ? shifted(c, l, FnAdd, after.shift) : l;
}

/* For each index of n the one of r that stands for it, given those of the node between them. */
static Indices through(Ctx *c, const Node *between, const Indices *mid, const Indices *last) {
    Indices own = ON_STACK(Index *, 16);
    Indices to = { 0 };
    node_axes(c, between, &own);
    for (int i = 0; i < mid->n; i++)
        for (int k = 0; k < own.n; k++)
            if (own.at[k] == mid->at[i])
                push(c, &to, last->at[k]);
    return to;
}

static void follow(Fold *f, const Uses *u, Site *s) {
    Ctx *c = f->c;
    Node *n = s->node;
    Indices own = ON_STACK(Index *, 16);
    Indices at = { 0 };
    Line line = { 0 };
    node_axes(c, n, &own);
    node_axes(c, n, &at);
    for (;;) {
        const Term *load = NULL;
        Indices mid = ON_STACK(Index *, 16);
        Line next;
        Node *r = follower(c, u, n, &load, &mid);
        if (!r || !elem_is_float(r->out->type.elem) || r->out->type.elem != n->out->type.elem ||
            !line_of(f, r->body, load, &next))
            return;
        at = through(c, n, &at, &mid);
        in_own_indices(c, &at, &own, &next);
        line = composed(c, line, next);
        n = r;
        if (line.scale) {
            s->last = r;
            s->line = line;
            s->at = at;
        }
    }
}

/* ---- the weight ---- */

static const Term *weight_in(Ctx *c, const Term *t) {
    if (t->kind == TLoad)
        return t->from->kind == TParam && t->from->data && !t->outside && t->n ? t : NULL;
    if (t->kind != TApply || t->fn->id != FnMul)
        return NULL;
    const Term *found = weight_in(c, t->kid[0]);
    return found ? found : weight_in(c, t->kid[1]);
}

static bool uses_only(Ctx *c, const Node *n, const Term *t, const Term *weight) {
    Indices own = ON_STACK(Index *, 16);
    node_axes(c, n, &own);
    for (int i = 0; i < own.n; i++)
        if (term_uses(t, own.at[i]) && !term_uses(weight, own.at[i]))
            return false;
    return true;
}

/* The weight times the scale, in the weight's own layout. */
static Tensor *fold_weight(Fold *f, const Site *s) {
    Ctx *c = f->c;
    const Term *w = s->weight;
    Axis *axis = NEWN(c, Axis, w->n + 1);
    for (int k = 0; k < w->n; k++)
        if (w->kid[k]->kind != TNumber &&
            !axis_of_position(c, w->kid[k], w->from->type.dim[k], &axis[k]))
            return NULL;
        else if (w->kid[k]->kind == TNumber && !dim_is(w->from->type.dim[k], 1))
            return NULL;
    Term *body = term_apply2(c, FnMul, w->elem, (Term *)w, s->line.scale);
    return fold_term(f, s->graph, body, axis, w->n, &w->from->type, w->from->name);
}

static void find_sites(Fold *f, Graph *g, Sites *to) {
    Uses *u = graph_uses(f->c, g);
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        if (n->out->kind != TTemp || n->at || !node_contracts(f->c, n))
            continue;
        Site s = { .graph = g, .node = n, .weight = weight_in(f->c, n->body) };
        if (!s.weight || s.weight->elem != n->out->type.elem)
            continue;
        follow(f, u, &s);
        if (!s.last || !uses_only(f->c, n, s.line.scale, s.weight))
            continue;
        s.folded = fold_weight(f, &s);
        if (s.folded)
            push(f->c, &to->site, s);
    }
}

/* Tensor → how many loads of all entries read it */
static Map read_counts(Fold *f) {
    Map count = { 0 };
    for (int i = 0; i < f->program->n; i++) {
        const Graph *g = f->program->graph[i];
        for (int k = 0; k < g->node.n; k++) {
            Loads loads = ON_STACK(const Term *, 16);
            node_loads(f->c, g->node.at[k], &loads);
            for (int j = 0; j < loads.n; j++) {
                intptr_t n = (intptr_t)map_get(&count, loads.at[j]->from);
                map_put(f->c, &count, loads.at[j]->from, (void *)(n + 1));
            }
        }
    }
    return count;
}

/* Every read of the weight must become one of the same scaled weight: else there would be two of it. */
static bool agreed(const Sites *all, const Site *s, int count) {
    int same = 0;
    for (int i = 0; i < all->site.n; i++)
        if (all->site.at[i].weight->from == s->weight->from) {
            if (all->site.at[i].folded != s->folded)
                return false;
            same++;
        }
    return same == count;
}

/* ---- the rewriting ---- */

typedef struct Swap {
    const Term *from;
    Tensor *to;
} Swap;

static Term *swapped(Ctx *c, Term *t, void *with) {
    const Swap *s = with;
    return t == s->from ? term_load(c, s->to, t->kid, t->n, NULL, t->as) : t;
}

/* The shift along the indices it depends on, as one tensor; itself when there is nothing to compute. */
static Term *shift_value(Fold *f, const Site *s, Indices *own) {
    Ctx *c = f->c;
    Term *t = s->line.shift;
    if (t->kind != TApply)
        return t;
    Axis *axis = NEWN(c, Axis, own->n + 1);
    Term **at = NEWN(c, Term *, own->n + 1);
    Type type = { .elem = t->elem };
    for (int i = 0; i < own->n && type.rank < MaxRank; i++) {
        if (!term_uses(t, own->at[i]))
            continue;
        axis[type.rank] = (Axis){ NEWN(c, Index *, 1), 1 };
        axis[type.rank].index[0] = own->at[i];
        at[type.rank] = term_index(c, own->at[i]);
        type.dim[type.rank++] = own->at[i]->size;
    }
    Tensor *v = fold_term(f, s->graph, t, axis, type.rank, &type, s->last->out->name);
    return v ? term_load(c, v, at, type.rank, NULL, v->name) : t;
}

static void rewrite(Fold *f, Site *s) {
    Ctx *c = f->c;
    Node *n = s->node, *last = s->last;
    Indices own = ON_STACK(Index *, 16);
    TermList to = ON_STACK(Term *, 16);
    node_axes(c, n, &own);
    for (int i = 0; i < own.n; i++)
        push(c, &to, term_index(c, s->at.at[i]));
    n->body = term_map(c, n->body, swapped, &(Swap){ s->weight, s->folded });
    Term **at = NEWN(c, Term *, n->naxis + 1);
    for (int a = 0; a < n->naxis; a++)
        at[a] = term_subst(c, position_of(c, &n->axis[a]), own.at, to.at, own.n);
    last->body = term_load(c, n->out, at, n->naxis, NULL, n->out->name);
    if (!s->line.shift)
        return;
    Term *shift = term_subst(c, shift_value(f, s, &own), own.at, to.at, own.n);
    last->body = term_apply2(c, FnAdd, last->out->type.elem, last->body, shift);
}

bool fold_scales(Fold *f) {
    Sites all = { 0 };
    bool changed = false;
    if (!f->weights)
        return false;
    for (int i = 0; i < f->program->n; i++)
        find_sites(f, f->program->graph[i], &all);
    if (!all.site.n)
        return false;
    Map count = read_counts(f);
    for (int i = 0; i < all.site.n; i++) {
        Site *s = &all.site.at[i];
        if (!agreed(&all, s, (int)(intptr_t)map_get(&count, s->weight->from)))
            continue;
        rewrite(f, s);
        changed = true;
    }
    return changed;
}
