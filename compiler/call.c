/* call.c: ops, built-in functions and conversions applied; what is known while compiling is computed here.
 *
 * An op that is a row goes to row_apply. One whose body composes other ops (rule 27) is run like the
 * body of a model without weights: so with compile-time arguments alone it computes a value. */
#include "flatten.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* ---- parameters of anything that can be called --------------------------------------------------------- */

enum { MostParams = 32 };

typedef struct Params { /* of an op, a function, a row maker */
    Name what;          /* its name */
    Name name[MostParams];
    int n;
    bool optional[MostParams];
    bool tensor[MostParams]; /* takes a tensor: a call without the first of these is a recipe */
    bool open;               /* other names are sizes: rearrange(x, "…", h = 7) */
} Params;

bool takes_tensor(const Field *f) {
    return f->dims.given || !is_compile_type(f->type);
}

static Params op_params(const Item *op) {
    Params p = { .what = op->name };
    for (int i = 0; i < op->params.n && i < MostParams; i++) {
        p.name[p.n] = op->params.at[i].name;
        p.optional[p.n] = op->params.at[i].init != NULL;
        p.tensor[p.n++] = takes_tensor(&op->params.at[i]);
    }
    return p;
}

static Params fn_params(Ctx *c, const Fn *f) {
    static const char *const names[4][3] = { { 0 }, { "x" }, { "a", "b" }, { "c", "a", "b" } };
    Params p = { .what = f->name, .n = f->arity > 3 ? 3 : f->arity };
    for (int i = 0; i < p.n; i++) {
        p.name[i] = name(c, "%s", names[p.n][i]);
        p.tensor[i] = true;
    }
    return p;
}

/* "x, shape" or "x, axis = -1": the names a row maker's arguments have. */
static Params maker_params(Ctx *c, const RowMaker *m) {
    Params p = { .what = name(c, "%s", m->name) };
    const char *s = m->params ? m->params : "";
    while (*s && p.n < MostParams) {
        size_t skip = strspn(s, " ,");
        s += skip;
        size_t n = strcspn(s, " ,=:?");
        if (!n)
            break;
        if (s[0] == '*' || s[0] == '.') {
            p.open = true;
            s += n;
            continue;
        }
        p.name[p.n] = intern(c, s, n);
        p.optional[p.n] = p.n >= m->min;
        p.tensor[p.n] = n == 1; /* x, a, b …: sizes and patterns have words */
        p.n++;
        s += n;
        s += strcspn(s, ",");
    }
    return p;
}

static Params params_of(Ctx *c, const Recipe *r) {
    if (r->decl)
        return op_params(r->decl);
    return r->fn ? fn_params(c, r->fn) : maker_params(c, r->maker);
}

static char *required_names(Ctx *c, const Params *p, int *count) {
    Text t = { 0 };
    *count = 0;
    text_add(c, &t, "");
    for (int i = 0; i < p->n; i++)
        if (!p->optional[i])
            text_add(c, &t, "%s%s", (*count)++ ? ", " : "", p->name[i]);
    return t.s;
}

/* ---- arguments ------------------------------------------------------------------------------------------- */

typedef struct Args {
    Value *at;
    int n;
    int positional, named;
} Args;

static int find_name(const Params *p, Name n) {
    for (int i = 0; i < p->n; i++)
        if (p->name[i] == n)
            return i;
    return -1;
}

static bool no_parameter(Act *a, const Params *p, const Arg *arg) {
    Ctx *c = a->e->c;
    Text t = { 0 };
    text_add(c, &t, "");
    for (int i = 0; i < p->n; i++)
        text_add(c, &t, "%s%s", i ? ", " : "", p->name[i]);
    error_at(c, arg->key ? arg->key->at : arg->at, "%s has no parameter `%s` (it has %s)", p->what,
             arg->name ? arg->name : "…", t.s);
    return false;
}

