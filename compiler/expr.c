/* expr.c: expressions: compile-time values and tensors side by side.
 *
 * Every value carries where it was written, for messages. A name that was not found, and a value in
 * error, were reported before: poison is silent. */
#include "flatten.h"

#include <math.h>
#include <string.h>

static Name take_hint(Act *a) {
    Name h = a->hint;
    a->hint = NULL;
    return h;
}

/* ---- names ------------------------------------------------------------------------------------------ */

Value read_state(Elab *e, Value v) {
    if (v.kind != VTensor || v.tensor->kind != TState)
        return v;
    Tensor *now = map_get(&e->now, v.tensor);
    if (now)
        v.tensor = now;
    return v;
}

Value let_value(Elab *e, Item *let) {
    Ctx *c = e->c;
    Value *known = map_get(&e->let, let);
    if (known)
        return *known;
    if (map_get(&e->busy, let)) {
        error_at(c, let->name_at, "the value of `%s` depends on itself", let->name);
        return no_value();
    }
    map_put(c, &e->busy, let, let);
    Act *b = act_new(NULL, e, NULL, e->top);
    b->module = let->module_in;
    Frame *frame = c->frame;
    c->frame = NULL;
    known = NEW(c, Value);
    *known = evaluate(b, let->e);
    if (let->type) {
        Field f = { .name = let->name, .at = let->name_at, .type = let->type };
        *known = is_compile_type(let->type)
                     ? fit_param(b, &f, *known, "the `let`")
                     : fit_tensor(b, let->type, *known, false, let->name, NULL, let->name_at);
    }
    c->frame = frame;
    map_put(c, &e->busy, let, NULL);
    map_put(c, &e->let, let, known);
    return *known;
}

static Value item_value(Act *a, Item *item) {
    switch (item->kind) {
    case ILet: return let_value(a->e, item);
    case IModel: return (Value){ .kind = VModel, .decl = item };
    case IOp:
    case IExtern:
    case IConfig: return (Value){ .kind = VOp, .decl = item };
    default: return no_value();
    }
}

static Value builtin_value(Act *a, Name n) {
    Ctx *c = a->e->c;
    if (!strcmp(n, "training"))
        return bool_value(a->e->training);
    if (!strcmp(n, "pi"))
        return float_value(3.14159265358979323846);
    if (!strcmp(n, "inf"))
        return float_value(INFINITY);
    if (!strcmp(n, "nan"))
        return float_value(NAN);
    Elem e = elem_named(n);
    if (e != NoElem)
        return (Value){ .kind = VElem, .elem = e };
    const RowMaker *m = rowmaker_named(n);
    const Fn *f = m ? NULL : fn_named(c, n);
    if (!m && !f)
        return no_value();
    Recipe *r = NEW(c, Recipe);
    *r = (Recipe){ .fn = f, .maker = m };
    return recipe_value(r, (Span){ 0 });
}

static Value var_value(Act *a, Var *v) {
    if (v->lazy) {
        Stmt *s = v->lazy;
        v->lazy = NULL;
        run_lazy(a, v, s);
    }
    if (v->kind == VarOut && !v->given)
        return no_value();
    return v->kind == VarState ? read_state(a->e, v->value) : v->value;
}

static Value name_value(Act *a, Name n) {
    Var *v = find_var(a->scope, n);
    if (v)
        return var_value(a, v);
    Item *item = item_named(a->module, n);
    return item ? item_value(a, item) : builtin_value(a, n);
}

/* ---- strings ------------------------------------------------------------------------------------------- */

static bool too_long_text(Ctx *c, size_t n, Span at) {
    if (n > MostText)
        error_at(c, at, "a string of %zu bytes; the longest has %d", n, MostText);
    return n > MostText;
}

Name eval_text(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    const char *from = x->name;
    char *piece;
    bool hole;
    int k = 0;
    Text t = { 0 };
    text_add(c, &t, "");
    while (string_next(c, &from, &piece, &hole)) {
        text_add(c, &t, "%s", piece);
        if (!hole || k >= x->n)
            continue;
        Value v = evaluate(a, x->kid[k++]);
        if (v.kind == VPoison || value_unknown(a->e, &v))
            return NULL;
        if (v.kind == VTensor || v.kind == VRecipe) {
            error_at(c, x->at, "`{…}` in a string takes a value known when compiling, found %s",
                     value_kind(c, &v));
            return NULL;
        }
        const char *text = v.kind == VStr ? v.text : value_text(c, &v);
        if (too_long_text(c, t.n + strlen(text), x->at))
            return NULL;
        text_add(c, &t, "%s", text);
    }
    return intern(c, t.s, t.n);
}

