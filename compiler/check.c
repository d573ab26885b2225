/* check.c: what every pass must keep, asserted.
 *
 * A failure is a mistake of ours, never of the user: it names the node and stops the program at
 * once. */
#include "compiler.h"

#include <stdarg.h>
#include <stdlib.h>

typedef struct GraphChecker {
    Ctx *c;
    const Program *program;
    const Graph *graph;
    const Node *node;
    Map made;                           /* tensors that can be read here: to themselves */
    Map gone;                           /* versions of states that were overwritten */
    Map running;                        /* indices of the node */
    Map seen;                           /* its terms */
    bool empty;                         /* one of its loops never runs: nothing is read */
} GraphChecker;

/* The words are made where they are needed, which is never. */
#define expect(k, holds, ...) ((holds) ? (void)0 : broken((k), __VA_ARGS__))

static _Noreturn void broken(const GraphChecker *k, const char *fmt, ...) {
    const Tensor *t = k->node ? k->node->out : NULL;
    fprintf(stderr, "mithrilc: internal error: %s, %s: ", k->graph->name ? k->graph->name : "entry",
            t ? t->path   ? t->path
                : t->name ? t->name
                          : "node"
              : "graph");
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n");
    if (k->node && k->node->body)
        fprintf(stderr, "    %s\n", term_text(k->c, k->node->body));
    abort();
}

static const char *tensor_label(const Tensor *t) {
    return t->path ? t->path : t->name ? t->name : "?";
}

/* May a function take both? Sizes adapt to anything. */
static bool same_kind(Elem a, Elem b) {
    return a == b || a == AnyInt || b == AnyInt || (a == AnyFloat && elem_is_float(b)) ||
           (b == AnyFloat && elem_is_float(a));
}

static void check_node_term(GraphChecker *k, const Term *t);

static void check_load(GraphChecker *k, const Term *t) {
    const Tensor *x = t->from;
    expect(k, t->n == x->type.rank, "%s has rank %d and is read at %d positions", tensor_label(x),
           x->type.rank, t->n);
    expect(k, t->elem == x->type.elem, "%s is %s and read as %s", tensor_label(x),
           elem_name(x->type.elem), elem_name(t->elem));
    expect(k, x->kind == TParam || x->kind == TConst || map_get(&k->made, x),
           "%s is read before it is made", tensor_label(x));
    expect(k, !map_get(&k->gone, x), "this version of %s is read after it was overwritten",
           tensor_label(x));
    expect(k, !t->outside || same_kind(t->outside->elem, t->elem),
           "%s: the value outside has another type", tensor_label(x));
    for (int i = 0; i < t->n; i++) {
        Elem e = t->kid[i]->elem;
        int64_t lo, hi, dlo, dhi;
        expect(k, elem_is_int(e), "position %d of %s is no integer", i, tensor_label(x));
        if (t->outside || k->empty || !term_range(k->c, t->kid[i], &lo, &hi))
            continue;
        dim_bounds(k->c, x->type.dim[i], &dlo, &dhi);
        expect(k, hi >= 0 && (lo < dhi || dhi <= 0), "position %d of %s, %s, is always outside", i,
               tensor_label(x), term_text(k->c, t->kid[i]));
    }
}

static void check_apply(GraphChecker *k, const Term *t) {
    FnId f = t->fn->id;
    expect(k, t->n == t->fn->arity, "%s takes %d, has %d", t->fn->name, t->fn->arity, t->n);
    if (f == FnAnd || f == FnOr || f == FnNot)
        for (int i = 0; i < t->n; i++)
            expect(k, t->kid[i]->elem == Bool, "`%s` of %s", t->fn->name,
                   elem_name(t->kid[i]->elem));
    if (f == FnWhere)
        expect(k, t->kid[0]->elem == Bool, "the condition of where is %s",
               elem_name(t->kid[0]->elem));
    bool compares = (f >= FnEq && f <= FnOr) || f == FnNot || f == FnIsNan || f == FnIsInf;
    expect(k, !compares || t->elem == Bool, "`%s` gives %s", t->fn->name, elem_name(t->elem));
    for (int i = f == FnWhere; i + 1 < t->n; i++)
        expect(k, same_kind(t->kid[i]->elem, t->kid[i + 1]->elem), "`%s` of %s and %s", t->fn->name,
               elem_name(t->kid[i]->elem), elem_name(t->kid[i + 1]->elem));
}

static void check_node_term(GraphChecker *k, const Term *t) {
    if (map_get(&k->seen, t))
        return;
    map_put(k->c, &k->seen, t, k);
    expect(k, t->elem != NoElem, "a term without type: %s", term_text(k->c, t));
    if (t->kind == TIndex)
        expect(k, map_get(&k->running, t->index), "index %s does not run here", t->index->name);
    for (int i = 0; i < t->n; i++)
        check_node_term(k, t->kid[i]);
    if (t->outside)
        check_node_term(k, t->outside);
    if (t->kind == TLoad)
        check_load(k, t);
    if (t->kind == TApply)
        check_apply(k, t);
}

static void run_index(GraphChecker *k, Index *i) {
    expect(k, !map_get(&k->running, i), "index %s runs twice", i->name);
    map_put(k->c, &k->running, i, i);
    k->empty = k->empty || dim_less(k->c, dim(k->c, 0), i->size) != 1;
}

/* A size that varies is an argument of the entry. */
static void check_symbol(Symbol *symbol, void *with) {
    const GraphChecker *k = with;
    bool found = !symbol->bounded;
    for (int i = 0; i < k->graph->size.n && !found; i++)
        found = k->graph->size.at[i] == symbol;
    expect(k, found, "%s is no size of this entry", symbol->name);
}

