/* simplify.c: the flat graph becomes smaller and means the same. In: a graph as flatten made it, a node
 * for each operation as written. Out: views are gone into their readers, guards are conditions, equal
 * nodes are one, what is known when compiling is a tensor, and nothing is computed that nobody reads.
 *
 * One sweep goes from the first node to the last and finds every node it reads already clean, so a
 * second or third sweep mostly has nothing left to do. What looks at readers instead of at what is
 * read (guards, turning a view round, dead nodes) stands between the sweeps. */
#include "simplify.h"

#include <string.h>

typedef struct Same {
    Node *node;
    struct Same *next;
} Same; /* nodes of one hash */

/* ---- a sweep ---- */

typedef struct Sweep {
    Ctx *c;
    Uses *uses; /* as they were before the sweep: it only moves reads to later nodes */
    Map alias;  /* Tensor → the equal Tensor that is read instead */
    Map made;   /* Tensor → its node, when it is behind the sweep */
    Map equal;  /* hash → Same */
    Node *reader;
    bool contracts; /* the reader is a matmul or a convolution, as it stands */
    bool changed;
} Sweep;

static Tensor *real(const Sweep *s, Tensor *t) {
    Tensor *other = map_get(&s->alias, t);
    return other ? real(s, other) : t;
}

static double element(Ctx *c, const Tensor *t, int64_t i) {
    const char *at = (const char *)t->data + i * elem_bytes(c, t->type.elem);
    switch (elem_storage(c, t->type.elem)) {
    case Bool:
    case U8: return *(const uint8_t *)at;
    case I8: return *(const int8_t *)at;
    case I32: return *(const int32_t *)at;
    case I64: return (double)*(const int64_t *)at;
    case F32: return *(const float *)at;
    default: return *(const double *)at;
    }
}

static bool plain_elem(Ctx *c, Elem e) {
    Elem s = elem_storage(c, e);
    return s == Bool || s == U8 || s == I8 || s == I32 || s == I64 || s == F32 || s == F64;
}

enum { UniformLimit = 4096 };

/* A constant all of whose elements are the same number is that number. */
static bool uniform(Ctx *c, const Tensor *t, double *v) {
    int64_t n;
    if (t->kind != TConst || !t->data || !plain_elem(c, t->type.elem) ||
        !dim_number(type_count(c, &t->type), &n) || n < 1 || n > UniformLimit)
        return false;
    *v = element(c, t, 0);
    for (int64_t i = 1; i < n; i++)
        if (element(c, t, i) != *v)
            return false;
    return true;
}

/* A choice in the inner loop of a matmul costs more than the copy it saves, unless it becomes a condition. */
static bool choice_fits(const Sweep *s, const Node *p) {
    const Term *b = p->body;
    bool has;
    double neutral = reduce_neutral(s->reader->reduce, &has);
    return !s->contracts || (b->kid[2]->kind == TNumber && has && b->kid[2]->number == neutral);
}

static bool vanishes(const Sweep *s, const Node *p) {
    if (!p || use_of(s->uses, p->out)->root)
        return false;
    if (!is_view(p) && !(is_guarded_view(p) && choice_fits(s, p)))
        return false;
    if (!reads_may_move(s->c, s->uses, p, s->reader))
        return false;
    const Tensor *old = s->reader->out->kind == TState ? s->reader->out->before : NULL;
    return !old || !reads_from(p->body, old);
}

static Term *clean_load(Sweep *s, Term *t) {
    Tensor *from = real(s, t->from);
    double v;
    if (!t->outside && uniform(s->c, from, &v))
        return term_number(s->c, from->type.elem, v);
    if (from != t->from)
        t = term_load(s->c, from, t->kid, t->n, t->outside, t->as);
    const Node *p = map_get(&s->made, from);
    return vanishes(s, p) ? load_through(s->c, p, t) : t;
}

static Term *clean(Ctx *c, Term *t, void *with) {
    (void)c;
    if (t->kind == TLoad)
        return clean_load(with, t);
    if (t->kind == TApply && t->fn->id == FnStopGradient)
        return t->kid[0];
    return NULL;
}

/* Would `clean` change anything in t? Asked first, since to rebuild a term takes memory. */
static bool unclean(const Sweep *s, const Term *t) {
    if (t->kind == TApply && t->fn->id == FnStopGradient)
        return true;
    if (t->kind == TLoad && (t->from->kind == TConst || map_get(&s->alias, t->from) ||
                             vanishes(s, map_get(&s->made, t->from))))
        return true;
    for (int i = 0; i < t->n; i++)
        if (unclean(s, t->kid[i]))
            return true;
    return t->outside && unclean(s, t->outside);
}