/* ---- operators --------------------------------------------------------------------------------------------- */

static bool no_operand(Act *a, const Expr *x, const Value *v) {
    Ctx *c = a->e->c;
    if (v->kind == VTensor || is_number(v) || v->kind == VBool || v->kind == VList)
        return false;
    if (v->kind == VNone)
        error_at(c, v->at.src ? v->at : x->at,
                 "`none` is no operand; an absent terminal may only be passed on");
    else
        error_at(c, v->at.src ? v->at : x->at, "`%s` takes numbers and tensors, found %s",
                 op_text(x->op), value_kind(c, v));
    return true;
}

static Value join(Act *a, const Expr *x, Value l, Value r) {
    Ctx *c = a->e->c;
    if (l.kind == VStr && r.kind == VStr) {
        if (too_long_text(c, strlen(l.text) + strlen(r.text), x->at))
            return no_value();
        return str_value(name(c, "%s%s", l.text, r.text));
    }
    if (l.kind != VList || r.kind != VList) {
        const Value *bad = l.kind == VList ? &r : &l;
        error_at(c, bad->at, "`++` joins two lists, found %s", value_kind(c, bad));
        return no_value();
    }
    if (too_long(a, (int64_t)l.n + r.n, x->at))
        return no_value();
    Value v = list_value(NEWN(c, Value, l.n + r.n), l.n + r.n);
    for (int i = 0; i < l.n; i++)
        v.item[i] = l.item[i];
    for (int i = 0; i < r.n; i++)
        v.item[l.n + i] = r.item[i];
    return v;
}

static Value tensor_op(Act *a, const Expr *x, Value *arg, int n, Name hint) {
    Ctx *c = a->e->c;
    for (int i = 0; i < n; i++) {
        if (no_operand(a, x, &arg[i]))
            return no_value();
        if (arg[i].kind == VBool)
            arg[i] = as_elem(a, arg[i], Bool, arg[i].at);
        if (has_poison(&arg[i]) || value_unknown(a->e, &arg[i]))
            return no_value();
    }
    return row_scalar(c, a->e->graph, fn_of(x->op), NoElem, arg, n, x->at, a->in->path, hint);
}

static Value matmul(Act *a, const Expr *x, Value *arg, Name hint) {
    Ctx *c = a->e->c;
    for (int i = 0; i < 2; i++) {
        if (arg[i].kind == VList)
            arg[i] = as_elem(a, arg[i], NoElem, arg[i].at);
        if (arg[i].kind == VPoison)
            return arg[i];
        if (arg[i].kind == VTensor)
            continue;
        error_at(c, arg[i].at, "`@` multiplies two tensors, found %s", value_kind(c, &arg[i]));
        return no_value();
    }
    int left = arg[0].tensor->type.rank, right = arg[1].tensor->type.rank;
    const char *op = right == 1 && left > 1 ? "matvec" : left == 1 && right > 1 ? "vecmat" : "matmul";
    return library_op(a, op, arg, 2, x->at, hint);
}

static bool constant_pair(const Value *l, const Value *r, Op op) {
    if (is_number(l) && is_number(r))
        return true;
    bool same = op == OpEq || op == OpNe;
    return same && l->kind != VTensor && r->kind != VTensor && !has_tensor(l) && !has_tensor(r);
}

static Value logic(Act *a, const Expr *x, Name hint) {
    Ctx *c = a->e->c;
    Value l = evaluate(a, x->kid[0]);
    if (l.kind == VBool && (l.number != 0) == (x->op == OpOr))
        return l;
    Value r = evaluate(a, x->kid[1]);
    if (l.kind == VPoison) {
        bool decided = r.kind == VBool && (r.number != 0) == (x->op == OpOr);
        return decided ? r : l;
    }
    if (l.kind == VBool && (r.kind == VBool || r.kind == VPoison))
        return r;
    if (r.kind == VPoison)
        return r;
    Value arg[2] = { l, r };
    for (int i = 0; i < 2; i++)
        if (arg[i].kind != VBool && arg[i].kind != VTensor) {
            error_at(c, arg[i].at, "`%s` takes bools, found %s", op_text(x->op),
                     value_kind(c, &arg[i]));
            return no_value();
        }
    return tensor_op(a, x, arg, 2, hint);
}

