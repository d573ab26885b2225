/* stmt.c: statements. A body is run in the order of its text.
 *
 * `for`, and an `if` whose condition is known, are decided here; `scan` is unrolled. What the rest of
 * the pipeline cannot do yet is one clear error when building; `check` goes on with unknown values. */
#include "flatten.h"

#include <string.h>

/* ---- names that a part not run would have given ------------------------------------------------------ */

static void poison_name(Act *a, Name n, Span at) {
    scope_assign(a, n, no_value(), at);
}

/* Everything a body assigns becomes unknown: it is resolved, not shaped (rule 56). */
static void poison_body(Act *a, const Body *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        bool names = s->kind == SChain || (s->kind == SAssign && !s->start);
        for (int k = 0; names && k < s->nleft; k++)
            if (s->left[k].e->kind == EName)
                poison_name(a, s->left[k].e->name, s->left[k].at);
        if (s->kind == SYield)
            poison_name(a, s->name, s->at);
        if (s->kind == SChain) {
            a->chain = no_value();
            a->named = s->nleft > 0;
            a->chained = a->chained || s->start;
        }
        if (s->kind == SReturn && !a->returned) {
            a->returned = true;
            for (int k = 0; k < s->nvalue; k++)
                push(a->e->c, &a->result, no_value());
        }
        poison_body(a, &s->body);
        poison_body(a, &s->other);
    }
}

static bool first_chains(const Body *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == SParam || s->kind == SState || s->kind == SBlock || s->kind == SLet ||
            s->kind == SRequire)
            continue;
        if (s->kind == SChain)
            return !s->start;
        return (s->kind == SFor || s->kind == SIf) && first_chains(&s->body);
    }
    return false;
}

/* ---- declarations: blocks ------------------------------------------------------------------------------- */

/* The recipe with an instance of its own; an instance stays what it is, an op needs none. */
static Value own_instance(Act *a, Value v, Name below, Name key, Span at) {
    Ctx *c = a->e->c;
    if (v.kind == VModel)
        v = configure(a, v.decl, NULL);
    if (v.kind == VPoison || v.kind == VOp)
        return v;
    if (v.kind != VRecipe) {
        error_at(c, v.at.src ? v.at : at,
                 "a block is a model with its parameters, or an op; this is %s", value_kind(c, &v));
        return no_value();
    }
    if (!v.recipe->decl || v.recipe->decl->kind != IModel || v.recipe->instance)
        return v;
    Recipe *r = NEW(c, Recipe);
    *r = *v.recipe;
    r->instance = instance_named(a, r->decl, below, key, at);
    return recipe_value(r, at);
}

static bool block_named_once(Act *a, const Stmt *s, Name below) {
    Ctx *c = a->e->c;
    Span at = s->named ? s->path.at : s->name_at;
    Span *first = *below ? map_get(&a->used, below) : NULL;
    if (first) {
        error_at(c, at, "two instances are named `%s`", below);
        note_at(c, *first, "the first is here");
        return false;
    }
    if (!*below)
        return true;
    first = NEW(c, Span);
    *first = at;
    map_put(c, &a->used, below, first);
    return true;
}

static Value block_family(Act *a, Stmt *s, Name below) {
    Ctx *c = a->e->c;
    Turns over;
    if (!eval_turns(a, s->lo, s->hi, &over))
        return no_value();
    Value v = list_value(NEWN(c, Value, over.n), over.n);
    Scope *outside = a->scope;
    for (int i = 0; i < over.n; i++) {
        a->scope = scope_in(c, outside, true);
        Value turn = turn_value(c, &over, i);
        scope_declare(c, a->scope, s->name2, VarLoop, turn, s->name_at);
        int64_t k = i;
        if (turn.kind == VInt)
            dim_number(turn.whole, &k);
        if (i == 0 && k)
            v.whole = dim(c, k);
        Name member = path_join(c, below, name(c, "%lld", (long long)k));
        v.item[i] = own_instance(a, evaluate(a, s->e), member,
                                 name(c, "%s.%lld", s->name, (long long)k), s->name_at);
        if (v.item[i].kind == VRecipe && v.item[i].recipe->instance) {
            Value *part = NEW(c, Value);
            *part = v.item[i];
            map_put(c, &a->in->block, name(c, "%s.%lld", s->name, (long long)k), part);
        }
    }
    a->scope = outside;
    return v;
}

