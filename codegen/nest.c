/* nest.c: one node of index notation as a loop nest.
 *
 *     out[axes] = reduce(bind, cond: body)
 *
 * becomes loops over the axes that are not open yet, in them an accumulator, the loops over the binders, and a
 * store. A condition that is linear in the innermost index it speaks of becomes a bound of that index's
 * loop, solved for it once, outside; what cannot be solved stays an `if`, as far out as its indices allow. */
#include "loops.h"

#include <math.h>

enum { MostBounds = 16, MostConds = 48 };

/* The loops to be opened, from the outermost: their conditions sorted by the loop they bound. */
typedef struct Run {
    Term *lo[MostBounds], *hi[MostBounds], *when[MostConds];
    int nlo, nhi, nwhen;
} Run;

typedef struct Nest {
    Ctx *c;
    Index **from;                       /* indices of the graph … */
    Term **by;                          /* … and what stands for each: a new index, or 0 */
    int n;
} Nest;

Term *index_fresh(Ctx *c, Index *i) {
    if (dim_is(i->size, 1))
        return term_number(c, I32, 0);
    return term_index(c, index_new(c, i->name, i->size));
}

bool node_empty(const Node *n) {
    for (int i = 0; i < n->naxis; i++)
        for (int k = 0; k < n->axis[i].n; k++)
            if (dim_is(n->axis[i].index[k]->size, 0))
                return true;
    return false;
}

/* ---- terms of the graph as terms of the kernel */

static Term *lookup(const Nest *m, const Index *i) {
    for (int k = 0; k < m->n; k++)
        if (m->from[k] == i)
            return m->by[k];
    return NULL;
}

static void add_index(Nest *m, Index *i, Term *by) {
    if (lookup(m, i))
        return;
    m->from[m->n] = i;
    m->by[m->n++] = by;
}

static Term *both(Ctx *c, Term *a, Term *b) {
    return a ? term_apply2(c, FnAnd, Bool, a, b) : b;
}

/* x[i + 1] else v  →  where(i + 1 < I, x[i + 1], v), with only those comparisons that are not proved */
static Term *guard(Ctx *c, Term *load) {
    Term *inside = NULL, *at[MaxRank], *plain;
    for (int i = 0; i < load->n; i++) {
        Dim size = load->from->type.dim[i];
        at[i] = tidy(c, load->kid[i]);
        if (!load->outside)
            continue;
        if (!never_negative(c, at[i]))
            inside = both(c, inside, term_apply2(c, FnGe, Bool, at[i], term_number(c, I32, 0)));
        if (!always_below(c, at[i], size))
            inside = both(c, inside, term_apply2(c, FnLt, Bool, at[i], term_size(c, size)));
    }
    plain = term_load(c, load->from, at, load->n, NULL, load->as);
    if (!inside)
        return plain;
    return term_apply(c, fn(FnWhere), load->elem, (Term *[]){ inside, plain, load->outside });
}

/* A number of the entry has one name, whatever the rows call it, so that equal positions are equal terms. */
static Term *plain_load(Ctx *c, Term *t, void *with) {
    (void)with;
    if (t->kind == TLoad && t->from->kind == TInput && t->n == 0)
        return term_load(c, t->from, NULL, 0, NULL, t->from->name);
    if (t->kind == TLoad)
        return guard(c, t);
    if (t->kind == TApply && t->fn->id == FnStopGradient)
        return t->kid[0];
    return t;
}

static Term *in_kernel(const Nest *m, Term *t) {
    t = term_subst(m->c, t, (Index *const *)m->from, (Term *const *)m->by, m->n);
    return term_map(m->c, t, plain_load, NULL);
}

/* The position along an axis, or over several binders: mixed radix, the last running fastest. */
static Term *mixed_radix(const Nest *m, Index *const *index, int n) {
    Ctx *c = m->c;
    Linear sum = { .base = dim(c, 0) };
    for (int i = 0; i < n; i++) {
        Dim stride = dim(c, 1);
        for (int k = i + 1; k < n; k++)
            stride = dim_mul(c, stride, index[k]->size);
        Linear one;
        int64_t number;
        Term *t = lookup(m, index[i]);
        if (!dim_number(stride, &number) && t->kind == TIndex) {
            t = term_apply2(c, FnMul, I32, t, term_size(c, stride));
            number = 1;
        }
        linear(c, t, &one);
        linear_add(c, &sum, &one, number);
    }
    return linear_term(c, &sum);
}

