/* main.c: the command line.
 *
 * In: arguments. Out: Options, then compile(). Exit codes: 0, 1 for bad input, 2 for bad usage. */
#include "compiler.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage_text[] =
    "usage: mithrilc COMMAND MODEL.mth [options]\n"
    "\n"
    "commands\n"
    "  build   writes the model's source code into the folder that -o names\n"
    "  check   reads and infers everything, reports what is wrong, writes nothing\n"
    "  run     computes one call of an entry: --input NAME=FILE.npy … -o DIR writes DIR/OUTPUT.npy\n"
    "\n"
    "options\n"
    "  -o DIR                  where files go; made if it is missing\n"
    "  --target NAME           c (the default)\n"
    "  --entry NAME            only this entry; may be given several times\n"
    "  --bind T=4, T=1..512    the value or the range of a size\n"
    "  -p NAME=VALUE           a parameter of the exported model; fields of a config by dots\n"
    "  --weights FILE          safetensors, npz or npy\n"
    "  --weights-as FORM       embed (the default), incbin, blob, extern\n"
    "  --map FILE              lines `parameter = name in the file [permute …] [reshape …]`\n"
    "  --partial               parameters that the file lacks are left out\n"
    "  --input NAME=FILE.npy   run: the value of an input\n"
    "  --precision f32|f64     what `float` is\n"
    "  -I DIR                  where `use NAME` also looks\n"
    "  -MD                     writes NAME.d beside the output, for make\n"
    "  --dump=PASS             prints the program after a pass and stops:\n"
    "                          parse build flatten simplify fuse lower schedule plan\n"
    "  --color                 colours in messages\n"
    "  --quiet                 no summary\n"
    "  --help, --version\n";

typedef enum OptionKind { AFlag, AString, APair, ARange, AList } OptionKind;

typedef struct Option {
    const char *name;
    OptionKind kind;
    size_t at;                          /* offset in Options */
} Option;

#define AT(field) offsetof(Options, field)
static const Option options[] = {
    { "-o",           AString, AT(out)        }, { "--target",   AString, AT(target)   },
    { "--entry",      AList,   AT(entry)      }, { "--bind",     ARange,  AT(bind)     },
    { "-p",           APair,   AT(set)        }, { "--weights",  AString, AT(weights)  },
    { "--weights-as", AString, AT(weights_as) }, { "--map",      AString, AT(map)      },
    { "--partial",    AFlag,   AT(partial)    }, { "--input",    APair,   AT(input)    },
    { "--precision",  AString, AT(precision_name) }, { "-I",     AList,   AT(include)  },
    { "-MD",          AFlag,   AT(depfile)    }, { "--dump",     AString, AT(dump)     },
    { "--color",      AFlag,   AT(color)      }, { "--quiet",    AFlag,   AT(quiet)    },
};
enum { NOption = sizeof options / sizeof *options };

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

/* "-o DIR", "--bind=T=1", "--bind T=1". Returns how many arguments it took. */
static int read_option(Ctx *c, char **arg, int left) {
    const char *given = arg[0], *eq = given[1] == '-' ? strchr(given, '=') : NULL;
    size_t n = eq ? (size_t)(eq - given) : strlen(given);
    for (int i = 0; i < NOption; i++) {
        const Option *o = &options[i];
        if (strlen(o->name) != n || strncmp(o->name, given, n))
            continue;
        if (o->kind == AFlag && eq)
            misuse("%s takes no value", o->name);
        if (o->kind == AFlag || eq) {
            set_option(c, o, eq ? eq + 1 : NULL);
            return 1;
        }
        if (left < 2)
            misuse("%s wants a value", o->name);
        set_option(c, o, arg[1]);
        return 2;
    }
    const char *near = nearest_option(given);
    if (near)
        misuse("unknown option `%s`; did you mean `%s`?", given, near);
    misuse("unknown option `%s`", given);
}

static void read_arguments(Ctx *c, int n, char **arg) {
    for (int i = 1; i < n;) {
        if (!strcmp(arg[i], "--help") || !strcmp(arg[i], "-h")) {
            fputs(usage_text, stdout);
            exit(0);
        }
        if (!strcmp(arg[i], "--version")) {
            puts("mithrilc 0.1");
            exit(0);
        }
        if (arg[i][0] == '-' && arg[i][1]) {
            i += read_option(c, arg + i, n - i);
        } else if (!c->opt.command) {
            c->opt.command = arg[i++];
        } else if (!c->opt.model) {
            c->opt.model = arg[i++];
        } else {
            misuse("one model at a time: `%s` and `%s`", c->opt.model, arg[i]);
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
    static const char *const commands[] = { "build", "check", "run", NULL };
    static const char *const forms[] = { "embed", "incbin", "blob", "extern", NULL };
    Options *o = &c->opt;
    if (!o->command)
        misuse("a command is needed: build, check or run");
    if (!one_of(o->command, commands))
        misuse("unknown command `%s`: build, check or run", o->command);
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
        read_arguments(c, n, arg);
        check_arguments(c);
        code = compile(c);
    }
    diag_print(c, stderr);
    return c->errors ? 1 : code;
}
