/* eg.c: runs every `eg a == b` of a file of operators: applied, computed by the reference, compared.
 *
 *     eg FILE.mth [OPS.mth]       failures, then one line: N passed, N failed, N skipped
 *
 * OPS.mth gives names that FILE uses and does not declare. An example is skipped only where its operator has
 * no meaning here: an `extern op` without a reference. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "../../compiler/compiler.h"

typedef struct Env {
    Name name;
    Value value;
    struct Env *up;
} Env;

typedef struct Test {
    Ctx *c;
    Module *module;
    Graph *graph;
    Env *env;
    int depth;
} Test;

static Value ev(Test *t, Expr *e);

/* ---- expressions of examples, and of ops that apply other ops ------------------------------------- */

static Value none(void) {
    return (Value){ .kind = VNone };
}

static Value number(Test *t, double v, bool whole) {
    return whole ? (Value){ .kind = VInt, .whole = dim(t->c, (int64_t)v) }
                 : (Value){ .kind = VFloat, .number = v };
}

static Value bad(Test *t, Span at, const char *what) {
    error_at(t->c, at, "%s", what);
    return (Value){ .kind = VPoison };
}

static Value list(Test *t, Expr *e) {
    Value v = { .kind = VList, .n = e->n, .item = NEWN(t->c, Value, e->n + 1), .at = e->at };
    for (int k = 0; k < e->n; k++)
        v.item[k] = ev(t, e->kid[k]);
    return v;
}

static Value name_of(Test *t, Expr *e) {
    static const struct {
        const char *name;
        double v;
    } constant[] = {
        {"inf",  INFINITY              },
        { "nan", NAN                   },
        { "pi",  3.14159265358979323846}
    };
    for (Env *x = t->env; x; x = x->up)
        if (x->name == e->name)
            return x->value;
    for (int k = 0; k < 3; k++)
        if (!strcmp(constant[k].name, e->name))
            return number(t, constant[k].v, false);
    return bad(t, e->at, "an unknown name");
}

static Value negated(Test *t, Value v, Span at) {
    if (v.kind == VInt)
        v.whole = dim_sub(t->c, dim(t->c, 0), v.whole);
    else if (v.kind == VFloat)
        v.number = -v.number;
    else if (v.kind != VPoison)
        v = row_scalar(t->c, t->graph, fn(FnNeg), NoElem, &v, 1, at, NULL, NULL);
    return v;
}

static Value binary(Test *t, Expr *e) {
    Value arg[2] = { ev(t, e->kid[0]), ev(t, e->kid[1]) };
    if (arg[0].kind == VStr && arg[1].kind == VStr)
        return (Value){ .kind = VBool, .number = (arg[0].text == arg[1].text) == (e->op == OpEq) };
    return row_scalar(t->c, t->graph, fn_of(e->op), NoElem, arg, 2, e->at, NULL, NULL);
}

/* One value for each parameter, in order. */
static Value *arguments(Test *t, Item *op, Expr *e) {
    Value *arg = NEWN(t->c, Value, op->params.n + 1);
    int at = 0;
    for (int k = 0; k < op->params.n; k++)
        arg[k] = none();
    for (int k = 0; k < e->narg; k++) {
        int to = at;
        if (e->arg[k].sep == '=')
            for (to = 0; to < op->params.n && op->params.at[to].name != e->arg[k].name;)
                to++;
        else
            at++;
        if (to >= op->params.n) {
            bad(t, e->arg[k].at, "no such parameter");
            return NULL;
        }
        arg[to] = ev(t, e->arg[k].value);
    }
    return arg;
}

/* Rule 27: an op that applies other ops. */
static Value composed(Test *t, Item *op, Value *arg, Span at) {
    Env *keep = t->env;
    Value out = { .kind = VPoison };
    if (!op->e || t->depth > 20)
        return bad(t, at, "this op is not told in one expression");
    t->depth++;
    for (int k = 0; k < op->params.n; k++) {
        Env *x = NEW(t->c, Env);
        *x = (Env){ .name = op->params.at[k].name, .value = arg[k], .up = t->env };
        bool missing = arg[k].kind == VNone && !arg[k].at.src && op->params.at[k].init;
        if (missing)
            x->value = ev(t, op->params.at[k].init);
        t->env = x;
    }
    out = ev(t, op->e);
    t->env = keep;
    t->depth--;
    return out;
}

