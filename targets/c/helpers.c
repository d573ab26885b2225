/* helpers.c: the small functions that C lacks. Only those that some kernel calls are printed.
 *
 * A helper is named by what it does and its element type, `max_float`; the table holds its text with T for
 * the type. NaN wins in max and min, as the language says; // and % round down. */
#include "c.h"

#include <string.h>

static const struct { const char *what, *of, *text; } helpers[] = {
    { "max", "float",      "T NAME(T a, T b) {\nreturn a < b || b != b ? b : a; // NaN wins\n}" },
    { "min", "float",      "T NAME(T a, T b) {\nreturn b < a || b != b ? b : a; // NaN wins\n}" },
    { "max", "int",        "T NAME(T a, T b) {\nreturn a < b ? b : a;\n}" },
    { "min", "int",        "T NAME(T a, T b) {\nreturn b < a ? b : a;\n}" },
    { "wins_max", "float", "int NAME(T a, T best) {\nreturn a > best || (a != a && best == best); // the first wins, NaN over numbers\n}" },
    { "wins_min", "float", "int NAME(T a, T best) {\nreturn a < best || (a != a && best == best); // the first wins, NaN over numbers\n}" },
    { "wins_max", "int",   "int NAME(T a, T best) {\nreturn a > best; // the first wins\n}" },
    { "wins_min", "int",   "int NAME(T a, T best) {\nreturn a < best; // the first wins\n}" },
    { "sign", "float",     "T NAME(T x) {\nreturn x > 0 ? 1 : x < 0 ? -1 : x; // 0 and NaN stay\n}" },
    { "sign", "int",       "T NAME(T x) {\nreturn (T)((x > 0) - (x < 0));\n}" },
    { "abs", "int",        "T NAME(T x) {\nreturn x < 0 ? (T)(0 - (UT)x) : x; // wraps\n}" },
    { "add", "int",        "T NAME(T a, T b) {\nreturn (T)((UT)a + (UT)b); // wraps\n}" },
    { "sub", "int",        "T NAME(T a, T b) {\nreturn (T)((UT)a - (UT)b); // wraps\n}" },
    { "mul", "int",        "T NAME(T a, T b) {\nreturn (T)((UT)a * (UT)b); // wraps\n}" },
    { "neg", "int",        "T NAME(T x) {\nreturn (T)(0 - (UT)x); // wraps\n}" },
    { "shl", "int",        "T NAME(T x, T n) {\nreturn n < 0 || (UT)n >= BITS ? 0 : (T)((UT)x << n);\n}" },
    { "shr", "int",        "T NAME(T x, T n) {\nreturn (T)(n < 0 || (UT)n >= BITS ? (x < 0 ? -1 : 0) : x >> n);\n}" },
    { "is_nan", "float",   "uint8_t NAME(T x) {\nreturn x != x;\n}" },
    { "is_inf", "float",   "uint8_t NAME(T x) {\nreturn x - x != 0 && x == x;\n}" },
    { "floor_div", "int",
      "T NAME(T a, T b) { // rounds down; by 0 is 0\nif (b == 0)\nreturn 0;\nif (b == -1)\nreturn (T)(0 - (UT)a);\n"
      "return (T)(a / b - (a % b != 0 && (a < 0) != (b < 0)));\n}" },
    { "floor_mod", "int",
      "T NAME(T a, T b) { // has the sign of b; by 0 is 0\nif (b == 0 || b == -1)\nreturn 0;\n"
      "T r = (T)(a % b);\nreturn (T)(r != 0 && (r < 0) != (b < 0) ? r + b : r);\n}" },
    { "floor_div", "unsigned", "T NAME(T a, T b) {\nreturn (T)(b == 0 ? 0 : a / b);\n}" },
    { "floor_mod", "unsigned", "T NAME(T a, T b) {\nreturn (T)(b == 0 ? 0 : a % b);\n}" },
    { "sign", "unsigned",  "T NAME(T x) {\nreturn x > 0;\n}" },
    { "abs", "unsigned",   "T NAME(T x) {\nreturn x;\n}" },
    { "shl", "unsigned",   "T NAME(T x, T n) {\nreturn n >= BITS ? 0 : (T)((UT)x << n);\n}" },
    { "shr", "unsigned",   "T NAME(T x, T n) {\nreturn n >= BITS ? 0 : (T)(x >> n);\n}" },
    { "floor_div", "float", "T NAME(T a, T b) {\nreturn FLOOR(a / b);\n}" },
    { "floor_mod", "float",
      "T NAME(T a, T b) {\nT r = FMOD(a, b);\nreturn r != 0 && (r < 0) != (b < 0) ? r + b : r; // has the sign of b\n}" },
    { "pow", "int",
      "T NAME(T x, T n) { // wraps\nUT y = 1, base = (UT)x;\nif (n < 0)\nreturn 0;\n"
      "for (; n > 0; n = (T)(n / 2)) {\nif (n % 2)\ny *= base;\nbase *= base;\n}\nreturn (T)y;\n}" },
    { "pow", "unsigned",
      "T NAME(T x, T n) { // wraps\nUT y = 1, base = x;\n"
      "for (; n > 0; n = (T)(n / 2)) {\nif (n % 2)\ny *= base;\nbase *= base;\n}\nreturn (T)y;\n}" },
};

