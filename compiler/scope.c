/* scope.c: names that have a value while a body is run. */
#include "flatten.h"

#include <ctype.h>
#include <string.h>

Scope *scope_in(Ctx *c, Scope *up, bool keeps) {
    Scope *s = NEW(c, Scope);
    s->up = up;
    s->keeps = keeps;
    return s;
}

void scope_reset(Scope *s) {
    if (s->names.n)
        memset(s->names.slot, 0, sizeof *s->names.slot * (size_t)s->names.cap);
    s->names.n = 0;
    s->var.n = 0;
}

Var *find_var(const Scope *s, Name n) {
    for (; s; s = s->up) {
        Var *v = map_get(&s->names, n);
        if (v)
            return v;
    }
    return NULL;
}

Var *scope_declare(Ctx *c, Scope *s, Name n, VarKind k, Value v, Span at) {
    Var *var = NEW(c, Var);
    *var = (Var){ .name = n, .kind = k, .value = v, .at = at };
    map_put(c, &s->names, n, var);
    push(c, &s->var, var);
    return var;
}

static bool may_assign(const Var *v) {
    return v->kind == VarLocal || v->kind == VarOut;
}

/* Rule 8: an old name takes the value where it is; a new one belongs to the body or the turn of a loop.
 * What may not be assigned at all was said when names were resolved. */
void scope_assign(Act *a, Name n, Value v, Span at) {
    Ctx *c = a->e->c;
    for (Scope *s = a->scope; s; s = s->up) {
        Var *old = map_get(&s->names, n);
        if (old && !may_assign(old))
            return;
        if (old) {
            old->value = v;
            old->at = at;
            old->given = true;
            return;
        }
        if (s->branch && find_var(s->up, n)) {
            Var *outer = find_var(s->up, n);
            if (may_assign(outer))
                scope_declare(c, s, n, outer->kind, v, at)->given = true;
            return;
        }
    }
    Scope *home = a->scope;
    while (home->up && !home->keeps && !home->branch)
        home = home->up;
    scope_declare(c, home, n, VarLocal, v, at)->given = true;
}

bool is_capital(Name n) {
    return isupper((unsigned char)n[0]) != 0;
}

Item *item_named(const Module *m, Name n) {
    Item *item = map_get(&m->names, n);
    return item && item->kind != IUse ? item : NULL;
}

Item *item_below(const Module *m, Name use, Name n) {
    const Item *item = map_get(&m->names, use);
    if (!item || item->kind != IUse || !item->used)
        return NULL;
    return map_get(&item->used->names, n);
}
