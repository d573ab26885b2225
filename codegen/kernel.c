/* kernel.c: from the loops of a bunch to a kernel that any layer may call.
 *
 * In: loops over the tensors of a graph. Out: the same over formals, their roles, the sizes that vary, what
 * it costs at the bound, and the key: the loops as text in which every name is a number, so that equal
 * work has equal text wherever it comes from. */
#include "loops.h"

#include <string.h>

/* ---- formals */

typedef struct Formals {
    Ctx *c;
    const Graph *graph;
    VEC(Tensor *) tensor, formal;       /* position by position */
    VEC(Role) role;
} Formals;

static bool is_result(const Graph *g, const Tensor *t) {
    for (int i = 0; i < g->output.n; i++)
        if (g->output.at[i].tensor == t)
            return true;
    return false;
}

static Dim bound_of(Ctx *c, Dim d) {
    int64_t lo, hi;
    dim_bounds(c, d, &lo, &hi);
    return dim(c, hi);
}

Dim extent(Ctx *c, const Tensor *t, int axis) {
    return t->kind == TTemp ? bound_of(c, t->type.dim[axis]) : t->type.dim[axis];
}

/* "weight" of "h.0.attn.c_attn.weight"; else what the operator calls it. */
static const char *formal_word(const Tensor *t, const Term *load) {
    if ((t->kind == TParam || t->kind == TState) && t->path) {
        const char *dot = strrchr(t->path, '.');
        return dot ? dot + 1 : t->path;
    }
    if (load && load->as)
        return load->as;
    return t->name ? t->name : load ? "x" : "y";
}

static int formal_of(const Formals *f, const Tensor *t) {
    for (int i = 0; i < f->tensor.n; i++)
        if (f->tensor.at[i] == storage_of(t))
            return i;
    return -1;
}

static void add_formal(Formals *f, Tensor *t, const Term *load, Role role) {
    Ctx *c = f->c;
    Tensor *whole = storage_of(t);
    Type type = whole->type;
    bool scratch = t->kind == TScratch, dense = is_result(f->graph, t);
    for (int i = 0; i < type.rank && !dense; i++)
        type.dim[i] = extent(c, whole, i);
    Name n = c_word(c, scratch ? t->name : formal_word(whole, load));
    Tensor *made = tensor(c, scratch ? TScratch : TFormal, n, n, &type, (Span){0});
    made->by_value = role == RoleValue;
    push(c, &f->tensor, whole);
    push(c, &f->formal, made);
    push(c, &f->role, role);
}

typedef struct FormalUse { Formals *f; Role role; const Loop *body; } FormalUse;

static Role role_of(const Loop *body, const Tensor *t) {
    if (t->kind == TScratch)
        return RoleScratch;
    if (!is_written(body, t))
        return t->kind == TInput && t->type.rank == 0 ? RoleValue : RoleIn;
    return t->kind == TState ? RoleInOut : RoleOut;
}

static void see_formal(FormalUse *u, const Term *t) {
    if (!t)
        return;
    for (int i = 0; i < t->n; i++)
        see_formal(u, t->kid[i]);
    if (t->kind != TLoad || t->from->kind == TLocal || formal_of(u->f, t->from) >= 0)
        return;
    if (role_of(u->body, t->from) == u->role)
        add_formal(u->f, t->from, t, u->role);
}

/* Formals of one role, in order of the text. */
static void see(FormalUse *u, const Loop *l) {
    see_formal(u, l->lo);
    see_formal(u, l->hi);
    for (int i = 0; i < l->nat; i++)
        see_formal(u, l->at[i]);
    see_formal(u, l->value);
    see_formal(u, l->position);
    if (l->to && l->to->kind != TLocal && formal_of(u->f, l->to) < 0 && role_of(u->body, l->to) == u->role)
        add_formal(u->f, l->to, NULL, u->role);
    for (int i = 0; i < l->n; i++)
        see(u, l->kid[i]);
}

typedef struct Calls { Map by; } Calls;  /* storage → what the first load of it calls it */

/* One name for all loads of a tensor: loads that differed by it alone are now one term, and what they made may fold
 * away (`where(c, x, x)`), before it is asked what the kernel reads. */
static Term *one_name(Ctx *c, Term *t, void *with) {
    Calls *calls = with;
    if (t->kind != TLoad || t->from->kind == TLocal)
        return t;
    Name as = map_get(&calls->by, storage_of(t->from));
    if (!as)
        map_put(c, &calls->by, storage_of(t->from), (void *)(as = t->as ? t->as : name(c, "%s", formal_word(storage_of(t->from), t))));
    return as == t->as ? t : term_load(c, t->from, t->kid, t->n, NULL, as);
}

static Term *to_formal(Ctx *c, Term *t, void *with) {
    const Formals *f = with;
    if (t->kind != TLoad || t->from->kind == TLocal)
        return t;
    int i = formal_of(f, t->from);
    return i < 0 ? t : term_load(c, f->formal.at[i], t->kid, t->n, NULL, f->formal.at[i]->name);
}