static void declare_block(Act *a, Stmt *s) {
    Ctx *c = a->e->c;
    Name below = s->named ? path_below(a, &s->path) : s->name;
    Value v = no_value();
    if (below && block_named_once(a, s, below)) {
        if (s->name2)
            v = block_family(a, s, below);
        else {
            Value r = evaluate(a, s->e);
            v = own_instance(a, r, below, *below ? below : name(c, "%s ", s->name), s->name_at);
        }
    }
    scope_declare(c, a->scope, s->name, VarBlock, v, s->name_at);
    Value *kept = NEW(c, Value);
    *kept = v;
    if (v.kind != VPoison)
        map_put(c, &a->in->block, s->name, kept);
}

static void declare_let(Act *a, Stmt *s) {
    Value v = evaluate_as(a, s->e, s->name);
    if (s->type) {
        Field f = { .name = s->name, .at = s->name_at, .type = s->type };
        v = is_compile_type(s->type) ? fit_param(a, &f, v, "the `let`")
                                     : fit_tensor(a, s->type, v, false, s->name, NULL, s->name_at);
    }
    scope_declare(a->e->c, a->scope, s->name, VarLet, v, s->name_at);
}

void run_lazy(Act *a, Var *v, Stmt *s) {
    (void)a;
    Act *home = v->value.kind == VPoison ? v->home : NULL;
    if (!home)
        return;
    Scope *scope = home->scope;
    exec(home, s);
    Var *made = map_get(&home->scope->names, v->name);
    home->scope = scope;
    if (!made || made == v)
        return;
    v->value = made->value;
    v->kind = made->kind;
    map_put(home->e->c, &home->scope->names, v->name, v);
}

/* ---- chains and assignments ----------------------------------------------------------------------------------- */

static const char *values_text(Ctx *c, int n) {
    return format(c, "%d value%s", n, n == 1 ? "" : "s");
}

static bool spread(Value **v, int *n, int names) {
    if (*n == names)
        return true;
    if (names == 1 && *n > 1) {
        *n = 1;
        return true;
    }
    if (*n >= 1 && (*v)[0].kind == VList && (*v)[0].n == names && *n == 1) {
        Span at = (*v)[0].at;
        Value *item = (*v)[0].item;
        for (int i = 0; i < names; i++)
            if (!item[i].at.src)
                item[i].at = at;
        *v = item;
        *n = names;
        return true;
    }
    return false;
}

static void assign_names(Act *a, const Ref *left, int nleft, Value *v, int n, Span at) {
    Ctx *c = a->e->c;
    bool silent = n >= 1 && v[0].kind == VPoison;
    if (!spread(&v, &n, nleft) && !silent) {
        int found = n == 1 && v[0].kind == VList ? v[0].n : n;
        if (nleft > 1)
            at = span_join(left[0].at, left[nleft - 1].at);
        error_at(c, at, "%d name%s for %s", nleft, nleft == 1 ? "" : "s", values_text(c, found));
        silent = true;
    }
    for (int i = 0; i < nleft; i++) {
        const Expr *to = left[i].e;
        Value one = silent || i >= n ? no_value() : v[i];
        if (to->kind != EName)
            continue;
        if (left[i].type)
            one = fit_tensor(a, left[i].type, one, true, to->name, NULL, left[i].at);
        if (strcmp(to->name, "_") != 0)
            scope_assign(a, to->name, one, left[i].at);
    }
}

static void end_chain(Act *a) {
    a->chained = false;
    a->chain = no_value();
}

