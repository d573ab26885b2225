/* flatten.c: modules in, flat graphs out: which models a file stands for.
 *
 * A file means its exports; one without exports means the one model no other model applies (rule 56).
 * `check` takes those and every other model nothing applies, with parameters nobody gave unknown. */
#include "flatten.h"

#include <string.h>

/* ---- who applies whom ------------------------------------------------------------------------------- */

typedef struct Uses {
    Ctx *c;
    const Module *m;
    const Item *from;
    Map *used;
} Uses;

static void see_name(Uses *u, Name n) {
    Item *item = map_get(&u->m->names, n);
    if (item && item->kind == IModel && item != u->from)
        map_put(u->c, u->used, item, item);
}

static void see_expr(Uses *u, const Expr *x) {
    if (!x)
        return;
    if (x->kind == EName)
        see_name(u, x->name);
    for (int i = 0; i < x->n; i++)
        see_expr(u, x->kid[i]);
    for (int i = 0; i < x->narg; i++)
        see_expr(u, x->arg[i].value);
    for (int i = 0; i < x->nsub; i++)
        see_expr(u, x->sub[i].a);
}

static void see_body(Uses *u, const Body *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        see_expr(u, s->e);
        for (int k = 0; k < s->nvalue; k++)
            see_expr(u, s->value[k]);
        see_body(u, &s->body);
        see_body(u, &s->other);
    }
}

static Map applied_models(Ctx *c, const Module *m) {
    Map used = { 0 };
    for (int i = 0; i < m->syntax->n; i++) {
        Item *item = m->syntax->item[i];
        Uses u = { c, m, item, &used };
        if (item->kind != IModel)
            continue;
        see_body(&u, &item->body);
        for (int k = 0; k < item->params.n; k++)
            see_expr(&u, item->params.at[k].init);
    }
    return used;
}

/* ---- what a file means -------------------------------------------------------------------------------- */

typedef VEC(Item *) Items;

static Items top_models(Ctx *c, const Module *m) {
    Items top = { 0 };
    Map used = applied_models(c, m);
    for (int i = 0; i < m->syntax->n; i++) {
        Item *item = m->syntax->item[i];
        if (item->kind == IModel && !map_get(&used, item))
            push(c, &top, item);
    }
    return top;
}

static void no_candidate(Ctx *c, const Module *m, const Items *top) {
    if (!top->n) {
        error_plain(c, "%s exports nothing, and declares no model that could be", m->src->path);
        return;
    }
    Text t = { 0 };
    for (int i = 0; i < top->n; i++)
        text_add(c, &t, "%s%s", i ? ", " : "", top->at[i]->name);
    error_plain(c, "%s has no `export`, and several models that no other applies: %s", m->src->path,
                t.s);
    help(c, "say which: `export %s() as model`", top->at[0]->name);
}

static bool is_exported(const Module *m, const Item *model) {
    for (int i = 0; i < m->exports.n; i++) {
        const Expr *x = m->exports.at[i]->e;
        while (x && x->kind == ECall)
            x = x->kid[0];
        Item *item = x && x->kind == EName ? map_get(&m->names, x->name) : NULL;
        if (item && item->kind == ILet) {
            x = item->e;
            while (x && x->kind == ECall)
                x = x->kid[0];
            item = x && x->kind == EName ? map_get(&m->names, x->name) : NULL;
        }
        if (item == model)
            return true;
    }
    return false;
}

static void check_entries(Ctx *c, const Module *m) {
    for (int i = 0; i < c->opt.entry.n; i++) {
        bool found = false;
        for (int k = 0; k < m->exports.n; k++)
            for (int j = 0; j < m->exports.at[k]->nentry; j++)
                if (!strcmp(m->exports.at[k]->entry[j].name, c->opt.entry.at[i]))
                    found = true;
        if (!found)
            error_plain(c, "--entry %s: %s has no such entry", c->opt.entry.at[i], m->src->path);
    }
}

static void add_program(Ctx *c, Programs *all, Program *p) {
    if (p)
        push(c, all, p);
}

static bool among(const Name *at, int n, const char *what) {
    for (int i = 0; i < n; i++)
        if (!strcmp(at[i], what))
            return true;
    return false;
}

static char *sizes_text(Ctx *c, const Reached *reached) {
    Text t = { 0 };
    for (int i = 0; i < reached->size.n; i++)
        if (!among(reached->size.at, i, reached->size.at[i]))
            text_add(c, &t, "%s%s", t.n ? ", " : "", reached->size.at[i]);
    return t.n ? format(c, "the sizes are %s", t.s) : "there are no sizes to bind";
}

static char *parameters_text(Ctx *c, const Reached *reached) {
    Text t = { 0 };
    for (int i = 0; i < reached->model.n; i++) {
        const Item *m = reached->model.at[i];
        text_add(c, &t, "%s%s has no such parameter (it has ", i ? "; " : "", m->name);
        for (int k = 0; k < m->params.n; k++)
            text_add(c, &t, "%s%s", k ? ", " : "", m->params.at[k].name);
        text_add(c, &t, "%s)", m->params.n ? "" : "none");
    }
    return t.s;
}

/* Options that no export has a use for. */
static void unused_options(Ctx *c, const Reached *reached) {
    int errors = c->errors;
    for (int i = 0; !errors && reached->model.n && i < c->opt.set.n; i++)
        if (!among(reached->set.at, reached->set.n, c->opt.set.at[i].name))
            error_plain(c, "-p %s: %s", c->opt.set.at[i].name, parameters_text(c, reached));
    for (int i = 0; !errors && reached->model.n && i < c->opt.bind.n; i++)
        if (!among(reached->size.at, reached->size.n, c->opt.bind.at[i].name))
            error_plain(c, "--bind %s: no input has a size of this name; %s",
                        c->opt.bind.at[i].name, sizes_text(c, reached));
}

Programs flatten(Ctx *c, Module *m, bool everything) {
    Programs all = { 0 };
    Reached reached = { 0 };
    Items top = top_models(c, m);
    check_entries(c, m);
    for (int i = 0; i < m->exports.n; i++)
        add_program(c, &all, flatten_export(c, m, m->exports.at[i], NULL, everything, &reached));
    if (everything) {
        for (int i = 0; i < top.n; i++)
            if (!is_exported(m, top.at[i]))
                add_program(c, &all, flatten_export(c, m, NULL, top.at[i], true, &reached));
        for (int i = 0; i < m->syntax->n; i++)
            if (m->syntax->item[i]->kind == ITrain)
                check_train(c, m, m->syntax->item[i]);
    } else if (!m->exports.n) {
        if (top.n == 1)
            add_program(c, &all, flatten_export(c, m, NULL, top.at[0], false, &reached));
        else if (!c->errors)
            no_candidate(c, m, &top);
    }
    unused_options(c, &reached);
    return all;
}
