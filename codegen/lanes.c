/* lanes.c: sums in the two forms in which gcc -O2 and clang find vector instructions.
 *
 * A dot product adds its terms into eight partial sums, then those in a fixed order:
 *
 *     float s[8] = {0};
 *     for (int k = 0; k < 64; k += 8)
 *         for (int l = 0; l < 8; l++) s[l] += x[k + l] * w[j][k + l];
 *     float sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
 *
 * A row of results, where the result's axis is the one that lies together, keeps one sum for each of eight
 * (four under several loops, or of several sums: that is what stays in registers). Where the bounds of the inner loops vary with that
 * axis, at the edges of a padded convolution, those columns are computed one by one, and the rest without
 * bounds. The last tile begins earlier rather than being shorter: it writes some results twice, the same.
 *
 * The order of a sum follows from the shapes alone, never from a machine. */
#include "loops.h"

#include <string.h>

/* ---- what a sum reads */

typedef struct Reach {                  /* how its loads move with an index */
    Ctx *c;
    Index *index;
    int still, contiguous, strided, other;
} Reach;

static void see_reach(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Reach *r = with;
    (void)t;
    if (write || nat == 0)
        return;
    bool known = true;
    int64_t outer = 0, last = stride_in(r->c, at[nat - 1], r->index, &known);
    for (int i = 0; i < nat - 1; i++)
        outer |= stride_in(r->c, at[i], r->index, &known);
    if (!known)
        r->other++;
    else if (last == 0 && outer == 0)
        r->still++;
    else if (last == 1 && outer == 0)
        r->contiguous++;
    else
        r->strided++;
}

static Reach reach_of(Ctx *c, const Term *t, Index *i) {
    Reach r = { .c = c, .index = i };
    term_accesses(t, see_reach, &r);
    return r;
}

/* Arithmetic that vector instructions do. */
static bool is_plain(const Term *t) {
    if (t->kind == TLoad)
        return true;
    if (t->kind != TApply)
        return t->kind == TNumber;
    FnId f = t->fn->id;
    if (f != FnAdd && f != FnSub && f != FnMul && f != FnDiv && f != FnNeg)
        return false;
    for (int i = 0; i < t->n; i++)
        if (!is_plain(t->kid[i]))
            return false;
    return true;
}

static bool is_sum(Ctx *c, const Loop *l) {
    Elem e = l->kind == LAccum ? elem_storage(c, l->to->type.elem) : NoElem;
    return (e == F32 || e == F64) && l->reduce == RSum && l->to->kind == TLocal && l->nat == 0 && is_plain(l->value);
}

static bool literal_of(const Term *t, int64_t *n) {
    if (t->kind != TNumber)
        return false;
    *n = (int64_t)t->number;
    return true;
}

static Term *whole(Ctx *c, int64_t n) {
    return term_number(c, I32, (double)n);
}

static Term *moved_by(Ctx *c, Term *a, Term *b) {
    return tidy(c, term_apply2(c, FnAdd, I32, a, b));
}

/* ---- lanes */

static Tensor *lanes_new(Ctx *c, const Tensor *sum, int n) {
    Type type = { .elem = sum->type.elem, .rank = 1, .dim = { dim(c, n) } };
    return tensor(c, TLocal, sum->name, sum->name, &type, (Span){0});
}

/* The partial sums of a dot product. */
static Tensor *parts_new(Ctx *c, const Tensor *sum, int n) {
    Tensor *t = lanes_new(c, sum, n);
    t->name = t->path = name(c, "part");
    return t;
}

static Term *lane(Ctx *c, Tensor *s, Term *at) {
    return term_load(c, s, &at, 1, NULL, s->name);
}

static Loop *lane_loop(Ctx *c, int n) {
    Loop *l = loop_for(c, index_new(c, name(c, "l"), dim(c, n)), NULL, NULL);
    l->unroll = true;
    return l;
}

/* ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])) */
static Term *lane_sum(Ctx *c, Tensor *s, int from, int step, int n) {
    if (step >= n)
        return lane(c, s, whole(c, from));
    Term *a = lane_sum(c, s, from, step * 2, n), *b = lane_sum(c, s, from + step, step * 2, n);
    return term_apply2(c, FnAdd, s->type.elem, a, b);
}

/* ---- a dot product */