static bool wrong_count(Act *a, const Params *p, const Expr *call, int found) {
    Ctx *c = a->e->c;
    int count;
    char *names = required_names(c, p, &count);
    error_at(c, call->at, "%s needs %d argument%s (%s), found %d", p->what, count,
             count == 1 ? "" : "s", names, found);
    if (!a->stage || found != 1 || p->n != 2 || call->arg[0].sep)
        return false;
    help(c, "as a block, name what is given: `+= %s(%s = %s)`", p->what, p->name[p->n - 1],
         source_text(c, call->arg[0].at));
    return false;
}

static int next_free(const Args *args, int from) {
    while (from < args->n && !is_absent(&args->at[from]))
        from++;
    return from;
}

/* Puts the arguments of a call where the parameters are; fixed ones stay. */
static bool bind_args(Act *a, const Params *p, const Expr *call, const Value *flow, Args *args) {
    Ctx *c = a->e->c;
    bool good = true, stage = a->stage;
    a->stage = false;
    int total = 0;
    Value *pos = NEWN(c, Value, call ? call->narg + 1 : 1);
    for (int i = 0; call && i < call->narg; i++) {
        const Arg *arg = &call->arg[i];
        Value v = evaluate(a, arg->value);
        if (!v.at.src)
            v.at = arg->value->at;
        total++;
        if (!arg->sep) {
            pos[args->positional++] = v;
            continue;
        }
        int k = arg->name && arg->sep == '=' ? find_name(p, arg->name) : -1;
        if (k < 0 && p->open && arg->name && args->n + 2 <= MostParams) {
            args->at[args->n] = str_value(arg->name);
            args->at[args->n + 1] = v;
            args->n += 2;
            continue;
        }
        if (k < 0) {
            good = no_parameter(a, p, arg);
            continue;
        }
        if (!is_absent(&args->at[k])) {
            error_at(c, arg->at, "`%s` is given twice", arg->name);
            good = false;
        }
        args->at[k] = v;
        args->named++;
    }
    if (flow) {
        int first = next_free(args, 0);
        if (first < p->n)
            args->at[first] = *flow;
    }
    a->stage = stage;
    for (int i = 0, k = 0; good && i < args->positional; i++) {
        k = next_free(args, k);
        if (k >= p->n) {
            if (total == args->positional)
                return wrong_count(a, p, call, total);
            error_at(c, call->at, "%s takes %d argument%s, found %d", p->what, p->n,
                     p->n == 1 ? "" : "s", total);
            return false;
        }
        args->at[k] = pos[i];
    }
    return good;
}

static bool is_short(const Params *p, const Args *args) {
    for (int i = 0; i < p->n; i++)
        if (!p->optional[i] && is_absent(&args->at[i]))
            return true;
    return false;
}

/* Rule 28: no positional argument, and the first tensor not named. */
static bool is_recipe(const Params *p, const Args *args, const Value *flow) {
    if (args->positional || flow)
        return false;
    for (int i = 0; i < p->n; i++)
        if (p->tensor[i])
            return is_absent(&args->at[i]);
    return false;
}

/* ---- scalars known while compiling --------------------------------------------------------------------------- */

static Op fn_op(FnId id) {
    switch (id) {
    case FnAdd: return OpAdd;
    case FnSub: return OpSub;
    case FnMul: return OpMul;
    case FnDiv: return OpDiv;
    case FnFloorDiv: return OpFloorDiv;
    case FnMod: return OpMod;
    case FnPow: return OpPow;
    case FnEq: return OpEq;
    case FnNe: return OpNe;
    case FnLt: return OpLt;
    case FnLe: return OpLe;
    case FnGt: return OpGt;
    case FnGe: return OpGe;
    default: return OpNone;
    }
}

static bool all_ints(const Value *arg, int n) {
    for (int i = 0; i < n; i++)
        if (arg[i].kind != VInt)
            return false;
    return n > 0;
}

