/* c.c: the C target's files: NAME.h with the interface, NAME.c with kernels and entries.
 *
 * In: scheduled kernels, steps and places. Out: C99 that compiles without a warning, allocates nothing, writes no
 * global, and reads as if written by hand. The contract of the call is docs/embedding.md. */
#include "c.h"

#include <ctype.h>
#include <string.h>

const Dialect c_words = {
    .elem = {
        [Bool] = "uint8_t", [I8] = "int8_t", [I16] = "int16_t", [I32] = "int32_t", [I64] = "int64_t",
        [U8] = "uint8_t", [U16] = "uint16_t", [U32] = "uint32_t", [U64] = "uint64_t",
        [F32] = "float", [F64] = "double",
    },
    .function = "static void", .restrict_ = "restrict ", .suffix_float = "f",
};

/* ---- names */

static const char *const keywords[] = {
    "alignas", "alignof", "and", "asm", "auto", "bool", "break", "case", "catch", "char", "class",
    "const", "constexpr", "continue", "default", "delete", "do", "double", "else", "enum", "explicit",
    "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long",
    "mutable", "namespace", "new", "not", "nullptr", "operator", "or", "private", "protected",
    "public", "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct",
    "switch", "template", "this", "throw", "true", "try", "typedef", "typename", "union", "unsigned",
    "using", "virtual", "void", "volatile", "while", "xor", NULL,
};

char *c_identifier(Ctx *c, const char *path) {
    char *s = format(c, isdigit((unsigned char)*path) ? "_%s" : "%s", path);
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    for (int i = 0; keywords[i]; i++)
        if (!strcmp(keywords[i], s))
            return format(c, "%s_", s);
    return s;
}

const char *c_elem(Ctx *c, Elem e) {
    return c_words.elem[elem_storage(c, e)];
}

char *c_shape(Ctx *c, const Type *t) {
    Text out = {0};
    text_add(c, &out, "%s", "");
    for (int i = 0; i < t->rank; i++)
        text_add(c, &out, "[%s]", print_dim(c, t->dim[i]));
    return out.s;
}

int64_t c_count(const Type *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        int64_t size = 0;
        dim_number(t->dim[i], &size);
        n *= size;
    }
    return n;
}

/* Two paths that C would spell alike get a number after the first. */
static char *unique(Ctx *c, Map *taken, const char *path) {
    char *base = c_identifier(c, path), *s = base;
    for (int i = 2; map_get(taken, intern(c, s, strlen(s))); i++)
        s = format(c, "%s_%d", base, i);
    map_put(c, taken, intern(c, s, strlen(s)), s);
    return s;
}

static void name_members(Interface *f) {
    Program *p = f->code->program;
    Map weights = {0}, states = {0};
    for (int i = 0; i < p->param.n; i++)
        map_put(f->c, &f->member, p->param.at[i], unique(f->c, &weights, p->param.at[i]->path));
    for (int i = 0; i < p->state.n; i++)
        map_put(f->c, &f->member, p->state.at[i], unique(f->c, &states, p->state.at[i]->path));
}

/* ---- constants */

static const Tensor *base_state(const Tensor *t) {
    while (t->before)
        t = t->before;
    return t;
}

static char *literal(Ctx *c, const Tensor *t, int64_t i) {
    Elem e = elem_storage(c, t->type.elem);
    const unsigned char *at = (const unsigned char *)t->data + i * elem_bytes(c, e);
    double v = elem_load(e, at);
    return print_term(c, &c_words, term_number(c, e, v));
}

/* static const float freq[4] = { 1.0f, 0.1f, … }; */
static void print_constant(const Interface *f, Emit *e, const Tensor *t, const char *name) {
    Ctx *c = f->c;
    int64_t n = c_count(&t->type);
    emit(e, "// %s", type_text(c, &t->type));
    emit(e, "static const %s %s[%lld] = {", c_elem(c, t->type.elem), name, (long long)n);
    Text line = {0};
    for (int64_t i = 0; i < n; i++) {
        char *v = format(c, "%s%s", literal(c, t, i), i + 1 < n ? "," : "");
        if (line.n && line.n + strlen(v) > 92) {
            emit(e, "%s", line.s);
            line = (Text){0};
        }
        text_add(c, &line, "%s%s", line.n ? " " : "", v);
    }
    if (line.n)
        emit(e, "%s", line.s);
    emit(e, "};");
    emit_blank(e);
}