static Value operation(Act *a, const Expr *x, Value left, Name hint) {
    Ctx *c = a->e->c;
    Value arg[2] = { left, evaluate(a, x->kid[1]) };
    if (arg[0].kind == VPoison || arg[1].kind == VPoison)
        return no_value();
    if (x->op == OpJoin)
        return join(a, x, arg[0], arg[1]);
    if (x->op == OpMatmul)
        return matmul(a, x, arg, hint);
    if (!constant_pair(&arg[0], &arg[1], x->op))
        return tensor_op(a, x, arg, 2, hint);
    if (is_number(&arg[0]) && is_number(&arg[1]))
        return number_op(a, x->op, arg[0], arg[1], x->at);
    if (value_unknown(a->e, &arg[0]) || value_unknown(a->e, &arg[1]))
        return no_value();
    return bool_value(value_equal(c, &arg[0], &arg[1]) == (x->op == OpEq));
}

/* a + b + c … leans to the left: its operators are gone through in a loop, however many. */
static Value binary(Act *a, const Expr *x) {
    VEC(const Expr *) chain = { 0 };
    Name hint = take_hint(a);
    if (x->op == OpAnd || x->op == OpOr)
        return logic(a, x, hint);
    for (; x->kind == EBinary && x->op != OpAnd && x->op != OpOr; x = x->kid[0])
        push(a->e->c, &chain, x);
    Value v = evaluate(a, x);
    for (int i = chain.n - 1; i >= 0; i--) {
        v = operation(a, chain.at[i], v, i ? NULL : hint);
        v.at = chain.at[i]->at;
    }
    return v;
}

static Value unary(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    Name hint = take_hint(a);
    Value v = evaluate(a, x->kid[0]);
    if (v.kind == VPoison)
        return v;
    if (x->op == OpNot && v.kind == VBool)
        return bool_value(v.number == 0);
    if (x->op == OpNeg && v.kind == VInt)
        return number_op(a, OpSub, int_value(c, 0), v, x->at);
    if (x->op == OpNeg && v.kind == VFloat)
        return float_value(-v.number);
    if (x->op == OpNot && v.kind != VTensor) {
        error_at(c, v.at, "`not` takes a bool, found %s", value_kind(c, &v));
        return no_value();
    }
    return tensor_op(a, x, &v, 1, hint);
}

static Value choose(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    Name hint = take_hint(a);
    Value v = evaluate(a, x->kid[0]);
    if (v.kind == VPoison)
        return v;
    if (v.kind != VBool) {
        error_at(
            c, x->kid[0]->at,
            "the condition of `if … then … else` must be a bool known when compiling, found %s",
            v.kind == VTensor ? value_text(c, &v) : value_kind(c, &v));
        if (v.kind == VTensor)
            help(c, "element by element: `where(%s, …, …)`", source_text(c, x->kid[0]->at));
        return no_value();
    }
    a->hint = hint;
    return evaluate(a, x->kid[v.number != 0 ? 1 : 2]);
}

/* ---- tensors: subscripts and attributes ---------------------------------------------------------------------------- */

static bool pick_part(Act *a, const Expr *x, Value *v, bool *has, bool *bad) {
    Ctx *c = a->e->c;
    *has = x != NULL;
    if (!x)
        return true;
    *v = evaluate(a, x);
    if (v->kind == VList)
        *v = as_elem(a, *v, I32, x->at);
    v->at = x->at;
    if (v->kind == VPoison || value_unknown(a->e, v)) {
        *bad = true;
        return false;
    }
    if (v->kind == VInt || v->kind == VTensor || v->kind == VNone)
        return true;
    error_at(c, x->at, "an index is an int, an integer tensor or `none`, found %s",
             value_kind(c, v));
    *bad = true;
    return false;
}

Pick *eval_picks(Act *a, const Expr *x, bool *bad) {
    Pick *p = NEWN(a->e->c, Pick, x->nsub);
    for (int i = 0; i < x->nsub; i++) {
        const Sub *s = &x->sub[i];
        p[i].kind = s->kind;
        p[i].at = s->at;
        if (s->a && s->a->kind == EPack) {
            error_at(a->e->c, s->at, "a sequence of indices stands in the row of an op only");
            *bad = true;
            continue;
        }
        pick_part(a, s->a, &p[i].a, &p[i].has_a, bad);
        pick_part(a, s->b, &p[i].b, &p[i].has_b, bad);
        pick_part(a, s->s, &p[i].s, &p[i].has_s, bad);
    }
    return p;
}