static const struct { const char *suffix; Elem elem; } suffixes[] = {
    { "float", F32 }, { "double", F64 }, { "int", I32 },  { "i8", I8 },   { "i16", I16 }, { "i64", I64 },
    { "u8", U8 },     { "u16", U16 },    { "u32", U32 },  { "u64", U64 },  { "bool", Bool },
};

static Elem elem_of(const char *suffix) {
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (!strcmp(suffixes[i].suffix, suffix))
            return suffixes[i].elem;
    return NoElem;
}

/* What a word of the table stands for: NULL, itself. UT is unsigned, wide enough that C does not compute in int. */
static const char *replacement(Ctx *c, const char *word, size_t n, const char *helper, Elem e) {
    bool is_long = elem_bytes(c, e) == 8;
    const struct { const char *word, *by; } table[] = {
        { "T", c_words.elem[e] },                    { "UT", is_long ? "uint64_t" : "uint32_t" },
        { "NAME", helper },                          { "BITS", format(c, "%d", 8 * elem_bytes(c, e)) },
        { "FLOOR", e == F64 ? "floor" : "floorf" },  { "FMOD", e == F64 ? "fmod" : "fmodf" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].word) == n && !strncmp(table[i].word, word, n))
            return table[i].by;
    return NULL;
}

static void print_text(Emit *e, const char *text, const char *helper, Elem elem) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    Text out = {0};
    text_add(e->c, &out, "static inline ");
    for (size_t n; *text; text += n) {
        n = strspn(text, letters);
        const char *by = n ? replacement(e->c, text, n, helper, elem) : NULL;
        n = n ? n : 1;
        if (by)
            text_add(e->c, &out, "%s", by);
        else
            text_add(e->c, &out, "%.*s", (int)n, text);
    }
    bool nested = false;
    for (char *line = strtok(out.s, "\n"); line; line = strtok(NULL, "\n")) {
        emit(e, nested ? "    %s" : "%s", line);
        nested = !strncmp(line, "if (", 4);
    }
    emit_blank(e);
}

/* Float to integer: truncates, saturates, NaN is 0 (rule 33). 2^31 and its like are floats, so the test is exact. */
static bool print_conversion(Emit *e, const char *name) {
    char to[8], from[8];
    if (sscanf(name, "%7[a-z0-9]_from_%7s", to, from) != 2)
        return false;
    Elem t = elem_of(to);
    if (t == NoElem)
        return false;
    static const struct { Elem elem; const char *lo, *hi, *min, *max; } limits[] = {
        { I8,  "-128", "127", "INT8_MIN", "INT8_MAX" },     { U8,  "0", "255", "0", "UINT8_MAX" },
        { I16, "-32768", "32767", "INT16_MIN", "INT16_MAX" }, { U16, "0", "65535", "0", "UINT16_MAX" },
        { I32, "-2147483648.0", "2147483648.0", "INT32_MIN", "INT32_MAX" },
        { U32, "0", "4294967296.0", "0", "UINT32_MAX" },
        { I64, "-9223372036854775808.0", "9223372036854775808.0", "INT64_MIN", "INT64_MAX" },
        { U64, "0", "18446744073709551616.0", "0", "UINT64_MAX" },
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (limits[i].elem != t)
            continue;
        const char *word = c_words.elem[t];
        emit(e, "static inline %s %s(%s x) { // truncates, saturates; NaN is 0", word, name, from);
        emit(e, "if (x != x)");
        emit(e, "    return 0;");
        emit(e, "if ((double)x <= %s)", limits[i].lo);
        emit(e, "    return %s;", limits[i].min);
        emit(e, "if ((double)x >= %s)", limits[i].hi);
        emit(e, "    return %s;", limits[i].max);
        emit(e, "return (%s)x;", word);
        emit(e, "}");
        emit_blank(e);
        return true;
    }
    return false;
}

static bool print_from_table(Emit *e, const char *name, size_t n, const char *family, Elem elem) {
    for (size_t i = 0; i < sizeof helpers / sizeof *helpers; i++) {
        if (strlen(helpers[i].what) != n || strncmp(helpers[i].what, name, n) || strcmp(helpers[i].of, family))
            continue;
        print_text(e, helpers[i].text, name, elem);
        return true;
    }
    return false;
}

static void print_helper(Emit *e, const char *name) {
    if (print_conversion(e, name))
        return;
    const char *suffix = strrchr(name, '_') + 1;
    Elem elem = elem_of(suffix);
    bool is_unsigned = elem == Bool || elem == U8 || elem == U16 || elem == U32 || elem == U64;
    const char *family = elem_is_float(elem) ? "float" : is_unsigned ? "unsigned" : "int";
    if (!print_from_table(e, name, (size_t)(suffix - 1 - name), family, elem))
        print_from_table(e, name, (size_t)(suffix - 1 - name), "int", elem);
}

/* In the order of the alphabet, whatever order the kernels asked in. */
void print_helpers(Emit *e, const Map *used) {
    const char *last = "";
    for (;;) {
        const char *next = NULL;
        for (int i = 0; i < used->cap; i++) {
            const char *n = used->slot[i].key;
            if (n && strcmp(n, last) > 0 && (!next || strcmp(n, next) < 0))
                next = n;
        }
        if (!next)
            return;
        print_helper(e, next);
        last = next;
    }
}
