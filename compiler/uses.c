/* uses.c: facts about a graph that simplify and fuse decide by: who reads a tensor, when a state is
 * overwritten, what a term costs. Nothing here changes a graph but node_map and node_subst. */
#include "simplify.h"

#include <string.h>

static Use *use_make(Ctx *c, Uses *u, const Tensor *t) {
    Use *found = map_get(&u->of, t);
    if (found)
        return found;
    Use *made = NEW(c, Use);
    made->at = -1;
    made->ends = INT32_MAX;
    map_put(c, &u->of, t, made);
    return made;
}

Use *use_of(const Uses *u, const Tensor *t) {
    return map_get(&u->of, t);
}

static void note_reads(Ctx *c, Uses *u, Node *n, Loads *loads) {
    loads->n = 0;
    node_loads(c, n, loads);
    for (int i = 0; i < loads->n; i++) {
        Use *use = use_make(c, u, loads->at[i]->from);
        if (!use->reader.n || use->reader.at[use->reader.n - 1] != n)
            push(c, &use->reader, n);
    }
}

/* needs: any graph. gives: for each tensor where it is made, who reads it, and when it ends. */
Uses *graph_uses(Ctx *c, const Graph *g) {
    Uses *u = NEW(c, Uses);
    Loads loads = ON_STACK(const Term *, 16);
    u->graph = g;
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        note_reads(c, u, n, &loads);
        Use *use = use_make(c, u, n->out);
        use->def = n;
        use->at = i;
        if (n->out->kind == TState) {
            use->root = true;
            if (n->out->before)
                use_make(c, u, n->out->before)->ends = i;
        }
    }
    for (int i = 0; i < g->output.n; i++)
        if (g->output.at[i].tensor)
            use_make(c, u, g->output.at[i].tensor)->root = true;
    return u;
}

void term_loads(Ctx *c, const Term *t, Loads *to) {
    if (t->kind == TLoad) {
        for (int i = 0; i < to->n; i++)
            if (to->at[i] == t)
                return;
        push(c, to, t);
        if (t->outside)
            term_loads(c, t->outside, to);
    }
    for (int i = 0; i < t->n; i++)
        term_loads(c, t->kid[i], to);
}

void node_loads(Ctx *c, const Node *n, Loads *to) {
    term_loads(c, n->body, to);
    for (int i = 0; i < n->ncond; i++)
        term_loads(c, n->cond[i], to);
    for (int i = 0; n->at && i < n->out->type.rank; i++)
        term_loads(c, n->at[i], to);
}

void node_axes(Ctx *c, const Node *n, Indices *to) {
    for (int a = 0; a < n->naxis; a++)
        for (int k = 0; k < n->axis[a].n; k++)
            push(c, to, n->axis[a].index[k]);
}

int term_weight(const Term *t, int limit) {
    int w = t->kind == TLoad || t->kind == TApply;
    for (int i = 0; i < t->n && w < limit; i++)
        w += term_weight(t->kid[i], limit - w);
    if (t->outside && w < limit)
        w += term_weight(t->outside, limit - w);
    return w < limit ? w : limit;
}

bool reads_from(const Term *t, const Tensor *from) {
    if (t->kind == TLoad && t->from == from)
        return true;
    for (int i = 0; i < t->n; i++)
        if (reads_from(t->kid[i], from))
            return true;
    return t->outside && reads_from(t->outside, from);
}

bool term_from_indices(const Term *t) {
    if (t->kind == TLoad)
        return t->from->type.rank == 0;
    for (int i = 0; i < t->n; i++)
        if (!term_from_indices(t->kid[i]))
            return false;
    return true;
}

bool node_map(Ctx *c, Node *n, Term *(*leaf)(Ctx *, Term *, void *), void *with) {
    Term *body = term_map(c, n->body, leaf, with);
    bool changed = body != n->body;
    n->body = body;
    Term **cond = n->ncond ? NEWN(c, Term *, n->ncond) : NULL;
    for (int i = 0; i < n->ncond; i++) {
        cond[i] = term_map(c, n->cond[i], leaf, with);
        changed |= cond[i] != n->cond[i];
    }
    n->cond = cond;
    if (!n->at)
        return changed;
    Term **at = NEWN(c, Term *, n->out->type.rank + 1);
    for (int i = 0; i < n->out->type.rank; i++) {
        at[i] = term_map(c, n->at[i], leaf, with);
        changed |= at[i] != n->at[i];
    }
    n->at = at;
    return changed;
}

void node_subst(Ctx *c, Node *n, Index *const *from, Term *const *to, int count) {
    n->body = term_subst(c, n->body, from, to, count);
    Term **cond = NEWN(c, Term *, n->ncond + 1);
    for (int i = 0; i < n->ncond; i++)
        cond[i] = term_subst(c, n->cond[i], from, to, count);
    n->cond = cond;
    if (!n->at)
        return;
    Term **at = NEWN(c, Term *, n->out->type.rank + 1);
    for (int i = 0; i < n->out->type.rank; i++)
        at[i] = term_subst(c, n->at[i], from, to, count);
    n->at = at;
}