/* max, min, abs of sizes stay sizes. */
static bool int_fn(Act *a, const Fn *f, const Value *arg, Value *out) {
    Ctx *c = a->e->c;
    int64_t n;
    switch (f->id) {
    case FnMax: *out = dim_value(dim_max(c, arg[0].whole, arg[1].whole)); return true;
    case FnMin: *out = dim_value(dim_min(c, arg[0].whole, arg[1].whole)); return true;
    case FnNeg: *out = dim_value(dim_sub(c, dim(c, 0), arg[0].whole)); return true;
    case FnAbs:
        if (dim_number(arg[0].whole, &n) && n != INT64_MIN) {
            *out = int_value(c, n < 0 ? -n : n);
            return true;
        }
        return false;
    case FnSign:
        if (dim_number(arg[0].whole, &n)) {
            *out = int_value(c, (n > 0) - (n < 0));
            return true;
        }
        return false;
    default: return false;
    }
}

/* A function of numbers alone. false: not known while compiling. */
static bool number_fn(Act *a, const Fn *f, Value *arg, int n, Span at, Value *out) {
    double d[3] = { 0 };
    if (n > 3)
        return false;
    if (f->id == FnWhere && arg[0].kind == VBool) {
        *out = arg[arg[0].number != 0 ? 1 : 2];
        return out->kind != VTensor && out->kind != VList;
    }
    if (all_ints(arg, n) && int_fn(a, f, arg, out))
        return true;
    for (int i = 0; i < n; i++)
        if ((!is_number(&arg[i]) && arg[i].kind != VBool) || !as_double(&arg[i], &d[i]))
            return false;
    Op op = fn_op(f->id);
    if (op != OpNone && n == 2 && is_number(&arg[0]) && is_number(&arg[1])) {
        *out = number_op(a, op, arg[0], arg[1], at);
        return true;
    }
    double r = fn_eval(f, F64, d);
    bool truth =
        f->id == FnAnd || f->id == FnOr || f->id == FnNot || f->id == FnIsNan || f->id == FnIsInf;
    *out = truth                                   ? bool_value(r != 0)
           : all_ints(arg, n) && f->id != FnExtern ? int_value(a->e->c, (int64_t)r)
                                                   : float_value(r);
    return true;
}

static void bool_to_tensor(Act *a, Value *v) {
    if (v->kind == VBool)
        *v = as_elem(a, *v, Bool, v->at);
}

static Value apply_fn(Act *a, const Fn *f, Value *arg, int n, Span at, Name hint) {
    Value out;
    if (number_fn(a, f, arg, n, at, &out)) {
        out.at = at;
        return out;
    }
    for (int i = 0; i < n; i++)
        if (value_unknown(a->e, &arg[i]))
            return no_value();
    for (int i = 0; i < n; i++)
        bool_to_tensor(a, &arg[i]);
    return row_scalar(a->e->c, a->e->graph, f, NoElem, arg, n, at, a->in->path, hint);
}

/* A number where a tensor must stand. */
static Value number_tensor(Act *a, Value v) {
    return as_elem(a, v, v.kind == VInt ? I32 : v.kind == VBool ? Bool : Float, v.at);
}

/* ---- conversions ----------------------------------------------------------------------------------------------- */

static Value to_int(Act *a, Value v, Span at) {
    Ctx *c = a->e->c;
    if (v.kind == VInt)
        return v;
    if (v.kind == VBool)
        return int_value(c, v.number != 0);
    if (v.kind == VFloat) {
        if (isnan(v.number))
            return int_value(c, 0);
        if (fabs(v.number) < 4.6e18)
            return int_value(c, (int64_t)v.number);
        error_at(c, at, "%s does not fit in 64 bits", value_text(c, &v));
        return no_value();
    }
    if (v.kind == VTensor) {
        error_at(c, at, "`int(x)` is for values known when compiling; found %s", value_text(c, &v));
        help(c, "`i32(…)` converts a tensor");
    } else if (v.kind != VPoison)
        error_at(c, at, "`int(x)` takes a number, found %s", value_kind(c, &v));
    return no_value();
}

