/* schedule.c: loops in the order and form they shall run in.
 *
 * In: loops as lower wrote them, the axes of the result outside, what is reduced inside. Out: the same
 * with sums in lanes (lanes.c) wherever the operands lie together, and rows
 * that read the same side by side (jam.c). What is no sum, or reads by data, is left as it is. */
#include "loops.h"

/* From the outside in: a row of results before the sums in it. What lanes wrote is not looked at again. */
static void schedule_loops(Ctx *c, Loop *seq) {
    for (int i = seq->n - 1; i >= 0; i--) {
        if (seq->kid[i]->kind == LFor) jam(c, seq->kid[i]);
        if (seq->kid[i]->kind == LFor && (lanes_row(c, seq, i) || lanes_dot(c, seq, i))) continue;
        schedule_loops(c, seq->kid[i]);
    }
}

/* needs: kernels straight from lower. gives: the same kernels, in the form they shall run in. */
void schedule(Ctx *c, Code *code) {
    for (int i = 0; i < code->kernel.n; i++) {
        Kernel *k = code->kernel.at[i];
        schedule_loops(c, k->body);
        kernel_outer(c, k);
        kernel_tidy_names(c, k);
    }
}