static bool node_unclean(const Sweep *s, const Node *n) {
    bool any = unclean(s, n->body);
    for (int i = 0; i < n->ncond && !any; i++)
        any = unclean(s, n->cond[i]);
    for (int i = 0; n->at && i < n->out->type.rank && !any; i++)
        any = unclean(s, n->at[i]);
    return any;
}

/* ---- loops that run once, reductions that reduce nothing ---- */

static void drop_from_axes(Ctx *c, Node *n) {
    Axis *axis = NEWN(c, Axis, n->naxis + 1);
    for (int a = 0; a < n->naxis; a++) {
        Indices list = { 0 };
        for (int k = 0; k < n->axis[a].n; k++)
            if (!dim_is(n->axis[a].index[k]->size, 1))
                push(c, &list, n->axis[a].index[k]);
        axis[a] = (Axis){ list.at, list.n };
    }
    n->axis = axis;
    Indices bind = { 0 };
    for (int k = 0; k < n->nbind; k++)
        if (!dim_is(n->bind[k]->size, 1))
            push(c, &bind, n->bind[k]);
    n->bind = bind.at;
    n->nbind = bind.n;
}

static bool drop_ones(Ctx *c, Node *n) {
    Indices all = ON_STACK(Index *, 16);
    Indices ones = ON_STACK(Index *, 16);
    TermList zero = ON_STACK(Term *, 16);
    node_axes(c, n, &all);
    for (int i = 0; i < n->nbind; i++)
        push(c, &all, n->bind[i]);
    for (int i = 0; i < all.n; i++)
        if (dim_is(all.at[i]->size, 1)) {
            push(c, &ones, all.at[i]);
            push(c, &zero, term_number(c, I32, 0));
        }
    if (!ones.n)
        return false;
    drop_from_axes(c, n);
    node_subst(c, n, ones.at, zero.at, ones.n);
    return true;
}

/* A reduction over nothing is its body, where its conditions hold. */
static bool drop_reduction(Ctx *c, Node *n) {
    if (!n->reduce || n->nbind)
        return false;
    bool has;
    double neutral = reduce_neutral(n->reduce, &has);
    if (!has)
        n->body = term_number(c, n->out->type.elem, 0);
    for (int i = n->ncond - 1; has && i >= 0; i--) {
        Term *arg[3] = { n->cond[i], n->body, term_number(c, n->body->elem, neutral) };
        n->body = term_apply(c, fn(FnWhere), n->body->elem, arg);
    }
    n->reduce = NoReduce;
    n->ncond = 0;
    return true;
}

/* Where no term ever counts, as for a kernel that lies on nothing but padding, there is no reduction. */
static bool drop_absent(Ctx *c, Node *n) {
    bool has, never = false;
    for (int i = 0; i < n->ncond; i++)
        never = never || (n->cond[i]->kind == TNumber && n->cond[i]->number == 0);
    if (!n->reduce || !never)
        return false;
    double neutral = reduce_neutral(n->reduce, &has);
    n->body = term_number(c, has ? n->body->elem : n->out->type.elem, has ? neutral : 0);
    n->reduce = NoReduce;
    n->nbind = n->ncond = 0;
    return true;
}

/* sum(i: 1) is I, exactly. */
static bool drop_count(Ctx *c, Node *n) {
    if (n->reduce != RSum || n->ncond || n->body->kind != TNumber || n->body->number != 1)
        return false;
    Dim count = dim(c, 1);
    for (int i = 0; i < n->nbind; i++)
        count = dim_mul(c, count, n->bind[i]->size);
    int64_t number;
    Elem e = n->body->elem;
    n->body = dim_number(count, &number) ? term_number(c, e, (double)number)
                                         : term_apply1(c, FnCast, e, term_size(c, count));
    n->reduce = NoReduce;
    n->nbind = 0;
    return true;
}

/* Each changes a node to an equal one; true: it did. In the order in which one makes work for the next. */
static bool (*const rewrite[])(Ctx *, Node *) = {
    drop_ones, guards_to_conditions, split_radix, drop_absent, drop_reduction, drop_count,
};

static bool node_clean(Ctx *c, Node *n) {
    bool changed = false;
    for (size_t i = 0; i < sizeof rewrite / sizeof *rewrite; i++)
        changed |= rewrite[i](c, n);
    return changed;
}

