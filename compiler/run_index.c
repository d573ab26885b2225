/* run_index.c: refuses inputs that point outside, before `run` computes with them (rule 34).
 *
 * Generated code clamps a position that comes from data: `max(0, min(x, n - 1))`, and the start of
 * a run-time slice so that the slice fits. Those terms are looked for in the positions of the
 * simplified graph; where x reads inputs alone, its values are computed and must need no clamp. */
#include "compile.h"

typedef struct IndexCheck {
    Ctx *c;
    const Graph *g;
    const int64_t *size;
    Map *env;
    const Node *node;
    Term *position;                     /* the one being searched, along an axis of this length */
    Dim length;
    Map seen;                           /* terms of the node */
    bool good;
} IndexCheck;

typedef struct Clamp { Term *whole, *x, *hi; bool low; } Clamp;   /* hi NULL, low false: no such end */

static bool reads_inputs_alone(const Term *t) {
    if (t->kind == TLoad && (t->from->kind != TInput || !elem_is_int(t->from->type.elem)))
        return false;
    for (int i = 0; i < t->n; i++)
        if (!reads_inputs_alone(t->kid[i]))
            return false;
    return !t->outside || reads_inputs_alone(t->outside);
}

/* Takes f(x, limit) apart, whichever comes first. */
static bool limited(const Term *t, FnId f, Term **x, Term **limit) {
    if (t->kind != TApply || t->fn->id != f)
        return false;
    int k = t->kid[0]->kind == TNumber || t->kid[0]->kind == TSize ? 0 : 1;
    *limit = t->kid[k];
    *x = t->kid[1 - k];
    return ((*limit)->kind == TNumber || (*limit)->kind == TSize) && elem_is_int((*x)->elem);
}

static bool clamp_of(Term *t, Clamp *k) {
    Term *x, *limit;
    *k = (Clamp){ .whole = t, .x = t };
    if (limited(k->x, FnMax, &x, &limit) && limit->kind == TNumber && limit->number == 0.0) {
        k->x = x;
        k->low = true;
    }
    if (limited(k->x, FnMin, &x, &limit)) {
        k->x = x;
        k->hi = limit;
    }
    return (k->low || k->hi) && term_reads(k->x) && reads_inputs_alone(k->x);
}

static Term *at_high_end(Ctx *c, Term *t, void *with) {
    (void)c;
    const Clamp *k = with;
    return t == k->whole ? k->hi : NULL;
}

/* Is it the clamp the language makes? Its upper end reaches the last element; a model's own
 * `min(x, 5)` stops before, and may. */
static bool is_made(IndexCheck *s, Clamp *k) {
    int64_t lo, hi, unused, last;
    if (!k->hi)
        return true;
    Term *top = term_map(s->c, s->position, at_high_end, k);
    dim_bounds(s->c, s->length, &unused, &last);
    return term_range(s->c, top, &lo, &hi) && hi == last - 1;
}

/* ---- the values */

typedef VEC(Index *) Running;

static void add_running(IndexCheck *s, Index **index, int n, const Term *x, Running *to) {
    for (int i = 0; i < n; i++)
        if (term_uses(x, index[i]))
            push(s->c, to, index[i]);
}

static bool runs_on_these(const Term *t, const Running *r) {
    bool found = t->kind != TIndex;
    for (int i = 0; i < r->n && !found; i++)
        found = r->at[i] == t->index;
    for (int i = 0; i < t->n && found; i++)
        found = runs_on_these(t->kid[i], r);
    return found;
}

/* x for every value of the indices it uses, as far as the node's conditions speak of these alone. */
static Node *values_node(IndexCheck *s, Term *x, Running *r) {
    const Node *n = s->node;
    for (int a = 0; a < n->naxis; a++)
        add_running(s, n->axis[a].index, n->axis[a].n, x, r);
    add_running(s, n->bind, n->nbind, x, r);
    if (r->n > MaxRank)
        return NULL;
    Type type = { .elem = I64, .rank = r->n };
    Node *v = NEW(s->c, Node);
    *v = (Node){ .axis = NEWN(s->c, Axis, r->n), .naxis = r->n, .body = x };
    for (int i = 0; i < r->n; i++) {
        type.dim[i] = r->at[i]->size;
        v->axis[i] = (Axis){ &r->at[i], 1 };
    }
    v->cond = NEWN(s->c, Term *, n->ncond);
    for (int i = 0; i < n->ncond; i++)
        if (runs_on_these(n->cond[i], r) && reads_inputs_alone(n->cond[i]))
            v->cond[v->ncond++] = n->cond[i];
    v->out = tensor(s->c, TTemp, intern(s->c, "index", 5), NULL, &type, n->out->at);
    return v;
}

