/* export.c: one export, entry by entry: its inputs, symbols, outputs and states (rules 49-57).
 *
 * The tree of instances, with its parameters and states, is shared by the entries; graph, lets,
 * symbols and versions of states are each entry's own. Entries with a body of their own are run after the others,
 * so that the weights they read are there; the graphs stand in the order of the text. */
#include "flatten.h"

#include <stdlib.h>
#include <string.h>

/* ---- nodes of our own -------------------------------------------------------------------------------- */

/* Every output of a graph is a temporary of its own. */
Tensor *copied(Act *a, Tensor *t, Name n) {
    Ctx *c = a->e->c;
    Index *index[MaxRank];
    Term *at[MaxRank];
    Node *node = made_node(a, &t->type, n, "copy", index);
    for (int i = 0; i < t->type.rank; i++)
        at[i] = term_index(c, index[i]);
    node->body = term_load(c, t, at, t->type.rank, NULL, n);
    return node->out;
}

/* ---- inputs --------------------------------------------------------------------------------------------- */

static Limit *limit_named(Elab *e, Name n) {
    for (int i = e->limit.n - 1; i >= 0; i--)
        if (e->limit.at[i].name == n)
            return &e->limit.at[i];
    return NULL;
}

static Value new_symbol(Elab *e, Name n, Span at, int64_t lo, int64_t hi, bool bounded) {
    Symbol *s = NEW(e->c, Symbol);
    *s = (Symbol){ .name = n, .at = at, .lo = lo, .hi = hi, .bounded = bounded };
    return dim_value(dim_symbol(e->c, s));
}

static Value limit_value(Elab *e, Limit *l, Span at) {
    l->used = true;
    if (l->lo == l->hi)
        return int_value(e->c, l->lo);
    return new_symbol(e, l->name, at, l->lo, l->hi, true);
}

/* The sizes of the data of a `train` block are bounded by no one yet: only what no size would satisfy is an error. */
static const int64_t small_size = 512;

Value root_symbol(Act *a, Name n, Span at, bool first) {
    Elab *e = a->e;
    Ctx *c = e->c;
    if (e->reached)
        push(c, &e->reached->size, n);
    Limit *l = limit_named(e, n);
    if (l && !l->none)
        return limit_value(e, l, at);
    if (e->check)
        return new_symbol(e, n, at, 1, e->training ? small_size : INT32_MAX, false);
    if (first && !e->graph->input.n) {
        note_plain(c, "%s is 1 unless bound: `--bind %s=…`", n, n);
        return int_value(c, 1);
    }
    error_at(c, at, "nothing says what %s is", n);
    help(c, "give it a value or a range: `--bind %s=1..64`, or an `entry` of the export", n);
    return no_value();
}

static Value add_input(Act *a, Name n, const TypeExpr *t, Span at) {
    Elab *e = a->e;
    Ctx *c = e->c;
    Type type;
    int errors = c->errors;
    for (int i = 0; i < e->graph->input.n; i++)
        if (e->graph->input.at[i].name == n && e->graph->input.at[i].tensor)
            return of_tensor(e->graph->input.at[i].tensor);
    if (!t || !type_of(a, t, &type, true)) {
        if (!e->check && c->errors == errors) {
            error_at(c, at, "the input `%s` of an exported model needs a type with known sizes", n);
            help(c, "as in `in %s: float[N, 3]`", n);
        }
        return no_value();
    }
    if (too_big(e, &type, n, at))
        return no_value();
    Tensor *x = tensor(c, TInput, n, n, &type, at);
    push(c, &e->graph->input, ((Terminal){ .name = n, .tensor = x, .at = at }));
    return of_tensor(x);
}

static Value add_inputs(Act *a, Name n, const TypeExpr *t, int64_t count, Span at) {
    Ctx *c = a->e->c;
    if (count < 0 || count > 1024) {
        error_at(c, at, "`%s` would be %lld inputs", n, (long long)count);
        return no_value();
    }
    Value v = list_value(NEWN(c, Value, count), (int)count);
    for (int i = 0; i < count; i++)
        v.item[i] = add_input(a, name(c, "%s_%d", n, i), t->list, at);
    return v;
}

