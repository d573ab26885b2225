/* bounds.c: bounds of loops and clamped positions that are worth a name.
 *
 * In: loops in the form they shall run in. Out: the same, where a bound that is more than an index, a number, a size or
 * a sum of two is a local, computed once, as far out as what stands in it is known:
 *
 *     const int s_end = min_int(512, t + pos + 1);
 *     for (int s = 0; s < s_end; s++) …
 *
 * and so is a clamp in a position, max_int(0, min_int(i, 511)), where a loop would compute it again. */
#include "loops.h"

#include <string.h>

typedef struct Level { Loop *in; int at; } Level;       /* the loop we are in, and at which of its kids */
typedef struct Named { Term *value; Term *load; int level; } Named;

typedef struct Bounds {
    Ctx *c;
    VEC(Level) level;
    VEC(Named) named;                   /* what is visible here */
    const Loop *body;
} Bounds;

static bool is_simple(const Term *t) {
    if (t->kind != TApply)
        return t->kind != TLoad || t->n == 0;
    bool sum = t->fn->id == FnAdd || t->fn->id == FnSub;
    return sum && t->kid[0]->kind != TApply && t->kid[1]->kind != TApply && is_simple(t->kid[0]) && is_simple(t->kid[1]);
}

/* ---- where it is known */

static bool uses_local(const Term *t, const Tensor *local) {
    if (t->kind == TLoad && t->from == local)
        return true;
    for (int i = 0; i < t->n; i++)
        if (uses_local(t->kid[i], local))
            return true;
    return false;
}

static bool reads_array(const Term *t) {
    if (t->kind == TLoad && t->n > 0)
        return true;
    for (int i = 0; i < t->n; i++)
        if (reads_array(t->kid[i]))
            return true;
    return false;
}

static bool reads_written(const Bounds *b, const Term *t) {
    if (t->kind == TLoad && t->from->kind != TLocal && is_written(b->body, t->from))
        return true;
    for (int i = 0; i < t->n; i++)
        if (reads_written(b, t->kid[i]))
            return true;
    return false;
}

/* Does this level give something that t speaks of? An `if` may be what makes an array's element safe to read. */
static bool gives(const Level *l, const Term *t) {
    if (l->in->kind == LFor && term_uses(t, l->in->index))
        return true;
    if (l->in->kind == LIf && reads_array(t))
        return true;
    for (int i = 0; i < l->at; i++) {
        const Tensor *to = l->in->kid[i]->to;
        if (to && to->kind == TLocal && uses_local(t, to))
            return true;
    }
    return false;
}

/* The outermost level at which t can be computed. */
static int level_of(const Bounds *b, const Term *t) {
    int at = b->level.n - 1;
    if (reads_written(b, t))
        return at;
    while (at > 0 && !gives(&b->level.at[at], t))
        at--;
    return at;
}

/* ---- names */

static Term *name_term(Bounds *b, Term *value, const char *word) {
    Ctx *c = b->c;
    for (int i = 0; i < b->named.n; i++)
        if (b->named.at[i].value == value)
            return b->named.at[i].load;
    int at = level_of(b, value);
    Level *level = &b->level.at[at];
    Tensor *local = local_new(c, word, AnyInt);
    loop_insert(c, level->in, level->at, loop_let(c, local, value));
    level->at++;
    Term *load = load_local(c, local);
    push(c, &b->named, ((Named){ value, load, at }));
    return load;
}

static const char *index_word(Ctx *c, const Loop *l, const char *what) {
    return format(c, "%s_%s", l->index->name ? l->index->name : "i", what);
}

/* ---- clamps */

/* The name of the first thing that is read in it: pos of max(0, min(pos, 511)). */
static const char *first_read(const Term *t) {
    if (t->kind == TLoad)
        return t->from->name ? t->from->name : "at";
    for (int i = 0; i < t->n; i++) {
        const char *word = first_read(t->kid[i]);
        if (word)
            return word;
    }
    return NULL;
}

static bool is_clamp(const Term *t) {
    return t->kind == TApply && (t->fn->id == FnMax || t->fn->id == FnMin) && reads_data(t) && (t->elem == I32 || t->elem == AnyInt);
}

static Term *name_clamps(Bounds *b, Term *t, bool position, bool safe);

