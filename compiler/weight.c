/* weight.c: `param` and `state`: made once for an instance, found again by later applications and entries. */
#include "flatten.h"

static void note_weights(Instance *i) {
    for (; i; i = i->up)
        i->weights = true;
}

static Given *bound_weight(Act *a, Name n) {
    for (int i = 0; i < a->ngiven; i++)
        if (a->given[i].name == n && !a->given[i].used)
            return &a->given[i];
    return NULL;
}

static const char *ordinal(int k) {
    static const char *const word[] = { "first", "second", "third",   "fourth",
                                        "fifth", "sixth",  "seventh", "eighth" };
    return word[k];
}

static Limit *limit_of(Elab *e, const EntryItem *entry, Name n, Span *at) {
    for (int i = 0; entry && i < entry->nbound; i++)
        if (entry->bound[i].name == n) {
            *at = entry->bound[i].at;
            break;
        }
    for (int i = 0; i < e->limit.n; i++)
        if (e->limit.at[i].name == n)
            return &e->limit.at[i];
    return NULL;
}

/* Rule 51. The message stands at what the entry says of the size, when an entry says it. */
static void sizes_disagree(Act *a, const Stmt *s, const Tensor *old, const Type *t, int k) {
    Elab *e = a->e;
    Ctx *c = e->c;
    const EntryItem *first = map_get(&e->origin, old);
    char *now = type_text(c, t), *before = type_text(c, &old->type);
    const DimExpr *d = k < s->type->dims.n ? &s->type->dims.at[k] : NULL;
    Span here = { 0 }, there = { 0 };
    Limit *l = d && d->e && d->e->kind == EName ? limit_of(e, e->entry, d->e->name, &here) : NULL;
    if (l)
        limit_of(e, first, d->e->name, &there);
    const char *in_now = e->entry ? format(c, " in `%s`", e->entry->name) : "";
    const char *in_first = first ? format(c, " in `%s`", first->name) : "";
    Frame *frame = c->frame;
    if (here.src)
        c->frame = NULL;
    error_at(c, here.src ? here : s->name_at, "`%s` would be %s%s and %s%s", s->name, now, in_now,
             before, in_first);
    c->frame = frame;
    if (d)
        note_at(c, d->at, "its %s dimension is %s; entries that share a state give it one size",
                ordinal(k), source_text(c, d->at));
    if (there.src)
        note_at(c, there, "%s is %s here", d->e->name, dim_text(c, old->type.dim[k]));
}

static bool same_type(Act *a, const Stmt *s, const Tensor *old, const Type *t) {
    Ctx *c = a->e->c;
    if (old->type.rank != t->rank || old->type.elem != t->elem) {
        error_at(c, s->name_at, "`%s` would be %s here and %s before", s->name, type_text(c, t),
                 type_text(c, &old->type));
        return false;
    }
    for (int k = 0; k < t->rank; k++)
        if (!dim_equal(c, old->type.dim[k], t->dim[k])) {
            sizes_disagree(a, s, old, t, k);
            return false;
        }
    return true;
}

static void ask_varies(Symbol *s, void *with) {
    if (s->lo != s->hi)
        *(Symbol **)with = s;
}

/* Rule 41: only while `check` leaves symbols open may a weight have a size that is none. */
static bool is_fixed(Act *a, const Stmt *s, const Type *t) {
    Ctx *c = a->e->c;
    Symbol *varies = NULL;
    for (int k = 0; k < t->rank; k++)
        dim_symbols(t->dim[k], ask_varies, &varies);
    if (!varies || (a->e->check && !varies->bounded))
        return true;
    error_at(c, s->name_at,
             "`%s` would be %s, and %s varies: parameters and states have fixed sizes", s->name,
             type_text(c, t), varies->name);
    return false;
}

static Tensor *new_weight(Act *a, const Stmt *s, Name below, Name full, const Type *t) {
    Elab *e = a->e;
    Ctx *c = e->c;
    if (too_big(e, t, s->name, s->name_at) || !is_fixed(a, s, t))
        return NULL;
    Value init = s->e ? init_value(a, s->e, t) : no_value();
    if (s->kind == SState && !s->e)
        error_at(c, s->name_at, "a state has an initial value: `= zeros()`");
    Tensor *w = tensor(c, s->kind == SState ? TState : TParam, s->name, full, t, s->name_at);
    w->init = init.kind == VInit ? init.init : NULL;
    w->frozen = s->frozen;
    if (s->kind == SState)
        push(c, &e->program->state, w);
    else
        push(c, &e->program->param, w);
    map_put(c, &e->owner, full, w);
    map_put(c, &a->in->weight, below, w);
    if (below != s->name)
        map_put(c, &a->in->weight, s->name, w);
    if (e->entry)
        map_put(c, &e->origin, w, e->entry);
    note_weights(a->in);
    return w;
}

static bool named_once(Act *a, const Stmt *s, Name below, Name full) {
    Elab *e = a->e;
    Ctx *c = e->c;
    Span at = s->named ? s->path.at : s->name_at;
    Name key = name(c, "%s ", below); /* no instance is called so */
    Span *first = map_get(&a->used, key);
    Tensor *other = map_get(&e->owner, full), *own = map_get(&a->in->weight, below);
    if (!first && (!other || other == own)) {
        first = NEW(c, Span);
        *first = at;
        map_put(c, &a->used, key, first);
        return true;
    }
    error_at(c, at, "two parameters are named `%s`", first ? below : full);
    note_at(c, first ? *first : other->at, "the first is here");
    return false;
}

void declare_weight(Act *a, Stmt *s) {
    Elab *e = a->e;
    Ctx *c = e->c;
    VarKind kind = s->kind == SState ? VarState : VarWeight;
    Given *g = s->kind == SParam ? bound_weight(a, s->name) : NULL;
    Value v = no_value();
    Type t;
    if (g) {
        g->used = true;
        v = fit_tensor(a, s->type, g->value, false, s->name, a->decl->name, s->name_at);
        scope_declare(c, a->scope, s->name, kind, v, s->name_at);
        return;
    }
    Name below = s->named ? path_below(a, &s->path) : s->name;
    if (below && type_of(a, s->type, &t, false)) {
        Name full = path_join(c, a->in->path, below);
        Tensor *w = map_get(&a->in->weight, below);
        if (named_once(a, s, below, full)) {
            if (!w)
                w = new_weight(a, s, below, full, &t);
            else if (!same_type(a, s, w, &t))
                w = NULL;
            if (w)
                v = of_tensor(w);
        }
    } else
        note_weights(a->in);
    v.at = s->name_at;
    scope_declare(c, a->scope, s->name, kind, v, s->name_at);
}
