/* fields.c: the first list: parameters of a model and fields of a config, with defaults and -p settings. */
#include "flatten.h"

#include <string.h>

typedef struct Fields {
    const Field *at;
    int n;
} Fields;

static Fields fields_of(const Item *decl) {
    if (decl->kind == IConfig)
        return (Fields){ decl->field, decl->nfield };
    return (Fields){ decl->params.at, decl->params.n };
}

static int find_field(Fields f, Name n) {
    for (int i = 0; i < f.n; i++)
        if (f.at[i].name == n)
            return i;
    return -1;
}

bool has_field(const Item *decl, Name n) {
    return find_field(fields_of(decl), n) >= 0;
}

static char *field_names(Ctx *c, Fields f, bool types) {
    Text t = { 0 };
    text_add(c, &t, "");
    for (int i = 0; i < f.n; i++) {
        text_add(c, &t, "%s%s", i ? ", " : "", f.at[i].name);
        if (types && f.at[i].type)
            text_add(c, &t, ": %s", type_expr_text(c, f.at[i].type));
    }
    return t.s;
}

char *args_text(Ctx *c, const Expr *call, const Arg *but) {
    Text t = { 0 };
    text_add(c, &t, "");
    for (int i = 0; i < call->narg; i++)
        if (&call->arg[i] != but)
            text_add(c, &t, "%s%s", t.n ? ", " : "", source_text(c, call->arg[i].at));
    return t.s;
}

static bool bad_arg(Act *a, const Item *decl, const Expr *call, const Arg *arg) {
    Ctx *c = a->e->c;
    if (arg->sep == '*') {
        error_at(c, arg->at, "`*` stands for terminals, and belongs in the second list");
        return true;
    }
    if (arg->sep != ':')
        return false;
    char *what = arg->key ? source_text(c, arg->key->at) : "";
    if (decl->kind == IConfig)
        error_at(c, arg->at, "a field is given with `=`: `%s = …`", what);
    else
        error_at(c, arg->at, "`%s:` binds a terminal, and belongs in the second list", what);
    if (decl->kind != IConfig)
        help(c, "`%s(%s)(%s)`", source_text(c, call->kid[0]->at), args_text(c, call, arg),
             source_text(c, arg->at));
    return true;
}

static int no_such_field(Act *a, const Item *decl, const Arg *arg) {
    Ctx *c = a->e->c;
    Fields f = fields_of(decl);
    const char *what = decl->kind == IConfig ? "field" : "parameter";
    Span at = arg->key ? arg->key->at : arg->at;
    if (f.n)
        error_at(c, at, "%s has no %s `%s` (it has %s)", decl->name, what, arg->name,
                 field_names(c, f, false));
    else
        error_at(c, at, "%s has no %ss", decl->name, what);
    return -1;
}

static int too_many(Act *a, const Item *decl, const Expr *call) {
    Ctx *c = a->e->c;
    Fields f = fields_of(decl);
    int found = 0;
    for (int i = 0; i < call->narg; i++)
        found += !call->arg[i].sep;
    error_at(c, call->at, "%s has %d parameter%s (%s), found %d", decl->name, f.n,
             f.n == 1 ? "" : "s", field_names(c, f, false), found);
    return -1;
}

/* Which field an argument is for; -1 after an error. */
static int field_of_arg(Act *a, const Item *decl, const Expr *call, const Arg *arg, int *position) {
    Fields f = fields_of(decl);
    if (decl->vague || bad_arg(a, decl, call, arg))
        return -1;
    if (!arg->sep)
        return *position < f.n ? (*position)++ : too_many(a, decl, call);
    int k = arg->name ? find_field(f, arg->name) : -1;
    return k >= 0 ? k : no_such_field(a, decl, arg);
}

static bool is_tensor_misplaced(Act *a, const Item *decl, const Expr *call, const Arg *arg,
                                const Field *f, const Value *v) {
    Ctx *c = a->e->c;
    if (decl->kind != IModel || v->kind != VTensor || arg->sep || !f->type ||
        v->tensor->type.rank == 0)
        return false;
    Fields so_far = fields_of(decl);    /* up to the one the tensor would be */
    so_far.n = (int)(f - so_far.at) + 1;
    error_at(c, arg->at, "the first list of %s takes parameters (%s), found a tensor", decl->name,
             field_names(c, so_far, true));
    help(c, "`%s(%s)(%s)`", source_text(c, call->kid[0]->at), args_text(c, call, arg),
         source_text(c, arg->at));
    return true;
}