/* ---- conditions as bounds */

static bool is_int(const Term *t) {
    return t->elem == I32 || t->elem == AnyInt;
}

static Term *less(Ctx *c, Term *t, int64_t by) {       /* t - by */
    return tidy(c, term_apply2(c, FnSub, I32, t, term_number(c, I32, (double)by)));
}

static Term *quotient(Ctx *c, Term *t, int64_t by) {
    return by == 1 ? t : term_apply2(c, FnFloorDiv, I32, t, term_number(c, I32, (double)by));
}

/* l >= 0 as a bound of `index`. */
static bool bound_from(Ctx *c, Run *r, Term *index, Linear l) {
    int64_t k = 0;
    linear_take(&l, index, &k);
    for (int i = 0; i < l.n; i++)
        if (term_uses(l.atom[i], index->index))
            return false;
    if (k == 0 || r->nlo == MostBounds || r->nhi == MostBounds)
        return false;
    Linear rest = { .base = dim(c, 0) };
    linear_add(c, &rest, &l, k > 0 ? -1 : 1);
    if (k > 0) {
        rest.base = dim_add(c, rest.base, dim(c, k - 1));       // rounds up
        r->lo[r->nlo++] = quotient(c, linear_term(c, &rest), k);
    } else {
        if (k == -1)
            rest.base = dim_add(c, rest.base, dim(c, 1));
        Term *hi = quotient(c, linear_term(c, &rest), -k);
        r->hi[r->nhi++] = k == -1 ? hi : less(c, hi, -1);
    }
    return true;
}

typedef struct Conds { Term *at[MostConds]; int n; } Conds;

/* Past the most that are looked at one by one, conditions are one. */
static void add_cond(Ctx *c, Term **list, int *n, Term *t) {
    if (*n < MostConds)
        list[(*n)++] = t;
    else
        list[*n - 1] = both(c, list[*n - 1], t);
}

static void split(Ctx *c, Conds *list, Term *t) {
    if (t->kind == TApply && t->fn->id == FnAnd) {
        split(c, list, t->kid[0]);
        split(c, list, t->kid[1]);
    } else if (t->kind == TNumber && t->number != 0) {
        return;
    } else {
        add_cond(c, list->at, &list->n, t);
    }
}

/* index == e: a loop of one turn, if e is one of its positions; what that asks of e bounds an outer loop. */
static bool bound_equal(Ctx *c, Run *r, Term *index, Linear l, Conds *more) {
    int64_t k = 0;
    Linear e = { .base = dim(c, 0) };
    linear_take(&l, index, &k);
    for (int i = 0; i < l.n; i++)
        if (term_uses(l.atom[i], index->index))
            return false;
    if ((k != 1 && k != -1) || r->nlo == MostBounds || r->nhi == MostBounds)
        return false;
    linear_add(c, &e, &l, -k);
    Term *at = linear_term(c, &e);
    r->lo[r->nlo++] = at;
    r->hi[r->nhi++] = less(c, at, -1);
    if (more->n + 2 > MostConds)
        return true;
    if (!never_negative(c, at))
        more->at[more->n++] = term_apply2(c, FnGe, Bool, at, term_number(c, I32, 0));
    if (!always_below(c, at, index->index->size))
        more->at[more->n++] = term_apply2(c, FnLt, Bool, at, term_size(c, index->index->size));
    return true;
}

static bool solve(Ctx *c, Run *r, Term *index, Term *cond, Conds *more) {
    if (cond->kind != TApply || cond->fn->id < FnEq || cond->fn->id > FnGe || cond->fn->id == FnNe)
        return false;
    if (!is_int(cond->kid[0]) || !is_int(cond->kid[1]))
        return false;
    bool rising = cond->fn->id == FnGe || cond->fn->id == FnGt || cond->fn->id == FnEq;
    bool strict = cond->fn->id == FnLt || cond->fn->id == FnGt;
    Linear l, other;                                    // l >= 0 says it
    linear(c, cond->kid[rising ? 0 : 1], &l);
    linear(c, cond->kid[rising ? 1 : 0], &other);
    linear_add(c, &l, &other, -1);
    if (cond->fn->id == FnEq)
        return bound_equal(c, r, index, l, more);
    if (strict)
        l.base = dim_sub(c, l.base, dim(c, 1));
    return bound_from(c, r, index, l);
}