static void store_formals(const Formals *f, Loop *l) {
    if (l->to && l->to->kind != TLocal) {
        int i = formal_of(f, l->to);
        if (i >= 0)
            l->to = f->formal.at[i];
    }
    for (int i = 0; i < l->n; i++)
        store_formals(f, l->kid[i]);
}

static void make_formals(Formals *f, Loop *body) {
    static const Role order[] = { RoleIn, RoleValue, RoleInOut, RoleOut, RoleScratch };
    loop_map(f->c, body, one_name, &(Calls){0});
    for (int i = 0; i < 5; i++)
        see(&(FormalUse){ f, order[i], body }, body);
    loop_map(f->c, body, to_formal, f);
    store_formals(f, body);
}

Role kernel_role(const Kernel *k, int formal) {
    return k->role.at[formal];
}

/* ---- sizes that vary */

typedef struct Sizes { Ctx *c; Kernel *k; const Symbol *one; bool found; } Sizes;

static void see_symbol(Symbol *s, void *with) {
    Sizes *z = with;
    z->found |= s == z->one;
}

static void see_dim(Sizes *z, Dim d) {
    dim_symbols(d, see_symbol, z);
}

static void see_term(Sizes *z, const Term *t) {
    if (!t)
        return;
    if (t->kind == TSize)
        see_dim(z, t->size);
    for (int i = 0; i < t->n; i++)
        see_term(z, t->kid[i]);
}

static void see_sizes(Sizes *z, const Loop *l) {
    see_term(z, l->lo);
    see_term(z, l->hi);
    see_term(z, l->value);
    see_term(z, l->position);
    for (int i = 0; i < l->nat; i++)
        see_term(z, l->at[i]);
    for (int i = 0; i < l->n; i++)
        see_sizes(z, l->kid[i]);
}

static void make_sizes(Ctx *c, Kernel *k, const Graph *g) {
    for (int i = 0; i < g->size.n; i++) {
        Sizes z = { .c = c, .k = k, .one = g->size.at[i] };
        see_sizes(&z, k->body);
        for (int f = 0; f < k->formal.n; f++)           // the first dimension is no part of any position
            for (int d = 1; d < k->formal.at[f]->type.rank; d++)
                see_dim(&z, k->formal.at[f]->type.dim[d]);
        if (z.found)
            push(c, &k->size, g->size.at[i]);
    }
}

/* ---- key */

typedef struct Key {
    Ctx *c;
    const Kernel *k;
    Text text;
    Map number;                         /* index or local → its number + 1, in order of appearance */
} Key;

static long key_number(Key *key, const void *what) {
    void *known = map_get(&key->number, what);
    if (!known) {
        known = (void *)(intptr_t)(key->number.n + 1);
        map_put(key->c, &key->number, what, known);
    }
    return (long)(intptr_t)known;
}

static void key_tensor(Key *key, const Tensor *t) {
    for (int i = 0; i < key->k->formal.n; i++) {
        if (key->k->formal.at[i] != t)
            continue;
        text_add(key->c, &key->text, "f%d", i);
        return;
    }
    text_add(key->c, &key->text, "l%ld", key_number(key, t));
}

static void key_term(Key *key, const Term *t);

static void key_terms(Key *key, Term *const *t, int n) {
    text_add(key->c, &key->text, "(");
    for (int i = 0; i < n; i++)
        key_term(key, t[i]);
    text_add(key->c, &key->text, ")");
}

static void key_term(Key *key, const Term *t) {
    Ctx *c = key->c;
    if (!t) {
        text_add(c, &key->text, " -");
        return;
    }
    text_add(c, &key->text, " %s:", elem_name(t->elem));
    switch (t->kind) {
    case TNumber: text_add(c, &key->text, "%.17g", t->number); return;
    case TIndex:  text_add(c, &key->text, "i%ld", key_number(key, t->index)); return;
    case TSize:   text_add(c, &key->text, "{%s}", dim_text(c, t->size)); return;
    case TLoad:   key_tensor(key, t->from); break;
    case TApply:  text_add(c, &key->text, "%d.%s", (int)t->fn->id, t->fn->word ? t->fn->word : ""); break;
    }
    key_terms(key, t->kid, t->n);
}

static void key_loop(Key *key, const Loop *l) {
    Ctx *c = key->c;
    text_add(c, &key->text, "\n%d.%d.%d", (int)l->kind, (int)l->reduce, l->step);
    if (l->index)
        text_add(c, &key->text, " i%ld {%s}", key_number(key, l->index), dim_text(c, l->index->size));
    if (l->to) {
        text_add(c, &key->text, " ");
        key_tensor(key, l->to);
        text_add(c, &key->text, ":%s", elem_name(l->to->type.elem));
    }
    if (l->best)
        text_add(c, &key->text, " best l%ld", key_number(key, l->best));
    key_term(key, l->lo);
    key_term(key, l->hi);
    key_term(key, l->value);
    key_term(key, l->position);
    key_terms(key, l->at, l->nat);
    text_add(c, &key->text, "[");
    for (int i = 0; i < l->n; i++)
        key_loop(key, l->kid[i]);
    text_add(c, &key->text, "]");
}