/* "tokens[0, 3]": what x is where the indices have the values of element `at`. */
static char *place_text(IndexCheck *s, Term *x, const Running *r, int64_t at) {
    Text t = { 0 };
    Term **value = NEWN(s->c, Term *, r->n);
    for (int i = r->n - 1; i >= 0; i--) {
        int64_t n = eval_dim(r->at[i]->size, s->g, s->size);
        value[i] = term_number(s->c, I32, (double)(at % n));
        at /= n;
    }
    while (x->kind == TApply && x->fn->id == FnCast)
        x = x->kid[0];
    x = term_subst(s->c, x, r->at, value, r->n);
    if (x->kind != TLoad)
        return term_text(s->c, x);
    text_add(s->c, &t, "%s", x->from->name);
    for (int i = 0; i < x->n; i++)
        text_add(s->c, &t, "%s%s", i ? ", " : "[", term_text(s->c, x->kid[i]));
    if (x->n)
        text_add(s->c, &t, "]");
    return t.s;
}

static void check_values(IndexCheck *s, const Clamp *k) {
    Running r = { 0 };
    int64_t count = 1, hi = INT64_MAX;
    if (k->hi)
        hi = k->hi->kind == TSize ? eval_dim(k->hi->size, s->g, s->size) : (int64_t)k->hi->number;
    Node *v = values_node(s, k->x, &r);
    if (!v || hi < 0 || !eval_node(s->c, v, s->env, s->g, s->size))
        return;
    for (int i = 0; i < r.n; i++)
        count *= eval_dim(r.at[i]->size, s->g, s->size);
    const int64_t *value = map_get(s->env, v->out);
    for (int64_t i = 0; i < count && s->good; i++) {
        if (value[i] <= hi && (value[i] >= 0 || !k->low))
            continue;
        s->good = false;
        error_plain(s->c, "`%s` is %lld and must be 0 to %lld: it is used as an index",
                    place_text(s, k->x, &r, i), (long long)value[i], (long long)hi);
    }
}

/* ---- where positions stand */

static void search_position(IndexCheck *s, Term *t) {
    Clamp k;
    if (clamp_of(t, &k)) {
        if (is_made(s, &k))
            check_values(s, &k);
        return;
    }
    for (int i = 0; t->kind == TApply && i < t->n; i++)
        search_position(s, t->kid[i]);
}

static void check_position(IndexCheck *s, Term *t, Dim length) {
    s->position = t;
    s->length = length;
    search_position(s, t);
}

static void search_term(IndexCheck *s, Term *t) {
    if (map_get(&s->seen, t))
        return;
    map_put(s->c, &s->seen, t, t);
    for (int i = 0; i < t->n; i++)
        search_term(s, t->kid[i]);
    if (t->outside)
        search_term(s, t->outside);
    for (int i = 0; t->kind == TLoad && !t->outside && i < t->n; i++)
        check_position(s, t->kid[i], t->from->type.dim[i]);
}

static void search_node(IndexCheck *s, const Node *n) {
    s->node = n;
    s->seen = (Map){ 0 };
    search_term(s, n->body);
    for (int i = 0; i < n->ncond; i++)
        search_term(s, n->cond[i]);
    for (int i = 0; n->at && i < n->out->type.rank; i++) {
        search_term(s, n->at[i]);
        check_position(s, n->at[i], n->out->type.dim[i]);
    }
}

/* needs: the inputs in env. gives: false when one points outside; that was reported. */
bool indices_good(Ctx *c, const Graph *g, const int64_t *size, Map *env) {
    IndexCheck s = { .c = c, .g = g, .size = size, .env = env, .good = true };
    for (int i = 0; i < g->node.n && s.good; i++)
        search_node(&s, g->node.at[i]);
    return s.good;
}