static Value part_at(Act *a, const Expr *x, Recipe *r) {
    Ctx *c = a->e->c;
    int64_t n;
    Value v = recipe_value(r, x->at);
    for (int i = 0; i < x->nsub; i++) {
        Value k = x->sub[i].kind == SubAt ? evaluate(a, x->sub[i].a) : no_value();
        if (k.kind == VPoison)
            return k;
        if (k.kind != VInt || !dim_number(k.whole, &n) || v.kind != VRecipe ||
            !v.recipe->instance) {
            error_at(c, x->sub[i].at,
                     "an index of an instance must be an int known when compiling");
            return no_value();
        }
        v = instance_part(a, v.recipe, name(c, "%lld", (long long)n), x->at);
    }
    return v;
}

static Value indexed(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    Name hint = take_hint(a);
    Value v = evaluate(a, x->kid[0]);
    bool bad = false;
    switch (v.kind) {
    case VPoison: {
        int errors = c->errors;
        if (c->errors == errors)
            eval_picks(a, x, &bad);
        return v;
    }
    case VList: return list_index(a, x, v);
    case VRecipe:
        if (v.recipe->instance)
            return part_at(a, x, v.recipe);
        break;
    case VTensor: {
        Pick *p = eval_picks(a, x, &bad);
        if (bad)
            return no_value();
        return row_index(c, a->e->graph, v, p, x->nsub, x->at, a->in->path, hint);
    }
    default: break;
    }
    error_at(c, x->kid[0]->at, "only tensors, lists and families of blocks are indexed; this is %s",
             value_kind(c, &v));
    return no_value();
}

static Value shape_value(Ctx *c, const Type *t) {
    Value v = list_value(NEWN(c, Value, t->rank), t->rank);
    for (int i = 0; i < t->rank; i++)
        v.item[i] = dim_value(t->dim[i]);
    return v;
}

static Value tensor_attr(Act *a, const Expr *x, Value v, Name hint) {
    Ctx *c = a->e->c;
    const Type *t = &v.tensor->type;
    if (!strcmp(x->name, "shape"))
        return shape_value(c, t);
    if (!strcmp(x->name, "rank"))
        return int_value(c, t->rank);
    if (!strcmp(x->name, "dtype"))
        return (Value){ .kind = VElem, .elem = t->elem };
    if (!strcmp(x->name, "T")) {
        if (t->rank >= 2)
            return library_op(a, "transpose", &v, 1, x->at, hint);
        error_at(c, x->at, "`.T` swaps the last two axes, and this is %s", value_text(c, &v));
        return no_value();
    }
    error_at(c, x->op_at, "a tensor has `shape`, `rank`, `dtype` and `T`, not `%s`", x->name);
    return no_value();
}

static Value config_attr(Act *a, const Expr *x, const Value *v) {
    Ctx *c = a->e->c;
    Text t = { 0 };
    for (int i = 0; i < v->decl->nfield; i++) {
        if (v->decl->field[i].name == x->name)
            return v->item[i];
        text_add(c, &t, "%s%s", i ? ", " : "", v->decl->field[i].name);
    }
    error_at(c, x->op_at, "%s has no field `%s` (it has %s)", v->decl->name, x->name,
             t.s ? t.s : "none");
    return no_value();
}

static Value attribute(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    Name hint = take_hint(a);
    const Expr *of = x->kid[0];
    if (of->kind == EName && !find_var(a->scope, of->name)) {
        Item *item = item_below(a->module, of->name, x->name);
        if (item)
            return item_value(a, item);
    }
    Value v = evaluate(a, of);
    switch (v.kind) {
    case VPoison: return v;
    case VTensor: return tensor_attr(a, x, v, hint);
    case VConfig: return config_attr(a, x, &v);
    case VRecipe:
        if (v.recipe->instance)
            return instance_part(a, v.recipe, x->name, x->at);
        break;
    default: break;
    }
    error_at(c, x->op_at.src ? x->op_at : x->at, "%s has no part `%s`", value_kind(c, &v), x->name);
    return no_value();
}

/* ---- applications ------------------------------------------------------------------------------------------------ */