static Value to_float(Act *a, Value v, Span at) {
    double d;
    if (as_double(&v, &d))
        return float_value(d);
    if (dim_unknown(a->e, v.whole))
        return no_value();
    (void)at;
    return size_tensor(a, v.whole, Float);
}

Value convert(Act *a, Elem e, Value v, Span at, Name hint) {
    Ctx *c = a->e->c;
    Value r;
    if (v.kind == VPoison)
        return v;
    if (e == AnyInt)
        r = to_int(a, v, at);
    else if (e == Float && (is_number(&v) || v.kind == VBool))
        r = to_float(a, v, at);
    else if (v.kind == VTensor)
        r = row_scalar(c, a->e->graph, fn(FnCast), e, &v, 1, at, a->in->path, hint);
    else if (value_unknown(a->e, &v) || has_poison(&v))
        r = no_value();
    else if (is_number(&v) || v.kind == VBool || v.kind == VList)
        r = as_elem(a, v, e, at);
    else {
        error_at(c, at, "`%s(x)` takes a number or a tensor, found %s", elem_name(e),
                 value_kind(c, &v));
        r = no_value();
    }
    r.at = at;
    return r;
}

/* ---- ops --------------------------------------------------------------------------------------------------------- */

static bool is_indexed(const Item *op) {
    if (op->result_dims.given)
        return true;
    for (int i = 0; i < op->params.n; i++)
        if (op->params.at[i].dims.given)
            return true;
    for (int i = 0; i < op->result.n; i++)
        if (op->result.at[i].dims.given)
            return true;
    return false;
}

/* An extern function of numbers alone, as exp(1.0): the name C has for it computes it here as well. */
static bool extern_number(Act *a, Item *op, Value *arg, Span at, Value *out) {
    Ctx *c = a->e->c;
    int n = op->params.n;
    const char *word = NULL;
    for (int i = 0; i < op->nfield; i++)
        if (!strcmp(op->field[i].name, "c") && op->field[i].init && op->field[i].init->kind == EStr)
            word = op->field[i].init->name;
    if (!word || n < 1 || n > 3)
        return false;
    for (int i = 0; i < n; i++)
        if (!is_number(&arg[i]))
            return false;
    if (!*word) {
        *out = arg[0];
        return n == 1;
    }
    return number_fn(a, fn_extern(c, op->name, word, n), arg, n, at, out);
}

static Var *bind_param(Act *b, const Item *op, int i, Value v) {
    const Field *f = &op->params.at[i];
    Act *up = b->up;
    if (is_absent(&v)) {
        v = f->init ? evaluate(b, f->init) : no_value();
        if (v.kind == VNone)
            v.at = f->at;
    }
    if (!takes_tensor(f))
        v = fit_param(b, f, v, op->name);
    else if (f->type && v.kind != VNone && f->type->name && strcmp(f->type->name, "any") != 0 &&
             v.kind == VTensor)
        v = fit_tensor(b, f->type, v, true, f->name, op->name, f->at);
    (void)up;
    return scope_declare(b->e->c, b->scope, f->name, VarParam, v, f->at);
}

static char *op_frame(Ctx *c, const Item *op) {
    return format(c, "in %s", op->name);
}

