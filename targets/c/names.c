/* names.c: words that C and its libraries have taken, and how a model's names avoid them. */
#include "c.h"

#include <ctype.h>
#include <string.h>

/* Keywords of C and C++ up to C23 and C++23, and names that their headers replace or that this target writes itself. */
static const char *const keywords[] = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch",
    "char", "char16_t", "char32_t", "char8_t", "class", "co_await", "co_return", "co_yield", "compl", "concept",
    "const", "const_cast", "consteval", "constexpr", "constinit", "continue", "decltype", "default", "delete",
    "do", "double", "dynamic_cast", "else", "enum", "explicit", "export", "extern", "false", "float", "for",
    "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq",
    "nullptr", "operator", "or", "or_eq", "private", "protected", "public", "register", "reinterpret_cast",
    "requires", "restrict", "return", "short", "signed", "sizeof", "static", "static_assert", "static_cast",
    "struct", "switch", "template", "this", "thread_local", "throw", "true", "try", "typedef", "typeid",
    "typename", "typeof", "typeof_unqual", "union", "unsigned", "using", "virtual", "void", "volatile",
    "wchar_t", "while", "xor", "xor_eq", "_Alignas", "_Alignof", "_Atomic", "_Bool", "_Complex", "_Generic",
    "_Imaginary", "_Noreturn", "_Static_assert", "_Thread_local", "linux", "unix", "i386", "errno", "assert",
    "EOF", "NULL", "NAN", "INFINITY", "HUGE_VAL", "HUGE_VALF", "HUGE_VALL", "M_E", "M_LOG2E", "M_LOG10E",
    "M_LN2", "M_LN10", "M_PI", "M_PI_2", "M_PI_4", "M_1_PI", "M_2_PI", "M_2_SQRTPI", "M_SQRT2", "M_SQRT1_2",
    "MAXFLOAT", "int8_t", "int16_t", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t",
    "size_t", "ptrdiff_t", "intptr_t", "uintptr_t", "float_t", "double_t", NULL,
};

/* What a function of an export must not be called: functions that the compiler or the libraries know, and headers. */
static const char *const library[] = {
    "abort", "abs", "access", "alarm", "asctime", "atexit", "atof", "atoi", "atol", "bcmp", "bcopy", "brk",
    "bsearch", "bzero", "calloc", "clock", "close", "ctime", "difftime", "div", "drem", "exit", "ffs", "fork",
    "free", "fread", "fwrite", "gamma", "getc", "getenv", "gets", "gmtime", "index", "isalnum", "isalpha",
    "isdigit", "islower", "isspace", "isupper", "j0", "j1", "jn", "kill", "labs", "link", "llabs", "localtime",
    "longjmp", "main", "malloc", "memchr", "memcmp", "memcpy", "memmove", "memset", "mktime", "nice",
    "offsetof", "open", "pause", "perror", "pipe", "printf", "putc", "puts", "qsort", "raise", "rand", "read",
    "realloc", "remove", "rename", "rewind", "rindex", "sbrk", "scalb", "scanf", "select", "send", "setjmp",
    "signal", "significand", "sleep", "socket", "srand", "strcat", "strchr", "strcmp", "strcoll", "strcpy",
    "strcspn", "strdup", "strerror", "strlen", "strncat", "strncmp", "strncpy", "strpbrk", "strrchr", "strspn",
    "strstr", "strtod", "strtof", "strtok", "strtol", "strxfrm", "sync", "system", "time", "toascii", "tolower",
    "toupper", "ungetc", "unlink", "wait", "wcslen", "write", "y0", "y1", "yn", "isfinite", "isgreater",
    "isgreaterequal", "isinf", "isless", "islessequal", "islessgreater", "isnan", "isnormal", "isunordered",
    "signbit", "fpclassify", "math_errhandling", "div_t", "ldiv_t", "lldiv_t", "max_align_t", "wint_t",
    "nullptr_t", "time_t", "clock_t", "ssize_t", "off_t", "pid_t", "math", "stddef", "stdint", "string", NULL,
};

/* Of math.h: each also ends in f and in l. */
static const char *const maths[] = {
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "copysign", "cos", "cosh",
    "erf", "erfc", "exp", "exp10", "exp2", "expm1", "fabs", "fdim", "floor", "fma", "fmax", "fmin", "fmod",
    "frexp", "hypot", "ilogb", "ldexp", "lgamma", "llrint", "llround", "log", "log10", "log1p", "log2", "logb",
    "lrint", "lround", "modf", "nan", "nearbyint", "nextafter", "nexttoward", "pow", "remainder", "remquo",
    "rint", "round", "scalbln", "scalbn", "sin", "sincos", "sinh", "sqrt", "tan", "tanh", "tgamma", "trunc",
    NULL,
};

static bool is_listed(const char *const *list, const char *s) {
    for (int i = 0; list[i]; i++)
        if (!strcmp(list[i], s))
            return true;
    return false;
}

static bool starts(const char *s, const char *with) {
    return !strncmp(s, with, strlen(with));
}

static bool ends(const char *s, const char *with) {
    return strlen(s) >= strlen(with) && !strcmp(s + strlen(s) - strlen(with), with);
}

/* int_least8_t, UINT64_MAX, FP_NAN …: whole families that stdint.h and math.h reserve. */
static bool in_family(const char *s) {
    bool sizes = starts(s, "int") || starts(s, "uint"), limits = starts(s, "INT") || starts(s, "UINT");
    return (sizes && ends(s, "_t")) || (limits && (ends(s, "_MAX") || ends(s, "_MIN") || ends(s, "_C"))) ||
           starts(s, "FP_") || starts(s, "MATH_");
}

char *c_identifier(Ctx *c, const char *path) {
    char *s = format(c, isdigit((unsigned char)*path) ? "_%s" : "%s", path);
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    return is_listed(keywords, s) || in_family(s) ? format(c, "%s_", s) : s;
}

bool c_takes(const char *word) {
    for (int i = 0; maths[i]; i++) {
        size_t n = strlen(maths[i]);
        if (!strncmp(word, maths[i], n) && (!word[n] || !strcmp(word + n, "f") || !strcmp(word + n, "l")))
            return true;
    }
    return is_listed(library, word) || is_listed(keywords, word) || in_family(word);
}

char *c_prefix(Ctx *c, const char *export) {
    return c_identifier(c, export);
}
