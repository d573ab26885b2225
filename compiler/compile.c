/* compile.c: the pipeline, and what each command makes of it.
 *
 * The table is the program's table of contents. After each pass its check runs (in builds with
 * assertions), and --dump prints what it gave. */
#include "compile.h"

#include <string.h>

/* ---- the passes, each over every export */

static void pass_parse(Work *w) {
    size_t n;
    char *text = read_file(w->c, w->c->opt.model, &n);
    if (!text) {
        error_plain(w->c, "cannot read %s", w->c->opt.model);
        fail(w->c);
    }
    Source *src = NEW(w->c, Source);
    *src = (Source){ w->c->opt.model, text, n, false };
    w->syntax = parse(w->c, src);
}

static void pass_build(Work *w) {
    w->module = build(w->c, w->syntax);
}

static void pass_flatten(Work *w) {
    w->programs = flatten(w->c, w->module, !strcmp(w->c->opt.command, "check"));
}

/* Weights the caller will supply (--weights-as extern) are compared with the file, no more. */
static void load_weights(Work *w) {
    const Options *o = &w->c->opt;
    bool external = o->weights_as && !strcmp(o->weights_as, "extern");
    for (int i = 0; o->weights && i < w->programs.n; i++) {
        Program *p = w->programs.at[i];
        weights_load(w->c, p, o->weights, o->map, o->partial);
        for (int k = 0; external && k < p->param.n; k++)
            p->param.at[k]->data = NULL;
    }
}

static void pass_simplify(Work *w) {
    load_weights(w);
    if (w->c->errors)
        return;
    for (int i = 0; i < w->programs.n; i++)
        simplify(w->c, w->programs.at[i]);
}

static void pass_fuse(Work *w) {
    w->bunches = NEWN(w->c, Bunches **, w->programs.n);
    for (int i = 0; i < w->programs.n; i++) {
        Program *p = w->programs.at[i];
        w->bunches[i] = NEWN(w->c, Bunches *, p->n);
        for (int g = 0; g < p->n; g++)
            w->bunches[i][g] = fuse(w->c, p->graph[g]);
    }
}

static void pass_lower(Work *w) {
    w->code = NEWN(w->c, Code *, w->programs.n);
    for (int i = 0; i < w->programs.n; i++)
        w->code[i] = lower(w->c, w->programs.at[i], w->bunches[i]);
}

static void pass_schedule(Work *w) {
    for (int i = 0; i < w->programs.n; i++)
        schedule(w->c, w->code[i]);
}

static void pass_plan(Work *w) {
    for (int i = 0; i < w->programs.n; i++)
        plan(w->c, w->code[i]);
}

/* NULL after an error. */
static const Target *chosen_target(Ctx *c) {
    const char *wanted = c->opt.target ? c->opt.target : "c";
    Text known = {0};
    for (int t = 0; targets[t]; t++) {
        if (!strcmp(targets[t]->name, wanted))
            return targets[t];
        text_add(c, &known, "%s%s", t ? ", " : "", targets[t]->name);
    }
    error_plain(c, "no target `%s` (there is %s)", wanted, known.s);
    return NULL;
}

static void pass_print(Work *w) {
    const Target *target = chosen_target(w->c);
    for (int i = 0; i < w->programs.n; i++)
        target->print(w->c, w->code[i], &w->files);
}

/* ---- dumps and checks */

static void dump_parse(Work *w, FILE *to) {
    syntax_print(w->c, w->syntax, to);
}

static void dump_build(Work *w, FILE *to) {
    build_print(w->c, w->module, to);
}

static void dump_graph(Work *w, FILE *to) {
    for (int i = 0; i < w->programs.n; i++)
        graph_print(w->c, w->programs.at[i], to);
}

static void dump_fuse(Work *w, FILE *to) {
    for (int i = 0; i < w->programs.n; i++)
        for (int g = 0; g < w->programs.at[i]->n; g++)
            bunches_print(w->c, w->bunches[i][g], to);
}

static void dump_code(Work *w, FILE *to) {
    for (int i = 0; i < w->programs.n; i++)
        code_print(w->c, w->code[i], to, false);
}

static void dump_places(Work *w, FILE *to) {
    for (int i = 0; i < w->programs.n; i++)
        code_print(w->c, w->code[i], to, true);
}

static void dump_files(Work *w, FILE *to) {
    for (int i = 0; i < w->files.n; i++)
        fwrite(w->files.at[i].data, 1, w->files.at[i].n, to);
}

static void check_graphs(Work *w) {
    for (int i = 0; i < w->programs.n; i++)
        graph_check(w->c, w->programs.at[i]);
}

static void check_code(Work *w) {
    for (int i = 0; i < w->programs.n; i++)
        code_check(w->c, w->code[i]);
}

const Pass pass_table[] = {
    /* name       needs          gives
     *   run, dump, check, sound */
    { "parse",    "text",         "a syntax tree",
      pass_parse,    dump_parse,  NULL,         false },
    { "build",    "syntax",       "modules, every name resolved",
      pass_build,    dump_build,  NULL,         false },
    { "flatten",  "modules",      "a flat typed graph an entry",
      pass_flatten,  dump_graph,  check_graphs, false },
    { "simplify", "a flat graph", "folded, no view, nothing twice",
      pass_simplify, dump_graph,  check_graphs, true  },
    { "fuse",     "a flat graph", "nodes grouped into kernels",
      pass_fuse,     dump_fuse,   NULL,         true  },
    { "lower",    "groups",       "kernels as loops, steps",
      pass_lower,    dump_code,   check_code,   true  },
    { "schedule", "loops",        "loops as they shall run",
      pass_schedule, dump_code,   check_code,   true  },
    { "plan",     "steps",        "the place of every temporary",
      pass_plan,     dump_places, check_code,   true  },
    { "print",    "all of it",    "files",
      pass_print,    dump_files,  NULL,         true  },
    { .name = NULL },
};

