/* lower.c: bunches become kernels and the steps that call them.
 *
 * A bunch's outer loops are opened once; in them each node is a nest of its own (nest.c), and nests over the
 * same range are joined (merge.c). What only the bunch reads is then a scalar, where every read stands beside the
 * write, or a row of scratch as long as the axes that are not outer. The rest become formals (kernel.c), and kernels
 * with equal keys are one. */
#include "loops.h"

#include <string.h>

typedef struct Lower {
    Ctx *c;
    Code *code;
    const Graph *graph;
    const Bunches *bunches;
    Map reader;                         /* tensor → the one bunch that reads it, or `shared` */
    Map kernel;                         /* key → kernel */
} Lower;

typedef struct Draft {                  /* one bunch on its way */
    Ctx *c;
    Lower *up;
    const Bunch *bunch;
    Outer outer;
    Loop *body;
} Draft;

/* ---- who reads what */

typedef struct Reading { Lower *up; const void *bunch; } Reading;

static void note_reader(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Reading *r = with;
    (void)at, (void)nat, (void)write;
    const void *known = map_get(&r->up->reader, t);
    if (known != r->bunch)
        map_put(r->up->c, &r->up->reader, t, (void *)(known ? r->up : r->bunch));
}

static void find_readers(Lower *up) {
    up->reader = (Map){0};
    for (int b = 0; b < up->bunches->bunch.n; b++) {
        const Bunch *bunch = up->bunches->bunch.at[b];
        Reading r = { up, bunch };
        for (int i = 0; i < bunch->node.n; i++) {
            const Node *n = bunch->node.at[i];
            term_accesses(n->body, note_reader, &r);
            for (int k = 0; k < n->ncond; k++)
                term_accesses(n->cond[k], note_reader, &r);
            for (int k = 0; n->at && k < n->out->type.rank; k++)
                term_accesses(n->at[k], note_reader, &r);
        }
    }
    Reading outside = { up, up };
    for (int i = 0; i < up->graph->output.n; i++)
        if (up->graph->output.at[i].tensor)
            note_reader(&outside, up->graph->output.at[i].tensor, NULL, 0, false);
    for (int i = 0; i < up->graph->check.n; i++)
        term_accesses(up->graph->check.at[i].holds, note_reader, &outside);
}

static bool is_inner(const Draft *d, const Tensor *t) {
    return t->kind == TTemp && map_get(&d->up->reader, t) == d->bunch;
}

/* ---- what only the bunch reads: a scalar … */

typedef struct Spot { Loop *in; int at, stores; } Spot;

static void find_store(Loop *in, const Tensor *t, Spot *s) {
    for (int i = 0; i < in->n; i++) {
        if (in->kid[i]->kind == LStore && in->kid[i]->to == t) {
            *s = (Spot){ in, i, s->stores + 1 };
        }
        find_store(in->kid[i], t, s);
    }
}

typedef struct ReadCount { const Tensor *of; const Loop *like; int all, alike; } ReadCount;

static void count_read(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    ReadCount *r = with;
    if (t != r->of || write)
        return;
    r->all++;
    bool alike = nat == r->like->nat;
    for (int i = 0; i < nat && alike; i++)
        alike = at[i] == r->like->at[i];
    r->alike += alike;
}

typedef struct Replacing { const Tensor *from; Term *by; } Replacing;

static Term *swap_load(Ctx *c, Term *t, void *with) {
    const Replacing *s = with;
    (void)c;
    return t->kind == TLoad && t->from == s->from ? s->by : t;
}

static bool is_accumulator(const Spot *s, const Term *value) {
    if (value->kind != TLoad || value->from->kind != TLocal)
        return false;
    for (int i = 0; i < s->at; i++)
        if (s->in->kid[i]->kind == LLet && s->in->kid[i]->to == value->from)
            return true;
    return false;
}

static const char *local_word(const Tensor *t, const char *other) {
    bool plain = !t->name || strcmp(t->name, "x") == 0 || strcmp(t->name, "y") == 0;
    return plain ? other : t->name;
}

static bool becomes_scalar(Draft *d, Tensor *t) {
    Ctx *c = d->c;
    Spot s = {0};
    find_store(d->body, t, &s);
    if (s.stores != 1)
        return false;
    Loop *store = s.in->kid[s.at];
    ReadCount all = { .of = t, .like = store }, here = all;
    loop_accesses(d->body, count_read, &all);
    for (int i = s.at + 1; i < s.in->n; i++)
        loop_accesses(s.in->kid[i], count_read, &here);
    if (here.alike != all.all)
        return false;
    Tensor *local;
    if (is_accumulator(&s, store->value)) {
        local = store->value->from;
        local->name = local->path = local_word(t, local->name);
        loop_remove(s.in, s.at);
    } else {
        local = local_new(c, local_word(t, "v"), t->type.elem);
        s.in->kid[s.at] = loop_let(c, local, store->value);
    }
    loop_map(c, d->body, swap_load, &(Replacing){ t, load_local(c, local) });
    return true;
}

