/* fuse.c: the flat graph becomes bunches of nodes, each to be one kernel. In: a simplified graph. Out:
 * bunches in an order that can be run, their nodes copies in which the shared loops are the same Index.
 * The rules are those of docs/design/pipeline.md, "What fuses"; the cost model is in fuse_inline.c. */
#include "fuse.h"

/* ---- a copy to work on ---- */

static Graph copied(Ctx *c, const Graph *g) {
    Graph copy = *g;
    copy.node.at = NEWN(c, Node *, g->node.n + 1);
    copy.node.cap = g->node.n + 1;
    for (int i = 0; i < g->node.n; i++) {
        copy.node.at[i] = NEW(c, Node);
        *copy.node.at[i] = *g->node.at[i];
    }
    return copy;
}

/* ---- what is the same in each turn of the inner loops ---- */

typedef struct Invariant {
    Ctx *c;
    const Bunch *b;
    const Node *n;
    Bunch *to;
} Invariant;

static bool only_outer(Ctx *c, const Bunch *b, const Term *t) {
    if (t->kind == TIndex) {
        for (int i = 0; i < b->nouter; i++)
            if (b->outer[i] == t->index)
                return true;
        return false;
    }
    for (int i = 0; i < t->n; i++) {
        if (!only_outer(c, b, t->kid[i]))
            return false;
        if (t->kind != TLoad)
            continue;
        Term *in = in_range(c, t->kid[i], t->from->type.dim[i]);
        if (in->kind != TNumber || in->number == 0)
            return false;
    }
    return !t->outside;
}

/* A node of its own for t, one element a turn of the outer loops. */
static Term *computed_once(Invariant *v, Term *t) {
    Ctx *c = v->c;
    Type type = { .elem = t->elem, .rank = v->b->nouter };
    Node *n = NEW(c, Node);
    n->axis = NEWN(c, Axis, type.rank + 1);
    n->naxis = type.rank;
    Term **at = NEWN(c, Term *, type.rank + 1);
    for (int i = 0; i < type.rank; i++) {
        type.dim[i] = v->b->outer[i]->size;
        n->axis[i] = (Axis){ &v->b->outer[i], 1 };
        at[i] = term_index(c, v->b->outer[i]);
    }
    n->out = tensor(c, TTemp, name(c, "%s_row", v->n->out->name),
                    name(c, "%s_row", v->n->out->path), &type, v->n->out->at);
    n->out->def = n;
    n->body = t;
    n->call = v->n->call;
    push(c, &v->to->node, n);
    return term_load(c, n->out, at, type.rank, NULL, n->out->name);
}

static Term *without_invariants(Invariant *v, Term *t) {
    if (t->kind != TApply || t->n > 3 || !term_calls(t))
        return t;
    if (elem_is_float(t->elem) && t->elem != AnyFloat && only_outer(v->c, v->b, t))
        return computed_once(v, t);
    Term *arg[3];
    bool changed = false;
    for (int i = 0; i < t->n; i++) {
        arg[i] = without_invariants(v, t->kid[i]);
        changed |= arg[i] != t->kid[i];
    }
    return changed ? term_apply(v->c, t->fn, t->elem, arg) : t;
}

static bool has_inner(Ctx *c, const Bunch *b, const Node *n) {
    Indices all = ON_STACK(Index *, 16);
    node_axes(c, n, &all);
    return all.n > b->nouter || n->nbind > 0;
}

/* 1 / sqrt(v + eps) of a row is computed once a row. */
static void hoist(Ctx *c, Bunch *b) {
    Bunch out = { 0 };
    if (b->node.n < 2 || b->nouter > MaxRank)
        return;
    for (int i = 0; i < b->node.n; i++) {
        Node *n = b->node.at[i];
        if (has_inner(c, b, n) && !n->at)
            n->body = without_invariants(&(Invariant){ c, b, n, &out }, n->body);
        push(c, &out.node, n);
    }
    b->node.at = out.node.at;
    b->node.n = out.node.n;
    b->node.cap = out.node.cap;
}

/* ---- clusters become bunches ---- */

static void rename_outer(Ctx *c, const Bunch *b, Node *n) {
    Indices own = ON_STACK(Index *, 16);
    TermList to = ON_STACK(Term *, 16);
    node_axes(c, n, &own);
    for (int i = 0; i < b->nouter; i++)
        push(c, &to, term_index(c, b->outer[i]));
    node_subst(c, n, own.at, to.at, b->nouter);
    Axis *axis = NEWN(c, Axis, n->naxis + 1);
    int at = 0;
    for (int a = 0; a < n->naxis; a++) {
        axis[a] = (Axis){ NEWN(c, Index *, n->axis[a].n + 1), n->axis[a].n };
        for (int k = 0; k < n->axis[a].n; k++, at++)
            axis[a].index[k] = at < b->nouter ? b->outer[at] : n->axis[a].index[k];
    }
    n->axis = axis;
}