static Value call(Test *t, Expr *e) {
    Name f = e->kid[0]->kind == EName ? e->kid[0]->name : NULL;
    Item *op = f ? map_get(&t->module->names, f) : NULL;
    Value arg[8];
    if (!f || (!op && e->narg > 8))
        return bad(t, e->at, "this is no call of an op");
    if (op) {
        Value *own = arguments(t, op, e);
        if (!own)
            return (Value){ .kind = VPoison };
        return op_is_row(t->c, op) ? row_apply(t->c, t->graph, op, own, e->at, NULL, NULL)
                                   : composed(t, op, own, e->at);
    }
    for (int k = 0; k < e->narg; k++)
        arg[k] = ev(t, e->arg[k].value);
    const RowMaker *maker = rowmaker_named(f);
    if (maker)
        return rowmaker_apply(t->c, t->graph, maker, arg, e->narg, e->at, NULL, NULL);
    Elem to = elem_named(f);
    if (to && e->narg == 1 && arg[0].kind == VList) {
        Tensor *made = row_constant(t->c, arg[0], to);
        return made ? (Value){ .kind = VTensor, .tensor = made }
                    : bad(t, e->at, "no list of numbers");
    }
    const Fn *own = to ? fn(FnCast) : fn_named(t->c, f);
    if (!own)
        return bad(t, e->at, "no such op");
    return row_scalar(t->c, t->graph, own, to, arg, e->narg, e->at, NULL, NULL);
}

static Value ev(Test *t, Expr *e) {
    Value v;
    switch (e->kind) {
    case EInt: return number(t, (double)e->whole, true);
    case EFloat: return number(t, e->number, false);
    case EBool: return (Value){ .kind = VBool, .number = (double)e->whole };
    case EStr: return (Value){ .kind = VStr, .text = e->name };
    case ENone: return (Value){ .kind = VNone, .at = e->at };
    case EList: return list(t, e);
    case EName: return name_of(t, e);
    case EUnary:
        return e->op == OpNeg ? negated(t, ev(t, e->kid[0]), e->at)
                              : bad(t, e->at, "`not` in an example");
    case EBinary: return binary(t, e);
    case EIf:
        v = ev(t, e->kid[0]);
        return v.kind == VBool ? ev(t, e->kid[v.number != 0 ? 1 : 2])
                               : bad(t, e->at, "a condition that is not known");
    case ECall: return call(t, e);
    default: return bad(t, e->at, "this expression has no place in an example");
    }
}

/* ---- comparing --------------------------------------------------------------------------------------- */

static double element(Ctx *c, const void *data, Elem e, int64_t k) {
    return elem_load(e, (const char *)data + k * elem_bytes(c, e));
}

static bool near(double got, double want) {
    if (isnan(want))
        return isnan(got);
    return got == want || fabs(got - want) <= 2e-6 * fmax(1.0, fabs(want));
}

/* Is the tensor's part from `at` on, of this many axes, what the list says? */
static bool same_list(Ctx *c, const Value *want, const Tensor *t, const void *data, Elem e,
                      int axis, int64_t *at) {
    int64_t n;
    if (want->kind == VList) {
        if (axis == t->type.rank || !dim_number(t->type.dim[axis], &n) || n != want->n)
            return false;
        for (int k = 0; k < want->n; k++)
            if (!same_list(c, &want->item[k], t, data, e, axis + 1, at))
                return false;
        return true;
    }
    if (axis != t->type.rank)
        return false;
    double v = want->number;
    if (want->kind == VInt && dim_number(want->whole, &n))
        v = (double)n;
    return near(element(c, data, e, (*at)++), v);
}

static const void *data_of(const Map *env, const Tensor *t) {
    return t->data ? t->data : map_get(env, t);
}

static bool same(Test *t, const Map *env, const Value *got, const Value *want) {
    int64_t at = 0, a, b;
    if (got->kind == VTensor)
        return same_list(t->c, want, got->tensor, data_of(env, got->tensor),
                         elem_storage(t->c, got->tensor->type.elem), 0, &at);
    if (got->kind == VList) {
        if (want->kind != VList || want->n != got->n)
            return false;
        for (int k = 0; k < got->n; k++)
            if (!same(t, env, &got->item[k], &want->item[k]))
                return false;
        return true;
    }
    if (got->kind == VInt && want->kind == VInt)
        return dim_number(got->whole, &a) && dim_number(want->whole, &b) && a == b;
    if (got->kind == VInt)
        return dim_number(got->whole, &a) && near((double)a, want->number);
    return near(got->number, want->number);
}

