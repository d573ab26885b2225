/* fold.c: what is known when compiling is computed when compiling. Nodes of constants become constants,
 * nodes of loaded weights become new parameters, named after the weight they are mostly made of. The
 * same computation in two entries is one tensor. */
#include "simplify.h"

#include <string.h>

/* ---- what is known ---- */

static void note_written(Fold *f, Map *written) {
    for (int i = 0; i < f->program->n; i++) {
        const Graph *g = f->program->graph[i];
        for (int k = 0; k < g->node.n; k++)
            for (Tensor *t = g->node.at[k]->out; t && t->kind == TState; t = t->before)
                map_put(f->c, written, t, t);
    }
}

Fold *fold_new(Ctx *c, Program *p) {
    Fold *f = NEW(c, Fold);
    Map written = { 0 };
    f->c = c;
    f->program = p;
    f->keys = keys_new(c);
    note_written(f, &written);
    for (int i = 0; i < p->param.n; i++)
        f->weights |= p->param.at[i]->data != NULL;
    for (int i = 0; i < p->state.n; i++) {
        Tensor *s = p->state.at[i];
        if (s->data && !map_get(&written, s))
            map_put(c, &f->fixed, s, s);
    }
    return f;
}

static bool tensor_known(const Fold *f, const Tensor *t) {
    if (t->kind == TConst || t->kind == TParam)
        return t->data != NULL;
    return t->kind == TState && map_get(&f->fixed, t);
}

bool fold_known(const Fold *f, const Term *t) {
    if (t->kind == TLoad && !tensor_known(f, t->from))
        return false;
    for (int i = 0; i < t->n; i++)
        if (!fold_known(f, t->kid[i]))
            return false;
    return !t->outside || fold_known(f, t->outside);
}

/* ---- evaluation ---- */

enum { MostElements = 1 << 20, MostTurns = 1 << 28, SmallBytes = 1 << 14 };

static bool fixed_sizes(Ctx *c, const Node *n) {
    Indices all = ON_STACK(Index *, 16);
    int64_t size;
    node_axes(c, n, &all);
    for (int i = 0; i < n->nbind; i++)
        push(c, &all, n->bind[i]);
    for (int i = 0; i < all.n; i++)
        if (!dim_number(all.at[i]->size, &size))
            return false;
    return true;
}

static int64_t bytes_of(Ctx *c, const Tensor *t) {
    return bound_of(c, type_count(c, &t->type)) * elem_bytes(c, t->type.elem);
}

/* The weight a value is mostly made of: the largest, of equals the first. NULL: made of constants only. */
static Tensor *main_weight(Fold *f, const Loads *loads) {
    Tensor *best = NULL;
    for (int i = 0; i < loads->n; i++) {
        Tensor *t = loads->at[i]->from;
        if (t->kind != TConst && (!best || bytes_of(f->c, t) > bytes_of(f->c, best)))
            best = t;
    }
    for (int i = 0; best && i < f->made.n; i++)
        if (f->made.at[i].tensor == best)
            return f->made.at[i].like;
    return best;
}

static const void *computed(Fold *f, const Graph *g, const Node *n, const Loads *loads) {
    Map env = { 0 };
    for (int i = 0; i < loads->n; i++)
        map_put(f->c, &env, loads->at[i]->from, (void *)loads->at[i]->from->data);
    int64_t *size = NEWN(f->c, int64_t, g->size.n + 1);
    return eval_node(f->c, n, &env, g, size) ? map_get(&env, n->out) : NULL;
}

/* The value of a node that reads only what is known; one tensor for equal nodes. */
static Tensor *value_of(Fold *f, const Graph *g, const Node *n) {
    Name key = node_key(f->c, f->keys, n);
    Tensor *found = map_get(&f->value, key);
    if (found)
        return found;
    Loads loads = ON_STACK(const Term *, 16);
    node_loads(f->c, n, &loads);
    const void *data = computed(f, g, n, &loads);
    if (!data)
        return NULL;
    Tensor *like = main_weight(f, &loads);
    Tensor *made =
        like ? tensor(f->c, TParam, like->name, like->path, &n->out->type, like->at)
             : tensor(f->c, TConst, n->out->name, n->out->path, &n->out->type, n->out->at);
    made->data = data;
    if (like)
        push(f->c, &f->made, ((Made){ made, like }));
    map_put(f->c, &f->value, key, made);
    return made;
}

Tensor *fold_term(Fold *f, const Graph *g, Term *t, Axis *axis, int naxis, const Type *type,
                  Name name) {
    Node n = { .axis = axis, .naxis = naxis, .body = t };
    n.out = tensor(f->c, TTemp, name, name, type, (Span){ 0 });
    return fixed_sizes(f->c, &n) ? value_of(f, g, &n) : NULL;
}

