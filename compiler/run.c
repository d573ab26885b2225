/* run.c: `mithrilc run`: one call of an entry, computed by the reference evaluator.
 *
 * In: named .npy files. Out: DIR/OUTPUT.npy for every output. Sizes that nothing binds are read
 * off the files' shapes. No C compiler is needed, and no generated code runs: the answer is the
 * model's meaning, to compare that code with. */
#include "compile.h"

#include <stdlib.h>
#include <string.h>

typedef struct Inputs { VEC(Array) array; } Inputs;       /* array.name: the terminal */

static const Array *input_named(const Inputs *in, Name n) {
    for (int i = 0; i < in->array.n; i++)
        if (in->array.at[i].name == n)
            return &in->array.at[i];
    return NULL;
}

static bool read_inputs(Ctx *c, Inputs *in) {
    for (int i = 0; i < c->opt.input.n; i++) {
        Setting s = c->opt.input.at[i];
        if (input_named(in, s.name)) {
            error_plain(c, "--input %s is given twice", s.name);
            return false;
        }
        Archive *a = archive_read(c, s.value);
        if (!a)
            return false;
        if (a->n != 1) {
            error_plain(c, "%s holds %d arrays; an input is one (.npy)", s.value, a->n);
            return false;
        }
        Array one = a->at[0];
        one.name = s.name;
        push(c, &in->array, one);
    }
    return true;
}

/* The one entry asked for; several and no --entry: an error that lists them. */
static Graph *chosen_entry(Ctx *c, const Program *p) {
    if (c->opt.entry.n > 1) {
        error_plain(c, "`run` computes one call: give one --entry");
        return NULL;
    }
    if (p->n == 1)
        return p->graph[0];
    Text names = { 0 };
    for (int i = 0; i < p->n; i++)
        text_add(c, &names, "%s%s", i ? ", " : "", p->graph[i]->name);
    error_plain(c, "%s has several entries: --entry one of %s", p->name, names.s);
    return NULL;
}

static char *array_shape(Ctx *c, const Array *a) {
    Text out = { 0 };
    text_add(c, &out, "%s[", elem_name(a->elem));
    for (int i = 0; i < a->rank; i++)
        text_add(c, &out, "%s%lld", i ? ", " : "", (long long)a->dim[i]);
    text_add(c, &out, "]");
    return out.s;
}

/* A dimension that is a mere symbol without a range takes the file's size. */
static void bind_sizes(Ctx *c, const Graph *g, const Inputs *in) {
    for (int i = 0; i < g->input.n; i++) {
        const Terminal *t = &g->input.at[i];
        const Array *a = input_named(in, t->name);
        if (t->absent)
            continue;
        const Type *type = &t->tensor->type;
        for (int k = 0; a && a->rank == type->rank && k < type->rank; k++) {
            Dim d = type->dim[k];
            bool symbol = d->n == 1 && d->term[0].coef == 1 && d->term[0].n == 1 &&
                          d->term[0].atom[0]->kind == AtomSymbol;
            if (symbol && !d->term[0].atom[0]->symbol->bounded)
                push(c, &c->opt.bind,
                     ((Binding){ d->term[0].atom[0]->symbol->name, a->dim[k], a->dim[k] }));
        }
    }
}

/* Every input is there, with as many axes as its type. */
static bool ranks_fit(Ctx *c, const Graph *g, const Inputs *in) {
    for (int i = 0; i < g->input.n; i++) {
        const Terminal *t = &g->input.at[i];
        if (t->absent)
            continue;
        const Type *type = &t->tensor->type;
        const Array *a = input_named(in, t->name);
        if (a && a->rank == type->rank)
            continue;
        if (a)
            error_plain(c, "the input `%s` is %s, found %s", t->name, type_text(c, type),
                        array_shape(c, a));
        else
            error_plain(c, "the input `%s` %s is not given: --input %s=FILE.npy", t->name,
                        type_text(c, type), t->name);
        return false;
    }
    return true;
}

/* What a range-sized symbol is in this call, by the shapes of the inputs; -1 where they disagree. */
static bool vary_sizes(Ctx *c, const Graph *g, const Inputs *in, int64_t *size) {
    for (int s = 0; s < g->size.n; s++) {
        size[s] = -1;
        for (int i = 0; i < g->input.n && size[s] < 0; i++) {
            const Type *type = &g->input.at[i].tensor->type;
            const Array *a = input_named(in, g->input.at[i].name);
            for (int k = 0; a && a->rank == type->rank && k < type->rank; k++)
                if (type->dim[k] == dim_symbol(c, g->size.at[s]))
                    size[s] = a->dim[k];
        }
        const Symbol *sym = g->size.at[s];
        if (size[s] < sym->lo || size[s] > sym->hi) {
            error_plain(c, "%s is %lld, and must be %lld to %lld", sym->name, (long long)size[s],
                        (long long)sym->lo, (long long)sym->hi);
            return false;
        }
    }
    return true;
}

static int64_t elements(const Type *t, const Graph *g, const int64_t *size) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= eval_dim(t->dim[i], g, size);
    return n;
}

static bool shape_fits(const Array *a, const Type *t, const Graph *g, const int64_t *size) {
    bool same = a->rank == t->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dim[i] == eval_dim(t->dim[i], g, size);
    return same;
}

/* The array in the storage of the terminal: any float type becomes the working precision. */
static void *input_data(Ctx *c, const Array *a, Elem want, int64_t n) {
    Elem to = elem_storage(c, want);
    int from_bytes = elem_bytes(c, a->elem), to_bytes = elem_bytes(c, to);
    char *data = alloc(c, (size_t)(n ? n : 1) * (size_t)to_bytes);
    if (a->elem == to) {
        memcpy(data, a->data, (size_t)n * (size_t)to_bytes);
        return data;
    }
    for (int64_t i = 0; i < n; i++)
        elem_store(to, data + i * to_bytes,
                   elem_load(a->elem, (const char *)a->data + i * from_bytes));
    return data;
}