static bool fits_dot(Ctx *c, const Loop *l, int *lanes) {
    int64_t lo, most;
    if (l->kind != LFor || l->step || l->lo || l->n == 0)
        return false;
    dim_bounds(c, l->index->size, &lo, &most);
    if (most < 4)
        return false;
    for (int i = 0; i < l->n; i++) {
        if (!is_sum(c, l->kid[i]))
            return false;
        Reach r = reach_of(c, l->kid[i]->value, l->index);
        if (r.other || r.strided || !r.contiguous)
            return false;
    }
    *lanes = most < 16 ? 4 : 8;
    return true;
}

/* The part of the loop that is whole tiles, and the part that is not. */
static void cut(Ctx *c, const Loop *l, int lanes, Term **end, Term **rest) {
    int64_t n;
    *rest = NULL;
    if (literal_of(l->hi, &n)) {
        *end = whole(c, n / lanes * lanes);
        if (n % lanes)
            *rest = *end;
    } else {
        *end = moved_by(c, l->hi, whole(c, 1 - lanes));
        *rest = term_apply2(c, FnMul, I32, term_apply2(c, FnFloorDiv, I32, term_apply2(c, FnMax, I32, l->hi, whole(c, 0)), whole(c, lanes)), whole(c, lanes));
    }
}

static int start_of(const Loop *seq, int at, const Tensor *sum) {
    for (int i = 0; i < at; i++)
        if (seq->kid[i]->kind == LLet && seq->kid[i]->to == sum)
            return i;
    return -1;
}

/* The lanes of a short row: tiles, then what is left added to the first of them. */
static void fill_lanes(Ctx *c, Loop *in, const Loop *l, Tensor *s, int lanes) {
    int64_t n = (int64_t)l->hi->number, done = n / lanes * lanes;
    Loop *tiles = in, *whole_lanes = lane_loop(c, lanes), *few;
    Term *position = term_index(c, whole_lanes->index);
    if (done > lanes) {
        tiles = loop_for(c, index_new(c, l->index->name, l->index->size), NULL, whole(c, done));
        tiles->step = lanes;
        position = moved_by(c, term_index(c, tiles->index), position);
        loop_add(c, in, tiles);
    }
    loop_add(c, tiles, whole_lanes);
    loop_add(c, whole_lanes, loop_copy(c, l->kid[0]));
    loop_replace_local(c, whole_lanes, l->kid[0]->to, lane(c, s, term_index(c, whole_lanes->index)));
    loop_replace_index(c, whole_lanes, l->index, position);
    if (done == n)
        return;
    few = lane_loop(c, (int)(n - done));
    loop_add(c, few, loop_copy(c, l->kid[0]));
    loop_replace_local(c, few, l->kid[0]->to, lane(c, s, term_index(c, few->index)));
    loop_replace_index(c, few, l->index, moved_by(c, whole(c, done), term_index(c, few->index)));
    loop_add(c, in, few);
}

/* A dot product under other loops of the same sum: the lanes are kept over all of them. */
static bool nested_dot(Ctx *c, Loop *seq, int at) {
    Loop *l = seq->kid[at], *up = NULL;
    while (l->kind == LFor && l->n == 1 && l->kid[0]->n) {
        up = l;
        l = l->kid[0];
    }
    int lanes;
    if (!up || l->n != 1 || !fits_dot(c, l, &lanes) || l->hi->kind != TNumber)
        return false;
    int64_t n = (int64_t)l->hi->number;
    if (n < 4)
        return false;
    if (n % 8 == 0)
        lanes = 8;
    int start = start_of(seq, at, l->kid[0]->to);
    if (start < 0 || seq->kid[start]->value->kind != TNumber || seq->kid[start]->value->number != 0)
        return false;
    Tensor *sum = l->kid[0]->to, *s = parts_new(c, sum, lanes);
    loop_remove(up, 0);
    fill_lanes(c, up, l, s, lanes);
    loop_insert(c, seq, at + 1, loop_let(c, sum, lane_sum(c, s, 0, 1, lanes)));
    seq->kid[start] = loop_let(c, s, NULL);
    return true;
}