static void check_type(GraphChecker *k, const Tensor *t) {
    expect(k, t->type.elem != NoElem && t->type.rank <= MaxRank, "%s has no type", tensor_label(t));
    for (int i = 0; i < t->type.rank; i++)
        dim_symbols(t->type.dim[i], check_symbol, k);
}

static void check_axes(GraphChecker *k, const Node *n) {
    const Tensor *out = n->out;
    for (int a = 0; a < n->naxis; a++) {
        Dim size = dim(k->c, 1);
        for (int i = 0; i < n->axis[a].n; i++) {
            run_index(k, n->axis[a].index[i]);
            size = dim_mul(k->c, size, n->axis[a].index[i]->size);
        }
        if (n->at)
            continue;
        expect(k, a < out->type.rank && dim_equal(k->c, size, out->type.dim[a]),
               "axis %d runs over %s, and the result has %s", a, dim_text(k->c, size),
               a < out->type.rank ? dim_text(k->c, out->type.dim[a]) : "no such axis");
    }
    expect(k, n->at || n->naxis == out->type.rank, "%d axes for a result of rank %d", n->naxis,
           out->type.rank);
    expect(k, !n->at || out->kind == TState, "only a state is written in part");
}

static void check_result(GraphChecker *k, const Node *n) {
    Elem e = n->body->elem, to = n->out->type.elem;
    bool position = n->reduce == RArgMax || n->reduce == RArgMin;
    expect(k, position ? elem_is_int(to) : same_kind(e, to), "the body is %s and the result %s",
           elem_name(e), elem_name(to));
    expect(k, n->reduce || n->nbind == 0, "binders without a reduction");
    expect(k, (n->reduce != RAny && n->reduce != RAll) || e == Bool, "any and all are of bool");
    expect(k, n->out->def == n, "its result names another node");
    expect(k, !map_get(&k->made, n->out), "its result was made before");
}

static const Tensor *first_version(const Tensor *t) {
    while (t->before)
        t = t->before;
    return t;
}

/* State is versions: each is of the type of the one before, and replaces what nothing replaced yet. */
static void check_version(GraphChecker *k, const Node *n) {
    const Tensor *out = n->out, *before = out->before;
    expect(k, (out->kind == TState) == (before != NULL), "a new version, and only that, replaces one");
    expect(k, out->kind == TState || out->kind == TTemp, "its result is no tensor of a graph");
    if (!before)
        return;
    bool same = before->kind == TState && before->type.rank == out->type.rank &&
                before->type.elem == out->type.elem;
    for (int i = 0; same && i < out->type.rank; i++)
        same = dim_equal(k->c, before->type.dim[i], out->type.dim[i]);
    expect(k, same, "the version it replaces has another type");
    expect(k, map_get(&k->made, before), "the version it replaces was never made");
    expect(k, !map_get(&k->gone, before), "it replaces a version that was replaced before");
    map_put(k->c, &k->gone, before, (void *)(uintptr_t)out);
}

static void check_node(GraphChecker *k, const Node *n) {
    k->node = n;
    map_clear(&k->running);
    map_clear(&k->seen);
    k->empty = false;
    expect(k, n->out && n->body, "without result or body");
    check_type(k, n->out);
    check_axes(k, n);
    for (int i = 0; i < n->nbind; i++)
        run_index(k, n->bind[i]);
    for (int i = 0; n->at && i < n->out->type.rank; i++)
        check_node_term(k, n->at[i]);
    for (int i = 0; i < n->ncond; i++) {
        expect(k, n->cond[i]->elem == Bool, "a condition is %s", elem_name(n->cond[i]->elem));
        check_node_term(k, n->cond[i]);
    }
    check_node_term(k, n->body);
    check_result(k, n);
    map_put(k->c, &k->made, n->out, n->out);
    check_version(k, n);
}

static void check_graph(Ctx *c, const Program *p, const Graph *g) {
    GraphChecker k = { .c = c, .program = p, .graph = g };
    for (int i = 0; i < g->input.n; i++)
        if (g->input.at[i].tensor)
            map_put(c, &k.made, g->input.at[i].tensor, g->input.at[i].tensor);
    for (int i = 0; i < p->state.n; i++)
        map_put(c, &k.made, p->state.at[i], p->state.at[i]);
    for (int i = 0; i < g->node.n; i++)
        check_node(&k, g->node.at[i]);
    k.node = NULL;
    for (int i = 0; i < g->output.n; i++) {
        const Tensor *t = g->output.at[i].tensor;
        expect(&k, t->kind == TTemp && t->def, "output %s is no result of a node",
               g->output.at[i].name);
        expect(&k, map_get(&k.made, t), "output %s is never made", g->output.at[i].name);
    }
    for (int i = 0; g->last_state && i < p->state.n; i++) {
        const Tensor *last = g->last_state[i];
        expect(&k, first_version(last) == p->state.at[i] && map_get(&k.made, last),
               "what stays of state %s is no version of it", tensor_label(p->state.at[i]));
        expect(&k, !map_get(&k.gone, last), "state %s ends with a version that was replaced",
               tensor_label(p->state.at[i]));
    }
    for (int i = 0; i < g->check.n; i++)
        expect(&k, g->check.at[i].holds->elem == Bool, "a requirement is no condition");
}

void graph_check(Ctx *c, const Program *p) {
    for (int i = 0; i < p->n; i++)
        check_graph(c, p, p->graph[i]);
}