static char *make_key(Ctx *c, const Kernel *k) {
    Key key = { .c = c, .k = k };
    for (int i = 0; i < k->formal.n; i++)
        text_add(c, &key.text, "%d %s\n", (int)k->role.at[i], type_text(c, &k->formal.at[i]->type));
    for (int i = 0; i < k->size.n; i++)
        text_add(c, &key.text, "%s %lld..%lld\n", k->size.at[i]->name, (long long)k->size.at[i]->lo,
                 (long long)k->size.at[i]->hi);
    key_loop(&key, k->body);
    return key.text.s;
}

/* ---- cost at the bound */

static int64_t count_times(int64_t a, int64_t b) {
    return a && b > INT64_MAX / a ? INT64_MAX : a * b;
}

static int64_t plus(int64_t a, int64_t b) {
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static int64_t most(Ctx *c, Dim d) {
    int64_t lo, hi;
    dim_bounds(c, d, &lo, &hi);
    return hi < 0 ? 0 : hi;
}

/* Operations on data: positions are free, and so are choices and conversions. */
static int64_t operations(const Term *t) {
    if (t->kind != TApply)
        return 0;
    bool counts = t->fn->id != FnCast && t->fn->id != FnWhere && t->fn->id != FnStopGradient;
    int64_t n = counts ? 1 : 0;
    for (int i = 0; i < t->n; i++)
        n += operations(t->kid[i]);
    return n;
}

static int64_t flops_of(Ctx *c, const Loop *l) {
    int64_t n = 0;
    if (l->value && l->kind != LIf)
        n = operations(l->value) + (l->kind == LAccum);
    for (int i = 0; i < l->n; i++)
        n = plus(n, flops_of(c, l->kid[i]));
    return l->kind == LFor ? count_times(n, most(c, l->index->size)) : n;
}

static int64_t kernel_bytes(Ctx *c, const Kernel *k) {
    int64_t sum = 0;
    for (int i = 0; i < k->formal.n; i++) {
        int64_t n = elem_bytes(c, k->formal.at[i]->type.elem);
        for (int d = 0; d < k->formal.at[i]->type.rank; d++)
            n = count_times(n, most(c, k->formal.at[i]->type.dim[d]));
        sum = plus(sum, k->role.at[i] == RoleScratch ? 0 : n);
    }
    return sum;
}

/* ---- the kernel */

/* An operator's row without the columns of spaces that align it with its neighbours in the table. */
static const char *without_columns(Ctx *c, const char *row) {
    char *text = NEWN(c, char, strlen(row) + 1), *to = text;
    bool begun = false;                 /* something stands before on this line */
    for (const char *s = row; *s; s++) {
        begun = *s != '\n' && (begun || *s != ' ');
        if (!(begun && *s == ' ' && s[1] == ' '))
            *to++ = *s;
    }
    return text;
}

static void add_heading(Ctx *c, Kernel *k, const Call *call) {
    if (!call || !call->line)
        return;
    const char *row = without_columns(c, call->line);
    for (int h = 0; h < k->heading.n; h++)
        if (!strcmp(k->heading.at[h], row))
            return;
    push(c, &k->heading, row);
}

static void make_heading(Ctx *c, Kernel *k, const Bunch *b) {
    for (int i = 0; i < b->node.n; i++) {
        const Node *n = b->node.at[i];
        for (int t = 0; t < n->took.n; t++)
            add_heading(c, k, n->took.at[t]);
        add_heading(c, k, n->call);
    }
}

void kernel_outer(Ctx *c, Kernel *k) {
    const Loop *l = k->body;
    k->outer.n = 0;
    while (l->n == 1 && l->kid[0]->kind == LFor) {
        l = l->kid[0];
        push(c, &k->outer, l->index);
    }
}

Kernel *kernel_make(Ctx *c, const Origin *o, Tensor ***arg) {
    Kernel *k = NEW(c, Kernel);
    Formals f = { .c = c, .graph = o->graph };
    make_formals(&f, o->body);
    for (int i = 0; i < f.formal.n; i++) {
        push(c, &k->formal, f.formal.at[i]);
        push(c, &k->role, f.role.at[i]);
    }
    *arg = f.tensor.at;
    k->body = o->body;
    make_sizes(c, k, o->graph);
    kernel_outer(c, k);
    k->flops = flops_of(c, k->body);
    k->bytes = kernel_bytes(c, k);
    k->key = make_key(c, k);
    return k;
}

void kernel_title(Ctx *c, Kernel *k, const Bunch *b) {
    make_heading(c, k, b);
    kernel_word(c, k, b);
}
