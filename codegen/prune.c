/* prune.c: loops that do nothing, and what only they read.
 *
 * In: loops of a kernel. Out: the same without loops over nothing, conditions that never hold, and values that nobody
 * reads; a loop of one turn is its body. What a kernel no longer touches is no parameter of it (kernel_drop_idle). */
#include "loops.h"

typedef struct Prune {
    Ctx *c;
    Loop *body;
    bool again;                         /* something went away: what it read may now be idle */
} Prune;

static bool number_in(const Term *t, double *n) {
    if (t && t->kind == TNumber)
        *n = t->number;
    return !t || t->kind == TNumber;
}

/* How often the body of the loop runs, or -1 if that is not known. */
static double turns(const Loop *l) {
    double lo = 0, hi = 0;
    if (l->kind != LFor || !number_in(l->lo, &lo) || !l->hi || !number_in(l->hi, &hi))
        return -1;
    if (hi <= lo)
        return 0;
    return hi - lo <= (l->step ? l->step : 1) ? 1 : 2;
}

/* ---- values that nobody reads */

static bool term_loads(const Term *t, const Tensor *of) {
    if (!t)
        return false;
    if (t->kind == TLoad && t->from == of)
        return true;
    for (int i = 0; i < t->n; i++)
        if (term_loads(t->kid[i], of))
            return true;
    return t->outside && term_loads(t->outside, of);
}

static bool is_read(const Loop *l, const Tensor *t) {
    if (l->best == t && l->to != t)
        return true;
    if (term_loads(l->lo, t) || term_loads(l->hi, t) || term_loads(l->value, t) || term_loads(l->position, t))
        return true;
    for (int i = 0; i < l->nat; i++)
        if (term_loads(l->at[i], t))
            return true;
    for (int i = 0; i < l->n; i++)
        if (is_read(l->kid[i], t))
            return true;
    return false;
}

static bool is_own(const Tensor *t) {
    return t->kind == TLocal || t->kind == TScratch;
}

/* Is it set after it came into being? */
static bool is_set(const Loop *l, const Tensor *t) {
    if ((l->kind == LStore || l->kind == LAccum) && l->to == t)
        return true;
    for (int i = 0; i < l->n; i++)
        if (is_set(l->kid[i], t))
            return true;
    return false;
}

static bool is_idle(const Prune *p, const Loop *l) {
    switch (l->kind) {
    case LFor: return l->n == 0 || turns(l) == 0;
    case LIf:  return l->n == 0 || (l->value->kind == TNumber && l->value->number == 0);
    case LLet: return !is_read(p->body, l->to) && !is_set(p->body, l->to);
    case LStore:
        return is_own(l->to) && !is_read(p->body, l->to);
    case LAccum:
        return is_own(l->to) && !is_read(p->body, l->to) && (!l->best || !term_loads(l->value, l->best));
    default:
        return false;
    }
}

/* ---- the walk */

static void open_at(Prune *p, Loop *in, int at) {
    Loop *l = loop_remove(in, at);
    if (l->kind == LFor)
        loop_replace_index(p->c, l, l->index, l->lo ? l->lo : term_number(p->c, I32, 0));
    for (int i = l->n - 1; i >= 0; i--)
        loop_insert(p->c, in, at, l->kid[i]);
}

static void prune_in(Prune *p, Loop *in) {
    for (int i = in->n - 1; i >= 0; i--) {
        Loop *l = in->kid[i];
        prune_in(p, l);
        bool idle = is_idle(p, l);
        if (idle)
            loop_remove(in, i);
        else if (turns(l) == 1)
            open_at(p, in, i);
        p->again |= idle;
    }
}

void loops_prune(Ctx *c, Loop *body) {
    Prune p = { .c = c, .body = body, .again = true };
    while (p.again) {
        p.again = false;
        prune_in(&p, body);
    }
}

/* ---- parameters that nobody reads */

static void drop_argument(Code *code, const Kernel *k, int formal) {
    for (int r = 0; r < code->n; r++) {
        for (int s = 0; s < code->routine[r]->step.n; s++) {
            Step *step = &code->routine[r]->step.at[s];
            for (int i = formal; step->kernel == k && i + 1 < k->formal.n; i++)
                step->arg[i] = step->arg[i + 1];
        }
    }
}

void kernel_drop_idle(Code *code, Kernel *k) {
    for (int f = k->formal.n - 1; f >= 0; f--) {
        if (is_read(k->body, k->formal.at[f]) || is_written(k->body, k->formal.at[f]))
            continue;
        drop_argument(code, k, f);
        for (int i = f; i + 1 < k->formal.n; i++) {
            k->formal.at[i] = k->formal.at[i + 1];
            k->role.at[i] = k->role.at[i + 1];
        }
        k->formal.n--;
        k->role.n--;
    }
}