Value root_input(Act *a, Name n, const TypeExpr *t, bool may_be_absent, Span at) {
    Elab *e = a->e;
    Limit *l = limit_named(e, n);
    int64_t count;
    if (l && l->none) {
        l->used = true;
        if (!may_be_absent)
            error_at(e->c, l->at.src ? l->at : at, "`%s` has no default, and cannot be left out",
                     n);
        push(e->c, &e->graph->input, ((Terminal){ .name = n, .at = at, .absent = true }));
        return none_at(at);
    }
    if (list_type(a, t, &count))
        return add_inputs(a, n, t, count, at);
    Value v = add_input(a, n, t, at);
    v.at = at;
    return v;
}

/* ---- outputs ---------------------------------------------------------------------------------------------- */

static bool is_output(const Graph *g, const Tensor *t) {
    for (int i = 0; i < g->output.n; i++)
        if (g->output.at[i].tensor == t)
            return true;
    return false;
}

static void add_output(Act *a, Name n, Value v, Span at) {
    Elab *e = a->e;
    Ctx *c = e->c;
    if (v.kind == VList) {
        for (int i = 0; i < v.n; i++)
            add_output(a, name(c, "%s_%d", n, i), v.item[i], at);
        return;
    }
    if (v.kind == VNone) {
        push(c, &e->graph->output, ((Terminal){ .name = n, .at = at, .absent = true }));
        return;
    }
    if (v.kind == VInt || v.kind == VFloat || v.kind == VBool)
        v = as_elem(a, v, v.kind == VInt ? I32 : v.kind == VBool ? Bool : Float, at);
    if (v.kind != VTensor) {
        if (v.kind != VPoison)
            error_at(c, at, "the output `%s` is %s, and must be a tensor", n, value_kind(c, &v));
        else if (!c->errors && !e->check)
            error_at(c, at, "the output `%s` has no value here", n);
        return;
    }
    Tensor *t = v.tensor;
    Elem e0 = t->type.elem;
    if (e0 == AnyInt || e0 == AnyFloat) {
        v = as_elem(a, v, e0 == AnyInt ? I32 : Float, at);
        if (v.kind != VTensor)
            return;
        t = v.tensor;
    }
    if (t->kind != TTemp || is_output(e->graph, t))
        t = copied(a, t, n);
    push(c, &e->graph->output, ((Terminal){ .name = n, .tensor = t, .at = at }));
}

static void add_outputs(Act *b, Value *out, int n) {
    const ModelInfo *info = model_info(b->e, b->decl);
    for (int i = 0; i < n; i++) {
        if (info->nout)
            add_output(b, info->out[i]->name, out[i], info->out[i]->name_at);
        else if (b->decl != b->e->own)
            add_output(b, name(b->e->c, "output"), out[i], b->decl->name_at);
    }
}

/* ---- what an entry says ------------------------------------------------------------------------------------- */

static bool bound_number(Act *a, const Expr *x, int64_t *n) {
    Value v = evaluate(a, x);
    if (v.kind == VInt && dim_number(v.whole, n) && *n >= 0 && *n <= INT32_MAX)
        return true;
    if (v.kind != VPoison)
        error_at(a->e->c, x->at, "a size is an int from 0 to 2147483647, found %s",
                 value_kind(a->e->c, &v));
    return false;
}

static void add_limit(Act *a, const Bound *b) {
    Elab *e = a->e;
    Limit l = { .name = b->name, .at = b->at };
    if (!b->lo)                         /* no bound could be read there */
        return;
    if (e->reached && b->lo->kind != ENone)
        push(e->c, &e->reached->size, b->name);
    if (b->lo->kind == ENone)
        l.none = true;
    else if (!bound_number(a, b->lo, &l.lo))
        return;
    l.hi = l.lo;
    if (b->hi && !bound_number(a, b->hi, &l.hi))
        return;
    if (l.hi < l.lo) {
        error_at(e->c, b->at, "this range is empty");
        return;
    }
    push(e->c, &e->limit, l);
}