/* ---- the sweep itself ---- */

/* The node's tensor is equal to one made before: that is read instead. An output keeps its own name, and
 * the node before takes it; two outputs stay two. */
static bool takes_place(Sweep *s, Node *n, Node *first) {
    bool mine = use_of(s->uses, n->out)->root, theirs = use_of(s->uses, first->out)->root;
    if (mine && theirs)
        return false;
    if (!mine) {
        map_put(s->c, &s->alias, n->out, first->out);
        return true;
    }
    map_put(s->c, &s->alias, first->out, n->out);
    map_put(s->c, &s->made, n->out, first);
    map_put(s->c, &s->made, first->out, NULL);
    n->out->def = first;
    first->out = n->out;
    return true;
}

static bool is_double(Sweep *s, Node *n) {
    if (n->out->kind != TTemp || n->at)
        return false;
    const void *key = (const void *)node_hash(s->c, n);
    Same *head = map_get(&s->equal, key);
    for (Same *e = head; e; e = e->next)
        if (node_same(s->c, n, e->node))
            return takes_place(s, n, e->node);
    Same *e = NEW(s->c, Same);
    *e = (Same){ n, head };
    map_put(s->c, &s->equal, key, e);
    return false;
}

static bool sweep(Ctx *c, Graph *g) {
    Sweep s = { .c = c, .uses = graph_uses(c, g) };
    int kept = 0;
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        s.reader = n;
        s.contracts = node_contracts(c, n);
        if (node_unclean(&s, n))
            s.changed |= node_map(c, n, clean, &s);
        s.changed |= node_clean(c, n);
        if (is_double(&s, n)) {
            s.changed = true;
            continue;
        }
        map_put(c, &s.made, n->out, n);
        g->node.at[kept++] = n;
    }
    g->node.n = kept;
    if (s.alias.n) // a node whose output took the place of an earlier tensor
        for (int i = 0; i < kept; i++)
            if (node_unclean(&s, g->node.at[i]))
                node_map(c, g->node.at[i], clean, &s);
    return s.changed;
}

/* ---- dead nodes ---- */

static bool sweep_dead(Ctx *c, Graph *g) {
    Map wanted = { 0 };
    Loads loads = ON_STACK(const Term *, 16);
    for (int i = 0; i < g->output.n; i++)
        if (g->output.at[i].tensor)
            map_put(c, &wanted, g->output.at[i].tensor, g);
    int from = g->node.n;
    for (int i = g->node.n - 1; i >= 0; i--) {
        Node *n = g->node.at[i];
        if (n->out->kind != TState && !map_get(&wanted, n->out))
            continue;
        g->node.at[--from] = n;
        loads.n = 0;
        node_loads(c, n, &loads);
        for (int k = 0; k < loads.n; k++)
            if (loads.at[k]->from->def)
                map_put(c, &wanted, loads.at[k]->from, n);
    }
    if (from == 0)
        return false;
    g->node.n -= from;
    memmove(g->node.at, g->node.at + from, sizeof *g->node.at * (size_t)g->node.n);
    return true;
}

/* ---- a view that must be made is turned round ---- */

/* Does the view read each element at most once? Every index of it then stands in just one position, as a digit. */
static bool reads_once(Ctx *c, const Node *view, const Term *load) {
    Indices all = ON_STACK(Index *, 16);
    int digits = 0;
    node_axes(c, view, &all);
    for (int k = 0; k < load->n; k++) {
        Axis a;
        if (load->kid[k]->kind == TNumber)
            continue;
        if (!axis_of_position(c, load->kid[k], load->from->type.dim[k], &a))
            return false;
        digits += a.n;
    }
    for (int i = 0; i < all.n; i++)
        if (!term_uses(load, all.at[i]))
            return false;
    return digits == all.n;
}

static void rename_binders(Ctx *c, Node *n) {
    Index **bind = NEWN(c, Index *, n->nbind + 1);
    TermList to = ON_STACK(Term *, 16);
    for (int i = 0; i < n->nbind; i++) {
        bind[i] = index_new(c, n->bind[i]->name, n->bind[i]->size);
        push(c, &to, term_index(c, bind[i]));
    }
    node_subst(c, n, n->bind, to.at, n->nbind);
    n->bind = bind;
}

static bool is_identity(Ctx *c, const Node *view) {
    const Term *load = view->body;
    if (view->at || view->out->type.rank != load->n)
        return false;
    for (int k = 0; k < load->n; k++)
        if (load->kid[k] != position_of(c, &view->axis[k]) ||
            !dim_equal(c, view->out->type.dim[k], load->from->type.dim[k]))
            return false;
    return true;
}