/* What -p says of field `n` below the prefix now in force, as an expression; NULL: nothing. */
static const Expr *setting_for(Elab *e, const char *prefix, Name n, bool *deeper) {
    const Expr *found = NULL;
    *deeper = false;
    size_t k = strlen(prefix);
    for (int i = 0; prefix && i < e->setting.n; i++) {
        SettingExpr *s = &e->setting.at[i];
        if (strncmp(s->name, prefix, k) != 0)
            continue;
        if (!strcmp(s->name + k, n)) {
            s->used = true;
            found = s->value;
        }
        size_t m = strlen(n);
        if (!strncmp(s->name + k, n, m) && s->name[k + m] == '.')
            *deeper = true;
    }
    return found;
}

/* Evaluates what field k gets: a setting, the argument, or nothing yet. */
static Value field_value(Act *a, const char *prefix, const Field *f, const Expr *e) {
    bool deeper = false;
    const Expr *set = prefix ? setting_for(a->e, prefix, f->name, &deeper) : NULL;
    if (set)
        e = set;
    if (!e)
        return absent();
    a->e->config = deeper ? format(a->e->c, "%s%s.", prefix, f->name) : NULL;
    Value v = evaluate(a, e);
    a->e->config = NULL;
    return v;
}

static Value unknown_param(Act *a, const Field *f) {
    Ctx *c = a->e->c;
    if (!f->type || f->type->list || !f->type->name || strcmp(f->type->name, "int") != 0)
        return no_value();
    Symbol *s = NEW(c, Symbol);
    *s = (Symbol){ .name = f->name, .at = f->at, .lo = 1, .hi = INT32_MAX };
    map_put(c, &a->e->unknown, s, s);
    return dim_value(dim_symbol(c, s));
}

/* Fills in defaults, in order, each in a scope with those before it; fits all to their types. */
static bool fill_fields(Act *a, Item *decl, Value *param, bool *given, const char *prefix, Span at,
                        bool silent) {
    Elab *e = a->e;
    Fields f = fields_of(decl);
    Act *b = act_new(a, e, decl, a->in);
    bool good = true;
    for (int i = 0; i < f.n; i++) {
        const Field *field = &f.at[i];
        if (!given[i]) {
            param[i] = field_value(b, prefix, field, field->init);
            if (is_absent(&param[i]) && e->check && !a->decl && !a->in->up && a->root)
                param[i] = unknown_param(a, field);
            else if (is_absent(&param[i])) {
                if (!silent && !decl->vague)
                    error_at(e->c, at, "%s needs `%s`, and has no default for it", decl->name,
                             field->name);
                if (!silent && field->at.src)
                    note_at(e->c, field->at, "declared here");
                good = false;
                param[i] = no_value();
            }
        }
        param[i] = fit_param(b, field, param[i], decl->name);
        scope_declare(e->c, b->scope, field->name, VarParam, param[i], field->at);
    }
    return good;
}

/* Binds the arguments of `call` to the fields of a model or config. */
static bool bind_fields(Act *a, Item *decl, const Expr *call, Value *param, bool *given, Span at) {
    Elab *e = a->e;
    Fields f = fields_of(decl);
    const char *prefix = e->config;
    bool good = true;
    int position = 0;
    e->config = NULL;
    for (int i = 0; call && i < call->narg; i++) {
        const Arg *arg = &call->arg[i];
        int k = field_of_arg(a, decl, call, arg, &position);
        Value v = k < 0 ? no_value() : field_value(a, prefix, &f.at[k], arg->value);
        if (k >= 0 && !v.at.src)
            v.at = arg->value->at;
        if (k < 0 || is_tensor_misplaced(a, decl, call, arg, &f.at[k], &v)) {
            good = false;
            continue;
        }
        if (given[k]) {
            error_at(e->c, arg->at, "`%s` is given twice", f.at[k].name);
            good = false;
        }
        param[k] = v;
        given[k] = true;
    }
    return fill_fields(a, decl, param, given, prefix, at, !good) && good;
}

Value configure(Act *a, Item *m, const Expr *call) {
    Ctx *c = a->e->c;
    Fields f = fields_of(m);
    Recipe *r = NEW(c, Recipe);
    *r = (Recipe){ .decl = m, .n = f.n, .param = NEWN(c, Value, f.n), .given = NEWN(c, bool, f.n) };
    if (!bind_fields(a, m, call, r->param, r->given, call ? call->at : m->name_at)) {
        Value v = no_value();
        return v;
    }
    return recipe_value(r, call ? call->at : m->name_at);
}

Value call_config(Act *a, Item *config, const Expr *call) {
    Ctx *c = a->e->c;
    Value v = { .kind = VConfig, .decl = config, .n = config->nfield, .at = call->at };
    v.item = NEWN(c, Value, v.n);
    bool *given = NEWN(c, bool, v.n);
    return bind_fields(a, config, call, v.item, given, call->at) ? v : no_value();
}
