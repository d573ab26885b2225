/* run_lang.c: programs with their inputs and outputs, computed by `mithrilc run` and by generated C.
 *
 * A case is a .mth file. `# check: ok` wants `mithrilc check` to say nothing. Each `# run: OPTIONS` begins a run:
 *
 *     # weight fc.weight = [[1.0, 2.0]]     what the weights file holds
 *     # input x: i32 = [1, 2]               in the order of declaration; f32 where no type is given
 *     # size T = 2                          an argument of the C function
 *     # output y = [[3.0]]                  within a few units of the last place, or `# within: 1e-4`
 *     # fails: T must be 1 to 8             instead: the message of the code that C returns
 *     # then:                               a second call, of the C function only: states stay
 *
 * The C must compile without a warning with gcc and clang, its header as C++17, and run clean under sanitizers. */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MostNames = 32, MostCalls = 16 };

typedef struct Run {
    char *options, *fails, *sizes;
    char *weight[MostNames], *input[MostNames], *output[MostNames];
    Values weights[MostNames], in[MostCalls][MostNames], want[MostCalls][MostNames];
    int nweight, ninput, noutput, ncall;
    double within;
} Run;

static const char warnings[] = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Werror";

/* ---- reading a case */

static Values value_of(const char *text, char **name) {
    const char *equals = strchr(text, '=');
    if (!equals) die("`=` is expected in `%.60s`", text);
    char *left = text_of("%.*s", (int)(equals - text), text), *colon = strchr(left, ':'), *type = "f32";
    if (colon) {
        *colon = 0;
        type = colon + 1 + strspn(colon + 1, " ");
        type[strcspn(type, " [")] = 0;
    }
    *name = left + strspn(left, " ");
    (*name)[strcspn(*name, " ")] = 0;
    const char *numpy = numpy_type(type);
    if (!numpy) die("no type `%s`", type);
    Values v = read_values(equals + 1, numpy);
    const char *open = strchr(text, '[');
    if (colon && open && open < equals) {               // `x: f32[0, 3] = []`: the shape is given
        v.rank = 0;
        for (const char *p = open + 1; p < equals && *p != ']'; p += strspn(p, ", ")) {
            char *end;
            v.shape[v.rank++] = strtol(p, &end, 10);
            p = end;
        }
    }
    return v;
}

static int place_of(char **names, int *n, char *name) {
    for (int i = 0; i < *n; i++)
        if (!strcmp(names[i], name)) return i;
    if (*n == MostNames) die("too many names");
    names[*n] = name;
    return (*n)++;
}

static char *mark(char *line, const char *what) {
    char *start = text_of("# %s", what);
    return strncmp(line, start, strlen(start)) ? NULL : line + strlen(start);
}

static void read_line(Run *r, char *line) {
    char *rest, *name;
    Values v;
    if ((rest = mark(line, "weight "))) {
        v = value_of(rest, &name);
        r->weights[place_of(r->weight, &r->nweight, name)] = v;
    } else if ((rest = mark(line, "input "))) {
        v = value_of(rest, &name);
        r->in[r->ncall - 1][place_of(r->input, &r->ninput, name)] = v;
    } else if ((rest = mark(line, "output "))) {
        v = value_of(rest, &name);
        r->want[r->ncall - 1][place_of(r->output, &r->noutput, name)] = v;
    } else if ((rest = mark(line, "size "))) {
        char *value = strchr(rest, '=');
        r->sizes = text_of("%s %.*s=%s", r->sizes, (int)strcspn(rest, " ="), rest, value ? value + 1 + strspn(value + 1, " ") : "");
    } else if ((rest = mark(line, "fails: "))) {
        r->fails = rest;
    } else if ((rest = mark(line, "within: "))) {
        r->within = atof(rest);
    } else if (mark(line, "then:")) {
        if (r->ncall == MostCalls) die("too many calls");
        r->ncall++;
    }
}

static int read_runs(char *text, Run **runs) {
    int n = 0;
    *runs = get_memory(16 * sizeof **runs);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *options = mark(line, "run:");
        if (options) {
            if (n == 16) die("too many runs");
            (*runs)[n++] = (Run){ .options = options, .sizes = "", .ncall = 1, .within = 2e-6 };
        } else if (n) {
            read_line(&(*runs)[n - 1], line);
        }
    }
    return n;
}