/* ---- … or a row of scratch */

typedef struct ScratchRow {
    const Draft *d;
    const Tensor *from;
    Tensor *row;
    bool kept[MaxRank];                 /* axes that have an index which is not outer */
} ScratchRow;

static bool is_outer(const Outer *o, const Index *i) {
    for (int k = 0; k < o->n; k++)
        if (o->index[k] == i)
            return true;
    return false;
}

static bool is_of_axis(const ScratchRow *r, int axis, const Index *i) {
    const Node *n = r->from->def;
    for (int k = 0; n && k < n->axis[axis].n; k++)
        if (n->axis[axis].index[k] == i)
            return true;
    return false;
}

/* A position without what the outer loops add to it. Only those of this axis: in `x[b, b]` the second
 * b is a place in the row. */
static Term *inner_part(const ScratchRow *r, int axis, Term *t) {
    Ctx *c = r->d->c;
    Linear l;
    linear(c, t, &l);
    for (int i = 0; i < r->d->outer.n; i++)
        if (is_of_axis(r, axis, r->d->outer.index[i]))
            linear_take(&l, r->d->outer.by[i], &(int64_t){0});
    return linear_term(c, &l);
}

static int row_position(const ScratchRow *r, Term *const *at, Term **to) {
    int n = 0;
    for (int i = 0; i < r->from->type.rank; i++)
        if (r->kept[i])
            to[n++] = inner_part(r, i, at[i]);
    return n;
}

static Term *load_row(Ctx *c, Term *t, void *with) {
    const ScratchRow *r = with;
    Term *at[MaxRank];
    if (t->kind != TLoad || t->from != r->from)
        return t;
    int n = row_position(r, t->kid, at);
    return term_load(c, r->row, at, n, NULL, t->as);
}

static void store_row(Ctx *c, Loop *l, const ScratchRow *r) {
    if (l->kind == LStore && l->to == r->from) {
        l->to = r->row;
        l->nat = row_position(r, l->at, l->at);
    }
    for (int i = 0; i < l->n; i++)
        store_row(c, l->kid[i], r);
}

static void becomes_row(Draft *d, Tensor *t) {
    Ctx *c = d->c;
    ScratchRow r = { .d = d, .from = t };
    Type type = { .elem = t->type.elem };
    const Node *n = t->def;
    for (int i = 0; i < n->naxis; i++) {
        Dim size = dim(c, 1);
        for (int k = 0; k < n->axis[i].n; k++)
            if (!is_outer(&d->outer, n->axis[i].index[k]))
                size = dim_mul(c, size, n->axis[i].index[k]->size);
        r.kept[i] = !dim_is(size, 1);
        int64_t lo, hi;
        dim_bounds(c, size, &lo, &hi);
        if (r.kept[i])
            type.dim[type.rank++] = dim(c, hi);
    }
    if (!type.rank && n->naxis) {       // one element, but read at other positions than it is written
        r.kept[n->naxis - 1] = true;
        type.dim[type.rank++] = dim(c, 1);
    }
    r.row = tensor(c, TScratch, t->name, t->path, &type, t->at);
    loop_map(c, d->body, load_row, &r);
    store_row(c, d->body, &r);
}

static void localise(Draft *d) {
    for (int i = d->bunch->node.n - 1; i >= 0; i--) {
        Tensor *t = d->bunch->node.at[i]->out;
        if (is_inner(d, t) && !node_empty(d->bunch->node.at[i]) && !becomes_scalar(d, t))
            becomes_row(d, t);
    }
}

/* ---- a row that takes the place of another */

typedef struct Follow {                 /* rows a and b of scratch: may b be written where a was read? */
    const Tensor *a, *b;
    bool began, fits;                   /* b was met; nothing speaks against it */
} Follow;

static void see_follow(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Follow *f = with;
    (void)at, (void)nat;
    if (t == f->b && write && !f->began) {
        f->began = true;
        return;
    }
    if (t == f->b && !f->began)
        f->fits = false;  // read first: it is kept from before
    if (t == f->a && f->began)
        f->fits = false;  // still needed when b is there
}

