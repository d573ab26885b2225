/* main.c: the command line.
 *
 * In: arguments. Out: Options, then compile(). Exit codes: 0, 1 for bad input, 2 for bad usage. */
#include "compiler.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum OptionKind { AFlag, AString, APair, ARange, AList } OptionKind;
enum { ForBuild = 1, ForCheck = 2, ForRun = 4, ForAll = ForBuild | ForCheck | ForRun };

typedef struct Option {
    const char *name, *value;           /* what stands after it in the help */
    int commands;
    OptionKind kind;
    size_t at;                          /* offset in Options */
    const char *what;
} Option;

#define AT(field) offsetof(Options, field)
static const Option options[] = {
    { "-o",           "DIR",     ForBuild | ForRun, AString, AT(out),
      "where files go; made if it is missing" },
    { "--target",     "NAME",    ForBuild,          AString, AT(target),
      "c (the default)" },
    { "--entry",      "NAME",    ForAll,            AList,   AT(entry),
      "only this entry; may be given several times" },
    { "--bind",       "N=RANGE", ForAll,            ARange,  AT(bind),
      "the value or the range of a size: T=4, T=1..512" },
    { "-p",           "N=VALUE", ForAll,            APair,   AT(set),
      "a parameter of the exported model; fields of a config by dots" },
    { "--weights",    "FILE",    ForBuild | ForRun, AString, AT(weights),
      "safetensors, npz or npy" },
    { "--weights-as", "FORM",    ForBuild,          AString, AT(weights_as),
      "embed (the default), incbin, blob, extern" },
    { "--map",        "FILE",    ForBuild | ForRun, AString, AT(map),
      "lines `parameter = name in the file [permute …] [reshape …]`" },
    { "--partial",    "",        ForBuild | ForRun, AFlag,   AT(partial),
      "parameters that the file lacks are left out" },
    { "--input",      "N=FILE",  ForRun,            APair,   AT(input),
      "the value of an input: image=x.npy" },
    { "--precision",  "TYPE",    ForAll,            AString, AT(precision_name),
      "what `float` is: f32 (the default) or f64" },
    { "-I",           "DIR",     ForAll,            AList,   AT(include),
      "where `use NAME` also looks" },
    { "-MD",          "",        ForBuild,          AFlag,   AT(depfile),
      "writes NAME.d beside the output, for make" },
    { "--dump",       "PASS",    ForAll,            AString, AT(dump),
      "prints the program after a pass and stops: parse build flatten\n"
      "                       simplify fuse lower schedule plan print" },
    { "--color",      "",        ForAll,            AFlag,   AT(color),
      "colours in messages" },
    { "--quiet",      "",        ForBuild,          AFlag,   AT(quiet),
      "no summary" },
};
enum { NOption = sizeof options / sizeof *options };

static const struct { const char *name; int bit; const char *what; } command_table[] = {
    { "build", ForBuild, "writes the model's source code into the folder that -o names" },
    { "check", ForCheck, "reads and infers everything, reports what is wrong, writes nothing" },
    { "run",   ForRun,   "computes one call of an entry; -o DIR gets OUTPUT.npy for each output" },
};
enum { NCommand = sizeof command_table / sizeof *command_table };

/* Of one command, or of all of them (NULL). */
static _Noreturn void print_help(const char *command) {
    int bits = command ? 0 : ForAll;
    printf("usage: mithrilc %s MODEL.mth [options]\n\n", command ? command : "COMMAND");
    for (int i = 0; i < NCommand; i++) {
        if (command && strcmp(command, command_table[i].name))
            continue;
        bits |= command_table[i].bit;
        printf("  %-20s %s\n", command_table[i].name, command_table[i].what);
    }
    puts("\noptions");
    for (int i = 0; i < NOption; i++) {
        const Option *o = &options[i];
        if (!(o->commands & bits))
            continue;
        int n = printf("  %s %s", o->name, o->value);
        printf("%*s %s\n", 22 - n, "", o->what);
    }
    puts("  --help, --version    with a command before it, --help shows that command's options");
    exit(0);
}