static bool give_input(Ctx *c, const Terminal *t, const Inputs *in, const Graph *g,
                       const int64_t *size, Map *env) {
    const Type *type = &t->tensor->type;
    const Array *a = input_named(in, t->name);
    bool right_elem =
        a->elem == elem_storage(c, type->elem) || (type->elem == Float && elem_is_float(a->elem));
    if (!right_elem || !shape_fits(a, type, g, size)) {
        error_plain(c, "the input `%s` is %s, found %s", t->name, type_text(c, type),
                    array_shape(c, a));
        return false;
    }
    map_put(c, env, t->tensor, input_data(c, a, type->elem, elements(type, g, size)));
    return true;
}

static bool give_inputs(Ctx *c, const Graph *g, const Inputs *in, const int64_t *size, Map *env) {
    for (int i = 0; i < g->input.n; i++)
        if (!g->input.at[i].absent && !give_input(c, &g->input.at[i], in, g, size, env))
            return false;
    for (int i = 0; i < in->array.n; i++) {
        bool known = false;
        for (int k = 0; k < g->input.n; k++)
            known = known || g->input.at[k].name == in->array.at[i].name;
        if (!known) {
            error_plain(c, "there is no input `%s`", in->array.at[i].name);
            return false;
        }
    }
    return true;
}

/* A call of `run` is the first after a reset. */
static void give_states(Ctx *c, const Program *p, Map *env) {
    for (int i = 0; i < p->state.n; i++) {
        const Tensor *t = p->state.at[i];
        int64_t n = 1;
        dim_number(type_count(c, &t->type), &n);
        Elem e = elem_storage(c, t->type.elem);
        int bytes = elem_bytes(c, e);
        char *data = alloc(c, (size_t)(n ? n : 1) * (size_t)bytes);
        for (int64_t k = 0; k < n; k++) {
            if (t->init && t->init->value)
                memcpy(data + k * bytes, (const char *)t->init->value->data + k * bytes,
                       (size_t)bytes);
            else
                elem_store(e, data + k * bytes, init_number(t->init));
        }
        map_put(c, env, t, data);
    }
}

static bool have_weights(Ctx *c, const Program *p) {
    for (int i = 0; i < p->param.n; i++) {
        if (p->param.at[i]->data)
            continue;
        error_plain(c, "`%s` has no value: --weights FILE", p->param.at[i]->path);
        return false;
    }
    return true;
}

/* What the generated function tests first: the requirements that the bounds did not decide. */
static bool requirements_hold(Ctx *c, const Graph *g, const int64_t *size, Map *env) {
    for (int i = 0; i < g->check.n; i++) {
        Type type = { .elem = Bool };
        Node *v = NEW(c, Node);
        *v = (Node){ .body = g->check.at[i].holds };
        v->out = tensor(c, TTemp, intern(c, "holds", 5), NULL, &type, g->check.at[i].at);
        if (!eval_node(c, v, env, g, size))
            return false;
        if (elem_load(Bool, map_get(env, v->out)) != 0)
            continue;
        error_plain(c, "%s", g->check.at[i].message);
        return false;
    }
    return true;
}

static bool write_outputs(Ctx *c, const Graph *g, const int64_t *size, const Map *env) {
    if (!make_folder(c, c->opt.out))
        return false;
    for (int i = 0; i < g->output.n; i++) {
        const Terminal *t = &g->output.at[i];
        const Type *type = &t->tensor->type;
        Array a = { .name = t->name, .elem = elem_storage(c, type->elem), .rank = type->rank };
        for (int k = 0; k < a.rank; k++)
            a.dim[k] = eval_dim(type->dim[k], g, size);
        a.data = map_get(env, t->tensor);
        if (!npy_write(c, format(c, "%s/%s.npy", c->opt.out, t->name), &a))
            return false;
    }
    return true;
}

/* needs: modules. Elaborates once with free sizes, to see what the inputs' shapes bind. */
static bool bind_from_inputs(Work *w, const Inputs *in) {
    Programs free_sizes = flatten(w->c, w->module, true);
    if (w->c->errors)
        return false;
    const Graph *g = free_sizes.n ? chosen_entry(w->c, free_sizes.at[0]) : NULL;
    if (!g || !ranks_fit(w->c, g, in))
        return false;
    bind_sizes(w->c, g, in);
    return true;
}

int command_run(Work *w) {
    Ctx *c = w->c;
    Inputs in = { 0 };
    if (!read_inputs(c, &in))
        return 1;
    run_passes(w, "build");
    if (w->dumped)
        return 0;
    if (!bind_from_inputs(w, &in) || !run_passes_after(w, "build", "simplify") || w->dumped)
        return w->dumped ? 0 : 1;
    if (w->programs.n != 1) {
        error_plain(c, "`run` takes a model with one export; %s has %d", c->opt.model,
                    w->programs.n);
        return 1;
    }
    const Program *p = w->programs.at[0];
    const Graph *g = chosen_entry(c, p);
    Map env = { 0 };
    int64_t *size = NEWN(c, int64_t, g ? g->size.n + 1 : 1);
    if (!g || !have_weights(c, p) || !ranks_fit(c, g, &in) || !vary_sizes(c, g, &in, size) ||
        !give_inputs(c, g, &in, size, &env))
        return 1;
    give_states(c, p, &env);
    return requirements_hold(c, g, size, &env) && indices_good(c, g, size, &env) &&
                   eval(c, g, &env, size) && write_outputs(c, g, size, &env)
               ? 0
               : 1;
}
