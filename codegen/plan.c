/* plan.c: where every temporary lies in the arena.
 *
 * In: steps. Out: a place for each temporary and each scratch row, 64-byte aligned. What the entry's caller
 * owns (terminals, weights, states) has none. A temporary lives from the step that writes it to the last that reads it.
 *
 * The bound is the largest sum of bytes live across one step; no plan can be smaller. A pointwise step may write its
 * result over an input that dies there. That costs its kernel `restrict`, so it is done only in the steps that
 * would else be the highest. First fit in order of execution reaches the bound on ordinary nets, and an edit
 * moves few offsets; if it does not, orders are tried: for any packing there is an order in which first fit
 * is as good, namely by rising offset. */
#include "loops.h"

#include <stdlib.h>
#include <string.h>

enum { Alignment = 64, MostTrials = 400, MostWork = 20000000, MostNodes = 200000 };

static const int64_t too_much = INT64_C(1) << 47;      /* sums of thousands of it still fit */

typedef struct Piece {                   /* one or, written in place, several tensors */
    int64_t bytes, offset;
    int first, last, id;
} Piece;

typedef struct Plan {
    Ctx *c;
    Routine *r;
    VEC(Place) place;                   /* one a tensor, in order of first appearance */
    int *piece_of;                       /* place → piece */
    Piece *piece;
    int n;
    Map number;                         /* tensor → its place + 1 */
    int64_t bound;
} Plan;

/* ---- lives */

static bool is_final(const Graph *g, const Tensor *t) {
    for (int i = 0; i < g->output.n; i++)
        if (g->output.at[i].tensor == t)
            return true;
    return false;
}

static int64_t round_up(int64_t n) {
    return (n + Alignment - 1) / Alignment * Alignment;
}

static int64_t place_bytes(Ctx *c, const Tensor *t) {
    int64_t n = elem_bytes(c, t->type.elem);
    for (int i = 0; i < t->type.rank; i++) {
        int64_t lo, hi;
        dim_bounds(c, extent(c, t, i), &lo, &hi);
        if (hi <= 0)
            return 0;
        if (n > too_much / hi)
            return too_much;
        n *= hi;
    }
    return n;
}

static Place *place_holding(const Plan *p, const Tensor *t) {
    intptr_t i = (intptr_t)map_get(&p->number, t);
    return i ? &p->place.at[i - 1] : NULL;
}

static void see_use(Plan *p, Tensor *t, int step) {
    Place *known = place_holding(p, t);
    if (known) {
        known->last = step;
        return;
    }
    if (t->kind != TScratch && (t->kind != TTemp || is_final(p->r->graph, t)))
        return;
    push(p->c, &p->place, ((Place){ .tensor = t, .bytes = place_bytes(p->c, t), .first = step, .last = step }));
    map_put(p->c, &p->number, t, (void *)(intptr_t)p->place.n);
}

static void find_lives(Plan *p) {
    for (int s = 0; s < p->r->step.n; s++)
        for (int i = 0; i < p->r->step.at[s].kernel->formal.n; i++)
            see_use(p, p->r->step.at[s].arg[i], s);
}

/* ---- in place */

/* What a kernel does with one input and one output. */
typedef struct Pair {
    const Tensor *in, *out;
    Term *const *at;                    /* where out is stored */
    bool apart;                         /* something else than read here, then written here */
} Pair;

static void see_pair(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Pair *p = with;
    if (t == p->out) {
        p->apart |= !write || p->at;    // read again, or stored twice
        p->at = at;
    }
    (void)nat;
}

static void see_reads(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Pair *p = with;
    if (t == p->out && write)
        p->at = NULL;  // what is read from here on comes too late
    if (t != p->in)
        return;
    p->apart |= !p->at;
    for (int i = 0; i < nat && p->at; i++)
        p->apart |= at[i] != p->at[i];
}

static bool reduces(const Loop *l) {
    if (l->kind == LAccum)
        return true;
    for (int i = 0; i < l->n; i++)
        if (reduces(l->kid[i]))
            return true;
    return false;
}

/* May the output lie where the input lies? Each element is read for the last time where it is written. */
static bool may_overwrite(Ctx *c, const Kernel *k, int in, int out) {
    const Tensor *a = k->formal.at[in], *b = k->formal.at[out];
    if (k->role.at[in] != RoleIn || k->role.at[out] != RoleOut || a->type.rank != b->type.rank)
        return false;
    if (elem_bytes(c, a->type.elem) != elem_bytes(c, b->type.elem) || reduces(k->body))
        return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dim[i] != b->type.dim[i])
            return false;
    Pair p = { .in = a, .out = b };
    loop_accesses(k->body, see_pair, &p);
    if (!p.at && a->type.rank)
        return false;
    if (!p.apart && a->type.rank)
        loop_accesses(k->body, see_reads, &p);
    return !p.apart && a->type.rank > 0;
}

/* ---- pieces, the bound */