/* Rule 27: the body of an op that composes others is run here. */
static int run_op(Act *a, Item *op, Value *arg, Span at, Name hint, Value **out) {
    Elab *e = a->e;
    Act *b = act_new(a, e, op, a->in);
    b->op = true;
    if (e->depth >= MostDepth) {
        error_at(e->c, at,
                 "ops apply one another more than %d deep here; an op cannot apply itself",
                 MostDepth);
        fail(e->c);
    }
    b->frame = (Frame){ at, op_frame(e->c, op), e->c->frame };
    e->c->frame = &b->frame;
    e->depth++;
    for (int i = 0; i < op->params.n; i++)
        bind_param(b, op, i, arg[i]);
    if (op->e) {
        b->hint = hint;
        Value v = evaluate(b, op->e);
        push(e->c, &b->result, v);
    } else {
        b->scope = scope_in(e->c, b->scope, true);
        exec_body(b, &op->body);
    }
    e->depth--;
    e->c->frame = b->frame.up;
    if (!b->result.n)
        push(e->c, &b->result, no_value());
    *out = b->result.at;
    for (int i = 0; i < b->result.n; i++)
        (*out)[i].at = at;
    return b->result.n;
}

static int one(Ctx *c, Value v, Span at, Value **out) {
    *out = NEWN(c, Value, 1);
    v.at = at;
    **out = v;
    return 1;
}

static int op_results(const Item *op) {
    return op->result.n > 1 ? op->result.n : 1;
}

static int several_poison(Ctx *c, int n, Value **out) {
    *out = NEWN(c, Value, n);
    return n;
}

/* Declared sizes such as `boxes: float[N, 4]` and compile-time defaults are row_apply's to check. */
int apply_op(Act *a, Item *op, Value *arg, Span at, Name hint, Value **out) {
    Elab *e = a->e;
    Ctx *c = e->c;
    int n = op->params.n;
    bool tensors = false, unknown = false;
    for (int i = 0; i < n; i++) {
        if (has_poison(&arg[i]))
            return several_poison(c, op_results(op), out);
        tensors = tensors || has_tensor(&arg[i]);
        unknown = unknown || value_unknown(e, &arg[i]);
    }
    Value v;
    if (!tensors && op->kind == IExtern && extern_number(a, op, arg, at, &v))
        return one(c, v, at, out);
    bool row = op->kind == IExtern || is_indexed(op) || (tensors && op_is_row(c, op));
    if (!row)
        return run_op(a, op, arg, at, hint, out);
    if (unknown)
        return several_poison(c, op_results(op), out);
    for (int i = 0; i < n; i++)
        if (takes_tensor(&op->params.at[i]))
            bool_to_tensor(a, &arg[i]);
    v = row_apply(c, e->graph, op, arg, at, a->in->path, hint);
    if (v.kind == VPoison)
        return several_poison(c, op_results(op), out);
    if (v.kind == VList && op_results(op) > 1) {
        for (int i = 0; i < v.n; i++)
            v.item[i].at = at;
        *out = v.item;
        return v.n;
    }
    if (v.kind == VTensor)
        too_big(e, &v.tensor->type, hint ? hint : op->name, at);
    return one(c, v, at, out);
}

static bool any_poison(const Args *args) {
    for (int i = 0; i < args->n; i++)
        if (has_poison(&args->at[i]))
            return true;
    return false;
}

static bool any_unknown(Elab *e, const Args *args) {
    for (int i = 0; i < args->n; i++)
        if (value_unknown(e, &args->at[i]))
            return true;
    return false;
}

static char *symbol_like(Ctx *c, const char *s) {
    char *t = format(c, "%s", s);
    bool plain = *t != 0;
    for (char *k = t; *k; k++)
        plain = plain && (isalnum((unsigned char)*k) || *k == '_');
    if (!plain)
        return format(c, "N");
    t[0] = (char)toupper((unsigned char)t[0]);
    return t;
}