static void print_constants(Interface *f, Emit *e) {
    Map taken = {0};
    for (int r = 0; r < f->code->n; r++) {
        const Routine *routine = f->code->routine[r];
        for (int s = 0; s < routine->step.n; s++) {
            const Step *step = &routine->step.at[s];
            for (int i = 0; i < step->kernel->formal.n; i++) {
                Tensor *t = step->arg[i];
                if (t->kind != TConst || map_get(&f->member, t))
                    continue;
                char *n = unique(f->c, &taken, format(f->c, "%s_table", t->name));
                map_put(f->c, &f->member, t, n);
                print_constant(f, e, t, n);
            }
        }
    }
}

/* ---- interface */

static bool needs_weights(const Interface *f) {
    return f->code->program->param.n > 0;
}

static bool needs_state(const Interface *f) {
    return f->code->program->state.n > 0;
}

static void print_weights_struct(const Interface *f, Emit *h) {
    const Program *p = f->code->program;
    emit(h, "/* The weights: each a dense array in C order. */");
    emit(h, "typedef struct %s_weights {", f->prefix);
    for (int i = 0; i < p->param.n; i++) {
        const Tensor *t = p->param.at[i];
        emit(h, "const %s *%s; // %s", c_elem(f->c, t->type.elem), (char *)map_get(&f->member, t),
             c_shape(f->c, &t->type));
    }
    emit(h, "} %s_weights;", f->prefix);
    emit_blank(h);
}

static void print_state_struct(const Interface *f, Emit *h) {
    const Program *p = f->code->program;
    emit(h, "/* What is kept between calls. %s_reset sets it to its initial values. */", f->prefix);
    emit(h, "typedef struct %s_state {", f->prefix);
    for (int i = 0; i < p->state.n; i++) {
        const Tensor *t = p->state.at[i];
        Text count = {0};
        for (int k = 0; k < t->type.rank; k++)
            text_add(f->c, &count, "%s%s", k ? " * " : "", print_dim(f->c, t->type.dim[k]));
        emit(h, "%s %s[%s];", c_elem(f->c, t->type.elem), (char *)map_get(&f->member, t),
             count.n ? count.s : "1");
    }
    emit(h, "} %s_state;", f->prefix);
    emit_blank(h);
    emit(h, "void %s_reset(%s_state *s);", f->prefix, f->prefix);
    emit_blank(h);
}

/* A terminal's name, unless the function has a parameter or a variable of its own of that name. */
static char *terminal_name(const Interface *f, const Terminal *t) {
    char *n = c_identifier(f->c, t->name);
    bool taken = (needs_weights(f) && !strcmp(n, "w")) || (needs_state(f) && !strcmp(n, "s")) ||
                 (f->code->work_bytes && (!strcmp(n, "work") || !strcmp(n, "arena")));
    return taken ? format(f->c, "%s_", n) : n;
}

static char *terminal_parameter(const Interface *f, const Terminal *t, bool output) {
    Ctx *c = f->c;
    const Type *type = &t->tensor->type;
    const char *n = terminal_name(f, t);
    if (!output && type->rank == 0)
        return format(c, "%s %s", c_elem(c, type->elem), n);
    return format(c, "%s%s *%s", output ? "" : "const ", c_elem(c, type->elem), n);
}

/* int NAME(const NAME_weights *w, NAME_state *s, inputs, outputs, sizes that vary, void *work) */
static void print_signature(const Interface *f, Emit *e, const Routine *r, const char *tail) {
    Ctx *c = f->c;
    const Graph *g = r->graph;
    VEC(char *) part = {0};
    if (needs_weights(f))
        push(c, &part, format(c, "const %s_weights *w", f->prefix));
    if (needs_state(f))
        push(c, &part, format(c, "%s_state *s", f->prefix));
    for (int i = 0; i < g->input.n; i++)
        if (!g->input.at[i].absent)
            push(c, &part, terminal_parameter(f, &g->input.at[i], false));
    for (int i = 0; i < g->output.n; i++)
        push(c, &part, terminal_parameter(f, &g->output.at[i], true));
    for (int i = 0; i < g->size.n; i++)
        push(c, &part, format(c, "int %s", g->size.at[i]->name));
    if (f->code->work_bytes)
        push(c, &part, format(c, "void *work"));

    if (!part.n)
        push(c, &part, "void");
    emit_list(e, format(c, "int %s(", r->name), part.at, part.n, tail);
}