static void make_pieces(Plan *p) {
    p->n = p->place.n;
    p->piece = NEWN(p->c, Piece, p->n + 1);
    p->piece_of = NEWN(p->c, int, p->n + 1);
    for (int i = 0; i < p->n; i++) {
        const Place *at = &p->place.at[i];
        p->piece[i] = (Piece){ round_up(at->bytes), 0, at->first, at->last, i };
        p->piece_of[i] = i;
    }
}

static int64_t *live_sums(const Plan *p) {
    int steps = p->r->step.n;
    int64_t *sum = NEWN(p->c, int64_t, steps + 1);
    for (int i = 0; i < p->n; i++)
        for (int s = p->piece[i].first; s <= p->piece[i].last; s++)
            sum[s] += p->piece[i].bytes;
    return sum;
}

static int64_t largest(const int64_t *sum, int n) {
    int64_t most = 0;
    for (int i = 0; i < n; i++)
        if (sum[i] > most)
            most = sum[i];
    return most;
}

/* The piece of step s's input that its output may replace, or -1; *out is the output's. */
static int overwritten(const Plan *p, int s, int *out) {
    const Step *step = &p->r->step.at[s];
    const Kernel *k = step->kernel;
    for (int o = 0; o < k->formal.n; o++) {
        for (int i = 0; i < k->formal.n; i++) {
            Place *a = place_holding(p, step->arg[i]), *b = place_holding(p, step->arg[o]);
            if (!a || !b || a == b || a->last != s || b->first != s || a->bytes != b->bytes)
                continue;
            if (!a->bytes || !may_overwrite(p->c, k, i, o))
                continue;
            *out = (int)(b - p->place.at);
            return (int)(a - p->place.at);
        }
    }
    return -1;
}

/* The output joins the input's piece, which lives on. */
static void overwrite(Plan *p, int from, int to) {
    Piece *a = &p->piece[p->piece_of[from]], *b = &p->piece[p->piece_of[to]];
    a->last = b->last;
    b->bytes = 0;
    b->last = b->first - 1;
    p->piece_of[to] = p->piece_of[from];
}

/* First all that may be in place, for the bound; then only what stands above it. */
static void choose_in_place(Plan *p) {
    int steps = p->r->step.n, to = 0;
    make_pieces(p);
    int64_t *apart = live_sums(p);
    for (int s = 0; s < steps; s++) {
        int from = overwritten(p, s, &to);
        if (from >= 0)
            overwrite(p, from, to);
    }
    p->bound = largest(live_sums(p), steps);
    make_pieces(p);
    for (int s = 0; s < steps; s++) {
        if (apart[s] <= p->bound)
            continue;
        int from = overwritten(p, s, &to);
        if (from < 0)
            continue;
        overwrite(p, from, to);
        p->r->step.at[s].kernel->aliased = true;
    }
}

/* ---- packing */

static bool meet(const Piece *a, const Piece *b) {
    return a->first <= b->last && b->first <= a->last;
}