static _Noreturn void misuse(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fputs("mithrilc: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputs("\n(`mithrilc --help` lists the commands and options)\n", stderr);
    va_end(ap);
    exit(2);
}

static const char *nearest_option(const char *given) {
    const char *best = NULL;
    int least = 3;
    for (int i = 0; i < NOption; i++) {
        int d = edit_distance(given, options[i].name);
        if (d < least) {
            least = d;
            best = options[i].name;
        }
    }
    return best;
}

/* `text` = "NAME=REST", in two; the name is copied. */
static const char *split_pair(Ctx *c, const char *option, const char *text, const char **left) {
    const char *eq = strchr(text, '=');
    if (!eq || eq == text || !eq[1])
        misuse("%s wants NAME=VALUE, found `%s`", option, text);
    *left = intern(c, text, (size_t)(eq - text));
    return eq + 1;
}

static int64_t whole_number(const char *option, const char *text, const char **end) {
    char *stop;
    long long v = strtoll(text, &stop, 10);
    if (stop == text || v < 0 || v > 2147483647)
        misuse("%s wants a whole number from 0 to 2147483647, found `%s`", option, text);
    *end = stop;
    return v;
}

static Binding read_binding(Ctx *c, const char *text) {
    Binding b = {0};
    const char *rest = split_pair(c, "--bind", text, &b.name);
    b.lo = b.hi = whole_number("--bind", rest, &rest);
    if (!strncmp(rest, "..", 2))
        b.hi = whole_number("--bind", rest + 2, &rest);
    if (*rest || b.hi < b.lo)
        misuse("--bind wants NAME=4 or NAME=1..512, found `%s`", text);
    return b;
}

static void set_option(Ctx *c, const Option *o, const char *value) {
    void *at = (char *)&c->opt + o->at;
    Setting s;
    switch (o->kind) {
    case AFlag:
        *(bool *)at = true;
        return;
    case AString:
        *(const char **)at = value;
        return;
    case APair:
        s.value = split_pair(c, o->name, value, &s.name);
        if (o->at == AT(set))
            push(c, &c->opt.set, s);
        else
            push(c, &c->opt.input, s);
        return;
    case ARange:
        push(c, &c->opt.bind, read_binding(c, value));
        return;
    case AList:
        if (o->at == AT(entry))
            push(c, &c->opt.entry, value);
        else
            push(c, &c->opt.include, value);
        return;
    }
}

/* What is joined to the option's name in `--bind=T=1` and `-oDIR`, "" for the name alone; NULL if
 * `given` is another option. */
static const char *joined_value(const Option *o, const char *given) {
    size_t n = strlen(o->name);
    if (strncmp(o->name, given, n))
        return NULL;
    if (!given[n])
        return "";
    if (n == 2)
        return given + n;
    return given[n] == '=' ? given + n + 1 : NULL;
}

/* "-o DIR", "-oDIR", "--bind=T=1", "--bind T=1". Returns how many arguments it took. */
static int read_option(Ctx *c, char **arg, int left) {
    const char *given = arg[0];
    for (int i = 0; i < NOption; i++) {
        const Option *o = &options[i];
        const char *value = joined_value(o, given);
        if (!value)
            continue;
        bool joined = strcmp(o->name, given) != 0;
        if (o->kind == AFlag && joined)
            misuse("%s takes no value", o->name);
        if (o->kind != AFlag && !joined && left < 2)
            misuse("%s wants a value", o->name);
        set_option(c, o, joined ? value : arg[1]);
        return o->kind == AFlag || joined ? 1 : 2;
    }
    const char *near = nearest_option(given);
    if (near)
        misuse("unknown option `%s`; did you mean `%s`?", given, near);
    misuse("unknown option `%s`", given);
}

static void check_command(Ctx *c) {
    for (int i = 0; i < NCommand; i++)
        if (!c->opt.command || !strcmp(c->opt.command, command_table[i].name))
            return;
    misuse("unknown command `%s`: build, check or run", c->opt.command);
}

static void take_plain(Ctx *c, const char *word) {
    if (!c->opt.command)
        c->opt.command = word;
    else if (!c->opt.model)
        c->opt.model = word;
    else
        misuse("one model at a time: `%s` and `%s`", c->opt.model, word);
}

static void read_arguments(Ctx *c, int n, char **arg) {
    bool only_words = false;            /* after `--` */
    for (int i = 1; i < n;) {
        if (only_words || arg[i][0] != '-' || !arg[i][1]) {
            take_plain(c, arg[i++]);
        } else if (!strcmp(arg[i], "--")) {
            only_words = true;
            i++;
        } else if (!strcmp(arg[i], "--help") || !strcmp(arg[i], "-h")) {
            check_command(c);
            print_help(c->opt.command);
        } else if (!strcmp(arg[i], "--version")) {
            puts("mithrilc 0.1");
            exit(0);
        } else {
            i += read_option(c, arg + i, n - i);
        }
    }
}

static bool one_of(const char *word, const char *const *list) {
    for (int i = 0; list[i]; i++)
        if (!strcmp(list[i], word))
            return true;
    return false;
}

static void check_arguments(Ctx *c) {
    static const char *const forms[] = { "embed", "incbin", "blob", "extern", NULL };
    Options *o = &c->opt;
    if (!o->command)
        misuse("a command is needed: build, check or run");
    check_command(c);
    if (!o->model)
        misuse("`mithrilc %s` needs a model: a .mth file", o->command);
    if (o->weights_as && !one_of(o->weights_as, forms))
        misuse("--weights-as is embed, incbin, blob or extern, found `%s`", o->weights_as);
    if (!o->out && strcmp(o->command, "check") && !o->dump)
        misuse("`mithrilc %s` needs -o DIR", o->command);
    if (o->map && !o->weights)
        misuse("--map names the arrays of a weights file; give --weights too");
    if (!o->precision_name || !strcmp(o->precision_name, "f32"))
        o->precision = F32;
    else if (!strcmp(o->precision_name, "f64"))
        o->precision = F64;
    else
        misuse("--precision is f32 or f64, found `%s`", o->precision_name);
}

int main(int n, char **arg) {
    Ctx *c = calloc(1, sizeof *c);
    if (!c) {
        fputs("mithrilc: out of memory\n", stderr);
        return 1;
    }
    volatile int code = 1;
    if (!setjmp(c->stop)) {
        c->opt.color = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
        read_arguments(c, n, arg);
        check_arguments(c);
        code = compile(c);
    }
    diag_print(c, stderr);
    return c->errors && code != 2 ? 1 : code;
}
