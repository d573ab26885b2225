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

static Name as_name(Ctx *c, const char *s) {
    return intern(c, s, strlen(s));
}

static void claim(Ctx *c, Map *taken, const char *s) {
    map_put(c, taken, as_name(c, s), (void *)as_name(c, s));
}

/* Two paths that C would spell alike get a number after the first. */
static char *free_word(Ctx *c, Map *taken, const char *path) {
    char *base = c_identifier(c, path), *s = base;
    for (int i = 2; map_get(taken, as_name(c, s)); i++)
        s = format(c, "%s_%d", base, i);
    claim(c, taken, s);
    return s;
}

char *c_function(const Interface *f, const Routine *r) {
    return r->graph->name ? format(f->c, "%s_%s", f->prefix, r->graph->name) : format(f->c, "%s", f->prefix);
}

static bool needs_weights(const Interface *f) {
    return f->code->program->param.n > 0;
}

static bool needs_state(const Interface *f) {
    return f->code->program->state.n > 0;
}

/* What the header defines would be replaced in a name. */
static void claim_macros(const Interface *f, Map *taken) {
    static const char *const macros[] = { "%s_H", "%s_WORK_BYTES", "%s_WEIGHTS_CHECKSUM" };
    for (int i = 0; i < 3; i++)
        claim(f->c, taken, format(f->c, macros[i], f->upper));
}

/* What is spoken for inside an entry: the sizes, our own words, the functions it calls. */
static Map taken_in(const Interface *f, const Routine *r) {
    Ctx *c = f->c;
    Map taken = {0};
    claim_macros(f, &taken);
    for (int i = 0; i < r->graph->size.n; i++)
        claim(c, &taken, r->graph->size.at[i]->name);
    if (needs_weights(f))
        claim(c, &taken, "w");
    if (needs_state(f))
        claim(c, &taken, "s");
    if (f->code->work_bytes) {
        claim(c, &taken, "work");
        claim(c, &taken, "arena");
    }
    for (int i = 0; i < f->code->kernel.n; i++)
        claim(c, &taken, f->code->kernel.at[i]->name);
    for (int i = 0; i < f->member.cap; i++) {
        const Tensor *t = f->member.slot[i].key;
        if (t && t->kind == TConst)
            claim(c, &taken, f->member.slot[i].value);
    }
    return taken;
}

/* Tensor → name of each input and output; the same in the header and in the source. */
static Map name_terminals(const Interface *f, const Routine *r, Map *taken) {
    const Graph *g = r->graph;
    Map names = {0};
    for (int i = 0; i < g->input.n; i++)
        if (!g->input.at[i].absent)     // else its default is a temporary like any other
            map_put(f->c, &names, g->input.at[i].tensor, free_word(f->c, taken, g->input.at[i].name));
    for (int i = 0; i < g->output.n; i++)
        if (!map_get(&names, g->output.at[i].tensor))
            map_put(f->c, &names, g->output.at[i].tensor, free_word(f->c, taken, g->output.at[i].name));
    return names;
}

static void name_members(Interface *f) {
    Program *p = f->code->program;
    Map weights = {0}, states = {0};
    claim_macros(f, &weights);
    claim_macros(f, &states);
    for (int i = 0; i < p->param.n; i++)
        map_put(f->c, &f->member, p->param.at[i], free_word(f->c, &weights, p->param.at[i]->path));
    for (int i = 0; i < p->state.n; i++)
        map_put(f->c, &f->member, p->state.at[i], free_word(f->c, &states, p->state.at[i]->path));
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
                char *n = free_word(f->c, &taken, format(f->c, "%s_table", t->name));
                map_put(f->c, &f->member, t, n);
                print_constant(f, e, t, n);
            }
        }
    }
}

/* ---- interface */

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

static char *terminal_parameter(Ctx *c, const Map *names, const Terminal *t, bool output) {
    const Type *type = &t->tensor->type;
    const char *n = map_get(names, t->tensor);
    if (!output && type->rank == 0)
        return format(c, "%s %s", c_elem(c, type->elem), n);
    return format(c, "%s%s *%s", output ? "" : "const ", c_elem(c, type->elem), n);
}

/* int NAME(const NAME_weights *w, NAME_state *s, inputs, outputs, sizes that vary, void *work) */
static void print_entry_head(const Interface *f, Emit *e, const Routine *r, const char *tail) {
    Ctx *c = f->c;
    const Graph *g = r->graph;
    VEC(char *) part = {0};
    Map taken = taken_in(f, r), names = name_terminals(f, r, &taken);
    if (needs_weights(f))
        push(c, &part, format(c, "const %s_weights *w", f->prefix));
    if (needs_state(f))
        push(c, &part, format(c, "%s_state *s", f->prefix));
    for (int i = 0; i < g->input.n; i++)
        if (!g->input.at[i].absent)
            push(c, &part, terminal_parameter(c, &names, &g->input.at[i], false));
    for (int i = 0; i < g->output.n; i++)
        push(c, &part, terminal_parameter(c, &names, &g->output.at[i], true));
    for (int i = 0; i < g->size.n; i++)
        push(c, &part, format(c, "int %s", g->size.at[i]->name));
    if (f->code->work_bytes)
        push(c, &part, format(c, "void *work"));

    if (!part.n)
        push(c, &part, "void");
    emit_list(e, format(c, "int %s(", c_function(f, r)), part.at, part.n, tail);
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
    print_entry_head(f, h, r, ");");
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
        emit(e, "    return %d; // %s", message(c, all, g->check.at[i].message), c_remark(c, g->check.at[i].message));
    }
    if (f->code->work_bytes) {
        emit(e, "if ((uintptr_t)work %% 64)");
        emit(e, "    return %d; // work must be aligned to 64 bytes", message(c, all, "work must be aligned to 64 bytes"));
    }
}