/* A size that is a tensor: rule 41. */
static bool runtime_size(Act *a, const Params *p, const Args *args) {
    Ctx *c = a->e->c;
    for (int i = 0; i < p->n; i++) {
        const Value *v = &args->at[i];
        if (p->tensor[i] || v->kind != VList || strcmp(p->name[i], "shape") != 0)
            continue;
        for (int k = 0; k < v->n; k++) {
            const Value *size = &v->item[k];
            if (size->kind != VTensor)
                continue;
            char *what = size->at.src ? source_text(c, size->at) : "this";
            error_at(c, size->at.src ? size->at : v->at,
                     "a size must be known when compiling; `%s` is a run-time %s", what,
                     value_text(c, size));
            help(c,
                 "a size that varies is a symbol of an input's shape, with a bound: `--bind "
                 "%s=1..64`",
                 symbol_like(c, what));
            return true;
        }
    }
    return false;
}

static int keep_recipe(Act *a, const Recipe *r, const Args *args, Span at, Value **out) {
    Recipe *s = NEW(a->e->c, Recipe);
    *s = *r;
    s->param = args->at;
    s->n = args->n;
    return one(a->e->c, recipe_value(s, at), at, out);
}

int call_op(Act *a, Recipe *r, const Expr *call, const Value *flow, Name hint, Value **out) {
    Ctx *c = a->e->c;
    Params p = params_of(c, r);
    int results = r->decl ? op_results(r->decl) : 1;
    Args args = { .at = NEWN(c, Value, MostParams + 1), .n = p.n };
    for (int i = 0; i <= MostParams; i++)
        args.at[i] = i < r->n ? r->param[i] : absent();
    if (r->n > args.n)
        args.n = r->n;
    int before = args.n;
    Span at = call ? call->at : flow->at;
    if (!bind_args(a, &p, call, flow, &args))
        return several_poison(c, results, out);
    if (is_recipe(&p, &args, flow))
        return keep_recipe(a, r, &args, at, out);
    if (is_short(&p, &args)) {
        int found = 0;
        for (int i = 0; i < before; i++)
            found += !is_absent(&args.at[i]);
        if (!call)
            error_at(c, at, "%s is short of arguments to be applied here", p.what);
        else
            wrong_count(a, &p, call, found);
        return several_poison(c, results, out);
    }
    if (any_poison(&args))
        return several_poison(c, results, out);
    if (r->decl)
        return apply_op(a, r->decl, args.at, at, hint, out);
    if (r->fn)
        return one(c, apply_fn(a, r->fn, args.at, args.n, at, hint), at, out);
    if (runtime_size(a, &p, &args) || any_unknown(a->e, &args))
        return several_poison(c, results, out);
    for (int i = 0; i < p.n; i++)
        if (p.tensor[i] && (is_number(&args.at[i]) || args.at[i].kind == VBool))
            args.at[i] = number_tensor(a, args.at[i]);
    Value v = rowmaker_apply(c, a->e->graph, r->maker, args.at, args.n, at, a->in->path, hint);
    if (v.kind == VTensor)
        too_big(a->e, &v.tensor->type, hint ? hint : p.what, at);
    return one(c, v, at, out);
}

Value library_op(Act *a, const char *op, Value *arg, int n, Span at, Name hint) {
    Ctx *c = a->e->c;
    Item *item = item_named(a->module, name(c, "%s", op));
    if (!item || item->kind != IOp || item->params.n < n) {
        error_at(c, at, "the library has no op `%s`", op);
        return no_value();
    }
    Value *all = NEWN(c, Value, item->params.n), *out;
    for (int i = 0; i < item->params.n; i++)
        all[i] = i < n ? arg[i] : absent();
    return apply_op(a, item, all, at, hint, &out) ? out[0] : no_value();
}

/* ---- built-in functions of compile-time values ---------------------------------------------------------------------- */

static Value call_len(Act *a, const Expr *call, Value *arg) {
    Ctx *c = a->e->c;
    if (arg->kind == VList)
        return int_value(c, arg->n);
    if (arg->kind == VTensor && arg->tensor->type.rank > 0)
        return dim_value(arg->tensor->type.dim[0]);
    if (arg->kind == VStr)
        return int_value(c, (int64_t)strlen(arg->text));
    if (arg->kind != VPoison)
        error_at(c, call->at, "`len(x)` takes a list, found %s", value_kind(c, arg));
    return no_value();
}