static Name hint_of(const Stmt *s) {
    return s->nleft == 1 && s->left[0].e->kind == EName ? s->left[0].e->name : NULL;
}

static void set_state(Act *a, Stmt *s) {
    Elab *e = a->e;
    const Expr *to = s->left[0].e;
    bool part = to->kind == EIndex, bad = false;
    Tensor *first = NULL;
    if (part) {
        Value whole = evaluate(a, to->kid[0]);
        if (whole.kind == VTensor)
            first = eval_state(a, to->kid[0]);
    } else
        first = eval_state(a, to);
    Value v = evaluate(a, s->e);
    Pick *pick = part ? eval_picks(a, to, &bad) : NULL;
    if (!first)
        return;
    map_put(e->c, &e->written, first, first);
    if (bad || v.kind == VPoison || value_unknown(e, &v))
        return;
    Tensor *now = map_get(&e->now, first);
    now = row_write(e->c, e->graph, now ? now : first, pick, part ? to->nsub : 0, v,
                    part ? to->at : s->at, a->in->path);
    if (now)
        map_put(e->c, &e->now, first, now);
}

static void assign(Act *a, Stmt *s) {
    Value *v;
    end_chain(a);
    if (s->start) {
        set_state(a, s);
        return;
    }
    a->hint = hint_of(s);
    int n = evaluate_all(a, s->e, s->named ? &s->path : NULL, &v);
    a->hint = NULL;
    assign_names(a, s->left, s->nleft, v, n, s->at);
}

static Value main_input(Act *a) {
    const ModelInfo *info = model_info(a->e, a->decl);
    Var *v = find_var(a->scope, info->nin ? info->in[0]->name : name(a->e->c, "input"));
    return v ? v->value : no_value();
}

static void start_chain(Act *a, Stmt *s, Value **v, int *n) {
    a->hint = hint_of(s);
    *n = evaluate_all(a, s->e, s->named ? &s->path : NULL, v);
    a->hint = NULL;
    Value first = *n ? (*v)[0] : no_value();
    if (first.kind != VRecipe && first.kind != VOp && first.kind != VModel)
        return;
    Value flow = main_input(a);
    if (s->e->kind == ECall && first.kind == VRecipe)
        *n = apply_recipe(a, s->e, first, &flow, s->named ? &s->path : NULL, v);
    else
        *n = apply_flow(a, s->e, &flow, s->named ? &s->path : NULL, v);
}

static void chain(Act *a, Stmt *s) {
    Value *v;
    int n;
    if (s->start)
        start_chain(a, s, &v, &n);
    else {
        Value flow = a->chained ? a->chain : no_value();
        a->hint = hint_of(s);
        n = apply_flow(a, s->e, &flow, s->named ? &s->path : NULL, &v);
        a->hint = NULL;
    }
    a->chain = n ? v[0] : no_value();
    a->chained = true;
    a->named = s->nleft > 0;
    if (s->nleft)
        assign_names(a, s->left, s->nleft, v, n, s->at);
}

/* ---- control ------------------------------------------------------------------------------------------------------ */

static void in_braces(Act *a, const Body *b) {
    Scope *outside = a->scope;
    a->scope = scope_in(a->e->c, outside, false);
    exec_body(a, b);
    a->scope = outside;
}

static bool not_built(Act *a, const Stmt *s, const char *what) {
    if (!a->e->check)
        error_at(a->e->c, s->at, "%s is not built yet", what);
    return !a->e->check;
}

static Scope *branch(Act *a, const Body *b) {
    Scope *outside = a->scope, *inside = scope_in(a->e->c, outside, false);
    inside->branch = true;
    a->scope = inside;
    exec_body(a, b);
    a->scope = outside;
    return inside;
}