static const Terminal *terminal_of(const Routine *r, const Tensor *t, bool *output) {
    const Graph *g = r->graph;
    for (int i = 0; i < g->input.n; i++)
        if (g->input.at[i].tensor == t && !g->input.at[i].absent)
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

/* A place's name, and the one of its offset with at_ before it. */
static char *place_word(Ctx *c, Map *taken, const char *path) {
    char *base = c_identifier(c, path), *s = base;
    for (int i = 2; map_get(taken, as_name(c, s)) || map_get(taken, as_name(c, format(c, "at_%s", s))); i++)
        s = format(c, "%s_%d", base, i);
    claim(c, taken, s);
    claim(c, taken, format(c, "at_%s", s));
    return s;
}

/* One that takes the place of an earlier one says so: where a layer changes its size, the numbers that
 * move are those of its neighbours, not of every layer after it. */
static void print_table(Caller *call, Emit *e, Map *taken) {
    const Routine *r = call->r;
    Ctx *c = call->f->c;
    for (int i = 0; i < r->place.n; i++) {
        bool output;
        const Terminal *t = terminal_of(r, r->place.at[i].tensor, &output);
        if (!t)
            map_put(c, &call->place, r->place.at[i].tensor, place_word(c, taken, r->place.at[i].name));
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
static void print_unused(const Caller *call, Emit *e) {
    const Interface *f = call->f;
    const Routine *r = call->r;
    const Graph *g = r->graph;
    if (needs_weights(f) && !step_takes(r, NULL, TParam))
        emit(e, "(void)w;");
    if (needs_state(f) && !step_takes(r, NULL, TState))
        emit(e, "(void)s;");
    for (int i = 0; i < g->input.n; i++)
        if (!g->input.at[i].absent && !step_takes(r, g->input.at[i].tensor, TFormal))
            emit(e, "(void)%s;", (char *)map_get(&call->terminal, g->input.at[i].tensor));
    for (int i = 0; i < g->output.n; i++)
        if (!step_takes(r, g->output.at[i].tensor, TFormal))
            emit(e, "(void)%s;", (char *)map_get(&call->terminal, g->output.at[i].tensor));
}

static void print_entry(const Interface *f, Emit *e, const Routine *r, Messages *all) {
    Map declared = {0}, taken = taken_in(f, r);
    Caller call = { f, r, {0}, name_terminals(f, r, &taken) };
    print_entry_head(f, e, r, ") {");
    print_table(&call, e, &taken);
    print_checks(f, e, r, all);
    for (int i = 0; i < r->step.n; i++) {
        const Step *step = &r->step.at[i];
        if (step->path && (i == 0 || r->step.at[i - 1].path != step->path)) {
            if (i || r->place.n)
                emit_blank(e);
            if (*step->path)
                emit(e, "// %s", c_remark(e->c, step->path));
        }
        print_pointers(&call, e, step, &declared);
        print_step(&call, e, step);
    }
    if (f->code->work_bytes && !r->place.n)
        emit(e, "(void)work;");
    print_unused(&call, e);
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
        emit(e, "case %d: return \"%s\";", i + 1, c_string(e->c, all->at[i].text));
    emit(e, "default: return \"unknown code\";");
    e->depth++;
    emit(e, "}");
    emit(e, "}");
}

static bool text_uses(const Emit *e, const char *word) {
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
    c_check_statics(f, &helpers);
    if (needs_state(f))
        print_reset(f, &rest);
    for (int i = 0; i < f->code->n; i++)
        print_entry(f, &rest, f->code->routine[i], &all);
    print_strerror(f, &rest, &all);

    emit_comment(&top, format(c, "%s.c: made by mithrilc; do not edit.", f->prefix));
    emit(&top, "#include \"%s.h\"", f->prefix);
    emit_blank(&top);
    emit(&top, "#include <math.h>");
    if (text_uses(&rest, "ptrdiff_t"))
        emit(&top, "#include <stddef.h>");
    if (text_uses(&rest, "mem"))
        emit(&top, "#include <string.h>");
    emit_blank(&top);
    print_helpers(&top, &helpers);
    text_add(c, &top.text, "%s%s", kernels.text.s ? kernels.text.s : "", rest.text.s);
    push(c, out, ((OutFile){ format(c, "%s.c", f->prefix), top.text.s, top.text.n }));
}

static void print_c(Ctx *c, const Code *code, OutFiles *out) {
    if (!c_writes(c, code))
        return;
    Interface f = { .c = c, .code = code, .prefix = c_prefix(c, code->program->name) };
    f.upper = format(c, "%s", f.prefix);
    for (char *p = f.upper; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    int before = out->n;
    name_members(&f);
    print_header(&f, out);
    print_source(&f, out);
    if (needs_weights(&f))
        print_weights(&f, out);
    c_check_files(c, out, before);
}

const Target c_target = { "c", print_c };