static void print_shapes(Ctx *c, Text *out, const Terminal *t, bool *first) {
    if (t->absent)
        return;
    text_add(c, out, "%s%s %s%s", *first ? "" : ", ", t->name, elem_name(t->tensor->type.elem),
             c_shape(c, &t->tensor->type));
    *first = false;
}

static void print_prototype(const Interface *f, Emit *h, const Routine *r) {
    Ctx *c = f->c;
    const Graph *g = r->graph;
    Text shapes = {0};
    bool first = true;
    for (int i = 0; i < g->input.n; i++)
        print_shapes(c, &shapes, &g->input.at[i], &first);
    text_add(c, &shapes, "%s-> ", shapes.n ? " " : "");
    first = true;
    for (int i = 0; i < g->output.n; i++)
        print_shapes(c, &shapes, &g->output.at[i], &first);
    for (int i = 0; i < g->size.n; i++)
        text_add(c, &shapes, "%s%s = %lld..%lld", i ? ", " : "; ", g->size.at[i]->name,
                 (long long)g->size.at[i]->lo, (long long)g->size.at[i]->hi);
    text_add(c, &shapes, "\n0, or a code for %s_strerror.", f->prefix);
    emit_comment(h, shapes.s);
    print_signature(f, h, r, ");");
    emit_blank(h);
}

static void print_header(const Interface *f, OutFiles *out) {
    Ctx *c = f->c;
    Emit h = { c, {0}, 0, false };
    emit_comment(&h, format(c, "%s.h: made by mithrilc; do not edit.", f->prefix));
    emit(&h, "#ifndef %s_H", f->upper);
    emit(&h, "#define %s_H", f->upper);
    emit_blank(&h);
    emit(&h, "#include <stdint.h>");
    if (weights_are_blob(f))
        emit(&h, "#include <stddef.h>");
    emit_blank(&h);
    emit(&h, "#ifdef __cplusplus");
    h.text.s ? text_add(c, &h.text, "extern \"C\" {\n") : (void)0;
    emit(&h, "#endif");
    emit_blank(&h);
    if (f->code->work_bytes) {
        emit(&h, "#define %s_WORK_BYTES %lld // scratch of the caller, aligned to 64 bytes", f->upper,
             (long long)f->code->work_bytes);
        emit_blank(&h);
    }
    if (needs_weights(f)) {
        print_weights_struct(f, &h);
        print_weights_interface(f, &h);
    }
    if (needs_state(f))
        print_state_struct(f, &h);
    for (int i = 0; i < f->code->n; i++)
        print_prototype(f, &h, f->code->routine[i]);
    emit(&h, "const char *%s_strerror(int code);", f->prefix);
    emit_blank(&h);
    emit(&h, "#ifdef __cplusplus");
    text_add(c, &h.text, "}\n");
    emit(&h, "#endif");
    emit_blank(&h);
    emit(&h, "#endif");
    push(c, out, ((OutFile){ format(c, "%s.h", f->prefix), h.text.s, h.text.n }));
}

/* ---- entries */

typedef struct Message { const char *code, *text; } Message;
typedef VEC(Message) Messages;

static int message(Ctx *c, Messages *all, const char *text) {
    for (int i = 0; i < all->n; i++)
        if (!strcmp(all->at[i].text, text))
            return i + 1;
    push(c, all, ((Message){ NULL, text }));
    return all->n;
}

