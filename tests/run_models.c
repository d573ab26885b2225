/* run_models.c: real networks with real weights, in generated C, against what independent programs computed.
 *
 * A case is tests/models/NAME: inputs and logits as .npy; the model is models/NAME/NAME.mth with the weights and
 * the map beside it. Where ../shared/data is present, its full sets are run as well. Bounds, as there:
 * |a - b| <= 1e-4 + 1e-4 |b| for logits, 1e-5 for probabilities; the largest entry equal where it is clear. The
 * arena is filled with 0xff before each call and, in a second build, what no one holds is filled after each kernel. */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char data[] = "../shared/data";

typedef struct Model {
    Case *c;
    const char *name, *terminal;        /* "kws", "audio" */
    char *gen, *program, *poisoned;     /* generated C; the two builds; NULL: no tool for it */
    long in, out;                       /* elements of one sample */
} Model;

/* ---- comparing */

static void softmax(double *x, long n) {
    double most = x[0], sum = 0;
    for (long i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (long i = 0; i < n; i++) sum += x[i] = exp(x[i] - most);
    for (long i = 0; i < n; i++) x[i] /= sum;
}

static long largest(const double *x, long n) {
    long best = 0;
    for (long i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Is the largest of x larger than the others by more than `gap`? */
static bool clear(const double *x, long n, double gap) {
    long best = largest(x, n);
    for (long i = 0; i < n; i++)
        if (i != best && x[best] - x[i] <= gap) return false;
    return true;
}

/* One set of samples: passed, or one failure. */
static bool compare_set(Case *c, const char *what, const Values *want, const double *got, long classes, bool probabilities) {
    char *worst = compare(want, got, probabilities ? 1e-5 : 1e-4, probabilities ? 0 : 1e-4);
    for (long i = 0; !worst && i < want->n / classes; i++) {
        const double *w = want->at + i * classes, *g = got + i * classes;
        if (largest(w, classes) != largest(g, classes) && clear(w, classes, probabilities ? 1e-5 : 2e-4))
            worst = text_of("sample %ld: want class %ld, got %ld", i, largest(w, classes), largest(g, classes));
    }
    if (worst) failed(c, "%s: %s", what, worst);
    else passed(c);
    return !worst;
}

/* ---- building and calling */

static bool done(Case *c, Command *command, const char *what) {
    command->err = text_of("%s/stderr", c->folder);
    int code = run_command(command);
    if (!code) return true;
    char *said = read_text(command->err, NULL);
    failed(c, "%s: want exit code 0, got %d: %.*s", what, code, (int)strcspn(said, "\n"), said);
    return false;
}

static char *file_ending(const char *folder, const char *suffix) {
    char **name;
    return list_folder(folder, suffix, &name) ? text_of("%s/%s", folder, name[0]) : NULL;
}

static void add_model(Command *c, const Case *k, const char *command, const char *out) {
    const char *folder = text_of("models/%s", k->name);
    char *weights = file_ending(folder, ".safetensors"), *map = file_ending(folder, ".map");
    add(c, k->suite->mithrilc);
    add(c, command);
    add(c, text_of("%s/%s.mth", folder, k->name));
    add(c, "-o");
    add(c, out);
    add(c, "--weights");
    add(c, weights ? weights : "missing.safetensors");
    if (map) add(c, "--map"), add(c, map);
    if (strcmp(k->name, "llama")) add(c, "--bind"), add(c, "N=1");
}

static bool build(Case *c, const char *gen) {
    Command run = {0};
    add_model(&run, c, "build", gen);
    add(&run, "--quiet");
    return done(c, &run, "mithrilc build");
}

/* Compiles the folder's C as its user would, and links `with` to it. */
static char *compile(Case *c, const char *gen, const char *with, const char *to, const char *flags) {
    char **name;
    int n = list_folder(gen, ".c", &name);
    Command cc = { .folder = gen }, link = {0};
    add_words(&cc, "cc -std=c99 -c");
    add_words(&cc, flags);
    add_words(&link, "cc -std=c11 -D_POSIX_C_SOURCE=200809L");
    add_words(&link, flags);
    add(&link, text_of("-I%s", gen));
    add(&link, "-o");
    add(&link, to);
    add(&link, with);
    for (int i = 0; i < n; i++) {
        add(&cc, name[i]);
        add(&link, text_of("%s/%.*s.o", gen, (int)strlen(name[i]) - 2, name[i]));
    }
    add(&link, "-lm");
    return done(c, &cc, "cc of the generated C") && done(c, &link, "cc of the driver") ? text_of("%s", to) : NULL;
}

/* A copy of the C that fills, after each kernel, all bytes of the arena that no later kernel reads. */
static char *poison(Case *c, const char *gen) {
    char *folder = text_of("%s/poisoned", c->folder), **name;
    int n = list_folder(gen, "", &name);
    if (!there("/usr/bin/python3")) {
        skipped(c, "no python3: the arena is not poisoned between kernels");
        return NULL;
    }
    make_folders(folder);
    for (int i = 0; i < n; i++) {
        size_t size;
        char *text = read_text(text_of("%s/%s", gen, name[i]), &size);
        if (strstr(name[i], ".o") != name[i] + strlen(name[i]) - 2) write_bytes(text_of("%s/%s", folder, name[i]), text, size);
    }
    Command run = {0};
    add(&run, "/usr/bin/python3");
    add(&run, "tests/props/arena.py");
    add(&run, "--poison");
    add(&run, text_of("%s/%s.c", folder, c->name));
    return done(c, &run, "tests/props/arena.py") ? folder : NULL;
}

/* The samples through the program, one call each. NULL: it failed and was reported. */
static double *call(Model *m, const char *program, const Values *in) {
    long samples = in->n / m->in;
    Command run = { .in = text_of("%s/in", m->c->folder), .out = text_of("%s/out", m->c->folder) };
    write_bytes(run.in, pack(in, 0, in->n, "f4"), (size_t)in->n * 4);
    add(&run, program);
    add(&run, text_of("%ld", samples));
    if (!done(m->c, &run, "the generated C")) return NULL;
    size_t n;
    unsigned char *out = (unsigned char *)read_text(run.out, &n);
    if (n != (size_t)(samples * m->out) * 4) {
        failed(m->c, "the generated C wrote %zu bytes", n);
        return NULL;
    }
    return unpack(out, samples * m->out, "f4").at;
}

/* ---- inputs of the full sets */

static Values like(const Values *v, double scale, double shift) {
    Values out = *v;
    out.at = get_memory((size_t)v->n * sizeof *out.at);
    for (long i = 0; i < v->n; i++) out.at[i] = (v->at[i] - shift) * scale;
    return out;
}

/* CIFAR's binary format: a label, then 3072 bytes, a plane a colour. */
static Values read_cifar(const char *path, bool planes_last, bool normalized, int *label) {
    static const double mean[] = { .485, .456, .406 }, deviation[] = { .229, .224, .225 };
    size_t n;
    unsigned char *s = (unsigned char *)read_text(path, &n);
    Values v = { .type = "f4", .rank = 1, .n = (long)(n / 3073 * 3072), .at = get_memory(n * sizeof(double)) };
    for (long k = 0; k < v.n / 3072; k++) {
        label[k] = s[k * 3073];
        for (int plane = 0; plane < 3; plane++)
            for (int i = 0; i < 1024; i++) {
                double x = s[k * 3073 + 1 + plane * 1024 + i];
                if (normalized) x = (x / 255 - mean[plane]) / deviation[plane];
                v.at[k * 3072 + (planes_last ? i * 3 + plane : plane * 1024 + i)] = x;
            }
    }
    return v;
}

static Values read_digits(Case *c, const char *gz, long count) {
    Command unpack_it = { .in = gz, .out = text_of("%s/images", c->folder) };
    add(&unpack_it, "gzip");
    add(&unpack_it, "-dc");
    Values v = { .type = "f4", .rank = 1, .n = count * 784, .at = get_memory((size_t)count * 784 * sizeof(double)) };
    size_t n = 0;
    unsigned char *s = run_command(&unpack_it) ? NULL : (unsigned char *)read_text(unpack_it.out, &n);
    if (!s || n < 16 + (size_t)v.n) die("cannot read %s", gz);
    for (long i = 0; i < v.n; i++) v.at[i] = (s[16 + i] / 255.0 - 0.1307) / 0.3081;
    return v;
}

/* ---- the sets */

static void run_set(Model *m, const char *what, const Values *in, const char *logits, const char *probabilities) {
    double *got = call(m, m->program, in);
    if (!got) return;
    if (logits) {
        Values want = read_npy(logits);
        compare_set(m->c, what, &want, got, m->out, false);
    }
    for (long i = 0; probabilities && i < in->n / m->in; i++) softmax(got + i * m->out, m->out);
    if (probabilities) {
        Values want = read_npy(probabilities);
        compare_set(m->c, text_of("%s, softmax", what), &want, got, m->out, true);
    }
}

static void run_cifar(Model *m, const char *set) {
    bool ic = !strcmp(m->name, "ic");
    char *path = text_of("%s/cifar/%s.bin", data, set), *logits = text_of("%s/%s/%s_logits.npy", data, m->name, set);
    int label[600], right = 0;
    Values in = read_cifar(path, ic, !ic, label);
    run_set(m, set, &in, logits, ic ? text_of("%s/ic/%s_probs.npy", data, set) : NULL);
    if (ic || strcmp(set, "cifar10_lossless20")) return;
    double *got = call(m, m->program, &in);
    for (int i = 0; got && i < 20; i++) right += largest(got + i * 10, 10) == label[i];
    if (right == 20) passed(m->c);
    else failed(m->c, "%s: want 20 of 20 right, got %d", set, right);
}

static void run_full_sets(Model *m) {
    if (!strcmp(m->name, "mobilenet")) return;          // its photographs are committed
    if (!is_folder(data)) {
        skipped(m->c, "no %s: the full set of %s is unproved, its committed samples are proved", data, m->name);
        return;
    }
    if (!strcmp(m->name, "kws")) {
        Values q = read_npy(text_of("%s/kws/kws_x_i8.npy", data)), in = like(&q, 0.5847029089927673, 83);
        run_set(m, "500 words", &in, text_of("%s/kws/kws_float_logits.npy", data), text_of("%s/kws/kws_float_probs.npy", data));
    } else if (!strcmp(m->name, "mnist")) {
        Values in = read_digits(m->c, text_of("%s/mnist/t10k-images-idx3-ubyte.gz", data), 1000);
        run_set(m, "1000 digits", &in, text_of("%s/mnist/burn_t10k_first1000_logprob.npy", data), NULL);
    } else if (!strcmp(m->name, "ic") || !strcmp(m->name, "resnet20")) {
        run_cifar(m, "cifar10_lossless20");
        run_cifar(m, "cifar10_jpgA500");
    }
}

static void run_committed(Model *m, const Values *in) {
    char *folder = text_of("tests/models/%s", m->name);
    Values want = read_npy(text_of("%s/logits.npy", folder));
    run_set(m, "committed samples", in, text_of("%s/logits.npy", folder), NULL);
    double *got = m->poisoned ? call(m, m->poisoned, in) : NULL;
    if (got) compare_set(m->c, "with a poisoned arena", &want, got, m->out, false);
    if (strcmp(m->name, "mobilenet")) return;
    Values photos = read_npy(text_of("%s/photos_u8_128.npy", folder)), x = like(&photos, 1.0 / 128, 128);
    run_set(m, "four photographs", &x, NULL, text_of("%s/photos_probs.npy", folder));
}

/* `mithrilc run` on the first sample. */
static void run_reference(Model *m, const Values *in) {
    Case *c = m->c;
    Values one = *in, want = read_npy(text_of("tests/models/%s/logits.npy", m->name));
    one.n = m->in;
    one.shape[0] = 1;
    want.n = m->out;
    char *path = text_of("%s/sample.npy", c->folder), *out = text_of("%s/run", c->folder);
    write_npy(path, &one);
    Command run = {0};
    add_model(&run, c, "run", out);
    add(&run, "--input");
    add(&run, text_of("%s=%s", m->terminal, path));
    if (!done(c, &run, "mithrilc run")) return;
    Values got = read_npy(text_of("%s/logits.npy", out));
    if (got.n != want.n) failed(c, "mithrilc run: want %ld logits, got %ld", want.n, got.n);
    else compare_set(c, "mithrilc run", &want, got.at, m->out, false);
}

static void run_network(Case *c) {
    Model m = { .c = c, .name = c->name, .gen = text_of("%s/gen", c->folder) };
    m.terminal = !strcmp(c->name, "kws") ? "audio" : "image";
    Values in = read_npy(text_of("tests/models/%s/%s.npy", c->name, m.terminal));
    Values want = read_npy(text_of("tests/models/%s/logits.npy", c->name));
    m.in = in.n / in.shape[0];
    m.out = want.n / want.shape[0];
    if (!build(c, m.gen)) return;

    Function f;
    Count count[] = { { m.terminal, m.in, false }, { "logits", m.out, true } };
    char *header = read_text(text_of("%s/%s.h", m.gen, c->name), NULL);
    char *driver = header && find_function(header, c->name, NULL, &f) ? driver_text(&f, count, 2, "") : NULL;
    if (!driver) {
        failed(c, "%s.h: no function of %s and logits", c->name, m.terminal);
        return;
    }
    char *with = text_of("%s/driver.c", c->folder);
    write_bytes(with, driver, strlen(driver));
    m.program = compile(c, m.gen, with, text_of("%s/program", c->folder), "-O2");
    if (!m.program) return;
    char *other = poison(c, m.gen);
    if (other) m.poisoned = compile(c, other, with, text_of("%s/poisoned_program", c->folder), "-O1");
    run_committed(&m, &in);
    run_reference(&m, &in);
    run_full_sets(&m);
}

/* ---- llama: 256 greedy tokens, their logits, their text */

static void tell(Case *c, const char *program, const char *how) {
    char *tokens = text_of("%s/tokens.npy", c->folder), *logits = text_of("%s/logits.npy", c->folder);
    Command run = { .out = text_of("%s/story.txt", c->folder) };
    add(&run, program);
    add_words(&run, "-t 0 -n 256 --tokenizer models/llama/tok512.bin --tokens-out");
    add(&run, tokens);
    add(&run, "--logits-out");
    add(&run, logits);
    if (!done(c, &run, how)) return;

    Values want = read_npy("tests/models/llama/greedy256_tokens.npy"), got = read_npy(tokens);
    char *worst = want.n == got.n ? compare(&want, got.at, 0, 0) : text_of("want %ld tokens, got %ld", want.n, got.n);
    if (worst) failed(c, "%s: tokens%s", how, worst);
    else passed(c);

    want = read_npy("tests/models/llama/greedy256_logits.npy");
    got = read_npy(logits);
    worst = want.n == got.n ? compare(&want, got.at, 1e-4, 0) : text_of("want %ld logits, got %ld", want.n, got.n);
    if (worst) failed(c, "%s: logits%s", how, worst);
    else passed(c);

    char *text = read_text(run.out, NULL), *golden = read_text("tests/models/llama/greedy256.txt", NULL);
    char *upstream = read_text("tests/models/llama/expected_stdout_200.txt", NULL);
    size_t n = strlen(golden), m = strlen(upstream);
    while (n && golden[n - 1] == '\n') n--;
    while (m && upstream[m - 1] == '\n') m--;
    if (strncmp(text, golden, n) || strncmp(text, upstream, m)) failed(c, "%s: the text differs: `%.60s…`", how, text);
    else passed(c);
}

/* The first n tokens at once give the logits of the n-th; then the next come one at a time. */
static const char prefill_source[] =
    "#include \"llama.h\"\n"
    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    "static llama_state state;\n"
    "static _Alignas(64) unsigned char work[LLAMA_WORK_BYTES];\n"
    "int main(int n, char **arg) {\n"
    "    int32_t token[512];\n"
    "    float logits[512];\n"
    "    int count = atoi(arg[n - 1]);\n"
    "    if (fread(token, sizeof *token, (size_t)count + 1, stdin) != (size_t)count + 1) return 3;\n"
    "    memset(&state, 0xff, sizeof state);\n"
    "    llama_reset(&state);\n"
    "    memset(work, 0xff, sizeof work);\n"
    "    if (llama_prefill(&llama_embedded, &state, token, 0, logits, count, work)) return 4;\n"
    "    fwrite(logits, sizeof logits, 1, stdout);\n"
    "    memset(work, 0xff, sizeof work);\n"
    "    if (llama_decode(&llama_embedded, &state, token + count, count, logits, work)) return 4;\n"
    "    fwrite(logits, sizeof logits, 1, stdout);\n"
    "    if (!llama_prefill(&llama_embedded, &state, token, 0, logits, 0, work)) return 5;\n"
    "    if (!llama_prefill(&llama_embedded, &state, token, 0, logits, 513, work)) return 5;\n"
    "    return llama_prefill(&llama_embedded, &state, token, 0, logits, 1, work + 1) ? 0 : 5;\n"
    "}\n";

static void read_prompts(Case *c, const char *gen) {
    static const int lengths[] = { 1, 2, 7, 64, 255 };
    char *with = text_of("%s/prefill.c", c->folder);
    write_bytes(with, prefill_source, strlen(prefill_source));
    char *program = compile(c, gen, with, text_of("%s/prefill", c->folder), "-O2");
    if (!program) return;
    Values tokens = read_npy("tests/models/llama/greedy256_tokens.npy"), all = read_npy("tests/models/llama/greedy256_logits.npy");
    write_bytes(text_of("%s/tokens", c->folder), pack(&tokens, 0, tokens.n, "i4"), (size_t)tokens.n * 4);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int n = lengths[i];
        Command run = { .in = text_of("%s/tokens", c->folder), .out = text_of("%s/out", c->folder) };
        add(&run, program);
        add(&run, text_of("%d", n));
        if (!done(c, &run, text_of("a prompt of %d tokens (5: a wrong call went through)", n))) continue;
        Values got = unpack((unsigned char *)read_text(run.out, NULL), 1024, "f4"), want = { .type = "f4", .rank = 1, .n = 1024 };
        want.shape[0] = 1024;
        want.at = all.at + (n - 1) * 512;
        char *worst = compare(&want, got.at, 1e-4, 0);
        if (worst) failed(c, "prefill of %d tokens, then decode: logits%s", n, worst);
        else passed(c);
    }
}

static void run_llama(Case *c) {
    char *gen = text_of("%s/gen", c->folder), *main_c = text_of("%s/models/llama/main.c", c->suite->root);
    if (!build(c, gen)) return;
    char *program = compile(c, gen, main_c, text_of("%s/story", c->folder), "-O2");
    if (!program) return;
    tell(c, program, "the story");
    read_prompts(c, gen);
    char *other = poison(c, gen);
    char *poisoned = other ? compile(c, other, main_c, text_of("%s/poisoned_story", c->folder), "-O1") : NULL;
    if (poisoned) tell(c, poisoned, "the story with a poisoned arena");
}

void run_model(Case *c) {
    if (!strcmp(c->name, "llama")) run_llama(c);
    else run_network(c);
}