static bool values_agree(Ctx *c, const Value *l, const Value *r) {
    if (l->kind == VPoison || r->kind == VPoison)
        return true;
    if (l->kind != VTensor || r->kind != VTensor)
        return true;
    const Type *s = &l->tensor->type, *t = &r->tensor->type;
    if (s->elem != t->elem || s->rank != t->rank)
        return false;
    for (int i = 0; i < s->rank; i++)
        if (!dim_equal(c, s->dim[i], t->dim[i]))
            return false;
    return true;
}

static Value var_before(const Var *v) {
    return v->kind == VarOut && !v->given ? no_value() : v->value;
}

/* Both branches are shaped, and what both give, or one changes, has one type (rule 44). */
static void join_branches(Act *a, const Stmt *s, Scope *yes, Scope *no) {
    Ctx *c = a->e->c;
    for (int i = 0; i < yes->var.n; i++) {
        Var *l = yes->var.at[i], *r = map_get(&no->names, l->name);
        if (l->kind != VarLocal && l->kind != VarOut)
            continue;
        if (!r)
            r = find_var(a->scope, l->name);
        if (!r)
            continue;
        if (!values_agree(c, &l->value, &r->value)) {
            Span at = r->value.at.src ? r->value.at : r->at;
            error_at(c, at, "`%s` is %s on this branch", l->name, value_text(c, &r->value));
            note_at(c, l->value.at.src ? l->value.at : l->at,
                    "and %s on this one; `%s` is known only at run time, so both must agree",
                    value_text(c, &l->value), source_text(c, s->e->at));
        }
        scope_assign(a, l->name, a->e->check ? l->value : no_value(), l->at);
    }
    for (int i = 0; i < no->var.n; i++) {
        Var *r = no->var.at[i];
        if (map_get(&yes->names, r->name) || !find_var(a->scope, r->name))
            continue;
        scope_assign(a, r->name, a->e->check ? r->value : no_value(), r->at);
    }
}

static void runtime_if(Act *a, Stmt *s, const Value *cond) {
    Ctx *c = a->e->c;
    const Type *t = &cond->tensor->type;
    if (t->rank || t->elem != Bool) {
        error_at(c, s->e->at, "a run-time condition must be one bool, found %s", type_text(c, t));
        if (t->rank)
            help(c, "element by element: `where(%s, …, …)`", source_text(c, s->e->at));
        poison_body(a, &s->body);
        poison_body(a, &s->other);
        return;
    }
    if (not_built(a, s, "an `if` that is decided when the code runs")) {
        poison_body(a, &s->body);
        poison_body(a, &s->other);
        return;
    }
    Scope *yes = branch(a, &s->body), *no = branch(a, &s->other);
    join_branches(a, s, yes, no);
}

static void branch_on(Act *a, Stmt *s) {
    Ctx *c = a->e->c;
    Value v = evaluate(a, s->e);
    if (!first_chains(&s->body) && !first_chains(&s->other))
        end_chain(a);
    if (v.kind == VBool) {
        in_braces(a, v.number != 0 ? &s->body : &s->other);
        return;
    }
    if (v.kind == VTensor) {
        runtime_if(a, s, &v);
        return;
    }
    if (v.kind != VPoison)
        error_at(c, s->e->at, "a condition is a bool, found %s", value_kind(c, &v));
    poison_body(a, &s->body);
    poison_body(a, &s->other);
}

static void turns(Act *a, Stmt *s, const Turns *over) {
    Ctx *c = a->e->c;
    Scope *outside = a->scope, *inside = scope_in(c, outside, true);
    Name loop = a->loop;
    a->loop = s->name;
    for (int i = 0; i < over->n && !a->returned; i++) {
        scope_reset(inside);
        a->scope = inside;
        Value item = turn_value(c, over, i);
        scope_declare(c, inside, s->name, VarLoop, s->name2 ? int_value(c, i) : item, s->name_at);
        if (s->name2)
            scope_declare(c, inside, s->name2, VarLoop, item, s->name_at);
        exec_body(a, &s->body);
    }
    a->loop = loop;
    a->scope = outside;
}

