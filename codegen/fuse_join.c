/* fuse_join.c: which nodes become one kernel. Nodes are asked in the order of the text; each joins a
 * cluster that makes something it reads, if the two can share loops: every read between them stands at
 * the same outer indices, what only they read is a scalar or a row, and an order is left to run in. */
#include "fuse.h"

#include <stdlib.h>

typedef struct Join {
    Ctx *c;
    const Graph *g;
    const Uses *u;
    Clusters *clusters;
    Map of_call; /* Call → the last cluster with a node of it */
    int next;    /* order of the next cluster */
} Join;

static int rank_of(Ctx *c, const Node *n) {
    Indices all = ON_STACK(Index *, 16);
    node_axes(c, n, &all);
    return all.n;
}

static bool has_call(const Cluster *b, const Call *call) {
    for (int i = 0; call && i < b->node.n; i++)
        if (b->node.at[i]->call == call)
            return true;
    return false;
}

static const Node *made_in(const Join *j, const Cluster *b, const Tensor *t) {
    return map_get(&j->clusters->of, t) == b ? use_of(j->u, t)->def : NULL;
}

/* ---- sharing loops ---- */

/* The loops that n can share with b: as far as all its reads of what b makes are aligned. */
static int shared(const Join *j, const Node *n, const Cluster *b, bool *fully) {
    Loads loads = ON_STACK(const Term *, 16);
    int least = b->nouter, rank = rank_of(j->c, n);
    *fully = true;
    node_loads(j->c, n, &loads);
    for (int i = 0; i < loads.n; i++) {
        const Node *p = made_in(j, b, loads.at[i]->from);
        if (!p)
            continue;
        int k = aligned(j->c, n, p, loads.at[i]);
        if (p->at)
            return -1;
        *fully &= k == rank && k == rank_of(j->c, p);
        least = k < least ? k : least;
    }
    return least < rank ? least : rank;
}

static int axis_with(const Term *load, const Index *i) {
    for (int k = 0; k < load->n; k++)
        if (load->kid[k]->kind == TIndex && load->kid[k]->index == i)
            return k;
    return -1;
}

/* Do two loads of one tensor run along its axes alike, as far as the first k indices of their nodes go? */
static bool alike(const Term *x, const Indices *a, const Term *y, const Indices *b, int k) {
    if (x->from != y->from)
        return false;
    for (int i = 0; i < k; i++)
        if (axis_with(x, a->at[i]) < 0 || axis_with(x, a->at[i]) != axis_with(y, b->at[i]))
            return false;
    return true;
}

/* Reductions of one call along the same rows, neither of which reads the other: two sums over x. */
static bool siblings(const Join *j, const Node *n, const Cluster *b) {
    Indices mine = ON_STACK(Index *, 16);
    Loads loads = ON_STACK(const Term *, 16);
    node_axes(j->c, n, &mine);
    node_loads(j->c, n, &loads);
    if (mine.n < b->nouter || !n->reduce)
        return false;
    for (int i = 0; i < b->node.n; i++) {
        Indices theirs = ON_STACK(Index *, 16);
        Loads reads = ON_STACK(const Term *, 16);
        node_axes(j->c, b->node.at[i], &theirs);
        node_loads(j->c, b->node.at[i], &reads);
        for (int x = 0; x < loads.n; x++)
            for (int y = 0; y < reads.n; y++)
                if (alike(loads.at[x], &mine, reads.at[y], &theirs, b->nouter))
                    return true;
    }
    return false;
}

/* ---- what stays inside ---- */

enum { MostRow = 1 << 14, MostAlone = 1 << 20 };

/* Is the tensor read by nobody but b and n, as far as is known yet? */
static bool private_to(const Join *j, const Node *p, const Cluster *b, const Node *n) {
    const Use *use = use_of(j->u, p->out);
    for (int i = 0; i < use->reader.n; i++) {
        const Node *r = use->reader.at[i];
        const Cluster *theirs = map_get(&j->clusters->of, r->out);
        if (r != n && theirs && theirs != b)
            return false;
    }
    return !use->root;
}

static bool is_small(const Join *j, const Node *n) {
    return node_turns(j->c, n, false) <= MostRow && node_turns(j->c, n, true) <= MostAlone;
}

static bool rows_at_most(const Join *j, const Cluster *b, const Node *n, int nouter) {
    if (nouter == 0 && (rank_of(j->c, n) > 1 || !is_small(j, n)))
        return false;
    for (int i = 0; i < b->node.n; i++) {
        const Node *p = b->node.at[i];
        int rank = rank_of(j->c, p);
        if (rank > nouter + 1 && (nouter == 0 || private_to(j, p, b, n)))
            return false;
        if (nouter == 0 && !is_small(j, p))
            return false;
    }
    return true;
}

/* ---- order ---- */

typedef VEC(Cluster *) ClusterList;

static void add_cluster(Ctx *c, ClusterList *to, Cluster *b) {
    for (int i = 0; i < to->n; i++)
        if (to->at[i] == b)
            return;
    push(c, to, b);
}