typedef struct Rename {
    Tensor *from, *to;
} Rename;

static Term *renamed(Ctx *c, Term *t, void *with) {
    const Rename *r = with;
    return t->kind == TLoad && t->from == r->from
               ? term_load(c, r->to, t->kid, t->n, t->outside, t->as)
               : t;
}

/* A plain copy into an output: what is copied is made there in the first place. */
static bool take_name(Ctx *c, const Uses *u, Node *view) {
    const Use *use = use_of(u, view->body->from);
    if (view->out->kind != TTemp || use->root || !is_identity(c, view))
        return false;
    Rename r = { view->body->from, view->out };
    for (int i = 0; i < use->reader.n; i++)
        node_map(c, use->reader.at[i], renamed, &r);
    use->def->out = view->out;
    view->out->def = use->def;
    return true;
}

/* The one producer of what a view reads writes it directly, along the view's axes. */
static bool take_producer(Ctx *c, const Uses *u, Node *view) {
    const Use *use = use_of(u, view->body->from);
    const Node *p = use->def;
    const Tensor *old = view->out->kind == TState ? view->out->before : NULL;
    if (use->root || use->reader.n != 1 || p->at || (!p->reduce && p->ncond) ||
        !reads_once(c, view, view->body) || !reads_may_move(c, u, p, view))
        return false;
    if (old && (reads_from(p->body, old) || reads_from(view->body, old)))
        return false;
    for (int i = 0; i < p->ncond; i++)
        if (old && reads_from(p->cond[i], old))
            return false;
    Node whole = *p;
    rename_binders(c, &whole);
    Indices from = ON_STACK(Index *, 16);
    TermList to = ON_STACK(Term *, 16);
    load_indices(c, &whole, view->body, &from, &to);
    node_subst(c, &whole, from.at, to.at, from.n);
    view->reduce = whole.reduce;
    view->bind = whole.bind;
    view->nbind = whole.nbind;
    view->cond = whole.cond;
    view->ncond = whole.ncond;
    view->body = whole.body;
    view->call = whole.call;
    return true;
}

static bool turn_view(Ctx *c, const Uses *u, Node *n) {
    const Term *b = n->body;
    if (n->reduce || n->ncond || b->kind != TLoad || b->outside || b->from->kind != TTemp ||
        b->elem != n->out->type.elem)
        return false;
    const Use *use = use_of(u, n->out), *read = use_of(u, b->from);
    if (!use->root || !read->def || read->def->out != b->from)
        return false;
    return take_name(c, u, n) || take_producer(c, u, n);
}

/* The facts stay good enough while views are turned: a node that was taken over still stands where it stood. */
static bool turn_views(Ctx *c, Graph *g, const Uses *u) {
    bool changed = false;
    int kept = 0;
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        changed |= turn_view(c, u, n);
        if (n->out->def == n) // else its name was taken, and the copy goes
            g->node.at[kept++] = n;
    }
    g->node.n = kept;
    return changed;
}

/* ---- the passes ---- */

/* What asks who reads a node; the facts serve both. */
static bool by_readers(Ctx *c, Graph *g) {
    const Uses *u = graph_uses(c, g);
    bool changed = guards_to_readers(c, g, u);
    return turn_views(c, g, u) || changed;
}

enum { MostRounds = 12 };

static void simplify_graph(Ctx *c, Graph *g) {
    bool changed = true;
    for (int round = 0; changed && round < MostRounds; round++) {
        changed = sweep(c, g);
        sweep_dead(c, g);
        changed |= by_readers(c, g);
    }
}

/* needs: flat graphs, weights loaded or not. gives: graphs without views, doubles or dead nodes. */
void simplify(Ctx *c, Program *p) {
    Fold *f = fold_new(c, p);
    for (int i = 0; i < p->n; i++)
        simplify_graph(c, p->graph[i]);
    bool changed = true;
    for (int round = 0; changed && round < MostRounds; round++) {
        changed = false;
        for (int i = 0; i < p->n; i++)
            changed |= fold_graph(f, p->graph[i]);
        changed |= fold_scales(f);
        for (int i = 0; changed && i < p->n; i++)
            simplify_graph(c, p->graph[i]);
    }
    for (int i = 0; i < p->n; i++)
        narrow(c, p->graph[i]);
    fold_finish(f);
}