/* Run 0 stands for what is outside all loops, run i + 1 for loop i. */
static void place_conds(Ctx *c, Run *run, Term **index, int n, Conds *list) {
    for (int i = 0; i < list->n; i++) {
        Term *cond = list->at[i];
        int deepest = n;
        while (deepest > 0 && !(index[deepest - 1]->kind == TIndex && term_uses(cond, index[deepest - 1]->index)))
            deepest--;
        Run *r = &run[deepest];
        if (deepest > 0 && solve(c, r, index[deepest - 1], cond, list))
            continue;
        add_cond(c, r->when, &r->nwhen, cond);
    }
}

static Term *lower_end(Ctx *c, const Run *r) {
    Term *lo = NULL;
    bool positive = false;
    for (int i = 0; i < r->nlo; i++) {
        Term *minus = less(c, term_apply2(c, FnSub, I32, term_number(c, I32, 0), r->lo[i]), 0);
        if (never_negative(c, minus))
            continue;  // at most 0
        positive |= never_negative(c, r->lo[i]);
        lo = lo ? term_apply2(c, FnMax, I32, lo, r->lo[i]) : r->lo[i];
    }
    if (!lo || positive)
        return lo;
    return term_apply2(c, FnMax, I32, term_number(c, I32, 0), lo);
}

/* Is bound i never below another that is kept? Of two that are always equal the first is kept. */
static bool is_idle(Ctx *c, const Run *r, int i) {
    for (int k = 0; k < r->nhi; k++) {
        Linear room, other;
        linear(c, r->hi[i], &room);
        linear(c, r->hi[k], &other);
        linear_add(c, &room, &other, -1);
        Term *more = linear_term(c, &room);
        bool equal = more->kind == TNumber && more->number == 0;
        if (k != i && never_negative(c, more) && (!equal || k < i))
            return true;
    }
    return false;
}

static Term *upper_end(Ctx *c, const Run *r, Dim size) {
    Term *hi = NULL, *all = term_size(c, size);
    int64_t n;
    bool inside = false;
    if (dim_number(size, &n))
        all = term_number(c, I32, (double)n);
    for (int i = 0; i < r->nhi; i++) {
        Term *room = tidy(c, term_apply2(c, FnSub, I32, r->hi[i], all));
        if (never_negative(c, room) || is_idle(c, r, i))
            continue;  // at least the size
        inside |= always_below(c, less(c, r->hi[i], 1), size);
        hi = hi ? term_apply2(c, FnMin, I32, hi, r->hi[i]) : r->hi[i];
    }
    if (!hi)
        return all;
    return inside ? hi : term_apply2(c, FnMin, I32, all, hi);
}

static Loop *guarded(Ctx *c, Loop *in, const Run *r) {
    Term *all = NULL;
    for (int i = 0; i < r->nwhen; i++)
        all = both(c, all, r->when[i]);
    if (!all)
        return in;
    Loop *l = loop_if(c, all);
    loop_add(c, in, l);
    return l;
}

/* Opens the loops and gives the innermost, in which the work is to be done. */
static Loop *open_loops(const Nest *m, Loop *in, Index *const *index, int n, Term *const *cond, int ncond) {
    Ctx *c = m->c;
    Run *run = NEWN(c, Run, n + 1);
    Term **by = NEWN(c, Term *, n + 1);
    Conds *list = NEW(c, Conds);
    for (int i = 0; i < n; i++)
        by[i] = lookup(m, index[i]);
    for (int i = 0; i < ncond; i++)
        split(c, list, in_kernel(m, cond[i]));
    place_conds(c, run, by, n, list);
    in = guarded(c, in, &run[0]);
    for (int i = 0; i < n; i++) {
        if (by[i]->kind != TIndex)
            continue;
        Loop *l = loop_for(c, by[i]->index, lower_end(c, &run[i + 1]), upper_end(c, &run[i + 1], index[i]->size));
        loop_add(c, in, l);
        in = guarded(c, l, &run[i + 1]);
    }
    return in;
}

/* ---- reductions */

