/* versions.c: old versions of states that are read after they were replaced.
 *
 * All versions of a state share one storage, so that `old = s; s <- e; y = old` would read what e
 * wrote. Where a node reads a version that an earlier node replaced, a copy is made before that node. */
#include "flatten.h"

typedef struct Versions {
    Ctx *c;
    Map replaced;       /* version → the node that wrote over it */
    Map copy;           /* version → its copy */
    VEC(Node *) copies; /* to be put before the node that replaces what they read */
    Elab *e;
} Versions;

static Term *read_copy(Ctx *c, Term *t, void *with) {
    Versions *v = with;
    if (t->kind != TLoad || !map_get(&v->replaced, t->from))
        return NULL;
    Tensor *copy = map_get(&v->copy, t->from);
    if (!copy) {
        Graph aside = { 0 }, *g = v->e->graph;
        Act *a = act_new(NULL, v->e, NULL, v->e->top);
        v->e->graph = &aside;
        copy = copied(a, t->from, t->from->name);
        v->e->graph = g;
        map_put(c, &v->copy, t->from, copy);
        push(c, &v->copies, copy->def);
    }
    return term_load(c, copy, t->kid, t->n, t->outside, t->as);
}

static Term *old_reads(Versions *v, Term *t) {
    return t ? term_map(v->c, t, read_copy, v) : NULL;
}

static void rewrite(Versions *v, Node *n) {
    n->body = old_reads(v, n->body);
    for (int k = 0; k < n->ncond; k++)
        n->cond[k] = old_reads(v, n->cond[k]);
    for (int k = 0; n->at && k < n->out->type.rank; k++)
        n->at[k] = old_reads(v, n->at[k]);
}

/* The copy goes where its version still stands. */
static void insert_copies(Versions *v, Graph *g) {
    Graph merged = { 0 };
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        for (int k = 0; k < v->copies.n; k++) {
            Term *load = v->copies.at[k]->body;
            if (map_get(&v->replaced, load->from) == n)
                push(v->c, &merged.node, v->copies.at[k]);
        }
        push(v->c, &merged.node, n);
    }
    g->node.at = merged.node.at;
    g->node.n = merged.node.n;
    g->node.cap = merged.node.cap;
}

void keep_old_versions(Elab *e) {
    Graph *g = e->graph;
    Versions v = { .c = e->c, .e = e };
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        if (v.replaced.n)
            rewrite(&v, n);
        if (n->out->before)
            map_put(e->c, &v.replaced, n->out->before, n);
    }
    if (v.copies.n)
        insert_copies(&v, g);
}