static void loop_over(Act *a, Stmt *s) {
    Turns over;
    if (!first_chains(&s->body))
        end_chain(a);
    if (eval_turns(a, s->lo, s->hi, &over))
        turns(a, s, &over);
    else
        poison_body(a, &s->body);
}

static bool yields(const Body *b) {
    for (int i = 0; i < b->n; i++)
        if (b->at[i]->kind == SYield || yields(&b->at[i]->body) || yields(&b->at[i]->other))
            return true;
    return false;
}

static void scan(Act *a, Stmt *s) {
    Turns over;
    end_chain(a);
    if (yields(&s->body) && not_built(a, s, "`yield`")) {
        poison_body(a, &s->body);
        return;
    }
    Name loop = a->loop;
    if (eval_turns(a, s->lo, s->hi, &over))
        turns(a, s, &over);
    else
        poison_body(a, &s->body);
    a->loop = loop;
    if (yields(&s->body))
        poison_body(a, &s->body);
}

/* `while`: names from before that are assigned inside are carried, and keep their type. */
static void repeat(Act *a, Stmt *s) {
    Ctx *c = a->e->c;
    end_chain(a);
    if (not_built(a, s, "`while`")) {
        poison_body(a, &s->body);
        return;
    }
    Value cond = evaluate(a, s->e);
    if (cond.kind == VTensor && (cond.tensor->type.rank || cond.tensor->type.elem != Bool))
        error_at(c, s->e->at, "a run-time condition must be one bool, found %s",
                 value_text(c, &cond));
    Scope *inside = branch(a, &s->body);
    for (int i = 0; i < inside->var.n; i++) {
        Var *now = inside->var.at[i], *before = find_var(a->scope, now->name);
        if (!before || before == now)
            continue;
        Value v = var_before(before);
        if (!values_agree(c, &v, &now->value)) {
            error_at(c, now->at, "`%s` is %s here", now->name, value_text(c, &now->value));
            note_at(c, before->at, "and %s before; what a loop carries keeps its type",
                    value_text(c, &v));
        }
        if (v.kind == VTensor && v.tensor->kind != TState) {
            v = of_tensor(copied(a, v.tensor, now->name));
            blame_loop(a, s, now->name, v.tensor);
        } else
            v = no_value();
        scope_assign(a, now->name, v, now->at);
    }
}

static void give_back(Act *a, Stmt *s) {
    Ctx *c = a->e->c;
    for (int i = 0; i < s->nvalue; i++) {
        Value *v, x;
        a->hint = NULL;
        if (s->nvalue == 1) {
            int n = evaluate_all(a, s->value[0], NULL, &v);
            for (int k = 0; k < n; k++)
                push(c, &a->result, v[k]);
        } else {
            x = evaluate(a, s->value[i]);
            push(c, &a->result, x);
        }
    }
    a->returned = true;
}

void exec(Act *a, Stmt *s) {
    if (s->broken) {
        poison_body(a, &(Body){ .at = &s, .n = 1 });
        return;
    }
    switch (s->kind) {
    case SIn: set_inputs(a, s); break;
    case SOut: break;
    case SParam:
    case SState: declare_weight(a, s); break;
    case SBlock: declare_block(a, s); break;
    case SLet: declare_let(a, s); break;
    case SRequire: require(a, s, s->e); break;
    case SChain: chain(a, s); break;
    case SAssign: assign(a, s); break;
    case SIf: branch_on(a, s); break;
    case SFor: loop_over(a, s); break;
    case SScan: scan(a, s); break;
    case SWhile: repeat(a, s); break;
    case SYield: break;
    case SReturn: give_back(a, s); break;
    case SMetric: evaluate(a, s->e); break;
    case SMinimize: minimize(a, s); break;
    }
}

void exec_body(Act *a, const Body *b) {
    for (int i = 0; i < b->n && !a->returned; i++)
        exec(a, b->at[i]);
}