/* ---- classes and costs ---- */

static void factors(Ctx *c, Term *t, TermList *to) {
    if (t->kind == TApply && t->fn->id == FnMul) {
        factors(c, t->kid[0], to);
        factors(c, t->kid[1], to);
    } else if (t->kind == TApply && (t->fn->id == FnCast || t->fn->id == FnNeg)) {
        factors(c, t->kid[0], to);
    } else {
        push(c, to, t);
    }
}

static bool uses_any(const Term *t, Index *const *index, int n) {
    for (int i = 0; i < n; i++)
        if (term_uses(t, index[i]))
            return true;
    return false;
}

/* The result indices a factor runs along, as bits; 0 bits for what stands past the 64th. */
static uint64_t along(const Term *t, const Indices *result) {
    uint64_t bits = 0;
    for (int i = 0; i < result->n && i < 64; i++)
        if (term_uses(t, result->at[i]))
            bits |= (uint64_t)1 << i;
    return bits;
}

bool node_contracts(Ctx *c, const Node *n) {
    if (n->reduce != RSum || n->body->kind != TApply)
        return false;
    TermList factor = ON_STACK(Term *, 16);
    Indices result = ON_STACK(Index *, 16);
    factors(c, n->body, &factor);
    node_axes(c, n, &result);
    uint64_t first = 0;
    int operands = 0;
    for (int i = 0; i < factor.n; i++) {
        if (!uses_any(factor.at[i], n->bind, n->nbind))
            continue;
        uint64_t bits = along(factor.at[i], &result);
        if (operands++ && bits != first)
            return true;
        first = bits;
    }
    return false;
}

enum { FarAway = 40 };

int64_t bound_of(Ctx *c, Dim d) {
    int64_t lo, hi, most = (int64_t)1 << FarAway;
    dim_bounds(c, d, &lo, &hi);
    return hi < 0 ? 0 : hi > most ? most : hi;
}

double node_turns(Ctx *c, const Node *n, bool bound_too) {
    double turns = 1;
    Indices all = ON_STACK(Index *, 16);
    node_axes(c, n, &all);
    for (int i = 0; i < all.n; i++)
        turns *= (double)bound_of(c, all.at[i]->size);
    for (int i = 0; bound_too && i < n->nbind; i++)
        turns *= (double)bound_of(c, n->bind[i]->size);
    return turns;
}

static int own_cost(const Term *t) {
    if (t->kind == TLoad)
        return 1;
    if (t->kind != TApply)
        return 0;
    switch (t->fn->id) {
    case FnExtern:
    case FnPow: return 8;
    case FnDiv:
    case FnFloorDiv:
    case FnMod: return t->kid[1]->kind == TNumber ? 1 : 8;
    case FnStopGradient: return 0;
    default: return 1;
    }
}

enum { CostLimit = 1000 };

static int cost_of(const Term *t, int limit) {
    int cost = own_cost(t);
    bool gathers = t->kind == TLoad && !term_from_indices(t);
    for (int i = 0; i < t->n && cost < limit; i++)
        if (t->kind != TLoad || (gathers && !term_from_indices(t->kid[i])))
            cost += cost_of(t->kid[i], limit - cost);
    return cost;
}

int term_cost(const Term *t) {
    int cost = cost_of(t, CostLimit);
    return cost > 0 && !term_from_indices(t) ? cost - 1 : cost;
}

bool term_calls(const Term *t) {
    if (own_cost(t) >= 8)
        return true;
    for (int i = 0; i < t->n; i++)
        if (term_calls(t->kid[i]))
            return true;
    return false;
}

/* ---- state is versions ---- */

bool reads_may_move(Ctx *c, const Uses *u, const Node *p, const Node *r) {
    Loads loads = ON_STACK(const Term *, 16);
    node_loads(c, p, &loads);
    const Use *to = use_of(u, r->out);
    for (int i = 0; i < loads.n; i++) {
        const Use *use = use_of(u, loads.at[i]->from);
        if (use && use->ends < to->at)
            return false;
    }
    return true;
}

bool reads_before_write(Ctx *c, const Node *r) {
    if (r->out->kind != TState || !r->out->before)
        return true;
    Loads loads = ON_STACK(const Term *, 16);
    node_loads(c, r, &loads);
    for (int i = 0; i < loads.n; i++) {
        const Term *load = loads.at[i];
        if (load->from != r->out->before)
            continue;
        if (r->reduce || load->outside)
            return false;
        for (int k = 0; k < load->n; k++)
            if (load->kid[k] != (r->at ? r->at[k] : position_of(c, &r->axis[k])))
                return false;
    }
    return true;
}