static bool moves_with(const Loop *store, const Index *i) {
    for (int k = 0; k < store->nat; k++)
        if (term_uses(store->at[k], i))
            return true;
    return false;
}

/* Accesses come in order of the text, what a store reads before what it writes: so a must end where b begins, in
 * one loop of which each turn stores elsewhere, and be read there just where b is stored. What is around that
 * loop makes a anew in each turn. */
static bool ends_in(const Loop *l, const Follow *f) {
    for (int i = 0; i < l->n; i++) {
        const Loop *k = l->kid[i];
        if (!is_written(k, f->b))
            continue;
        if (k->kind == LSeq || (k->kind == LFor && is_written(k, f->a)))
            return ends_in(k, f);
        const Loop *in = k->kind == LFor ? k : l;
        for (int n = 0; k->kind == LFor && n < in->n; n++)
            if (in->kid[n]->kind == LStore && in->kid[n]->to == f->b)
                k = in->kid[n];
        if (k->kind != LStore || (in->kind == LFor && !moves_with(k, in->index)))
            return false;
        ReadCount store = { .of = f->a, .like = k }, all = store;
        loop_accesses(k, count_read, &store);
        loop_accesses(in, count_read, &all);
        return store.all == store.alike && (in->kind != LFor || all.all == store.all);
    }
    return false;
}

static bool same_row(const Tensor *a, const Tensor *b) {
    if (a->type.elem != b->type.elem || a->type.rank != b->type.rank)
        return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dim[i] != b->type.dim[i])
            return false;
    return true;
}

typedef struct Rows { Ctx *c; VEC(Tensor *) row; } Rows;

static void note_row(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Rows *r = with;
    (void)at, (void)nat, (void)write;
    for (int i = 0; i < r->row.n; i++)
        if (r->row.at[i] == t)
            return;
    if (t->kind == TScratch)
        push(r->c, &r->row, t);
}

/* Where a row is made, element for element, from one that ends there, both lie in one place. */
static void share_rows(Draft *d) {
    Ctx *c = d->c;
    Rows rows = { .c = c };
    loop_accesses(d->body, note_row, &rows);
    for (int b = 1; b < rows.row.n; b++) {
        for (int a = 0; a < b; a++) {
            Follow f = { .a = rows.row.at[a], .b = rows.row.at[b], .fits = true };
            if (!same_row(f.a, f.b))
                continue;
            loop_accesses(d->body, see_follow, &f);
            if (!f.fits || !f.began || !ends_in(d->body, &f))
                continue;
            ScratchRow r = { .d = d, .from = f.b, .row = (Tensor *)(uintptr_t)f.a, .kept = { true, true, true, true, true, true, true, true } };
            loop_map(c, d->body, load_row, &r);
            store_row(c, d->body, &r);
            r.row->name = r.row->path = f.b->name;
            share_rows(d);
            return;
        }
    }
}

/* ---- what is read in part is computed in part */

typedef struct Partial {
    Ctx *c;
    const Tensor *of;
    const Term *stored, *read;          /* the index of the loop that stores, of the one that reads */
    Term *const *at;                    /* where it is stored */
    int axis, reads, strays;
} Partial;

static void find_axis(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Partial *p = with;
    for (int i = 0; i < nat && t == p->of && write; i++)
        if (at[i] == p->stored)
            p->axis = i;
}

static void see_part(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Partial *p = with;
    if (t != p->of || write || nat == 0)
        return;
    p->reads++;
    p->strays += at[p->axis] != p->read;
}

static bool made_here(const Draft *d, const Term *t) {
    if (!t)
        return false;
    for (int i = 0; i < d->bunch->node.n && t->kind == TLoad; i++)
        if (storage_of(d->bunch->node.at[i]->out) == storage_of(t->from))
            return true;
    for (int i = 0; i < t->n; i++)
        if (made_here(d, t->kid[i]))
            return true;
    return false;
}

/* If all loops that read a row run over the same part of it, the loop that makes it does so too: scores of
 * positions past the length are never computed. */
static void narrow_maker(Draft *d, Loop *seq, const Tensor *t) {
    Ctx *c = d->c;
    const Loop *like = NULL;
    Loop *maker = NULL;
    Partial p = { .c = c, .of = t, .axis = -1 };
    for (int i = 0; i < seq->n; i++) {
        Loop *l = seq->kid[i];
        if (!maker && is_written(l, t)) {
            if (l->kind != LFor || l->lo || !is_size(l->hi, l->index->size))
                return;
            maker = l;
            p.stored = term_index(c, l->index);
            loop_accesses(l, find_axis, &p);
            if (p.axis < 0)
                return;
            continue;
        }
        if (!maker)
            continue;
        p.reads = p.strays = 0;
        p.read = l->kind == LFor ? term_index(c, l->index) : NULL;
        loop_accesses(l, see_part, &p);
        if (p.strays || (p.reads && like && (l->lo != like->lo || l->hi != like->hi)))
            return;
        if (p.reads)
            like = l;
    }
    if (!like || made_here(d, like->lo) || made_here(d, like->hi))
        return;
    maker->lo = like->lo;
    maker->hi = like->hi;
}