static void print_value(Test *t, const Map *env, const Value *v) {
    int64_t n;
    if (v->kind == VTensor) {
        const void *data = data_of(env, v->tensor);
        if (!dim_number(type_count(t->c, &v->tensor->type), &n))
            n = 0;
        printf(" %s {", type_text(t->c, &v->tensor->type));
        for (int64_t k = 0; k < n && k < 12; k++)
            printf(" %.9g", element(t->c, data, elem_storage(t->c, v->tensor->type.elem), k));
        printf(" }");
    } else if (v->kind == VList) {
        for (int k = 0; k < v->n; k++)
            print_value(t, env, &v->item[k]);
    } else {
        printf(" %g", v->number);
    }
}

/* ---- one example ----------------------------------------------------------------------------------------- */

typedef enum Outcome { Passed, Failed, Skipped } Outcome;

/* An extern without a reference; its name is printed. */
static bool has_no_meaning(Test *t, Expr *e) {
    Item *op = e->kind == ECall && e->kid[0]->kind == EName
                   ? map_get(&t->module->names, e->kid[0]->name)
                   : NULL;
    bool reference = false, word = false;
    if (!op || op->kind != IExtern)
        return false;
    for (int k = 0; k < op->nfield; k++) {
        reference |= !strcmp(op->field[k].name, "reference");
        word |=
            !strcmp(op->field[k].name, "c") && op->result.n == 1 && !op->result.at[0].dims.given;
    }
    return !reference && !word;
}

static Outcome example(Test *t, Item *item) {
    Map env = { 0 };
    Graph graph = { 0 };
    int before = t->c->errors;
    Expr *e = item->e;
    t->graph = &graph;
    if (e->kind != EBinary || e->op != OpEq) {
        bad(t, item->at, "an example is `eg a == b`");
        return Failed;
    }
    if (has_no_meaning(t, e->kid[0])) {
        printf("skipped: %s: an extern op without a reference\n", source_text(t->c, e->at));
        return Skipped;
    }
    Value got = ev(t, e->kid[0]), want = ev(t, e->kid[1]);
    if (t->c->errors > before || got.kind == VPoison || !eval(t->c, &graph, &env, NULL)) {
        printf("failed:  %s: not applied\n", source_text(t->c, e->at));
        return Failed;
    }
    if (same(t, &env, &got, &want))
        return Passed;
    printf("failed:  %s: got", source_text(t->c, e->at));
    print_value(t, &env, &got);
    printf("\n");
    return Failed;
}

static SyntaxFile *read(Test *t, const char *path, bool library) {
    Source *src = NEW(t->c, Source);
    src->path = path;
    src->text = read_file(t->c, path, &src->n);
    src->library = library;
    if (!src->text) {
        fprintf(stderr, "eg: cannot read %s\n", path);
        exit(2);
    }
    SyntaxFile *f = parse(t->c, src);
    for (int k = 0; k < f->n; k++) {
        Item *i = f->item[k];
        i->module_in = t->module;
        bool named = i->kind == IOp || i->kind == IExtern;
        if (named && !map_get(&t->module->names, i->name))
            map_put(t->c, &t->module->names, i->name, i);
    }
    return f;
}

static void run(Test *t, int argc, char **argv, int count[3]) {
    SyntaxFile *f = read(t, argv[1], false);
    if (argc > 2)
        read(t, argv[2], true);
    for (int k = 0; k < f->n; k++)
        if (f->item[k]->kind == IEg)
            count[example(t, f->item[k])]++;
}

int main(int argc, char **argv) {
    Ctx *c = calloc(1, sizeof *c);
    int count[3] = { 0 };
    if (argc < 2 || argc > 3 || !c) {
        fprintf(stderr, "usage: eg FILE.mth [OPS.mth]\n");
        return 2;
    }
    c->opt.precision = F32;
    c->opt.command = "run";
    Test t = { .c = c };
    if (!setjmp(c->stop)) {
        t.module = NEW(c, Module);
        run(&t, argc, argv, count);
    }
    diag_print(c, stderr);
    printf("%d passed, %d failed, %d skipped\n", count[Passed], count[Failed], count[Skipped]);
    return count[Failed] || c->errors;
}