/* Runs the passes after `first` (NULL: from the start) up to and including `last`; false when
 * something was reported. The first three go on after errors, so that one run reports them all. */
bool run_passes_after(Work *w, const char *first, const char *last) {
    const char *dump = w->c->opt.dump;
    const Pass *p = pass_table;
    for (bool found = !first; !found; p++)
        found = !strcmp(p->name, first);
    for (; p->name && !(p->sound && w->c->errors); p++) {
        p->run(w);
#ifndef NDEBUG
        if (p->check && !w->c->errors)
            p->check(w);
#endif
        w->dumped = dump && !strcmp(dump, p->name);
        if (w->dumped && !w->c->errors)
            p->dump(w, stdout);
        if (w->dumped || !strcmp(last, p->name))
            break;
    }
    return !w->c->errors;
}

bool run_passes(Work *w, const char *last) {
    return run_passes_after(w, NULL, last);
}

static bool known_pass(Ctx *c, const char *wanted) {
    Text known = {0};
    for (const Pass *p = pass_table; p->name; p++) {
        if (!strcmp(p->name, wanted))
            return true;
        text_add(c, &known, " %s", p->name);
    }
    error_plain(c, "no pass `%s`; the passes are%s", wanted, known.s);
    return false;
}

/* ---- build */

static char *bytes_text(Ctx *c, int64_t n) {
    if (n < 10 * 1024)
        return format(c, "%lld B", (long long)n);
    if (n < 10 * 1024 * 1024)
        return format(c, "%.1f KiB", (double)n / 1024);
    return format(c, "%.1f MiB", (double)n / 1048576);
}

static int64_t weight_bytes(Ctx *c, const Program *p) {
    int64_t total = 0;
    for (int i = 0; i < p->param.n; i++) {
        int64_t n = 0;
        if (dim_number(type_count(c, &p->param.at[i]->type), &n))
            total += n * elem_bytes(c, p->param.at[i]->type.elem);
    }
    return total;
}

static void print_summary(Work *w) {
    Ctx *c = w->c;
    for (int i = 0; i < w->programs.n; i++) {
        const Code *code = w->code[i];
        printf("%s: %d kernels, weights %s, work %s\n", code->program->name, code->kernel.n,
               bytes_text(c, weight_bytes(c, code->program)), bytes_text(c, code->work_bytes));
        for (int r = 0; r < code->n; r++) {
            const Routine *routine = code->routine[r];
            printf("  %s: %d calls, arena peak %lld B, bound %lld B, ratio %.2f\n", routine->name,
                   routine->step.n, (long long)routine->peak, (long long)routine->bound,
                   routine->bound ? (double)routine->peak / (double)routine->bound : 1.0);
        }
    }
    for (int i = 0; i < w->files.n; i++)
        printf("  %s/%s %s\n", c->opt.out, w->files.at[i].path,
               bytes_text(c, (int64_t)w->files.at[i].n));
}

/* A path as make reads it: what it would take for more than a name has a backslash (a dollar, another) before it. */
static char *make_path(Ctx *c, const char *path) {
    Text out = {0};
    text_add(c, &out, "%s", "");
    for (; *path; path++)
        text_add(c, &out, "%s%c", *path == '$' ? "$" : strchr(" #:", *path) ? "\\" : "", *path);
    return out.s;
}

/* NAME.d: the outputs depend on every file that was read. */
static void add_depfile(Work *w) {
    Ctx *c = w->c;
    Text out = {0};
    for (int i = 0; i < w->files.n; i++)
        text_add(c, &out, "%s%s/%s", i ? " " : "", make_path(c, c->opt.out), w->files.at[i].path);
    text_add(c, &out, ":");
    for (int i = 0; i < c->files.n; i++)
        text_add(c, &out, " %s", make_path(c, c->files.at[i]));
    text_add(c, &out, "\n");
    char *path = format(c, "%s.d", w->programs.at[0]->name);
    push(c, &w->files, ((OutFile){ path, out.s, out.n }));
}

static int command_build(Work *w) {
    if (!run_passes(w, "print"))
        return 1;
    if (w->dumped)
        return 0;
    if (w->c->opt.depfile && w->programs.n)
        add_depfile(w);
    if (!write_files(w->c, w->c->opt.out, &w->files))
        return 1;
    if (!w->c->opt.quiet)
        print_summary(w);
    return 0;
}

static int command_check(Work *w) {
    return run_passes(w, "flatten") ? 0 : 1;
}

int compile(Ctx *c) {
    static const struct { const char *name; int (*run)(Work *); } commands[] = {
        { "build", command_build }, { "check", command_check }, { "run", command_run },
    };
    Work w = { .c = c };
    if ((c->opt.dump && !known_pass(c, c->opt.dump)) || !chosen_target(c))
        return 2;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i].name, c->opt.command))
            return commands[i].run(&w);
    return 2;
}