/* needs: kid `at` of seq. gives: true if it was a dot product and now adds in lanes. */
bool lanes_dot(Ctx *c, Loop *seq, int at) {
    Loop *l = seq->kid[at];
    int lanes;
    Term *end, *from;
    if (nested_dot(c, seq, at))
        return true;
    if (!fits_dot(c, l, &lanes))
        return false;
    cut(c, l, lanes, &end, &from);
    Index *tile = index_new(c, l->index->name, l->index->size);
    bool once = end->kind == TNumber && end->number == lanes;     // a single tile needs no loop over tiles
    Loop *main = once ? loop_new(c, LSeq) : loop_for(c, tile, NULL, end), *inner = lane_loop(c, lanes);
    Term *position = term_index(c, inner->index);
    if (!once)
        position = moved_by(c, term_index(c, tile), position);
    main->step = once ? 0 : lanes;
    loop_add(c, main, inner);
    loop_remove(seq, at);
    int next = at;
    for (int i = 0; i < l->n; i++) {
        Loop *sum = loop_copy(c, l->kid[i]);
        Tensor *s = parts_new(c, sum->to, lanes);
        loop_replace_index(c, sum, l->index, position);
        loop_replace_local(c, sum, sum->to, lane(c, s, term_index(c, inner->index)));
        loop_add(c, inner, sum);
        loop_insert(c, seq, next++, loop_let(c, s, NULL));
    }
    loop_insert(c, seq, next++, main);
    for (int i = 0; i < l->n; i++) {
        Tensor *sum = l->kid[i]->to;
        Term *total = lane_sum(c, inner->kid[i]->to, 0, 1, lanes);
        int start = start_of(seq, next, sum);
        if (start >= 0 && seq->kid[start]->value && seq->kid[start]->value->kind == TNumber &&
            seq->kid[start]->value->number == 0) {
            loop_remove(seq, start);
            loop_insert(c, seq, next - 1, loop_let(c, sum, total));
        } else {
            loop_insert(c, seq, next++, loop_accum(c, sum, NULL, 0, RSum, total));
        }
    }
    if (!from)
        return true;
    l->lo = from;
    loop_insert(c, seq, next, l);
    return true;
}

/* ---- a row of results */

typedef struct Strip {
    Ctx *c;
    Loop *loop;                         /* over the axis of the result */
    Index *index;
    int64_t from, to;                   /* the columns whose inner loops have bounds of their own */
    int depth, lanes;
    bool moves, together;               /* something is read along the index; in one piece */
    bool again;                         /* something stored is read as well */
} Strip;

static bool holds_loop(const Loop *l) {
    for (int i = 0; i < l->n; i++)
        if (l->kid[i]->kind == LFor || holds_loop(l->kid[i]))
            return true;
    return l->kind == LFor;
}