static int one(Act *a, Value v, Span at, Value **out) {
    *out = NEWN(a->e->c, Value, 1);
    v.at = at;
    **out = v;
    return 1;
}

static bool is_builtin_name(Act *a, const Expr *f) {
    return f->kind == EName && !find_var(a->scope, f->name) && !item_named(a->module, f->name);
}

static int call_value(Act *a, const Expr *x, Value f, const Value *flow, const Path *as, Name hint,
                      Value **out) {
    Ctx *c = a->e->c;
    Recipe op = { .decl = f.decl };
    switch (f.kind) {
    case VPoison: return one(a, f, x->at, out);
    case VModel: return one(a, configure(a, f.decl, x), x->at, out);
    case VOp:
        if (f.decl->kind == IConfig)
            return one(a, call_config(a, f.decl, x), x->at, out);
        return call_op(a, &op, x, flow, hint, out);
    case VElem:
        if (x->narg == 1 && !x->arg[0].sep)
            return one(a, convert(a, f.elem, evaluate(a, x->arg[0].value), x->at, hint), x->at,
                       out);
        error_at(c, x->at, "`%s(x)` converts one value", elem_name(f.elem));
        return one(a, no_value(), x->at, out);
    case VRecipe:
        if (f.recipe->decl && f.recipe->decl->kind == IModel)
            return apply_model(a, f.recipe, x, flow, as, x->at, out);
        return call_op(a, f.recipe, x, flow, hint, out);
    default:
        error_at(c, x->at, "`%s` is a value, and cannot be applied", source_text(c, x->kid[0]->at));
        return one(a, no_value(), x->at, out);
    }
}

static int call(Act *a, const Expr *x, const Path *as, Value **out) {
    Name hint = take_hint(a);
    const Expr *f = x->kid[0];
    Value v;
    if (is_builtin_name(a, f) && call_builtin(a, x, hint, &v))
        return one(a, v, x->at, out);
    bool stage = a->stage;
    a->stage = false;
    v = evaluate(a, f);
    a->stage = stage;
    return call_value(a, x, v, NULL, as, hint, out);
}

/* The value of a chain goes into `f`, which `x` was. */
int apply_recipe(Act *a, const Expr *x, Value f, const Value *flow, const Path *as, Value **out) {
    Ctx *c = a->e->c;
    if (f.kind == VModel)
        f = configure(a, f.decl, NULL);
    if (f.kind == VPoison)
        return one(a, f, x->at, out);
    Value v = *flow;
    v.at = x->at;
    Recipe op = { .decl = f.decl };
    if (f.kind == VOp && f.decl->kind != IConfig)
        return call_op(a, &op, NULL, &v, NULL, out);
    if (f.kind != VRecipe) {
        error_at(c, x->at, "`+=` continues with a block, found %s",
                 f.kind == VTensor ? "a tensor" : value_kind(c, &f));
        return one(a, no_value(), x->at, out);
    }
    if (f.recipe->decl && f.recipe->decl->kind == IModel)
        return apply_model(a, f.recipe, NULL, &v, as, x->at, out);
    return call_op(a, f.recipe, NULL, &v, NULL, out);
}

/* One link of a chain: `flow` goes to what `x` is, with or without a second list (rule 24). */
int apply_flow(Act *a, const Expr *x, const Value *flow, const Path *as, Value **out) {
    Value f;
    while (x->kind == EAs) {
        as = &x->path;
        x = x->kid[0];
    }
    if (x->kind == ECall && !(is_builtin_name(a, x->kid[0]) && call_builtin(a, x, NULL, &f))) {
        f = evaluate(a, x->kid[0]);
        bool applied = f.kind == VRecipe && f.recipe->decl && f.recipe->decl->kind == IModel;
        if (applied)
            return apply_model(a, f.recipe, x, flow, as, x->at, out);
        a->stage = true;
        call_value(a, x, f, NULL, as, NULL, out);
        a->stage = false;
        f = (*out)[0];
    } else
        f = evaluate(a, x);
    return apply_recipe(a, x, f, flow, as, out);
}

int evaluate_all(Act *a, const Expr *x, const Path *as, Value **out) {
    while (x->kind == EAs) {
        as = &x->path;
        x = x->kid[0];
    }
    if (x->kind == ECall)
        return call(a, x, as, out);
    return one(a, evaluate(a, x), x->at, out);
}