/* ---- the commands */

static void begin(Command *c, const Case *k, const char *command, const Run *r, const char *folder) {
    add(c, k->suite->mithrilc);
    add(c, command);
    add(c, k->path);
    add(c, "-o");
    add(c, folder);
    add_words(c, r->options);
    if (r->nweight) {
        add(c, "--weights");
        add(c, text_of("%s/weights.safetensors", k->folder));
    }
    c->out = text_of("%s/stdout", k->folder);
    c->err = text_of("%s/stderr", k->folder);
}

static bool succeeded(Case *c, const Command *run, const char *what) {
    int code = run_command(run);
    if (!code) return true;
    char *said = read_text(run->err, NULL);
    for (char *p = said; *p; p++)
        if (*p == '\n') *p = ' ';
    failed(c, "%s: want exit code 0, got %d: %.400s", what, code, said);
    return false;
}

static void compare_outputs(Case *c, const Run *r, const char *how, int call, const Values *got) {
    bool good = true;
    for (int i = 0; i < r->noutput; i++) {
        const Values *want = &r->want[call][i];
        char *worst = want->n == got[i].n ? compare(want, got[i].at, r->within, r->within)
                                          : text_of("want %ld elements, got %ld", want->n, got[i].n);
        if (worst) failed(c, "%s: %s%s", how, r->output[i], worst);
        good &= !worst;
    }
    if (good) passed(c);
}

static void run_reference(Case *c, const Run *r) {
    char *folder = text_of("%s/run", c->folder);
    Values got[MostNames];
    Command run = {0};
    begin(&run, c, "run", r, folder);
    for (int i = 0; i < r->ninput; i++) {
        char *path = text_of("%s/in_%s.npy", c->folder, r->input[i]);
        write_npy(path, &r->in[0][i]);
        add(&run, "--input");
        add(&run, text_of("%s=%s", r->input[i], path));
    }
    if (!succeeded(c, &run, "mithrilc run")) return;
    for (int i = 0; i < r->noutput; i++) {
        char *path = text_of("%s/%s.npy", folder, r->output[i]);
        if (!there(path)) {
            failed(c, "mithrilc run wrote no %s.npy", r->output[i]);
            return;
        }
        got[i] = read_npy(path);
        if (strcmp(got[i].type, r->want[0][i].type)) {
            failed(c, "mithrilc run: %s is %s, want %s", r->output[i], got[i].type, r->want[0][i].type);
            return;
        }
    }
    compare_outputs(c, r, "mithrilc run", 0, got);
}

static void add_sources(Command *c, const char *folder) {
    char **name;
    int n = list_folder(folder, ".c", &name);
    for (int i = 0; i < n; i++)
        add(c, text_of("%s/%s", folder, name[i]));
}

static bool compiles(Case *c, const char *compiler, const char *flags, const char *gen, const char *header) {
    Command cc = { .err = text_of("%s/stderr", c->folder), .folder = gen };
    add(&cc, compiler);
    add_words(&cc, flags);
    add_words(&cc, warnings);
    if (header) add(&cc, header);
    else add_sources(&cc, gen);
    return succeeded(c, &cc, text_of("%s %s", compiler, header ? "of the header" : "of the generated C"));
}

static void compile_everywhere(Case *c, const char *gen, const char *header) {
    bool good = compiles(c, "gcc", "-std=c99 -O1 -c", gen, NULL);
    if (have_command("clang")) good &= compiles(c, "clang", "-std=c99 -O1 -c", gen, NULL);
    if (have_command("g++")) good &= compiles(c, "g++", "-std=c++17 -fsyntax-only -x c++", gen, header);
    if (good) passed(c);
}