static bool moves_in(const Term *t, const Index *i) {
    return t && term_uses(t, i);
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Columns at which `t` <= 0 (as the start of a loop), or >= size (as its end). */
static bool clear_piece(Strip *r, Term *t, bool start, int64_t size) {
    Linear l;
    int64_t k = 0, base;
    linear(r->c, t, &l);
    linear_take(&l, term_index(r->c, r->index), &k);
    if (l.n || !dim_number(l.base, &base) || k == 0)
        return false;
    int64_t a = start ? -base : base - size;            // a + coefficient * column >= 0
    if (start)
        k = -k;
    int64_t column = k > 0 ? -floor_div(a, k) : floor_div(a, -k);
    if (k > 0 && column > r->from)
        r->from = column;
    if (k < 0 && column + 1 < r->to)
        r->to = column + 1;
    return true;
}

static bool clear_bound(Strip *r, Term *t, bool start, int64_t size) {
    if (!moves_in(t, r->index))
        return true;
    if (t->kind == TApply && t->fn->id == (start ? FnMax : FnMin))
        return clear_bound(r, t->kid[0], start, size) && clear_bound(r, t->kid[1], start, size);
    return clear_piece(r, t, start, size);
}

/* The reduction under a row: loops and sums, nothing else. */
static bool fits_under(Strip *r, const Loop *l, int depth) {
    Ctx *c = r->c;
    if (l->kind == LAccum) {
        if (!is_sum(c, l))
            return false;
        Reach reach = reach_of(c, l->value, r->index);
        r->moves = r->moves || reach.contiguous || reach.strided;
        r->together = r->together || reach.contiguous;
        if (depth > r->depth)
            r->depth = depth;
        return !reach.other;
    }
    if (l->kind == LIf && moves_in(l->value, r->index))
        return false;
    if (l->kind != LIf && l->kind != LFor)
        return false;
    int64_t size;
    if (l->kind == LFor && (moves_in(l->lo, r->index) || moves_in(l->hi, r->index))) {
        if (!dim_number(l->index->size, &size))
            return false;
        if (!clear_bound(r, l->lo, true, size) || !clear_bound(r, l->hi, false, size))
            return false;
    }
    for (int i = 0; i < l->n; i++)
        if (!fits_under(r, l->kid[i], depth + (l->kind == LFor)))
            return false;
    return l->n > 0;
}

static bool is_start(const Loop *l) {
    return l->kind == LLet && l->to->type.rank == 0 && l->value && l->value->kind == TNumber;
}

static bool fits_store(Strip *r, const Loop *l) {
    if (l->kind == LLet)
        return true;
    if (l->kind != LStore || l->nat == 0)
        return false;
    bool known = true;
    int64_t outer = 0, last = stride_in(r->c, l->at[l->nat - 1], r->index, &known);
    for (int i = 0; i < l->nat - 1; i++)
        outer |= stride_in(r->c, l->at[i], r->index, &known);
    return known && outer == 0 && last == 1;
}

typedef struct Stored { const Loop *in; bool again; } Stored;

static void see_again(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Stored *s = with;
    (void)at, (void)nat;
    for (int i = 0; i < s->in->n && !write; i++)
        s->again |= s->in->kid[i]->kind == LStore && s->in->kid[i]->to == t;
}

static bool dot_inside(Ctx *c, const Loop *l) {
    int lanes;
    if (fits_dot(c, l, &lanes))
        return true;
    for (int i = 0; i < l->n; i++)
        if (dot_inside(c, l->kid[i]))
            return true;
    return false;
}

static bool fits_row(Strip *r) {
    Loop *l = r->loop;
    int64_t n;
    if (l->kind != LFor || l->step || l->lo || !literal_of(l->hi, &n))
        return false;
    int starts = 0, sums = 0, stores = 0;
    r->from = 0;
    r->to = n;
    for (int i = 0; i < l->n; i++) {
        if (holds_loop(l->kid[i])) {
            if (stores || !fits_under(r, l->kid[i], 0))
                return false;
            sums++;
        } else if (is_start(l->kid[i]) && !stores) {
            starts++;
        } else if (fits_store(r, l->kid[i])) {
            stores++;
        } else {
            return false;
        }
    }
    if (!sums || !stores || !r->moves || (!r->together && dot_inside(r->c, l)))
        return false;
    Stored s = { l, false };
    loop_accesses(l, see_again, &s);
    r->again = s.again;
    int64_t room = r->to - r->from;
    r->lanes = r->depth > 1 || starts > 1 || room < 8 ? 4 : 8;
    return room >= r->lanes && !(r->again && room % r->lanes);
}

/* For jam.c: would the loop become rows? Nothing it stores may be read. */
bool row_fits(Ctx *c, Loop *l) {
    Strip r = { .c = c, .loop = l, .index = l->index };
    return l->index && fits_row(&r) && !r.again;
}

/* Sums of a column by itself: left0, left1 … */
static void name_edge(Ctx *c, Loop *block, const char *side) {
    for (int i = 0; i < block->n; i++) {
        Tensor *t = block->kid[i]->to;
        if (is_start(block->kid[i]) && !strncmp(t->name, "sum", 3))
            t->name = t->path = name(c, "%s%s", side, t->name + 3);
    }
}

/* One column, or a few, as they were. */
static void add_columns(Strip *r, Loop *seq, int at, int64_t from, int64_t to) {
    Ctx *c = r->c;
    if (from >= to)
        return;
    Loop *l = loop_copy(c, r->loop);
    loop_refresh(c, l);
    if (to == from + 1) {
        loop_replace_index(c, l, l->index, whole(c, from));
        Loop *block = loop_new(c, LSeq);
        for (int i = 0; i < l->n; i++)
            loop_add(c, block, l->kid[i]);
        name_edge(c, block, from ? "right" : "left");
        loop_insert(c, seq, at, block);
        return;
    }
    l->lo = from ? whole(c, from) : NULL;
    l->hi = whole(c, to);
    loop_insert(c, seq, at, l);
}

static Term *without(Ctx *c, Term *t, const Index *i, FnId both) {
    if (!moves_in(t, i))
        return t;
    if (t->kind != TApply || t->fn->id != both)
        return NULL;
    Term *a = without(c, t->kid[0], i, both), *b = without(c, t->kid[1], i, both);
    return a && b ? term_apply2(c, both, I32, a, b) : a ? a : b;
}

static void drop_bounds(Ctx *c, Loop *l, const Index *i) {
    int64_t n;
    if (l->kind == LFor) {
        l->lo = without(c, l->lo, i, FnMax);
        l->hi = without(c, l->hi, i, FnMin);
        if (!l->hi && dim_number(l->index->size, &n))
            l->hi = whole(c, n);
        if (l->lo && literal_of(l->lo, &n) && n == 0)
            l->lo = NULL;
    }
    for (int k = 0; k < l->n; k++)
        drop_bounds(c, l->kid[k], i);
}

/* Each sum in its lanes: sum += v becomes, for l in 0..4, sum[l] += v at column + l. */
static void widen_sums(Ctx *c, Loop *l, Index *i, Term *column, int lanes) {
    if (l->n && l->kid[0]->kind == LAccum) {
        Loop *inner = lane_loop(c, lanes);
        while (l->n)
            loop_add(c, inner, loop_remove(l, 0));
        loop_add(c, l, inner);
        loop_replace_index(c, inner, i, moved_by(c, column, term_index(c, inner->index)));
        return;
    }
    for (int k = 0; k < l->n; k++)
        widen_sums(c, l->kid[k], i, column, lanes);
}

/* The lane that a sum is in where it stands: that of the lane loop around it. */
static void to_lanes(Ctx *c, Loop *l, const Tensor *sum, Tensor *s) {
    if (l->unroll) {
        loop_replace_local(c, l, sum, lane(c, s, term_index(c, l->index)));
        return;
    }
    for (int i = 0; i < l->n; i++)
        to_lanes(c, l->kid[i], sum, s);
}

/* The body of a tile that begins at `column`, added to `in`. */
static void add_tile(Strip *r, Loop *in, Term *column) {
    Ctx *c = r->c;
    Loop *l = loop_copy(c, r->loop), *stores = lane_loop(c, r->lanes), *all = loop_new(c, LSeq);
    loop_refresh(c, l);
    drop_bounds(c, l, l->index);
    VEC(Loop *) start = {0};
    for (int i = 0; i < l->n; i++) {
        Loop *kid = l->kid[i];
        if (holds_loop(kid))
            widen_sums(c, kid, l->index, column, r->lanes);
        if (is_start(kid))
            push(c, &start, kid);
        loop_add(c, holds_loop(kid) || is_start(kid) ? all : stores, kid);
    }
    loop_replace_index(c, stores, l->index, moved_by(c, column, term_index(c, stores->index)));
    loop_add(c, all, stores);
    for (int i = 0; i < start.n; i++) {
        Tensor *s = lanes_new(c, start.at[i]->to, r->lanes);
        to_lanes(c, all, start.at[i]->to, s);
        start.at[i]->fill = start.at[i]->value->number;
        start.at[i]->to = s;
        start.at[i]->value = NULL;
    }
    for (int i = 0; i < all->n; i++)
        loop_add(c, in, all->kid[i]);
}

static void add_tiles(Strip *r, Loop *seq, int at) {
    Ctx *c = r->c;
    int64_t room = r->to - r->from;
    if (room == r->lanes) {
        Loop *block = loop_new(c, LSeq);
        add_tile(r, block, whole(c, r->from));
        loop_insert(c, seq, at, block);
        return;
    }
    bool even = room % r->lanes == 0;
    Index *i = index_new(c, even ? r->index->name : name(c, "tile"), r->index->size);
    Loop *l = loop_for(c, i, r->from ? whole(c, r->from) : NULL, whole(c, r->to));
    l->step = r->lanes;
    Term *column = term_index(c, i);
    if (!even) {                                        // the last begins earlier
        Tensor *begin = local_new(c, r->index->name ? r->index->name : "i", AnyInt);
        Loop *let = loop_let(c, begin, term_apply2(c, FnMin, I32, column, whole(c, r->to - r->lanes)));
        let->text = "the last tile overlaps";
        loop_add(c, l, let);
        column = load_local(c, begin);
    }
    add_tile(r, l, column);
    loop_insert(c, seq, at, l);
}

/* needs: kid `at` of seq. gives: true if it was a row of sums and is now computed several at a time. */
bool lanes_row(Ctx *c, Loop *seq, int at) {
    Strip r = { .c = c, .loop = seq->kid[at], .index = seq->kid[at]->index };
    if (!r.index || !fits_row(&r))
        return false;
    int64_t n = 0;
    literal_of(r.loop->hi, &n);
    loop_remove(seq, at);
    add_columns(&r, seq, at, r.to, n);
    add_tiles(&r, seq, at);
    add_columns(&r, seq, at, 0, r.from);
    return true;
}
