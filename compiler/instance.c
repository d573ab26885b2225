/* instance.c: where weights live: paths, instances by path, and what can be read of one. */
#include "flatten.h"

#include <string.h>

/* ---- paths and instances --------------------------------------------------------------------------------- */

Name path_join(Ctx *c, Name up, Name below) {
    if (!*up)
        return below;
    return *below ? name(c, "%s.%s", up, below) : up;
}

static Name part_text(Act *a, const struct PathPart *p) {
    Ctx *c = a->e->c;
    int64_t n;
    if (p->name)
        return strcmp(p->name, "_") ? p->name : name(c, "");
    if (p->string)
        return eval_text(a, p->string);
    Value v = evaluate(a, p->index);
    if (v.kind == VInt && dim_number(v.whole, &n))
        return name(c, "%lld", (long long)n);
    if (v.kind == VStr)
        return v.text;
    if (v.kind != VPoison && !value_unknown(a->e, &v))
        error_at(c, p->index->at, "an index of a path must be known when compiling, found %s",
                 value_kind(c, &v));
    return NULL;
}

Name path_below(Act *a, const Path *p) {
    Ctx *c = a->e->c;
    Name all = name(c, "");
    for (int i = 0; i < p->part.n; i++) {
        Name part = part_text(a, &p->part.at[i]);
        if (!part)
            return NULL;
        all = path_join(c, all, part);
    }
    return all;
}

static bool has_index(const Path *p) {
    for (int i = 0; p && i < p->part.n; i++)
        if (p->part.at[i].index || (p->part.at[i].string && p->part.at[i].string->n))
            return true;
    return false;
}

static void named_twice(Act *a, Name below, const Path *as, Span first) {
    Ctx *c = a->e->c;
    if (a->loop && !has_index(as)) {
        error_at(c, as->at, "every turn of this loop names an instance `%s`", below);
        return;
    }
    error_at(c, as->at, "two instances are named `%s`", below);
    note_at(c, first, "the first is here");
}

Instance *instance_named(Act *a, Item *decl, Name below, Name key, Span at) {
    Elab *e = a->e;
    Instance *i = map_get(&a->in->kid, key);
    if (i && i->decl == decl)
        return i;
    if (++e->instances > MostInstances) {
        error_at(e->c, at, "a program has at most %d instances", MostInstances);
        fail(e->c);
    }
    i = NEW(e->c, Instance);
    *i = (Instance){
        .decl = decl, .path = path_join(e->c, a->in->path, below), .up = a->in, .at = at
    };
    map_put(e->c, &a->in->kid, key, i);
    push(e->c, &a->in->kids, key);
    return i;
}

Instance *instance_at_path(Act *a, Item *decl, const Path *as) {
    Ctx *c = a->e->c;
    Name below = path_below(a, as);
    if (!below)
        return NULL;
    if (!*below)
        return instance_named(a, decl, below, name(c, "_%d", a->unnamed++), as->at);
    Span *first = map_get(&a->used, below);
    if (first) {
        named_twice(a, below, as, *first);
        return NULL;
    }
    first = NEW(c, Span);
    *first = as->at;
    map_put(c, &a->used, below, first);
    return instance_named(a, decl, below, below, as->at);
}

Instance *instance_unnamed(Act *a, Item *decl, Span at) {
    Ctx *c = a->e->c;
    Name base = snake(c, decl->name), below = base;
    size_t n = (size_t)(uintptr_t)map_get(&a->count, base);
    if (n)
        below = name(c, "%s_%zu", base, n);
    map_put(c, &a->count, base, (void *)(uintptr_t)(n + 1));
    return instance_named(a, decl, below, below, at);
}

/* ---- parts of an instance: b.x ------------------------------------------------------------------------------ */

static bool begins_path(const Instance *i, Name p) {
    size_t n = strlen(p);
    for (int k = 0; k < i->kids.n; k++)
        if (!strncmp(i->kids.at[k], p, n) && i->kids.at[k][n] == '.')
            return true;
    return false;
}

static Value no_part(Act *a, const Recipe *r, Name part, Span at) {
    Ctx *c = a->e->c;
    Instance *i = r->instance;
    if (c->errors)                      /* an echo: it may be missing for what went wrong before */
        return no_value();
    if (!i->kids.n && !i->weight.n) {
        error_at(c, at, "`%s` has not been applied yet, and so has no `%s`", i->path, part);
        return no_value();
    }
    Text t = { 0 };
    text_add(c, &t, "");
    for (int k = 0; k < i->kids.n && k < 8; k++)
        text_add(c, &t, "%s%s", k ? ", " : "", i->kids.at[k]);
    if (t.n)
        error_at(c, at, "%s has no parameter, state, block or path `%s` (below it: %s)",
                 i->decl->name, part, t.s);
    else
        error_at(c, at, "%s has no parameter, state, block or path `%s`", i->decl->name, part);
    return no_value();
}

Value instance_part(Act *a, Recipe *r, Name part, Span at) {
    Ctx *c = a->e->c;
    Instance *i = r->instance;
    Name p = r->partial ? name(c, "%s.%s", r->partial, part) : part;
    Tensor *t = map_get(&i->weight, p);
    Value *block = map_get(&i->block, p);
    if (t)
        return read_state(a->e, of_tensor(t));
    if (block)
        return *block;
    Instance *kid = map_get(&i->kid, p);
    Recipe *below = NEW(c, Recipe);
    if (kid)
        *below = (Recipe){ .decl = kid->decl, .instance = kid };
    else if (begins_path(i, p))
        *below = (Recipe){ .decl = r->decl, .instance = i, .partial = p };
    else
        return no_part(a, r, p, at);
    return recipe_value(below, at);
}
