/* names.c: words that C and its libraries have taken, and how a model's names avoid them. */
#include "c.h"

#include <ctype.h>
#include <string.h>

static const char *const keywords[] = {
    "alignas", "alignof", "and", "asm", "auto", "bool", "break", "case", "catch", "char", "class",
    "const", "constexpr", "continue", "default", "delete", "do", "double", "else", "enum", "explicit",
    "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long",
    "mutable", "namespace", "new", "not", "nullptr", "operator", "or", "private", "protected",
    "public", "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct",
    "switch", "template", "this", "throw", "true", "try", "typedef", "typename", "union", "unsigned",
    "using", "virtual", "void", "volatile", "while", "xor", "NULL", "EOF", "NAN", "INFINITY", "errno", "linux", "unix",
    "INT32_MIN", "INT64_MIN", NULL,
};

/* What an export without entries must not be called: functions that the compiler or the libraries know. */
static const char *const library[] = {
    "abort", "abs", "access", "acos", "acosh", "asin", "asinh", "atan", "atanh", "atoi", "calloc", "ceil", "clock", "close",
    "cos", "cosh", "div", "drem", "erf", "exit", "exp", "exp2", "expm1", "fabs", "floor", "fmax", "fmin", "fmod", "free",
    "gamma", "getenv", "hypot", "index", "j0", "j1", "jn", "labs", "link", "log", "log10", "log1p", "log2", "logb", "main",
    "malloc", "memcmp", "memcpy", "memmove", "memset", "nan", "open", "pipe", "pow", "printf", "puts", "qsort", "rand",
    "read", "realloc", "remainder", "remove", "rename", "rint", "round", "scalb", "select", "send", "signal", "sin", "sinh",
    "sleep", "sqrt", "strlen", "system", "tan", "tanh", "time", "trunc", "write", "y0", "y1", "yn", NULL,
};

static bool is_listed(const char *const *list, const char *s) {
    for (int i = 0; list[i]; i++)
        if (!strcmp(list[i], s))
            return true;
    return false;
}

char *c_identifier(Ctx *c, const char *path) {
    char *s = format(c, isdigit((unsigned char)*path) ? "_%s" : "%s", path);
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    return is_listed(keywords, s) ? format(c, "%s_", s) : s;
}

/* A lone function is called like the export, and so must not be called like one of the library's. */
char *c_prefix(Ctx *c, const char *export) {
    char *s = c_identifier(c, export);
    return is_listed(library, s) ? format(c, "%s_", s) : s;
}