static void set_limits(Act *a, const EntryItem *entry) {
    Elab *e = a->e;
    Ctx *c = e->c;
    e->limit.n = 0;
    for (int i = 0; entry && i < entry->nbound; i++)
        add_limit(a, &entry->bound[i]);
    for (int i = 0; i < c->opt.bind.n; i++) {
        const Binding *b = &c->opt.bind.at[i];
        Limit l = { .name = name(c, "%s", b->name), .lo = b->lo, .hi = b->hi };
        push(c, &e->limit, l);
    }
}

/* What an entry binds and no input has. */
static void unused_limits(Elab *e, const EntryItem *entry, const Item *decl) {
    for (int i = 0; entry && i < e->limit.n; i++) {
        const Limit *l = &e->limit.at[i];
        if (l->used || !l->at.src)
            continue;
        Limit *over = limit_named(e, l->name);
        if (over != l && over->used)
            continue;
        if (e->c->errors)
            return;
        if (l->none)
            error_at(e->c, l->at, "%s has no input `%s`", decl->name, l->name);
        else
            error_at(e->c, l->at, "no input of %s has a size %s",
                     entry->body.given ? "this entry" : decl->name, l->name);
    }
}

/* ---- running an entry -------------------------------------------------------------------------------------------- */

static void declare_params(Act *b, const Recipe *r) {
    for (int i = 0; i < r->n; i++)
        scope_declare(b->e->c, b->scope, r->decl->params.at[i].name, VarParam, r->param[i],
                      r->decl->params.at[i].at);
}

/* Rule 55: the body of an entry sees the model's parameters, blocks, params and states, and its own symbols. */
static Act *own_body(Act *home, const EntryItem *entry) {
    Elab *e = home->e;
    Ctx *c = e->c;
    for (int i = 0; i < e->limit.n; i++) {
        Limit *l = &e->limit.at[i];
        if (!l->none && limit_named(e, l->name) == l) {
            bool used = l->used;
            scope_declare(c, home->scope, l->name, VarSize, limit_value(e, l, l->at), l->at);
            l->used = used || entry != NULL;
        }
    }
    home->scope = scope_in(c, home->scope, true);
    const Body *body = &home->decl->body;
    for (int i = 0; i < body->n; i++) {
        Stmt *s = body->at[i];
        if (s->kind != SParam && s->kind != SState && s->kind != SBlock && s->kind != SLet)
            continue;
        Var *v = scope_declare(c, home->scope, s->name, VarLet, no_value(), s->name_at);
        v->lazy = s;
        v->home = home;
    }
    Item *own = NEW(c, Item);
    *own = (Item){ .kind = IModel,
                   .name = entry->name,
                   .name_at = entry->at,
                   .at = entry->at,
                   .body = entry->body,
                   .module_in = home->decl->module_in };
    e->own = own;
    Act *b = act_new(NULL, e, own, home->in);
    b->scope->up = home->scope;
    return b;
}

static void add_size(Symbol *s, void *with) {
    Elab *e = with;
    for (int i = 0; i < e->graph->size.n; i++)
        if (e->graph->size.at[i] == s)
            return;
    push(e->c, &e->graph->size, s);
}

static void collect_sizes(Elab *e) {
    for (int i = 0; i < e->graph->input.n; i++) {
        const Tensor *t = e->graph->input.at[i].tensor;
        for (int k = 0; t && k < t->type.rank; k++)
            dim_symbols(t->type.dim[k], add_size, e);
    }
}

/* The version of every state at the end; those made by later entries are themselves. */
static void keep_versions(Elab *e, Map *last) {
    for (int i = 0; i < e->program->state.n; i++) {
        Tensor *s = e->program->state.at[i], *now = map_get(&e->now, s);
        if (now)
            map_put(e->c, last, s, now);
    }
}

static bool is_own_implicit(const EntryItem *entry) {
    for (int i = 0; i < entry->body.n; i++)
        if (entry->body.at[i]->kind == SIn)
            return false;
    return true;
}