static Term *name_kids(Bounds *b, Term *t, bool position, bool safe) {
    Ctx *c = b->c;
    Term *kid[MaxRank + 4];
    bool changed = false;
    if (t->n > MaxRank + 4)
        return t;
    for (int i = 0; i < t->n; i++) {
        bool arm = t->kind == TApply && t->fn->id == FnWhere && i > 0;
        kid[i] = name_clamps(b, t->kid[i], position || t->kind == TLoad, safe && !arm);
        changed |= kid[i] != t->kid[i];
    }
    if (!changed)
        return t;
    return t->kind == TLoad ? term_load(c, t->from, kid, t->n, t->outside, t->as) : term_plain(c, t->fn, t->elem, kid);
}

/* Clamps in positions that do not change in the innermost loop. In an arm of a choice no array is read early. */
static Term *name_clamps(Bounds *b, Term *t, bool position, bool safe) {
    if (!t || !t->n)
        return t;
    bool stays = position && is_clamp(t) && (safe || !reads_array(t));
    int here = b->level.n - 1;
    while (here > 0 && b->level.at[here].in->kind != LFor)
        here--;
    if (stays && here > 0 && level_of(b, t) < here)
        return name_term(b, t, format(b->c, "%s_inside", first_read(t)));
    return name_kids(b, t, position, safe);
}

/* ---- choices */

static const Term *first_array(const Term *t) {
    if (t->kind == TLoad && t->n)
        return t;
    for (int i = 0; i < t->n; i++) {
        const Term *load = first_array(t->kid[i]);
        if (load)
            return load;
    }
    return NULL;
}

/* A choice inside an expression stands before it: x_here = o < 16 ? x[o] : 0. */
static Term *name_choices(Bounds *b, Term *t, bool root) {
    Ctx *c = b->c;
    Term *kid[MaxRank + 4];
    bool changed = false;
    if (!t || t->kind != TApply || t->n > MaxRank + 4)
        return t;
    const Term *load = t->fn->id == FnWhere ? first_array(t) : NULL;
    if (load && !root) {
        Level *level = &b->level.at[b->level.n - 1];
        Tensor *local = local_new(c, format(c, "%s_here", load->from->name), t->elem);
        loop_insert(c, level->in, level->at++, loop_let(c, local, t));
        return load_local(c, local);
    }
    for (int i = 0; i < t->n && !load; i++) {
        kid[i] = name_choices(b, t->kid[i], false);
        changed |= kid[i] != t->kid[i];
    }
    return changed ? term_plain(c, t->fn, t->elem, kid) : t;
}

/* ---- the walk */

static void walk_loops(Bounds *b, Loop *in);

static void walk_kid(Bounds *b, Loop *l) {
    Ctx *c = b->c;
    if (l->kind == LFor && l->lo && !is_simple(l->lo))
        l->lo = name_term(b, l->lo, index_word(c, l, "begin"));
    if (l->kind == LFor && !is_simple(l->hi))
        l->hi = name_term(b, l->hi, index_word(c, l, "end"));
    for (int i = 0; i < l->nat; i++)
        l->at[i] = name_clamps(b, l->at[i], true, true);
    l->value = name_clamps(b, l->value, false, true);
    if (l->kind == LStore)
        l->value = name_choices(b, l->value, true);
    l->position = name_clamps(b, l->position, false, true);
    walk_loops(b, l);
}

static void walk_loops(Bounds *b, Loop *in) {
    int mark = b->named.n, depth = b->level.n;
    push(b->c, &b->level, ((Level){ in, 0 }));
    for (;;) {
        Level *level = &b->level.at[depth];             // the kids may move it
        if (level->at >= in->n)
            break;
        walk_kid(b, in->kid[level->at]);
        b->level.at[depth].at++;
    }
    b->level.n = depth;
    int kept = mark;
    for (int i = mark; i < b->named.n; i++)             // what was put further out stays visible
        if (b->named.at[i].level < depth)
            b->named.at[kept++] = b->named.at[i];
    b->named.n = kept;
}

/* needs: the loops of a kernel, as they shall run. gives: the same with locals for what is computed again and again. */
void name_bounds(Ctx *c, Loop *body) {
    Bounds b = { .c = c, .body = body };
    walk_loops(&b, body);
}
