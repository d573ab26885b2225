/* schedule.c: loops in the order and form they shall run in.
 *
 * In: loops as lower wrote them, the axes of the result outside, what is reduced inside. Out: the same
 * with sums in lanes (lanes.c) wherever the operands lie together, and rows
 * that read the same side by side (jam.c). What is no sum, or reads by data, is left as it is. */
#include "loops.h"

/* From the outside in: a row of results before the sums in it. What lanes wrote is not looked at again. */
static void schedule_loops(Ctx *c, Loop *seq) {
    for (int i = seq->n - 1; i >= 0; i--) {
        if (seq->kid[i]->kind == LFor)
            jam(c, seq->kid[i]);
        if (seq->kid[i]->kind == LFor && (lanes_row(c, seq, i) || lanes_dot(c, seq, i)))
            continue;
        schedule_loops(c, seq->kid[i]);
    }
}

/* ---- a short loop whose body chooses by its index becomes its turns, one after another */

enum { MostTurns = 4 };

static bool chooses_in(const Term *t, const Index *i) {
    if (!t)
        return false;
    if (t->kind == TApply && t->fn->id == FnWhere && term_uses(t->kid[0], i))
        return true;
    for (int k = 0; k < t->n; k++)
        if (chooses_in(t->kid[k], i))
            return true;
    return false;
}

static bool chooses(const Loop *l, const Index *i) {
    if (chooses_in(l->value, i))
        return true;
    for (int k = 0; k < l->n; k++)
        if (chooses(l->kid[k], i))
            return true;
    return false;
}

static bool is_short_loop(const Loop *l) {
    return l->kind == LFor && !l->lo && !l->step && l->hi->kind == TNumber && l->hi->number <= MostTurns;
}

static void split_turns(Ctx *c, Loop *seq) {
    for (int i = 0; i < seq->n; i++) {
        Loop *l = seq->kid[i];
        split_turns(c, l);
        if (!is_short_loop(l) || l->n > 2 || !chooses(l, l->index))
            continue;
        int turns = (int)l->hi->number;
        loop_remove(seq, i);
        for (int t = turns - 1; t >= 0; t--) {
            Loop *turn = loop_copy(c, l);
            loop_refresh(c, turn);
            loop_replace_index(c, turn, turn->index, term_number(c, I32, t));
            for (int k = turn->n - 1; k >= 0; k--)
                loop_insert(c, seq, i, turn->kid[k]);
        }
        i--;
    }
}

/* needs: kernels straight from lower. gives: the same kernels, in the form they shall run in. */
void schedule(Ctx *c, Code *code) {
    for (int i = 0; i < code->kernel.n; i++) {
        Kernel *k = code->kernel.at[i];
        split_turns(c, k->body);
        schedule_loops(c, k->body);
        loops_prune(c, k->body);
        kernel_drop_idle(code, k);
        kernel_outer(c, k);
        name_bounds(c, k->body);
        kernel_tidy_names(c, k);
    }
}