static Graph *run_entry(Elab *e, const Recipe *r, EntryItem *entry, Map *last) {
    Ctx *c = e->c;
    Value *out;
    Graph *g = NEW(c, Graph);
    g->name = entry ? entry->name : NULL;
    e->graph = g;
    e->entry = entry;
    e->let = e->now = (Map){ 0 };
    e->own = NULL;
    Act *b = act_new(NULL, e, r->decl, e->top);
    declare_params(b, r);
    set_limits(b, entry);
    if (entry && entry->body.given)
        b = own_body(b, entry);
    b->root = true;
    b->inputless = entry && entry->body.given && is_own_implicit(entry);
    int n = run_model(b, &out);
    add_outputs(b, out, n);
    unused_limits(e, entry, r->decl);
    keep_old_versions(e);
    collect_sizes(e);
    keep_versions(e, last);
    return g;
}

/* ---- all entries -------------------------------------------------------------------------------------------------- */

static bool chosen(Ctx *c, const EntryItem *entry) {
    if (!c->opt.entry.n)
        return true;
    for (int i = 0; i < c->opt.entry.n; i++)
        if (!strcmp(c->opt.entry.at[i], entry->name))
            return true;
    return false;
}

/* An entry with a body of its own may speak of parts that only the model's body makes: where the
 * entries asked for are all such, the first of the others is run for its instances. */
static void make_instances(Elab *e, const Recipe *r, Item *item, const int *place) {
    EntryItem *plain = NULL;
    for (int i = item->nentry - 1; i >= 0; i--) {
        if (item->entry[i].body.given)
            continue;
        if (place[i] >= 0)
            return;
        plain = &item->entry[i];
    }
    if (plain)
        run_entry(e, r, plain, &(Map){ 0 });
}

static void run_entries(Elab *e, const Recipe *r, Item *item, Map *last) {
    Ctx *c = e->c;
    int n = item ? item->nentry : 0, k = 0;
    int *place = NEWN(c, int, n + 1);
    for (int i = 0; i < n; i++)
        place[i] = chosen(c, &item->entry[i]) ? k++ : -1;
    Program *p = e->program;
    p->graph = NEWN(c, Graph *, n + 1);
    if (!n)
        p->graph[p->n++] = run_entry(e, r, NULL, &last[0]);
    else
        make_instances(e, r, item, place);
    for (int own = 0; own < 2; own++)
        for (int i = 0; i < n; i++)
            if (place[i] >= 0 && item->entry[i].body.given == own)
                p->graph[place[i]] = run_entry(e, r, &item->entry[i], &last[place[i]]);
    if (n)
        p->n = k;
}