static Value evaluate_one(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    Value *out;
    switch (x->kind) {
    case EInt: return int_at(a, x->whole, x->at);
    case EFloat: return float_value(x->number);
    case EBool: return bool_value(x->whole != 0);
    case EStr: {
        Name s = eval_text(a, x);
        return s ? str_value(s) : no_value();
    }
    case ENone: return none_at(x->at);
    case EName: return name_value(a, x->name);
    case EList: return list_of(a, x);
    case EListFor: return list_for(a, x);
    case EUnary: return unary(a, x);
    case EBinary: return binary(a, x);
    case EIf: return choose(a, x);
    case EIndex: return indexed(a, x);
    case EAttr: return attribute(a, x);
    case ECall:
    case EAs: return evaluate_all(a, x, NULL, &out) ? out[0] : no_value();
    case EGroup:
    case EPack:
        error_at(c, x->at, "groups and sequences stand in the row of an op only");
        return no_value();
    }
    return no_value();
}

Value evaluate(Act *a, const Expr *x) {
    Elab *e = a->e;
    if (e->levels >= MostLevels) {
        error_at(e->c, x->at, "more than %d levels of expressions are under evaluation here",
                 MostLevels);
        fail(e->c);
    }
    e->levels++;
    Value v = evaluate_one(a, x);
    e->levels--;
    v.at = x->at;
    return v;
}

Value evaluate_as(Act *a, const Expr *x, Name hint) {
    a->hint = hint;
    Value v = evaluate(a, x);
    a->hint = NULL;
    return v;
}

/* ---- states and initialisers ----------------------------------------------------------------------------------------- */

static Tensor *first_version(Tensor *t) {
    while (t->before)
        t = t->before;
    return t;
}

Tensor *eval_state(Act *a, const Expr *x) {
    Value v = evaluate(a, x);
    if (v.kind == VTensor && v.tensor->kind == TState)
        return first_version(v.tensor);
    if (v.kind != VPoison && x->kind != EName)
        error_at(a->e->c, x->at, "`<-` writes a state, and `%s` is none",
                 source_text(a->e->c, x->at));
    return NULL;
}

static const char *const initialisers[] = {
    "zeros",          "ones",           "constant",        "normal",
    "uniform",        "uniform_fan_in", "kaiming_uniform", "kaiming_normal",
    "xavier_uniform", "xavier_normal",  "sinusoid",        "orthogonal",
};

static bool is_initialiser(const Expr *x) {
    if (x->kind != ECall || x->kid[0]->kind != EName)
        return false;
    for (size_t i = 0; i < sizeof initialisers / sizeof *initialisers; i++)
        if (!strcmp(x->kid[0]->name, initialisers[i]))
            return true;
    return false;
}

static Value init_call(Act *a, const Expr *x) {
    Ctx *c = a->e->c;
    Init *init = NEW(c, Init);
    init->kind = x->kid[0]->name;
    for (int i = 0; i < x->narg; i++) {
        Value v = evaluate(a, x->arg[i].value);
        double d = 0;
        if (v.kind == VPoison)
            continue;
        if (!as_double(&v, &d) && !(v.kind == VInt)) {
            error_at(c, x->arg[i].at, "an initialiser takes numbers, found %s", value_kind(c, &v));
            return no_value();
        }
        if (init->narg == 2) {
            error_at(c, x->arg[i].at, "`%s` takes at most two numbers", init->kind);
            return no_value();
        }
        init->arg[init->narg++] = d;
    }
    return (Value){ .kind = VInit, .init = init };
}

Value init_value(Act *a, const Expr *x, const Type *t) {
    Ctx *c = a->e->c;
    if (is_initialiser(x))
        return init_call(a, x);
    Value v = evaluate(a, x);
    Init *init = NEW(c, Init);
    if (v.kind == VPoison)
        return v;
    if (is_number(&v) || v.kind == VBool) {
        *init = (Init){ .kind = name(c, "constant"), .narg = 1 };
        if (!as_double(&v, &init->arg[0]))
            return no_value();
        return (Value){ .kind = VInit, .init = init, .at = x->at };
    }
    v = as_elem(a, v, t->elem, x->at);
    if (v.kind != VTensor)
        return no_value();
    *init = (Init){ .kind = name(c, "value"), .value = v.tensor };
    return (Value){ .kind = VInit, .init = init, .at = x->at };
}
