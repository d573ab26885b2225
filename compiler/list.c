/* list.c: lists, and the turns of loops over lists and ranges. */
#include "flatten.h"

bool too_long(Act *a, int64_t n, Span at) {
    if (n > MostItems)
        error_at(a->e->c, at, "a list of %lld elements; the longest has %d", (long long)n,
                 MostItems);
    return n > MostItems;
}

Value list_of(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    a->hint = NULL;
    Value v = list_value(NEWN(c, Value, x->n), x->n);
    for (int i = 0; i < x->n; i++)
        v.item[i] = evaluate(a, x->kid[i]);
    return v;
}

/* After the first loop that goes over the limit of all, the others stop in silence. */
static bool too_many_turns(Act *a, int64_t n, Span at) {
    Elab *e = a->e;
    if (n <= MostTurns - e->turns) {
        e->turns += n;
        return false;
    }
    if (e->turns > MostTurns)
        return true;
    if (n <= MostTurns)
        e->turns = (int64_t)MostTurns + 1;
    error_at(e->c, at, "%lld turns: the loops of a model are unrolled to at most %d turns in all",
             (long long)n, MostTurns);
    return true;
}

static bool range_end(Act *a, const Expr *x, int64_t *n) {
    Ctx *c = a->e->c;
    Value v = evaluate(a, x);
    if (v.kind == VInt && dim_number(v.whole, n))
        return true;
    if (v.kind == VPoison || value_unknown(a->e, &v))
        return false;
    if (v.kind == VInt && a->e->check)
        return false;
    if (v.kind == VInt)
        error_at(c, x->at, "the number of turns must be known when compiling; %s varies",
                 value_text(c, &v));
    else
        error_at(c, x->at, "a range needs ints known when compiling, found %s",
                 v.kind == VTensor ? value_text(c, &v) : value_kind(c, &v));
    return false;
}

bool eval_turns(Act *a, const Expr *lo, const Expr *hi, Turns *t) {
    Ctx *c = a->e->c;
    int64_t from, to;
    *t = (Turns){ 0 };
    if (!hi) {
        Value list = evaluate(a, lo);
        *t = (Turns){ .n = list.n, .item = list.item };
        if (list.kind == VList)
            return !too_many_turns(a, list.n, lo->at);
        if (list.kind != VPoison)
            error_at(c, lo->at, "a loop runs over a list or a range, found %s",
                     list.kind == VTensor ? value_text(c, &list) : value_kind(c, &list));
        return false;
    }
    bool first = range_end(a, lo, &from), last = range_end(a, hi, &to);
    if (!first || !last)
        return false;
    if (to < from)
        to = from;
    int64_t n = from < 0 && to > INT64_MAX + from ? INT64_MAX : to - from;
    if (too_many_turns(a, n, span_join(lo->at, hi->at)))
        return false;
    *t = (Turns){ .lo = from, .n = (int)n };
    return true;
}

Value turn_value(Ctx *c, const Turns *t, int i) {
    return t->item ? t->item[i] : int_value(c, t->lo + i);
}

Value list_for(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    a->hint = NULL;
    Turns over;
    if (!eval_turns(a, x->kid[1], x->n > 2 ? x->kid[2] : NULL, &over))
        return no_value();
    Scope *outside = a->scope, *inside = scope_in(c, outside, true);
    Name loop = a->loop;
    Value v = list_value(NEWN(c, Value, over.n), 0);
    a->loop = x->name;
    for (int i = 0; i < over.n; i++) {
        scope_reset(inside);
        a->scope = inside;
        Value item = turn_value(c, &over, i);
        scope_declare(c, inside, x->name, VarLoop, x->name2 ? int_value(c, i) : item, x->at);
        if (x->name2)
            scope_declare(c, inside, x->name2, VarLoop, item, x->at);
        Value cond = x->n > 3 && x->kid[3] ? evaluate(a, x->kid[3]) : bool_value(true);
        if (cond.kind == VPoison) {
            v = no_value();
            break;
        }
        if (cond.kind != VBool) {
            error_at(c, x->kid[3]->at,
                     "a condition in a list must be a bool known when compiling, found %s",
                     value_kind(c, &cond));
            v = no_value();
            break;
        }
        if (cond.number != 0)
            v.item[v.n++] = evaluate(a, x->kid[0]);
    }
    a->loop = loop;
    a->scope = outside;
    return v;
}