/* ---- nodes ---- */

/* Only what does not grow: a dequantised weight is made where it is used, not kept in memory. */
static bool stays_small(Fold *f, const Node *n, const Loads *loads) {
    int64_t result = bytes_of(f->c, n->out), read = 0;
    bool constant = true;
    for (int i = 0; i < loads->n; i++) {
        read += bytes_of(f->c, loads->at[i]->from);
        constant &= loads->at[i]->from->kind == TConst;
    }
    if (node_turns(f->c, n, true) > MostTurns)
        return false;
    return constant ? bound_of(f->c, type_count(f->c, &n->out->type)) <= MostElements
                    : result <= read || result <= SmallBytes;
}

static bool foldable(Fold *f, const Node *n) {
    if (n->out->kind != TTemp || n->at || is_view(n) || !fixed_sizes(f->c, n))
        return false;
    for (int i = 0; i < n->ncond; i++)
        if (!fold_known(f, n->cond[i]))
            return false;
    Loads loads = ON_STACK(const Term *, 16);
    node_loads(f->c, n, &loads);
    return fold_known(f, n->body) && stays_small(f, n, &loads);
}

static Term *load_at_axes(Ctx *c, Tensor *t, const Node *n) {
    Term **at = NEWN(c, Term *, n->naxis + 1);
    for (int a = 0; a < n->naxis; a++)
        at[a] = position_of(c, &n->axis[a]);
    return term_load(c, t, at, n->naxis, NULL, t->name);
}

static Term *read_value(Ctx *c, Term *t, void *with) {
    Tensor *value = t->kind == TLoad ? map_get(with, t->from) : NULL;
    return value ? term_load(c, value, t->kid, t->n, t->outside, t->as) : t;
}

/* ---- terms: what a node computes again and again of what is known ---- */

static bool loads_inside(Ctx *c, const Term *t) {
    if (t->kind == TLoad)
        for (int i = 0; !t->outside && i < t->n; i++) {
            Term *in = in_range(c, t->kid[i], t->from->type.dim[i]);
            if (in->kind != TNumber || in->number == 0)
                return false;
        }
    for (int i = 0; i < t->n; i++)
        if (!loads_inside(c, t->kid[i]))
            return false;
    return true;
}

typedef struct Hoist {
    Fold *f;
    const Graph *g;
    Indices all;
    Name name;
    bool changed;
} Hoist;

/* A dear function of indices and weights alone becomes a table along the indices it depends on. */
static Term *table_of(Hoist *h, Term *t) {
    Ctx *c = h->f->c;
    Axis axis[MaxRank];
    Term *at[MaxRank];
    Type type = { .elem = t->elem };
    double count = 1;
    for (int i = 0; i < h->all.n; i++) {
        if (!term_uses(t, h->all.at[i]))
            continue;
        if (type.rank == MaxRank)
            return NULL;
        count *= (double)bound_of(c, h->all.at[i]->size);
        axis[type.rank] = (Axis){ NEWN(c, Index *, 1), 1 };
        axis[type.rank].index[0] = h->all.at[i];
        at[type.rank] = term_index(c, h->all.at[i]);
        type.dim[type.rank++] = h->all.at[i]->size;
    }
    if (count > SmallBytes || elem_storage(c, type.elem) == AnyFloat ||
        elem_storage(c, type.elem) == AnyInt)
        return NULL;
    Axis *kept = NEWN(c, Axis, type.rank + 1);
    memcpy(kept, axis, sizeof *axis * (size_t)type.rank);
    Tensor *value = fold_term(h->f, h->g, t, kept, type.rank, &type, h->name);
    return value ? term_load(c, value, at, type.rank, NULL, value->name) : NULL;
}

static Term *hoist(Hoist *h, Term *t) {
    if (t->kind != TApply || t->n > 3 || !term_calls(t))
        return t;
    Term *table = fold_known(h->f, t) && loads_inside(h->f->c, t) ? table_of(h, t) : NULL;
    if (table) {
        h->changed = true;
        return table;
    }
    Term *arg[3];
    bool changed = false;
    for (int i = 0; i < t->n; i++) {
        arg[i] = hoist(h, t->kid[i]);
        changed |= arg[i] != t->kid[i];
    }
    return changed ? term_apply(h->f->c, t->fn, t->elem, arg) : t;
}