static Value call_reverse(Act *a, const Expr *call, Value *arg) {
    Ctx *c = a->e->c;
    if (arg->kind != VList) {
        if (arg->kind != VPoison)
            error_at(c, call->at, "`reverse(x)` takes a list, found %s", value_kind(c, arg));
        return no_value();
    }
    Value r = list_value(NEWN(c, Value, arg->n), arg->n);
    for (int i = 0; i < arg->n; i++)
        r.item[i] = arg->item[arg->n - 1 - i];
    return r;
}

static Value call_range(Act *a, const Expr *call, Value *arg) {
    (void)arg;
    Ctx *c = a->e->c;
    Turns t;
    Expr zero = { .kind = EInt, .at = call->at };
    bool two = call->narg > 1;
    if (!eval_turns(a, two ? call->arg[0].value : &zero, call->arg[two].value, &t))
        return no_value();
    Value list = list_value(NEWN(c, Value, t.n), t.n);
    for (int i = 0; i < t.n; i++)
        list.item[i] = turn_value(c, &t, i);
    return list;
}

static Value call_given(Act *a, const Expr *call, Value *arg) {
    (void)a, (void)call;
    return arg->kind == VPoison ? *arg : bool_value(arg->kind != VNone);
}

static Value call_int(Act *a, const Expr *call, Value *arg) {
    return to_int(a, *arg, call->arg[0].value->at);
}

/* zeros([2, 3]), ones([2, 3]): as initialisers they have no argument, and stand elsewhere. */
static Value call_fill(Act *a, const Expr *call, Value *arg) {
    Ctx *c = a->e->c;
    Type t = { .elem = Float };
    if (arg->kind != VList || arg->n > MaxRank) {
        error_at(c, call->at, "`%s(shape)` takes a list of at most %d sizes, found %s",
                 call->kid[0]->name, MaxRank, value_kind(c, arg));
        return no_value();
    }
    if (has_poison(arg) || value_unknown(a->e, arg))
        return no_value();
    for (int i = 0; i < arg->n; i++) {
        if (arg->item[i].kind != VInt) {
            error_at(c, arg->item[i].at, "a size must be known when compiling, found %s",
                     value_kind(c, &arg->item[i]));
            return no_value();
        }
        t.dim[t.rank++] = arg->item[i].whole;
    }
    if (too_big(a->e, &t, call->kid[0]->name, call->at))
        return no_value();
    return filled(a, &t, !strcmp(call->kid[0]->name, "ones"), NULL);
}

static const struct {
    const char *name;
    int min, max;
    Value (*call)(Act *, const Expr *, Value *);
} builtin[] = {
    { "len", 1, 1, call_len },     { "reverse", 1, 1, call_reverse }, { "range", 1, 2, call_range },
    { "given", 1, 1, call_given }, { "int", 1, 1, call_int },         { "zeros", 1, 1, call_fill },
    { "ones", 1, 1, call_fill },
};

bool call_builtin(Act *a, const Expr *call, Name hint, Value *out) {
    (void)hint;
    Name f = call->kid[0]->name;
    for (size_t i = 0; i < sizeof builtin / sizeof *builtin; i++) {
        if (strcmp(f, builtin[i].name) != 0)
            continue;
        *out = no_value();
        if (call->narg < builtin[i].min || call->narg > builtin[i].max || call->arg[0].sep) {
            error_at(a->e->c, call->at, "%s needs %d argument%s, found %d", f, builtin[i].min,
                     builtin[i].min == 1 ? "" : "s", call->narg);
            return true;
        }
        Value arg = evaluate(a, call->arg[0].value);
        *out = arg.kind == VPoison ? arg : builtin[i].call(a, call, &arg);
        return true;
    }
    return false;
}