static bool list_position(Act *a, const Expr *at, int n, int64_t *k) {
    Ctx *c = a->e->c;
    Value v = evaluate(a, at);
    if (v.kind == VPoison || value_unknown(a->e, &v))
        return false;
    if (v.kind != VInt || !dim_number(v.whole, k)) {
        error_at(c, at->at,
                 v.kind == VTensor
                     ? "an index of a list must be known when compiling, found a run-time %s"
                     : "an index of a list must be an int known when compiling, found %s",
                 v.kind == VTensor ? value_text(c, &v) : value_kind(c, &v));
        return false;
    }
    if (*k < 0 && *k >= -(int64_t)n)
        *k += n;
    if (*k >= 0 && *k < n)
        return true;
    error_at(c, at->at, "index %lld of a list of %d", (long long)*k, n);
    return false;
}

static bool slice_end(Act *a, const Expr *x, int64_t n, int64_t *k) {
    Ctx *c = a->e->c;
    if (!x)
        return true;
    Value v = evaluate(a, x);
    if (v.kind == VPoison || value_unknown(a->e, &v))
        return false;
    if (v.kind != VInt || !dim_number(v.whole, k)) {
        error_at(c, x->at, "a slice of a list must be known when compiling, found %s",
                 value_kind(c, &v));
        return false;
    }
    if (*k < 0)
        *k += n;
    *k = *k < 0 ? 0 : *k > n ? n : *k;
    return true;
}

static Value list_slice(Act *a, const Sub *s, const Value *l) {
    Ctx *c = a->e->c;
    int64_t lo = 0, hi = l->n, step = 1;
    if (!slice_end(a, s->a, l->n, &lo) || !slice_end(a, s->b, l->n, &hi))
        return no_value();
    if (s->s) {
        Value v = evaluate(a, s->s);
        if (v.kind == VPoison)
            return v;
        if (v.kind != VInt || !dim_number(v.whole, &step) || step < 1) {
            error_at(c, s->s->at, "a step is a positive int, found %s", value_kind(c, &v));
            return no_value();
        }
    }
    Value v = list_value(NEWN(c, Value, l->n), 0);
    for (int64_t i = lo; i < hi; i += step) {
        v.item[v.n++] = l->item[i];
        if (step > hi)
            break;
    }
    return v;
}

/* `expert[index[0, j]]`: rule 18 has it, later stages do not; `check` goes on with a member of equal shape. */
static bool runtime_member(Act *a, const Expr *x, const Value *l, Value *member) {
    Ctx *c = a->e->c;
    if (x->nsub != 1 || x->sub[0].kind != SubAt || !l->n || l->item[0].kind != VRecipe)
        return false;
    Value k = evaluate(a, x->sub[0].a);
    if (k.kind != VTensor)
        return false;
    *member = a->e->check ? l->item[0] : no_value();
    if (!a->e->check)
        error_at(c, x->at,
                 "a member of a family that is chosen when the code runs is not built yet");
    return true;
}

Value list_index(Act *a, const Expr *x, Value l) {
    Ctx *c = a->e->c;
    int64_t k;
    Value member;
    if (runtime_member(a, x, &l, &member))
        return member;
    for (int i = 0; i < x->nsub; i++) {
        const Sub *s = &x->sub[i];
        if (l.kind != VList) {
            error_at(c, s->at, "one index too many: this is %s", value_kind(c, &l));
            return no_value();
        }
        if (s->kind == SubSlice) {
            l = list_slice(a, s, &l);
            continue;
        }
        if (s->kind != SubAt) {
            error_at(c, s->at, "a list takes an index or a slice");
            return no_value();
        }
        int64_t from = 0;
        if (l.whole)
            dim_number(l.whole, &from);
        if (from) {
            Value v = evaluate(a, s->a);
            if (v.kind == VInt && dim_number(v.whole, &k) && k >= from && k < from + l.n) {
                l = l.item[k - from];
                continue;
            }
        }
        if (!list_position(a, s->a, l.n, &k))
            return no_value();
        l = l.item[k];
    }
    return l;
}