/* The clusters that must have run before n: what makes what it reads, and what reads the state it overwrites. */
static ClusterList needed(const Join *j, const Node *n) {
    ClusterList list = { 0 };
    Loads loads = ON_STACK(const Term *, 16);
    node_loads(j->c, n, &loads);
    for (int i = 0; i < loads.n; i++) {
        Cluster *b = map_get(&j->clusters->of, loads.at[i]->from);
        if (b)
            add_cluster(j->c, &list, b);
    }
    if (n->out->kind != TState || !n->out->before)
        return list;
    const Use *old = use_of(j->u, n->out->before);
    for (int i = 0; i < old->reader.n; i++) {
        Cluster *b = map_get(&j->clusters->of, old->reader.at[i]->out);
        if (b && old->reader.at[i] != n)
            add_cluster(j->c, &list, b);
    }
    Cluster *writer = map_get(&j->clusters->of, n->out->before);
    if (writer)
        add_cluster(j->c, &list, writer);
    return list;
}

/* Can b run after all of these? Else it must become the last one, which it may if nothing waits for it. */
static bool in_order(const Cluster *b, const ClusterList *before) {
    for (int i = 0; b->needed && i < before->n; i++)
        if (before->at[i] != b && before->at[i]->order > b->order)
            return false;
    return true;
}

/* b must not read or write the state that n overwrites: the loops would run through each other. */
static bool state_apart(const Join *j, const Cluster *b, const Node *n) {
    if (n->out->kind != TState)
        return true;
    const Tensor *old = n->out->before;
    for (int i = 0; i < b->node.n; i++) {
        Loads loads = ON_STACK(const Term *, 16);
        node_loads(j->c, b->node.at[i], &loads);
        for (int k = 0; k < loads.n; k++)
            if (loads.at[k]->from == old)
                return false;
        if (b->node.at[i]->out == old)
            return false;
    }
    return true;
}

/* ---- the rules ---- */

/* How many loops the cluster has with n in it; -1: n may not join. */
static int joined(Join *j, const Node *n, const Cluster *b) {
    bool fully, contracts = node_contracts(j->c, n), same = has_call(b, n->call);
    int k = shared(j, n, b, &fully);
    if (k < 0 || !state_apart(j, b, n))
        return -1;
    if (contracts && !same)
        return -1; // a contraction begins a kernel of its own
    if (b->contracts && !same && (n->reduce || !fully || k < b->nouter))
        return -1; // nothing but an epilogue at full index follows another call's
    if (!n->reduce && !b->reduces && !same && (!fully || k < b->nouter))
        return -1; // elementwise after elementwise: the very same loops
    if (k == 0 && rank_of(j->c, n) > 0 && !b->reduces && !same)
        return -1; // a number and a vector have no row in common
    return rows_at_most(j, b, n, k) ? k : -1;
}

static void join(Join *j, Node *n, Cluster *b, const ClusterList *before) {
    push(j->c, &b->node, n);
    b->reduces |= n->reduce != NoReduce;
    b->contracts |= node_contracts(j->c, n);
    for (int i = 0; i < before->n; i++) {
        Cluster *other = before->at[i];
        if (other == b)
            continue;
        other->needed = true;
        if (other->order > b->order)
            b->order = j->next++;
    }
    map_put(j->c, &j->clusters->of, n->out, b);
    if (n->call)
        map_put(j->c, &j->of_call, n->call, b);
}

static Cluster *sibling_cluster(Join *j, const Node *n) {
    Cluster *b = n->call ? map_get(&j->of_call, n->call) : NULL;
    if (!b || !n->reduce || b->node.n == 0 || !siblings(j, n, b) ||
        !rows_at_most(j, b, n, b->nouter))
        return NULL;
    return node_contracts(j->c, n) != b->contracts ? NULL : b;
}

/* The cluster for n, of those that make what it reads: the one latest in the text that takes it. */
static Cluster *place(Join *j, const Node *n, const ClusterList *before, int *nouter) {
    Cluster *best = NULL;
    for (int i = 0; i < before->n; i++) {
        Cluster *b = before->at[i];
        if (best && best->order > b->order)
            continue;
        int k = joined(j, n, b);
        if (k < 0 || !in_order(b, before))
            continue;
        best = b;
        *nouter = k;
    }
    if (best)
        return best;
    Cluster *b = sibling_cluster(j, n);
    if (!b || !state_apart(j, b, n) || !in_order(b, before))
        return NULL;
    *nouter = b->nouter;
    return b;
}

static int by_order(const void *a, const void *b) {
    return (*(Cluster *const *)a)->order - (*(Cluster *const *)b)->order;
}

Clusters *fuse_join(Ctx *c, const Graph *g, const Uses *u) {
    Join j = { .c = c, .g = g, .u = u, .clusters = NEW(c, Clusters) };
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        ClusterList before = needed(&j, n);
        int nouter = rank_of(c, n);
        Cluster *b = place(&j, n, &before, &nouter);
        if (!b) {
            b = NEW(c, Cluster);
            b->order = j.next++;
            push(c, &j.clusters->cluster, b);
        }
        b->nouter = nouter;
        join(&j, n, b, &before);
    }
    if (j.clusters->cluster.n)
        qsort(j.clusters->cluster.at, (size_t)j.clusters->cluster.n, sizeof(Cluster *), by_order);
    return j.clusters;
}