static int by_offset(const void *a, const void *b) {
    const Piece *x = *(Piece *const *)a, *y = *(Piece *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The lowest gap between what is placed already and alive at the same time. */
static int64_t lowest_fit(Piece *const *placed, int n, const Piece *it, Piece **near) {
    int m = 0;
    for (int i = 0; i < n; i++)
        if (placed[i]->bytes && meet(placed[i], it))
            near[m++] = placed[i];
    qsort(near, (size_t)m, sizeof *near, by_offset);
    int64_t at = 0;
    for (int i = 0; i < m && near[i]->offset < at + it->bytes; i++)
        if (near[i]->offset + near[i]->bytes > at)
            at = near[i]->offset + near[i]->bytes;
    return at;
}

static int64_t first_fit(Piece **order, int n, Piece **near) {
    int64_t peak = 0;
    for (int i = 0; i < n; i++) {
        order[i]->offset = order[i]->bytes ? lowest_fit(order, i, order[i], near) : 0;
        if (order[i]->offset + order[i]->bytes > peak)
            peak = order[i]->offset + order[i]->bytes;
    }
    return peak;
}

/* Of pieces in order of their first step: what ended before one of them is in the way of none that follow. */
static int64_t first_fit_in_order(Piece **order, int n, Piece **near, Piece **live) {
    int64_t peak = 0;
    for (int i = 0, m = 0; i < n; i++) {
        int left = 0;
        for (int k = 0; k < m; k++)
            if (live[k]->last >= order[i]->first)
                live[left++] = live[k];
        order[i]->offset = lowest_fit(live, left, order[i], near);
        live[left++] = order[i];
        m = left;
        if (order[i]->offset + order[i]->bytes > peak)
            peak = order[i]->offset + order[i]->bytes;
    }
    return peak;
}

static int by_size(const void *a, const void *b) {
    const Piece *x = *(Piece *const *)a, *y = *(Piece *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->id - y->id;
}

typedef struct PlaceSearch {
    Piece **order, **near;
    int n, nodes;
    int64_t bound, best;
    int64_t *offset;                    /* of the best, by piece */
} PlaceSearch;

static void keep(PlaceSearch *s, int64_t peak) {
    if (peak >= s->best)
        return;
    s->best = peak;
    for (int i = 0; i < s->n; i++)
        s->offset[s->order[i]->id] = s->order[i]->offset;
}

/* What ends at the peak goes a step to the front, until the bound or nothing helps. */
static void climb(PlaceSearch *s) {
    int trials = s->n ? MostWork / (s->n * s->n + 1) : 0;
    if (trials > MostTrials)
        trials = MostTrials;
    for (int t = 0; t < trials && s->best > s->bound; t++) {
        int64_t peak = first_fit(s->order, s->n, s->near);
        keep(s, peak);
        int top = s->n - 1;
        while (top > 0 && s->order[top]->offset + s->order[top]->bytes < peak)
            top--;
        if (top == 0)
            return;
        Piece *it = s->order[top];
        int to = t % 3 == 2 ? 0 : top / 2;
        memmove(s->order + to + 1, s->order + to, sizeof *s->order * (size_t)(top - to));
        s->order[to] = it;
    }
}

/* All orders, cut where they cannot be better than the best. */
static void descend(PlaceSearch *s, int depth, int64_t peak) {
    if (peak >= s->best || s->best <= s->bound || s->nodes++ > MostNodes)
        return;
    if (depth == s->n) {
        keep(s, peak);
        return;
    }
    for (int i = depth; i < s->n && s->best > s->bound; i++) {
        Piece *it = s->order[i], *other = s->order[depth];
        s->order[depth] = it;
        s->order[i] = other;
        it->offset = lowest_fit(s->order, depth, it, s->near);
        int64_t top = it->offset + it->bytes;
        descend(s, depth + 1, top > peak ? top : peak);
        s->order[i] = it;
        s->order[depth] = other;
    }
}

static void pack(Plan *p) {
    Ctx *c = p->c;
    PlaceSearch s = { .bound = p->bound, .best = INT64_MAX };
    s.order = NEWN(c, Piece *, p->n + 1);
    s.near = NEWN(c, Piece *, p->n + 1);
    s.offset = NEWN(c, int64_t, p->n + 1);
    for (int i = 0; i < p->n; i++)
        if (p->piece[i].bytes)
            s.order[s.n++] = &p->piece[i];
    keep(&s, first_fit_in_order(s.order, s.n, s.near, NEWN(c, Piece *, s.n)));
    if (s.best > s.bound) {
        qsort(s.order, (size_t)s.n, sizeof *s.order, by_size);
        keep(&s, first_fit(s.order, s.n, s.near));
        climb(&s);
        if (s.best > s.bound && s.n <= 64)
            descend(&s, 0, 0);
    }
    for (int i = 0; i < p->n; i++)
        p->piece[i].offset = s.offset[i];
    p->r->peak = s.n ? s.best : 0;
    p->r->bound = p->bound;
}

/* ---- names */

typedef struct PlaceNames {
    Map used;                           /* name → its tensor */
    Map last;                           /* name that several want → the last number given with it */
} PlaceNames;

static Name numbered(Ctx *c, PlaceNames *names, Name base) {
    intptr_t i = (intptr_t)map_get(&names->last, base);
    Name n = base;
    for (i = i ? i : 1; map_get(&names->used, n); n = name(c, "%s_%d", base, (int)i))
        i++;
    if (i > 1)
        map_put(c, &names->last, base, (void *)i);
    return n;
}

/* A scratch row is named by the step it belongs to; so is what has no path of its own. */
static Name place_name(Plan *p, const Place *at, PlaceNames *names) {
    Ctx *c = p->c;
    const Tensor *t = at->tensor;
    const Step *s = &p->r->step.at[at->first];
    const char *own = t->name ? t->name : "v", *path = t->path && *t->path ? t->path : own;
    Name base = c_word(c, path);
    if (map_get(&names->used, base))
        base = c_word(c, format(c, "%s_%s", s->path ? s->path : s->kernel->name, own));
    Name n = numbered(c, names, base);
    map_put(c, &names->used, n, (void *)t);
    return n;
}

static void give_places(Plan *p) {
    PlaceNames names = {0};
    for (int i = 0; i < p->place.n; i++) {
        Place *at = &p->place.at[i];
        at->offset = at->bytes ? p->piece[p->piece_of[i]].offset : 0;
        at->name = place_name(p, at, &names);
        push(p->c, &p->r->place, *at);
    }
}

static void plan_routine(Ctx *c, Routine *r) {
    Plan p = { .c = c, .r = r };
    r->place.n = 0;
    find_lives(&p);
    choose_in_place(&p);
    pack(&p);
    give_places(&p);
    if (r->peak >= too_much)
        error_plain(c, "`%s` needs %lld GiB for its temporaries: bind its sizes to smaller ranges", r->name,
                    (long long)(r->peak >> 30));
}

/* needs: steps. gives: places, peak and bound, and the arena's size: that of the largest routine. */
void plan(Ctx *c, Code *code) {
    code->work_bytes = 0;
    for (int i = 0; i < code->n; i++) {
        plan_routine(c, code->routine[i]);
        if (code->routine[i]->peak > code->work_bytes)
            code->work_bytes = code->routine[i]->peak;
    }
}