/* Builds the C, calls it, and compares what it gave. */
static void run_generated(Case *c, const Run *r) {
    char *gen = text_of("%s/gen", c->folder), **header;
    Command build = {0};
    begin(&build, c, "build", r, gen);
    add(&build, "--quiet");
    if (!succeeded(c, &build, "mithrilc build")) return;
    if (list_folder(gen, ".h", &header) != 1) {
        failed(c, "the build wrote no header, or several");
        return;
    }
    compile_everywhere(c, gen, header[0]);

    Function f;
    char *prefix = text_of("%.*s", (int)strlen(header[0]) - 2, header[0]);
    char *text = read_text(text_of("%s/%s", gen, header[0]), NULL), *entry = strstr(r->options, "--entry ");
    if (entry) entry = text_of("%.*s", (int)strcspn(entry + 8, " "), entry + 8);
    if (!find_function(text, prefix, entry, &f)) {
        failed(c, "%s declares no function for the entry", header[0]);
        return;
    }
    Count count[2 * MostNames];
    int n = 0;
    for (int i = 0; i < r->ninput; i++) count[n++] = (Count){ r->input[i], r->in[0][i].n, false };
    for (int i = 0; i < r->noutput; i++) count[n++] = (Count){ r->output[i], r->want[0][i].n, true };
    char *driver = driver_text(&f, count, n, r->sizes);
    if (!driver) {
        failed(c, "%s takes an argument the test does not give", f.name);
        return;
    }
    write_bytes(text_of("%s/driver.c", c->folder), driver, strlen(driver));

    Command cc = { .err = text_of("%s/stderr", c->folder) };
    add_words(&cc, "gcc -std=c11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all");
    add(&cc, text_of("-I%s", gen));
    add(&cc, "-o");
    add(&cc, text_of("%s/driver", c->folder));
    add(&cc, text_of("%s/driver.c", c->folder));
    add_sources(&cc, gen);
    add(&cc, "-lm");
    if (!succeeded(c, &cc, "the test's driver")) return;

    FILE *in = fopen(text_of("%s/in", c->folder), "wb");
    for (int call = 0; call < r->ncall; call++)
        for (int k = 0; k < f.n; k++)
            for (int i = 0; i < r->ninput; i++) {
                const Values *v = &r->in[call][i];
                if (!strcmp(f.at[k].name, r->input[i]) && v->n) fwrite(pack(v, 0, v->n, v->type), type_bytes(v->type), (size_t)v->n, in);
            }
    fclose(in);
    Command run = { .in = text_of("%s/in", c->folder), .out = text_of("%s/out", c->folder),
                    .err = text_of("%s/stderr", c->folder), .seconds = 20 };
    add(&run, text_of("%s/driver", c->folder));
    add(&run, text_of("%d", r->ncall));
    if (r->fails) {
        int code = run_command(&run);
        char *said = read_text(run.err, NULL);
        said[strcspn(said, "\n")] = 0;
        if (code != 4 || strcmp(said, r->fails)) failed(c, "want `%s`, got `%s` (exit code %d)", r->fails, said, code);
        else passed(c);
        return;
    }
    if (!succeeded(c, &run, "the generated C")) return;

    size_t size;
    unsigned char *out = (unsigned char *)read_text(run.out, &size), *p = out;
    for (int call = 0; call < r->ncall; call++) {
        Values got[MostNames];
        for (int k = 0; k < f.n; k++)
            for (int i = 0; i < r->noutput; i++) {
                const Values *v = &r->want[call][i];
                if (strcmp(f.at[k].name, r->output[i])) continue;
                size_t bytes = (size_t)v->n * type_bytes(v->type);
                if ((size_t)(p - out) + bytes > size) {
                    failed(c, "the generated C wrote too little");
                    return;
                }
                got[i] = unpack(p, v->n, v->type);
                p += bytes;
            }
        compare_outputs(c, r, text_of("generated C, call %d", call + 1), call, got);
    }
}

void run_lang(Case *c) {
    char *text = read_text(c->path, NULL), *reason = strstr(text, "# skip:");
    if (reason) {
        skipped(c, "%.*s", (int)strcspn(reason + 8, "\n"), reason + 8);
        return;
    }
    Command check = { .err = text_of("%s/stderr", c->folder), .seconds = 20 };
    add(&check, c->suite->mithrilc);
    add(&check, "check");
    add(&check, c->path);
    int code = run_command(&check);
    char *said = read_text(check.err, NULL);
    if (code || *said) failed(c, "check: want silence, got exit code %d: %.*s", code, (int)strcspn(said, "\n"), said);
    else passed(c);

    Run *run;
    int n = read_runs(text, &run);
    for (int i = 0; i < n; i++) {
        if (run[i].nweight) write_safetensors(text_of("%s/weights.safetensors", c->folder), run[i].weight, run[i].weights, run[i].nweight);
        if (!run[i].fails) run_reference(c, &run[i]);
        remove_folder(text_of("%s/gen", c->folder));
        run_generated(c, &run[i]);
    }
}