static Bunch *bunch_of(Ctx *c, const Cluster *g) {
    Bunch *b = NEW(c, Bunch);
    Indices first = ON_STACK(Index *, 16);
    node_axes(c, g->node.at[0], &first);
    b->nouter = g->nouter;
    b->outer = NEWN(c, Index *, g->nouter + 1);
    for (int i = 0; i < g->nouter; i++)
        b->outer[i] =
            g->node.n == 1 ? first.at[i] : index_new(c, first.at[i]->name, first.at[i]->size);
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        if (g->node.n > 1)
            rename_outer(c, b, n);
        n->out->def = n;
        push(c, &b->node, n);
    }
    hoist(c, b);
    return b;
}

Bunches *fuse(Ctx *c, const Graph *g) {
    Bunches *b = NEW(c, Bunches);
    Graph copy = copied(c, g);
    b->graph = g;
    fuse_inline(c, &copy);
    Clusters *all = fuse_join(c, &copy, graph_uses(c, &copy));
    for (int i = 0; i < all->cluster.n; i++)
        push(c, &b->bunch, bunch_of(c, all->cluster.at[i]));
    return b;
}

/* ---- text ---- */

static const char *const reduce_word[] = { "",    "sum", "prod",   "max",   "min",
                                           "any", "all", "argmax", "argmin" };

/* What a term calls things here: tensors by their paths, indices of one name by its repetition: k, k2, k3. */
typedef struct Show {
    Ctx *c;
    FILE *to;
    Map names;
} Show;

static void name_reads(Show *s, const Node *n) {
    Loads loads = ON_STACK(const Term *, 16);
    node_loads(s->c, n, &loads);
    for (int i = 0; i < loads.n; i++) {
        Tensor *t = loads.at[i]->from;
        map_put(s->c, &s->names, t, (void *)(uintptr_t)(t->path && *t->path ? t->path : t->name));
    }
}

static void name_indices(Show *s, const Node *n) {
    Indices all = ON_STACK(Index *, 16);
    node_axes(s->c, n, &all);
    for (int i = 0; i < n->nbind; i++)
        push(s->c, &all, n->bind[i]);
    for (int i = 0; i < all.n; i++) {
        int same = 1;
        for (int k = 0; k < i; k++)
            same += all.at[k]->name == all.at[i]->name;
        Name as = same == 1 ? all.at[i]->name : name(s->c, "%s%d", all.at[i]->name, same);
        map_put(s->c, &s->names, all.at[i], (void *)(uintptr_t)as);
    }
}

static const char *text_of(Show *s, const Term *t) {
    return term_text_named(s->c, t, &s->names);
}

static void print_axes(Show *s, const Node *n) {
    for (int a = 0; a < n->naxis; a++) {
        const Axis *x = &n->axis[a];
        fprintf(s->to, "%s%s", a ? ", " : "", x->n > 1 ? "(" : x->n ? "" : "0");
        for (int k = 0; k < x->n; k++)
            fprintf(s->to, "%s%s", k ? ", " : "", (Name)map_get(&s->names, x->index[k]));
        fprintf(s->to, "%s", x->n > 1 ? ")" : "");
    }
}

static void print_node(Show *s, const Node *n) {
    name_reads(s, n);
    name_indices(s, n);
    fprintf(s->to, "    %s[", n->out->path && *n->out->path ? n->out->path : n->out->name);
    print_axes(s, n);
    fprintf(s->to, "]");
    for (int i = 0; n->at && i < n->out->type.rank; i++)
        fprintf(s->to, "%s%s", i ? ", " : " at [", text_of(s, n->at[i]));
    fprintf(s->to, "%s = ", n->at ? "]" : "");
    if (n->reduce)
        fprintf(s->to, "%s(", reduce_word[n->reduce]);
    for (int i = 0; i < n->nbind; i++)
        fprintf(s->to, "%s%s < %s", i ? ", " : "", (Name)map_get(&s->names, n->bind[i]),
                dim_text(s->c, n->bind[i]->size));
    for (int i = 0; n->reduce && i < n->ncond; i++)
        fprintf(s->to, ", %s", text_of(s, n->cond[i]));
    fprintf(s->to, "%s%s%s", n->reduce ? ": " : "", text_of(s, n->body), n->reduce ? ")" : "");
    for (int i = 0; !n->reduce && i < n->ncond; i++)
        fprintf(s->to, "%s%s", i ? ", " : " where ", text_of(s, n->cond[i]));
    fprintf(s->to, "\n");
}

void bunches_print(Ctx *c, const Bunches *b, FILE *to) {
    Show s = { .c = c, .to = to };
    fprintf(to, "entry %s\n", b->graph->name ? b->graph->name : "");
    for (int i = 0; i < b->bunch.n; i++) {
        const Bunch *one = b->bunch.at[i];
        fprintf(to, "  kernel %d over [", i);
        for (int k = 0; k < one->nouter; k++)
            fprintf(to, "%s%s < %s", k ? ", " : "", one->outer[k]->name,
                    dim_text(c, one->outer[k]->size));
        fprintf(to, "]\n");
        for (int k = 0; k < one->node.n; k++)
            print_node(&s, one->node.at[k]);
    }
}
