/* train.c: what `check` says of `train` blocks (rules 58 and 59): shapes, patterns, and losses without a gradient.
 *
 * The block is elaborated as a body whose `in`s are inputs, with `training` true. */
#include "flatten.h"

#include <string.h>

/* ---- loops without a gradient ------------------------------------------------------------------------ */

struct Blame {
    const Stmt *loop;
    Name name;
    Span through;
    Name by;
}; /* what a value out of a `while` remembers */

void blame_loop(Act *a, const Stmt *loop, Name n, const Tensor *t) {
    Ctx *c = a->e->c;
    struct Blame *b = NEW(c, struct Blame);
    const Frame *f = c->frame;
    while (f && f->up)
        f = f->up;
    const Instance *in = a->in;
    while (in->up && in->up->up)
        in = in->up;
    *b = (struct Blame){ loop, n, f ? f->at : (Span){ 0 }, in->path };
    map_put(c, &a->e->loops, t, b);
}

typedef struct Search {
    Elab *e;
    Map seen;
    struct Blame *found;
    VEC(const Tensor *) todo;
} Search;

static Term *search_term(Ctx *c, Term *t, void *with) {
    Search *s = with;
    if (t->kind != TLoad || map_get(&s->seen, t->from))
        return NULL;
    map_put(c, &s->seen, t->from, t->from);
    push(c, &s->todo, t->from);
    return NULL;
}

static bool stops(const Term *t) {
    return t->kind == TApply && t->fn->id == FnStopGradient;
}

static void depends(Elab *e, const Tensor *loss) {
    Ctx *c = e->c;
    Search s = { .e = e };
    push(c, &s.todo, loss);
    while (s.todo.n && !s.found) {
        const Tensor *t = s.todo.at[--s.todo.n];
        s.found = map_get(&e->loops, t);
        if (t->def && !stops(t->def->body))
            term_map(c, t->def->body, search_term, &s);
    }
    if (!s.found)
        return;
    const struct Blame *b = s.found;
    Span at = { b->loop->at.src, b->loop->at.from, b->loop->at.from + (int)strlen("while") };
    error_at(c, at,
             "`loss` depends on this loop, and a `while` has no gradient: its number of turns is "
             "not known");
    if (b->through.src)
        note_at(c, b->through, "through `%s`, used here", b->by);
    help(c, "`scan i in 0..n` has one; or `stop_gradient(%s)` before the loop", b->name);
}

/* ---- patterns ---------------------------------------------------------------------------------------- */

static bool matches(const char *glob, const char *s) {
    const char *star = NULL, *from = NULL;
    while (*s) {
        if (*glob == '*') {
            star = glob++;
            from = s;
        } else if (*glob == '?' || *glob == *s) {
            glob++;
            s++;
        } else if (star) {
            glob = star + 1;
            s = ++from;
        } else
            return false;
    }
    while (*glob == '*')
        glob++;
    return !*glob;
}

/* The name of a parameter below `path`, or NULL. */
static const char *below(const Tensor *p, Name path) {
    size_t n = strlen(path);
    if (!n)
        return p->path;
    return !strncmp(p->path, path, n) && p->path[n] == '.' ? p->path + n + 1 : NULL;
}

static void check_glob(Act *a, const Ref *target, const Instance *in, const Value *glob) {
    enum { Shown = 8 };
    Elab *e = a->e;
    Ctx *c = e->c;
    Text t = { 0 };
    int n = 0;
    text_add(c, &t, "");
    for (int i = 0; i < e->program->param.n; i++) {
        const char *s = below(e->program->param.at[i], in->path);
        if (!s)
            continue;
        if (matches(glob->text, s))
            return;
        if (n++ < Shown)
            text_add(c, &t, "%s%s", n > 1 ? ", " : "", s);
    }
    error_at(c, glob->at, "no parameter of `%s` matches \"%s\" (it has %s%s)",
             source_text(c, target->at), glob->text, n ? t.s : "none", n > Shown ? ", …" : "");
}

static void check_target(Act *a, const Ref *target, const Expr *glob) {
    Value v = evaluate(a, target->e), g = glob ? evaluate(a, glob) : no_value();
    if (v.kind != VRecipe || !v.recipe->instance || !v.recipe->instance->weights)
        return;
    if (g.kind == VStr)
        check_glob(a, target, v.recipe->instance, &g);
    for (int i = 0; g.kind == VList && i < g.n; i++)
        if (g.item[i].kind == VStr)
            check_glob(a, target, v.recipe->instance, &g.item[i]);
}

void minimize(Act *a, const Stmt *s) {
    Ctx *c = a->e->c;
    Value loss = evaluate(a, s->e);
    if (loss.kind == VTensor) {
        const Type *t = &loss.tensor->type;
        if (t->rank || !elem_is_float(t->elem))
            error_at(c, s->e->at, "a loss is one float, found %s", type_text(c, t));
        else
            depends(a->e, loss.tensor);
    }
    for (int i = 0; i < s->ngroup; i++)
        for (int k = 0; k < s->group[i].n; k++)
            check_target(a, &s->group[i].target[k], s->group[i].glob ? s->group[i].glob[k] : NULL);
}

/* ---- a block ------------------------------------------------------------------------------------------ */

void check_train(Ctx *c, Module *m, Item *train) {
    Elab *e = NEW(c, Elab);
    Instance *outside = NEW(c, Instance);
    e->c = c;
    e->module = m;
    e->check = e->training = true;
    e->program = NEW(c, Program);
    e->graph = NEW(c, Graph);
    outside->path = name(c, "");
    e->top = NEW(c, Instance);
    *e->top = (Instance){ .decl = train, .path = outside->path };
    Act *a = act_new(NULL, e, NULL, e->top);
    a->root = true;
    Value r = configure(a, train, NULL);
    if (r.kind != VRecipe)
        return;
    Act *b = act_new(NULL, e, train, e->top);
    b->root = true;
    for (int i = 0; i < r.recipe->n; i++)
        scope_declare(c, b->scope, train->params.at[i].name, VarParam, r.recipe->param[i],
                      train->params.at[i].at);
    Type number = { .elem = I32 };
    Tensor *step = tensor(c, TInput, name(c, "step"), name(c, "step"), &number, train->name_at);
    scope_declare(c, b->scope, step->name, VarIn, of_tensor(step), train->name_at);
    b->scope = scope_in(c, b->scope, true);
    exec_body(b, &train->body);
}