static int by_id(const void *pa, const void *pb) {
    const Tensor *a = *(Tensor *const *)pa, *b = *(Tensor *const *)pb;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Rule 50: a state that no entry writes is a weight. */
static void settle_states(Elab *e, const Map *last) {
    Ctx *c = e->c;
    Program *p = e->program;
    int kept = 0;
    for (int i = 0; i < p->state.n; i++) {
        Tensor *s = p->state.at[i];
        if (map_get(&e->written, s)) {
            p->state.at[kept++] = s;
            continue;
        }
        s->kind = TParam;
        push(c, &p->param, s);
    }
    p->state.n = kept;
    if (p->param.n)
        qsort(p->param.at, (size_t)p->param.n, sizeof *p->param.at, by_id);
    for (int k = 0; k < p->n; k++) {
        Graph *g = p->graph[k];
        g->last_state = NEWN(c, Tensor *, p->state.n);
        for (int i = 0; i < p->state.n; i++) {
            Tensor *now = map_get(&last[k], p->state.at[i]);
            g->last_state[i] = now ? now : p->state.at[i];
        }
    }
}

/* ---- -p -------------------------------------------------------------------------------------------------------------- */

/* A value on the command line is resolved here: no file's text holds it. */
static bool setting_known(Elab *e, const Expr *x) {
    Ctx *c = e->c;
    static const char *const words[] = { "pi", "inf", "nan", "training", NULL };
    bool known = x->kind != EName || item_named(e->module, x->name) ||
                 elem_named(x->name) != NoElem || fn_named(c, x->name);
    for (int i = 0; !known && words[i]; i++)
        known = !strcmp(words[i], x->name);
    if (!known)
        error_at(c, x->at, "`%s` is not known", x->name);
    for (int i = 0; known && i < x->n; i++)
        known = !x->kid[i] || (x->kind == ECall && !i) || setting_known(e, x->kid[i]);
    for (int i = 0; known && i < x->narg; i++)
        known = setting_known(e, x->arg[i].value);
    return known;
}

static void read_settings(Elab *e) {
    Ctx *c = e->c;
    for (int i = 0; i < c->opt.set.n; i++) {
        const Setting *s = &c->opt.set.at[i];
        Source *src = NEW(c, Source);
        src->path = "-p";
        src->text = format(c, "%s=%s", s->name, s->value);
        src->n = strlen(src->text);
        int errors = c->errors;
        const Expr *value = parse_value(c, src, (int)strlen(s->name) + 1);
        if (c->errors == errors && setting_known(e, value))
            push(c, &e->setting, ((SettingExpr){ .name = name(c, "%s", s->name), .value = value }));
    }
}

/* Which settings this export took. A setting goes to every export that has its parameter. */
static void note_settings(Elab *e, const Recipe *r) {
    push(e->c, &e->reached->model, r->decl);
    for (int i = 0; i < e->setting.n; i++)
        if (e->setting.at[i].used)
            push(e->c, &e->reached->set, e->setting.at[i].name);
}

/* ---- one export -------------------------------------------------------------------------------------------------------- */

static Name export_name(Elab *e, const Item *item, const Item *model) {
    Ctx *c = e->c;
    if (item && item->name)
        return item->name;
    const Expr *x = item ? item->e : NULL;
    while (x && x->kind == ECall)
        x = x->kid[0];
    Name given = x && x->kind == EName ? x->name : model->name;
    return given ? snake(c, given) : name(c, "model");  /* a model whose name is a mistake, reported before */
}

static Value exported_recipe(Elab *e, Item *item, Item *model) {
    Act *a = act_new(NULL, e, NULL, e->top);
    a->root = !item;
    e->config = e->setting.n ? "" : NULL;
    if (!item)
        return configure(a, model, NULL);
    Value v = evaluate(a, item->e);
    if (v.kind == VModel) {
        e->config = e->setting.n ? "" : NULL;
        v = configure(a, v.decl, NULL);
    }
    if (v.kind == VPoison)
        return v;
    if (v.kind == VRecipe && v.recipe->decl && v.recipe->decl->kind == IModel &&
        !v.recipe->instance)
        return v;
    bool op = v.kind == VRecipe && (!v.recipe->decl || v.recipe->decl->kind != IModel);
    error_at(e->c, item->e->at,
             op ? "`export` takes a model, found an op"
                : "`export` takes a model with its parameters");
    return no_value();
}

Program *flatten_export(Ctx *c, Module *m, Item *item, Item *model, bool check, Reached *reached) {
    Elab *e = NEW(c, Elab);
    e->c = c;
    e->reached = reached;
    e->module = m;
    e->check = check;
    e->program = NEW(c, Program);
    e->program->module = m;
    e->graph = NEW(c, Graph); /* for what the export's own expression computes; nothing reads it */
    e->top = NEW(c, Instance);
    e->top->path = name(c, "");
    read_settings(e);
    Value v = exported_recipe(e, item, model);
    e->config = NULL;
    e->program->graph = NEWN(c, Graph *, 1);
    if (v.kind != VRecipe)
        return item ? NULL : e->program;
    Recipe *r = v.recipe;
    note_settings(e, r);
    e->program->name = export_name(e, item, r->decl);
    e->top->decl = r->decl;
    Map *last = NEWN(c, Map, (item ? item->nentry : 0) + 1);
    run_entries(e, r, item, last);
    settle_states(e, last);
    return e->program;
}