static bool hoist_terms(Fold *f, const Graph *g, Node *n) {
    Hoist h = { .f = f, .g = g, .name = n->out->name };
    if (fold_known(f, n->body))
        return false;
    node_axes(f->c, n, &h.all);
    for (int i = 0; i < n->nbind; i++)
        push(f->c, &h.all, n->bind[i]);
    n->body = hoist(&h, n->body);
    return h.changed;
}

bool fold_graph(Fold *f, Graph *g) {
    Map value = { 0 };
    bool changed = false;
    Uses *u = graph_uses(f->c, g);
    for (int i = 0; i < g->node.n; i++) {
        Node *n = g->node.at[i];
        if (value.n)
            changed |= node_map(f->c, n, read_value, &value);
        changed |= hoist_terms(f, g, n);
        Tensor *known = foldable(f, n) ? value_of(f, g, n) : NULL;
        if (!known)
            continue;
        map_put(f->c, &value, n->out, known);
        changed = true;
        if (use_of(u, n->out)->root) {
            *n = (Node){ .out = n->out, .axis = n->axis, .naxis = n->naxis, .call = n->call };
            n->body = load_at_axes(f->c, known, n);
        }
    }
    return changed;
}

/* ---- the end: names, and what is left of the parameters ---- */

static Map tensors_read(Fold *f) {
    Map read = { 0 };
    Loads loads = ON_STACK(const Term *, 16);
    for (int i = 0; i < f->program->n; i++) {
        const Graph *g = f->program->graph[i];
        for (int k = 0; k < g->node.n; k++) {
            loads.n = 0;
            node_loads(f->c, g->node.at[k], &loads);
            for (int j = 0; j < loads.n; j++)
                map_put(f->c, &read, loads.at[j]->from, loads.at[j]->from);
        }
    }
    return read;
}

/* The name of the weight it replaces, if that is gone; else the name with a word more. */
static void name_made(Fold *f, Made *m, Map *taken) {
    Name path = m->like->path, suffix = name(f->c, "%s", "");
    for (int k = 1; map_get(taken, path); k++) {
        suffix = k == 1 ? name(f->c, "_folded") : name(f->c, "_folded%d", k);
        path = name(f->c, "%s%s", m->like->path, suffix);
    }
    m->tensor->path = path;
    m->tensor->name = name(f->c, "%s%s", m->like->name, suffix);
    map_put(f->c, taken, path, m->tensor);
}

static void push_made(Fold *f, const Map *read, const Tensor *like, Program *to) {
    for (int i = 0; i < f->made.n; i++)
        if (f->made.at[i].like == like && map_get(read, f->made.at[i].tensor))
            push(f->c, &to->param, f->made.at[i].tensor);
}

static void keep_params(Fold *f, const Map *read) {
    Program kept = { 0 };
    for (int i = 0; i < f->program->param.n; i++) {
        Tensor *t = f->program->param.at[i];
        if (map_get(read, t))
            push(f->c, &kept.param, t);
        push_made(f, read, t, &kept);
    }
    for (int i = 0; i < f->program->state.n; i++)
        push_made(f, read, f->program->state.at[i], &kept);
    f->program->param.at = kept.param.at;
    f->program->param.n = kept.param.n;
    f->program->param.cap = kept.param.cap;
}

/* A state that nothing writes and nothing reads any more is none; nor has any graph a last version of it. */
static void keep_states(Fold *f, const Map *read) {
    int kept = 0;
    for (int i = 0; i < f->program->state.n; i++) {
        Tensor *s = f->program->state.at[i];
        if (map_get(&f->fixed, s) && !map_get(read, s))
            continue;
        for (int g = 0; g < f->program->n; g++)
            if (f->program->graph[g]->last_state)
                f->program->graph[g]->last_state[kept] = f->program->graph[g]->last_state[i];
        f->program->state.at[kept++] = s;
    }
    f->program->state.n = kept;
}

void fold_finish(Fold *f) {
    if (!f->weights)
        return;
    Map read = tensors_read(f), taken = { 0 };
    for (int i = 0; i < f->program->param.n; i++)
        if (map_get(&read, f->program->param.at[i]))
            map_put(f->c, &taken, f->program->param.at[i]->path, f->program->param.at[i]);
    for (int i = 0; i < f->program->state.n; i++)
        if (!map_get(&f->fixed, f->program->state.at[i]) || map_get(&read, f->program->state.at[i]))
            map_put(f->c, &taken, f->program->state.at[i]->path, f->program->state.at[i]);
    for (int i = 0; i < f->made.n; i++)
        if (map_get(&read, f->made.at[i].tensor))
            name_made(f, &f->made.at[i], &taken);
    keep_params(f, &read);
    keep_states(f, &read);
}