static const struct { const char *word; double unit; } reductions[] = {
    [RSum] = { "sum", 0 },         [RProd] = { "product", 1 },   [RMax] = { "most", -INFINITY },
    [RMin] = { "least", INFINITY }, [RAny] = { "some", 0 },      [RAll] = { "every", 1 },
    [RArgMax] = { "at", -INFINITY }, [RArgMin] = { "at", INFINITY },
};

static double least_of(Elem e) {
    switch (e) {
    case I8:  return -128;
    case I16: return -32768;
    case I32: case AnyInt: return -2147483648.0;
    case I64: return -9223372036854775808.0;
    default:  return 0;
    }
}

static double most_of(Elem e) {
    switch (e) {
    case Bool: return 1;
    case I8:  return 127;
    case U8:  return 255;
    case I16: return 32767;
    case U16: return 65535;
    case U32: return 4294967295.0;
    case I64: return 9223372036854774784.0;             // the largest that a double holds
    case U64: return 18446744073709549568.0;
    default:  return 2147483647.0;
    }
}

static Term *unit_of(Ctx *c, Reduce r, Elem e) {
    double v = reductions[r].unit;
    if (isinf(v) && !elem_is_float(e))
        v = v < 0 ? least_of(e) : most_of(e);
    return term_number(c, e, v);
}

static Elem sum_elem(Ctx *c, Elem e) {
    Elem stored = elem_storage(c, e);
    return stored == F16 || stored == BF16 ? F32 : e;
}

static Elem whole_elem(Elem e) {
    return e == AnyInt ? I32 : e == AnyFloat ? Float : e;
}

static Term *reduced(const Nest *m, const Node *n, Loop *in) {
    Ctx *c = m->c;
    bool position = n->reduce == RArgMax || n->reduce == RArgMin;
    Term *body = in_kernel(m, n->body);
    Elem of = sum_elem(c, whole_elem(position ? body->elem : n->out->type.elem));
    Tensor *sum = local_new(c, reductions[n->reduce].word, position ? I32 : of);
    Loop *accum = loop_accum(c, sum, NULL, 0, n->reduce, body);
    loop_add(c, in, loop_let(c, sum, position ? term_number(c, I32, 0) : unit_of(c, n->reduce, of)));
    if (position) {
        accum->best = local_new(c, "best", of);
        accum->position = mixed_radix(m, n->bind, n->nbind);
        loop_add(c, in, loop_let(c, accum->best, unit_of(c, n->reduce, of)));
    }
    for (int i = 0; i < n->nbind; i++)
        if (dim_is(n->bind[i]->size, 0))
            return load_local(c, sum);
    loop_add(c, open_loops(m, in, n->bind, n->nbind, n->cond, n->ncond), accum);
    return load_local(c, sum);
}

/* needs: a node whose result is not empty, the loops that are open. gives: its other loops, added to `in`. */
void nest(Ctx *c, const Node *n, const Outer *o, Loop *in) {
    int most = o->n + n->nbind, nrest = 0;
    for (int i = 0; i < n->naxis; i++)
        most += n->axis[i].n;
    Nest m = { .c = c, .from = NEWN(c, Index *, most + 1), .by = NEWN(c, Term *, most + 1) };
    Index **rest = NEWN(c, Index *, most + 1);
    for (int i = 0; i < o->n; i++)
        add_index(&m, o->index[i], o->by[i]);
    for (int i = 0; i < n->naxis; i++) {
        for (int k = 0; k < n->axis[i].n; k++) {
            Index *x = n->axis[i].index[k];
            if (lookup(&m, x))
                continue;
            add_index(&m, x, index_fresh(c, x));
            rest[nrest++] = x;
        }
    }
    for (int i = 0; i < n->nbind; i++)
        add_index(&m, n->bind[i], index_fresh(c, n->bind[i]));
    bool reduces = n->reduce != NoReduce;
    Loop *inner = open_loops(&m, in, rest, nrest, n->cond, reduces ? 0 : n->ncond);
    Term *value = reduces ? reduced(&m, n, inner) : in_kernel(&m, n->body);
    int nat = n->at ? n->out->type.rank : n->naxis;     // a part of a state may have fewer axes than it
    Term **at = NEWN(c, Term *, nat);
    for (int i = 0; i < nat; i++)
        at[i] = n->at ? in_kernel(&m, n->at[i]) : mixed_radix(&m, n->axis[i].index, n->axis[i].n);
    loop_add(c, inner, loop_store(c, n->out, at, nat, value));
}