/* ---- one bunch */

static void open_outer(Draft *d, Loop **in) {
    Ctx *c = d->c;
    const Bunch *b = d->bunch;
    d->outer = (Outer){ b->outer, NEWN(c, Term *, b->nouter + 1), b->nouter };
    for (int i = 0; i < b->nouter; i++) {
        d->outer.by[i] = index_fresh(c, b->outer[i]);
        if (d->outer.by[i]->kind != TIndex)
            continue;
        Loop *l = loop_for(c, d->outer.by[i]->index, NULL, NULL);
        loop_add(c, *in, l);
        *in = l;
    }
}

static bool all_empty(const Bunch *b) {
    for (int i = 0; i < b->node.n; i++)
        if (!node_empty(b->node.at[i]))
            return false;
    return true;
}

static void draft(Draft *d) {
    Ctx *c = d->c;
    d->body = loop_new(c, LSeq);
    Loop *in = d->body;
    open_outer(d, &in);
    for (int i = 0; i < d->bunch->node.n; i++)
        if (!node_empty(d->bunch->node.at[i]))
            nest(c, d->bunch->node.at[i], &d->outer, in);
    for (int i = d->bunch->node.n - 1; i >= 0; i--)
        if (is_inner(d, d->bunch->node.at[i]->out))
            narrow_maker(d, in, d->bunch->node.at[i]->out);
    loops_merge(c, d->body);
    localise(d);
    share_rows(d);
    loops_prune(c, d->body);
}

/* Equal kernels are one: the first that was made. */
static Kernel *unique(Lower *up, Kernel *k, const Bunch *b) {
    Name key = intern(up->c, k->key, strlen(k->key));
    Kernel *known = map_get(&up->kernel, key);
    if (known)
        return known;
    kernel_title(up->c, k, b);
    kernel_tidy_names(up->c, k);
    map_put(up->c, &up->kernel, key, k);
    push(up->c, &up->code->kernel, k);
    return k;
}

static Name path_of(Ctx *c, const Bunch *b) {
    const Call *call = main_node(c, b)->call;
    return call ? call->path : NULL;
}

static void lower_bunch(Lower *up, const Bunch *b, Routine *r) {
    Ctx *c = up->c;
    if (all_empty(b))
        return;
    Draft d = { .c = c, .up = up, .bunch = b };
    draft(&d);
    Step step = {0};
    Kernel *k = kernel_make(c, &(Origin){ up->graph, b, d.body }, &step.arg);
    if (!k->formal.n)
        return;  // everything was dead
    step.kernel = unique(up, k, b);
    step.path = path_of(c, b);
    push(c, &r->step, step);
}

static Routine *lower_graph(Lower *up, const Program *p) {
    Ctx *c = up->c;
    Routine *r = NEW(c, Routine);
    r->graph = up->graph;
    r->name = up->graph->name ? name(c, "%s_%s", p->name, up->graph->name) : p->name;
    find_readers(up);
    for (int i = 0; i < up->bunches->bunch.n; i++)
        lower_bunch(up, up->bunches->bunch.at[i], r);
    return r;
}

/* A size is an `int` of its own name in C, beside w (weights), s (state) and work. */
static void name_sizes(Ctx *c, const Graph *g) {
    for (int i = 0; i < g->size.n; i++) {
        Symbol *s = g->size.at[i];
        if (!c_is_free(s->name))
            s->name = name(c, "size_%s", s->name);
    }
}

/* needs: bunches of every graph. gives: kernels, equal ones once, and steps. */
Code *lower(Ctx *c, Program *p, Bunches **b) {
    Lower up = { .c = c, .code = NEW(c, Code) };
    up.code->program = p;
    up.code->n = p->n;
    up.code->routine = NEWN(c, Routine *, p->n);
    for (int i = 0; i < p->n; i++) {
        up.graph = p->graph[i];
        name_sizes(c, up.graph);
        up.bunches = b[i];
        up.code->routine[i] = lower_graph(&up, p);
    }
    kernel_names(c, up.code);
    return up.code;
}
