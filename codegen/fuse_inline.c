/* fuse_inline.c: which elementwise nodes are substituted into their readers. Each element read at most
 * once costs nothing to move; a cheap one may be computed a few times over; a dear one never. What
 * can end the loop of a reduction stays there, since its reader may be anything. */
#include "fuse.h"

int aligned(Ctx *c, const Node *n, const Node *p, const Term *load) {
    if (p->at || load->outside)
        return 0;
    Indices own = ON_STACK(Index *, 16);
    Indices mine = ON_STACK(Index *, 16);
    TermList to = ON_STACK(Term *, 16);
    load_indices(c, p, load, &own, &to);
    node_axes(c, n, &mine);
    int k = 0;
    while (k < own.n && k < mine.n && to.at[k]->kind == TIndex && to.at[k]->index == mine.at[k] &&
           dim_equal(c, own.at[k]->size, mine.at[k]->size))
        k++;
    return k;
}

static int rank_of(Ctx *c, const Node *n) {
    Indices all = ON_STACK(Index *, 16);
    node_axes(c, n, &all);
    return all.n;
}

static bool aligned_fully(Ctx *c, const Node *n, const Node *p, const Term *load) {
    int rank = rank_of(c, n);
    return rank == rank_of(c, p) && aligned(c, n, p, load) == rank;
}

/* May p become what a reduction does with its result? */
static bool ends_reduction(Ctx *c, const Uses *u, const Node *p) {
    Loads loads = ON_STACK(const Term *, 16);
    node_loads(c, p, &loads);
    for (int i = 0; i < loads.n; i++) {
        const Use *use = use_of(u, loads.at[i]->from);
        if (use->def && use->def->reduce && aligned_fully(c, p, use->def, loads.at[i]))
            return true;
    }
    return false;
}

static bool of_weights(const Term *t) {
    if (t->kind == TLoad && t->from->kind != TParam && t->from->kind != TConst)
        return false;
    for (int i = 0; i < t->n; i++)
        if (!of_weights(t->kid[i]))
            return false;
    return true;
}

/* ---- the cost model ---- */

typedef struct Reads { /* of one node, by all its readers */
    double times;      /* how often each element is read, on average */
    int loads;
    bool contracts;    /* some reader is a contraction */
    bool plain;        /* all read element by element, at their own indices */
} Reads;

static Reads reads_of(Ctx *c, const Uses *u, const Node *p) {
    Reads reads = { .plain = true };
    const Use *use = use_of(u, p->out);
    double elements = node_turns(c, p, false), evaluations = 0;
    for (int i = 0; i < use->reader.n; i++) {
        const Node *r = use->reader.at[i];
        Loads loads = ON_STACK(const Term *, 16);
        node_loads(c, r, &loads);
        for (int k = 0; k < loads.n; k++) {
            if (loads.at[k]->from != p->out)
                continue;
            evaluations += node_turns(c, r, true);
            reads.plain &= !r->reduce && aligned_fully(c, r, p, loads.at[k]);
            reads.loads++;
        }
        reads.contracts |= node_contracts(c, r);
    }
    reads.times = elements > 0 ? evaluations / elements : 1;
    return reads;
}

enum { CheapWeight = 4, CheapRepeats = 3, MostWeight = 96 };

static bool worth(Ctx *c, const Uses *u, const Node *p) {
    Reads reads = reads_of(c, u, p);
    int cost = term_cost(p->body);
    if (ends_reduction(c, u, p))
        return reads.plain && reads.loads == 1;
    if (reads.times <= 1)
        return true;
    if (of_weights(p->body) && !term_calls(p->body) && cost <= CheapWeight)
        return true; // a dequantised weight is never stored
    return !reads.contracts && !term_calls(p->body) && cost * (reads.times - 1) <= CheapRepeats;
}

/* ---- the substitution ---- */

typedef struct Inline {
    const Node *node;
} Inline;

static Term *inlined(Ctx *c, Term *t, void *with) {
    const Inline *in = with;
    return t->kind == TLoad && t->from == in->node->out ? load_through(c, in->node, t) : t;
}

static void take_call(Ctx *c, Node *n, Call *call) {
    for (int i = 0; i < n->took.n; i++)
        if (n->took.at[i] == call)
            return;
    if (call && call != n->call)
        push(c, &n->took, call);
}

/* The reader computes what p and all that p took compute. */
static void take_calls(Ctx *c, Node *reader, const Node *p) {
    for (int i = 0; i < p->took.n; i++)
        take_call(c, reader, p->took.at[i]);
    take_call(c, reader, p->call);
}

static bool fits(Ctx *c, const Uses *u, const Node *p, const Node *r) {
    int weight = term_weight(p->body, MostWeight);
    if (weight + term_weight(r->body, MostWeight) >= MostWeight || !reads_may_move(c, u, p, r))
        return false;
    Node trial = *r;
    node_map(c, &trial, inlined, &(Inline){ p });
    return reads_before_write(c, &trial) && term_weight(trial.body, MostWeight) < MostWeight;
}

static bool may_inline(Ctx *c, const Uses *u, const Node *p) {
    const Use *use = use_of(u, p->out);
    if (p->reduce || p->at || p->out->kind != TTemp || use->root || !use->reader.n ||
        !worth(c, u, p))
        return false;
    for (int i = 0; i < use->reader.n; i++)
        if (!fits(c, u, p, use->reader.at[i]))
            return false;
    return true;
}

/* From the first node to the last: what p reads is decided when p is asked, and p's readers read p still. */
void fuse_inline(Ctx *c, Graph *g) {
    Uses *u = graph_uses(c, g);
    int kept = 0;
    for (int i = 0; i < g->node.n; i++) {
        Node *p = g->node.at[i];
        if (!may_inline(c, u, p)) {
            g->node.at[kept++] = p;
            continue;
        }
        const Use *use = use_of(u, p->out);
        for (int k = 0; k < use->reader.n; k++) {
            node_map(c, use->reader.at[k], inlined, &(Inline){ p });
            take_calls(c, use->reader.at[k], p);
        }
    }
    g->node.n = kept;
}
