/* jam.c: several rows of results share what they read.
 *
 * A row of sums (lanes.c) reads one operand along the row and others that stand still in it. Where an outer loop leaves
 * the first unchanged, as the output channels of a convolution do, four of its turns are computed side by
 * side, each with sums of its own, and the operand is loaded once for the four. */
#include "loops.h"

/* Does everything that is read along the row stay where it is when `outer` moves, and does something move? */
typedef struct Sharing { Ctx *c; Index *row, *outer; bool shared, moves; } Sharing;

static void see_shared(void *with, Tensor *t, Term *const *at, int nat, bool write) {
    Sharing *s = with;
    bool in_row = false, in_outer = false;
    (void)t;
    for (int i = 0; i < nat && !write; i++) {
        in_row |= term_uses(at[i], s->row);
        in_outer |= term_uses(at[i], s->outer);
    }
    s->shared = s->shared && !(in_row && in_outer);
    s->moves = s->moves || in_outer;
}

static void see_sums(const Loop *l, Sharing *s) {
    if (l->kind == LAccum)
        term_accesses(l->value, see_shared, s);
    for (int i = 0; i < l->n; i++)
        see_sums(l->kid[i], s);
}

static bool bounds_use(const Loop *l, const Index *i) {
    if (l->kind == LFor && ((l->lo && term_uses(l->lo, i)) || (l->hi && term_uses(l->hi, i))))
        return true;
    if (l->kind == LIf && term_uses(l->value, i))
        return true;
    for (int k = 0; k < l->n; k++)
        if (bounds_use(l->kid[k], i))
            return true;
    return false;
}

/* Every turn of the outer loop stores elsewhere. */
static bool stores_apart(Ctx *c, const Loop *row, Index *outer) {
    for (int i = 0; i < row->n; i++) {
        const Loop *l = row->kid[i];
        bool known = true, moves = false;
        for (int k = 0; k < l->nat && l->kind == LStore; k++)
            moves |= stride_in(c, l->at[k], outer, &known) != 0;
        if (l->kind == LStore && !(known && moves))
            return false;
    }
    return true;
}

static int turns_at_once(const Loop *l) {
    if (l->step || l->lo || l->hi->kind != TNumber)
        return 0;
    int64_t n = (int64_t)l->hi->number;
    for (int r = 4; r > 1; r /= 2)
        if (n % r == 0)
            return r;
    return 0;
}

/* The sums of copy b go beside those of a; both have one shape. */
static void side_by_side(Ctx *c, Loop *a, Loop *b) {
    if (a->index)
        loop_replace_index(c, b, b->index, term_index(c, a->index));
    for (int i = 0; i < b->n; i++) {                    // what a had at first stands first
        if (a->kid[i]->n)
            side_by_side(c, a->kid[i], b->kid[i]);
        else
            loop_add(c, a, b->kid[i]);
    }
}

/* sum0, sum1 … of the turns side by side. */
static void number_sums(Ctx *c, Loop *row, int turn) {
    for (int i = 0; i < row->n; i++) {
        Loop *l = row->kid[i];
        if (l->kind == LLet)
            l->to->name = l->to->path = name(c, "%s%d", l->to->name, turn);
    }
}

static void jam_turns(Ctx *c, Loop *outer, Loop *row, int n) {
    Loop *whole = loop_copy(c, row), *first = row;
    loop_refresh(c, whole);
    number_sums(c, first, 0);
    for (int r = 1; r < n; r++) {
        Loop *next = loop_copy(c, whole);
        loop_refresh(c, next);
        Term *turn = term_apply2(c, FnAdd, I32, term_index(c, outer->index), term_number(c, I32, r));
        loop_replace_index(c, next, outer->index, turn);
        number_sums(c, next, r);
        side_by_side(c, first, next);
    }
    VEC(Loop *) sorted = {0};                           // starts, loops, stores
    for (int part = 0; part < 3; part++) {
        for (int i = 0; i < row->n; i++) {
            Loop *l = row->kid[i];
            bool start = l->kind == LLet && l->value && l->value->kind == TNumber;
            if ((start ? 0 : l->n ? 1 : 2) == part)
                push(c, &sorted, l);
        }
    }
    for (int i = 0; i < row->n; i++)
        row->kid[i] = sorted.at[i];
    outer->step = n;
}

/* needs: a loop. gives: true if it is now, or a loop under it is, taken several turns at a time. */
bool jam(Ctx *c, Loop *l) {
    Loop *chain[2 * MaxRank];
    int n = 0;
    for (; l->kind == LFor && n < 2 * MaxRank; l = l->kid[0]) {
        chain[n++] = l;
        if (l->n != 1)
            break;
    }
    if (n < 2 || !row_fits(c, chain[n - 1]))
        return false;
    Loop *row = chain[n - 1];
    for (int i = n - 2; i >= 0; i--) {
        Sharing s = { .c = c, .row = row->index, .outer = chain[i]->index, .shared = true };
        int many = turns_at_once(chain[i]);
        see_sums(row, &s);
        if (!many || !s.shared || !s.moves || bounds_use(chain[i], s.outer) || !stores_apart(c, row, s.outer))
            continue;
        jam_turns(c, chain[i], row, many);
        return true;
    }
    return false;
}