static void print_checks(const Interface *f, Emit *e, const Routine *r, Messages *all) {
    Ctx *c = f->c;
    const Graph *g = r->graph;
    for (int i = 0; i < g->size.n; i++) {
        const Symbol *s = g->size.at[i];
        char *text = format(c, "%s must be %lld to %lld", s->name, (long long)s->lo, (long long)s->hi);
        emit(e, "if (%s < %lld || %s > %lld)", s->name, (long long)s->lo, s->name, (long long)s->hi);
        emit(e, "    return %d; // %s", message(c, all, text), text);
    }
    for (int i = 0; i < g->check.n; i++) {
        emit(e, "if (!(%s))", print_term(c, &c_words, g->check.at[i].holds));
        emit(e, "    return %d; // %s", message(c, all, g->check.at[i].message), g->check.at[i].message);
    }
    if (f->code->work_bytes) {
        emit(e, "if ((uintptr_t)work %% 64)");
        emit(e, "    return %d; // work must be aligned to 64 bytes", message(c, all, "work must be aligned to 64 bytes"));
    }
}

static const Terminal *terminal_of(const Routine *r, const Tensor *t, bool *output) {
    const Graph *g = r->graph;
    for (int i = 0; i < g->input.n; i++)
        if (g->input.at[i].tensor == t)
            return *output = false, &g->input.at[i];
    for (int i = 0; i < g->output.n; i++)
        if (g->output.at[i].tensor == t)
            return *output = true, &g->output.at[i];
    return NULL;
}

/* Names of what a routine calls with: terminals as they are, temporaries after their place. */
typedef struct Caller { const Interface *f; const Routine *r; Map place, terminal; } Caller;

static char *argument(Caller *call, const Tensor *formal, Tensor *t) {
    const Interface *f = call->f;
    if (t->kind == TParam)
        return format(f->c, "w->%s", (char *)map_get(&f->member, t));
    if (t->kind == TState)
        return format(f->c, "s->%s", (char *)map_get(&f->member, base_state(t)));
    if (t->kind == TConst)
        return map_get(&f->member, t);
    char *terminal = map_get(&call->terminal, t);
    if (terminal)
        return t->kind == TInput && t->type.rank == 0 && !formal->by_value ? format(f->c, "&%s", terminal) : terminal;
    return map_get(&call->place, t);
}

/* A local pointer is declared where the first step needs it. */
static void print_pointers(Caller *call, Emit *e, const Step *step, Map *declared) {
    Ctx *c = call->f->c;
    for (int i = 0; i < step->kernel->formal.n; i++) {
        Tensor *t = step->arg[i];
        char *n = map_get(&call->place, t);
        if (!n || map_get(declared, t))
            continue;
        emit(e, "%s *%s = (%s *)(arena + at_%s);", c_elem(c, t->type.elem), n, c_elem(c, t->type.elem), n);
        map_put(c, declared, t, n);
    }
}

static void print_step(Caller *call, Emit *e, const Step *step) {
    Ctx *c = call->f->c;
    const Kernel *k = step->kernel;
    VEC(char *) part = {0};
    for (int i = 0; i < k->formal.n; i++)
        push(c, &part, argument(call, k->formal.at[i], step->arg[i]));
    for (int i = 0; i < k->size.n; i++)
        push(c, &part, format(c, "%s", k->size.at[i]->name));
    emit_list(e, format(c, "%s(", k->name), part.at, part.n, ");");
}

/* A temporary is never called as a parameter of the function is. */
static void take_parameters(const Interface *f, const Graph *g, Map *taken) {
    Ctx *c = f->c;
    static const char *const own[] = { "w", "s", "work", "arena" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        unique(c, taken, own[i]);
    for (int i = 0; i < g->input.n; i++)
        unique(c, taken, terminal_name(f, &g->input.at[i]));
    for (int i = 0; i < g->output.n; i++)
        unique(c, taken, terminal_name(f, &g->output.at[i]));
    for (int i = 0; i < g->size.n; i++)
        unique(c, taken, g->size.at[i]->name);
}

/* One that takes the place of an earlier one says so: where a layer changes its size, the numbers that
 * move are those of its neighbours, not of every layer after it. */
static void print_table(Caller *call, Emit *e) {
    const Routine *r = call->r;
    Ctx *c = call->f->c;
    Map taken = {0};
    take_parameters(call->f, r->graph, &taken);
    for (int i = 0; i < r->place.n; i++) {
        bool output;
        const Terminal *t = terminal_of(r, r->place.at[i].tensor, &output);
        if (!t)
            map_put(c, &call->place, r->place.at[i].tensor, unique(c, &taken, r->place.at[i].name));
    }
    if (!r->place.n)
        return;
    bool large = call->f->code->work_bytes > 0x7fffffff;
    Map holder = {0};                   // offset, as a name → the last temporary that lay there
    emit(e, large ? "// where each temporary lies in work, in bytes"
                  : "enum { // where each temporary lies in work, in bytes");
    for (int i = 0; i < r->place.n; i++) {
        const char *n = map_get(&call->place, r->place.at[i].tensor);
        Name offset = name(c, "%lld", (long long)r->place.at[i].offset);
        const char *before = map_get(&holder, offset);
        const char *value = before ? format(c, "at_%s", before) : offset;
        emit(e, large ? "const ptrdiff_t at_%s = %s;" : "at_%s = %s,", n, value);
        map_put(c, &holder, offset, (void *)n);
    }
    if (!large)
        emit(e, "};");
    emit(e, "unsigned char *arena = work;");
}

static void name_terminals(Caller *call) {
    Ctx *c = call->f->c;
    const Graph *g = call->r->graph;
    for (int i = 0; i < g->input.n; i++)
        map_put(c, &call->terminal, g->input.at[i].tensor, terminal_name(call->f, &g->input.at[i]));
    for (int i = 0; i < g->output.n; i++)
        map_put(c, &call->terminal, g->output.at[i].tensor, terminal_name(call->f, &g->output.at[i]));
}

static bool step_takes(const Routine *r, const Tensor *t, TensorKind kind) {
    for (int i = 0; i < r->step.n; i++)
        for (int k = 0; k < r->step.at[i].kernel->formal.n; k++) {
            const Tensor *a = r->step.at[i].arg[k];
            if (t ? a == t : a->kind == kind)
                return true;
        }
    return false;
}

/* Where a result is empty no kernel is called, and what only it would have read is named here. */
static void print_unused(const Interface *f, Emit *e, const Routine *r) {
    const Graph *g = r->graph;
    if (needs_weights(f) && !step_takes(r, NULL, TParam))
        emit(e, "(void)w;");
    if (needs_state(f) && !step_takes(r, NULL, TState))
        emit(e, "(void)s;");
    for (int i = 0; i < g->input.n; i++)
        if (!g->input.at[i].absent && !step_takes(r, g->input.at[i].tensor, TFormal))
            emit(e, "(void)%s;", terminal_name(f, &g->input.at[i]));
    for (int i = 0; i < g->output.n; i++)
        if (!step_takes(r, g->output.at[i].tensor, TFormal))
            emit(e, "(void)%s;", terminal_name(f, &g->output.at[i]));
}

static void print_routine(const Interface *f, Emit *e, const Routine *r, Messages *all) {
    Caller call = { f, r, {0}, {0} };
    Map declared = {0};
    name_terminals(&call);
    print_signature(f, e, r, ") {");
    print_table(&call, e);
    print_checks(f, e, r, all);
    for (int i = 0; i < r->step.n; i++) {
        const Step *step = &r->step.at[i];
        if (step->path && (i == 0 || r->step.at[i - 1].path != step->path)) {
            if (i || r->place.n)
                emit_blank(e);
            if (*step->path)
                emit(e, "// %s", step->path);
        }
        print_pointers(&call, e, step, &declared);
        print_step(&call, e, step);
    }
    if (f->code->work_bytes && !r->place.n)
        emit(e, "(void)work;");
    print_unused(f, e, r);
    emit(e, "return 0;");
    emit(e, "}");
    emit_blank(e);
}

/* NAME_reset: every state gets its initial value (rule 50). */
static void print_reset(Interface *f, Emit *e) {
    const Program *p = f->code->program;
    emit(e, "void %s_reset(%s_state *s) {", f->prefix, f->prefix);
    for (int i = 0; i < p->state.n; i++) {
        const Tensor *t = p->state.at[i];
        char *n = map_get(&f->member, t);
        double v = init_number(t->init);
        if (t->init && t->init->value)
            emit(e, "memcpy(s->%s, %s, sizeof s->%s);", n, (char *)map_get(&f->member, t->init->value), n);
        else if (v == 0)
            emit(e, "memset(s->%s, 0, sizeof s->%s);", n, n);
        else {
            emit(e, "for (int i = 0; i < %lld; i++) {", (long long)c_count(&t->type));
            emit(e, "s->%s[i] = %s;", n, print_term(f->c, &c_words, term_number(f->c, t->type.elem, v)));
            emit(e, "}");
        }
    }
    emit(e, "}");
    emit_blank(e);
}

static void print_initial_constants(Interface *f, Emit *e) {
    const Program *p = f->code->program;
    for (int i = 0; i < p->state.n; i++) {
        Tensor *v = p->state.at[i]->init ? p->state.at[i]->init->value : NULL;
        if (!v || map_get(&f->member, v))
            continue;
        char *n = format(f->c, "%s_initial", (char *)map_get(&f->member, p->state.at[i]));
        map_put(f->c, &f->member, v, n);
        print_constant(f, e, v, n);
    }
}

static void print_strerror(const Interface *f, Emit *e, const Messages *all) {
    emit(e, "const char *%s_strerror(int code) {", f->prefix);
    emit(e, "switch (code) {");
    e->depth--;
    emit(e, "case 0: return \"no error\";");
    for (int i = 0; i < all->n; i++)
        emit(e, "case %d: return \"%s\";", i + 1, all->at[i].text);
    emit(e, "default: return \"unknown code\";");
    e->depth++;
    emit(e, "}");
    emit(e, "}");
}

static bool uses(const Emit *e, const char *word) {
    return e->text.s && strstr(e->text.s, word);
}

static void print_source(Interface *f, OutFiles *out) {
    Ctx *c = f->c;
    Emit kernels = { c, {0}, 0, true }, rest = { c, {0}, 0, true }, top = { c, {0}, 0, false };
    Map helpers = {0};
    Messages all = {0};
    print_constants(f, &kernels);
    print_initial_constants(f, &kernels);
    for (int i = 0; i < f->code->kernel.n; i++) {
        print_kernel(&kernels, &c_words, f->code->kernel.at[i], "", &helpers);
        emit_blank(&kernels);
    }
    if (needs_state(f))
        print_reset(f, &rest);
    for (int i = 0; i < f->code->n; i++)
        print_routine(f, &rest, f->code->routine[i], &all);
    print_strerror(f, &rest, &all);

    emit_comment(&top, format(c, "%s.c: made by mithrilc; do not edit.", f->prefix));
    emit(&top, "#include \"%s.h\"", f->prefix);
    emit_blank(&top);
    emit(&top, "#include <math.h>");
    if (uses(&rest, "mem"))
        emit(&top, "#include <string.h>");
    emit_blank(&top);
    print_helpers(&top, &helpers);
    text_add(c, &top.text, "%s%s", kernels.text.s ? kernels.text.s : "", rest.text.s);
    push(c, out, ((OutFile){ format(c, "%s.c", f->prefix), top.text.s, top.text.n }));
}

/* false, with a message, if something has an element type that this target does not write. */
static bool all_have_words(Ctx *c, const Code *code) {
    for (int i = 0; i < code->kernel.n; i++)
        for (int k = 0; k < code->kernel.at[i]->formal.n; k++) {
            const Tensor *t = code->kernel.at[i]->formal.at[k];
            if (c_elem(c, t->type.elem))
                continue;
            error_plain(c, "%s: the C target does not write %s yet (in %s)", code->program->name,
                        elem_name(t->type.elem), code->kernel.at[i]->name);
            return false;
        }
    return true;
}

static void print_c(Ctx *c, const Code *code, OutFiles *out) {
    if (!all_have_words(c, code))
        return;
    Interface f = { .c = c, .code = code, .prefix = c_identifier(c, code->program->name) };
    f.upper = format(c, "%s", f.prefix);
    for (char *p = f.upper; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    name_members(&f);
    print_header(&f, out);
    print_source(&f, out);
    if (needs_weights(&f))
        print_weights(&f, out);
}

const Target c_target = { "c", print_c };
