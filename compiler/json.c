/* json.c: JSON text to a tree, strictly by RFC 8259.
 *
 * In come bytes from a file nobody has checked, out goes a tree in the arena, or the place of the first
 * byte that is wrong. UTF-8 is validated, surrogates must come in pairs, there is no byte order mark,
 * no trailing comma. A key given twice is no error of JSON: the object says so and its reader decides. */
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MostDepth = 128 };

typedef struct Reader {
    Ctx *c;
    const unsigned char *s;
    size_t n, at;
    int depth;
    JsonError error;
} Reader;

static bool wrong_at(Reader *r, size_t at, const char *what) {
    r->error = (JsonError){ what, at };
    return false;
}

static bool wrong(Reader *r, const char *what) {
    return wrong_at(r, r->at, r->at < r->n ? what : "the text ends too early");
}

static int peek(const Reader *r) {
    return r->at < r->n ? r->s[r->at] : -1;
}

static bool take(Reader *r, int ch) {
    if (peek(r) != ch)
        return false;
    r->at++;
    return true;
}

static void skip_space(Reader *r) {
    while (r->at < r->n && strchr(" \t\n\r", r->s[r->at]) && r->s[r->at])
        r->at++;
}

/* ---- strings -------------------------------------------------------------------------------------- */

/* Bytes of the character at s, 0 if it is not UTF-8: RFC 3629, neither overlong nor a surrogate. */
static size_t utf8_length(const unsigned char *s, size_t n) {
    static const struct {
        unsigned char first, last, low, high, length;
    } form[] = {
        {0x00,  0x7F, 0x00, 0x00, 1},
        { 0xC2, 0xDF, 0x80, 0xBF, 2},
        { 0xE0, 0xE0, 0xA0, 0xBF, 3},
        { 0xE1, 0xEC, 0x80, 0xBF, 3},
        { 0xED, 0xED, 0x80, 0x9F, 3},
        { 0xEE, 0xEF, 0x80, 0xBF, 3},
        { 0xF0, 0xF0, 0x90, 0xBF, 4},
        { 0xF1, 0xF3, 0x80, 0xBF, 4},
        { 0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
        if (s[0] < form[i].first || s[0] > form[i].last)
            continue;
        size_t length = form[i].length;
        if (length > n)
            return 0;
        if (length > 1 && (s[1] < form[i].low || s[1] > form[i].high))
            return 0;
        for (size_t k = 2; k < length; k++)
            if ((s[k] & 0xC0) != 0x80)
                return 0;
        return length;
    }
    return 0;
}

static size_t put_utf8(char *to, unsigned long u) {
    if (u < 0x80)
        return to[0] = (char)u, 1;
    size_t n = u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    for (size_t i = n - 1; i > 0; i--, u >>= 6)
        to[i] = (char)(0x80 | (u & 0x3F));
    to[0] = (char)(lead[n] | u);
    return n;
}

static bool read_hex(Reader *r, unsigned long *u) {
    *u = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int ch = peek(r);
        int digit = ch >= '0' && ch <= '9'   ? ch - '0'
                    : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
                    : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                             : -1;
        if (digit < 0)
            return wrong(r, "\\u needs four hexadecimal digits");
        *u = *u << 4 | (unsigned long)digit;
    }
    return true;
}

/* What follows `\u`; of a character above U+FFFF, both halves. */
static bool read_code(Reader *r, unsigned long *u) {
    size_t from = r->at;
    if (!read_hex(r, u))
        return false;
    if (*u < 0xD800 || *u > 0xDFFF)
        return true;
    unsigned long low;
    if (*u > 0xDBFF || !take(r, '\\') || !take(r, 'u'))
        return wrong_at(r, from, "half of a surrogate pair");
    if (!read_hex(r, &low))
        return false;
    if (low < 0xDC00 || low > 0xDFFF)
        return wrong_at(r, from, "half of a surrogate pair");
    *u = 0x10000 + ((*u - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static bool read_escape(Reader *r, char *to, size_t *n) {
    static const char written[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    int ch = peek(r);
    if (ch == 'u') {
        unsigned long u;
        r->at++;
        if (!read_code(r, &u))
            return false;
        *n += put_utf8(to + *n, u);
        return true;
    }
    const char *found = ch > 0 ? strchr(written, ch) : NULL;
    if (!found)
        return wrong(r, "no such escape in a string");
    to[(*n)++] = meant[found - written];
    r->at++;
    return true;
}

/* Where the string that begins here ends; decoding never makes it longer. */
static size_t raw_length(const Reader *r) {
    size_t i = r->at;
    while (i < r->n && r->s[i] != '"')
        i += r->s[i] == '\\' ? 2 : 1;
    return (i < r->n ? i : r->n) - r->at;
}

static bool read_string(Reader *r, const char **text, size_t *n) {
    if (!take(r, '"'))
        return wrong(r, "a string is expected, in double quotes");
    char *to = alloc(r->c, raw_length(r) + 1);
    *text = to;
    *n = 0;
    while (!take(r, '"')) {
        int ch = peek(r);
        if (ch < 0x20)
            return wrong(r, "a control character in a string");
        if (ch == '\\') {
            r->at++;
            if (!read_escape(r, to, n))
                return false;
            continue;
        }
        size_t length = utf8_length(r->s + r->at, r->n - r->at);
        if (!length)
            return wrong(r, "not UTF-8");
        memcpy(to + *n, r->s + r->at, length);
        *n += length;
        r->at += length;
    }
    return true;
}

/* ---- numbers and words ---------------------------------------------------------------------------- */

static bool digits(Reader *r) {
    size_t from = r->at;
    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at > from;
}

/* number = [-] (0 | 1-9 digits) [. digits] [(e|E) [+|-] digits] */
static bool read_number(Reader *r, Json *j) {
    size_t from = r->at;
    bool whole = true;
    take(r, '-');
    if (!take(r, '0') && !digits(r))
        return wrong(r, "a value is expected");
    if (take(r, '.')) {
        whole = false;
        if (!digits(r))
            return wrong(r, "a digit is expected after the point");
    }
    if (take(r, 'e') || take(r, 'E')) {
        whole = false;
        if (!take(r, '+'))
            take(r, '-');
        if (!digits(r))
            return wrong(r, "a digit is expected in the exponent");
    }
    j->kind = JsonNumber;
    j->n = r->at - from;
    char *text = alloc(r->c, j->n + 1);
    memcpy(text, r->s + from, j->n);
    j->text = text;
    j->number = strtod(text, NULL);
    errno = 0;
    j->whole = whole ? strtoll(text, NULL, 10) : 0;
    j->is_whole = whole && errno == 0;
    return true;
}

static bool read_word(Reader *r, Json *j) {
    static const struct {
        const char *text;
        JsonKind kind;
        bool truth;
    } word[] = {
        {"null",   JsonNull, false},
        { "true",  JsonBool, true },
        { "false", JsonBool, false},
    };
    for (size_t i = 0; i < sizeof word / sizeof *word; i++) {
        size_t n = strlen(word[i].text);
        if (r->n - r->at < n || memcmp(r->s + r->at, word[i].text, n) != 0)
            continue;
        j->kind = word[i].kind;
        j->truth = word[i].truth;
        r->at += n;
        return true;
    }
    return wrong(r, "a value is expected");
}

/* ---- objects, arrays, values ---------------------------------------------------------------------- */

static int compare_keys(const void *pa, const void *pb) {
    const Json *a = *(const Json *const *)pa, *b = *(const Json *const *)pb;
    if (a->key_n != b->key_n)
        return a->key_n < b->key_n ? -1 : 1;
    int order = memcmp(a->key, b->key, a->key_n);
    return order ? order : a->at < b->at ? -1 : a->at > b->at;
}

static bool same_key(const Json *a, const Json *b) {
    return a->key_n == b->key_n && !memcmp(a->key, b->key, a->key_n);
}

/* Of all items whose key stood there before, the first. */
static const Json *find_repeated(Ctx *c, const Json *object) {
    if (object->n < 2)
        return NULL;
    const Json *first = NULL, **sorted = NEWN(c, const Json *, object->n);
    for (size_t i = 0; i < object->n; i++)
        sorted[i] = &object->item[i];
    qsort(sorted, object->n, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < object->n; i++)
        if (same_key(sorted[i - 1], sorted[i]) && (!first || sorted[i]->at < first->at))
            first = sorted[i];
    return first;
}

static bool read_value(Reader *r, Json *j);

/* item = [string :] value, the key in objects only */
static bool read_item(Reader *r, JsonKind kind, Json *j) {
    skip_space(r);
    if (kind == JsonObject) {
        if (!read_string(r, &j->key, &j->key_n))
            return false;
        skip_space(r);
        if (!take(r, ':'))
            return wrong(r, "`:` is expected after a key");
    }
    return read_value(r, j);
}

static bool read_items(Reader *r, Json *j, int close) {
    VEC(Json) item = { 0 };
    r->at++;
    skip_space(r);
    if (take(r, close))
        return true;
    do {
        Json one = { 0 };
        if (!read_item(r, j->kind, &one))
            return false;
        push(r->c, &item, one);
    } while (take(r, ','));
    if (!take(r, close))
        return wrong(r,
                     j->kind == JsonObject ? "`,` or `}` is expected" : "`,` or `]` is expected");
    j->item = item.at;
    j->n = (size_t)item.n;
    if (j->kind == JsonObject)
        j->repeated = find_repeated(r->c, j);
    return true;
}

static bool read_nested(Reader *r, Json *j, JsonKind kind, int close) {
    if (r->depth == MostDepth)
        return wrong(r, "nested more than 128 deep");
    r->depth++;
    j->kind = kind;
    if (!read_items(r, j, close))
        return false;
    r->depth--;
    return true;
}

static bool read_one(Reader *r, Json *j) {
    switch (peek(r)) {
    case '{': return read_nested(r, j, JsonObject, '}');
    case '[': return read_nested(r, j, JsonArray, ']');
    case '"': j->kind = JsonString; return read_string(r, &j->text, &j->n);
    case 'n':
    case 't':
    case 'f': return read_word(r, j);
    default: return read_number(r, j);
    }
}

static bool read_value(Reader *r, Json *j) {
    skip_space(r);
    j->at = r->at;
    if (!read_one(r, j))
        return false;
    skip_space(r);
    return true;
}

const Json *json_get(const Json *object, const char *key) {
    size_t n = strlen(key);
    if (object->kind != JsonObject)
        return NULL;
    for (size_t i = 0; i < object->n; i++)
        if (object->item[i].key_n == n && !memcmp(object->item[i].key, key, n))
            return &object->item[i];
    return NULL;
}

const char *json_kind(const Json *j) {
    static const char *const word[] = {
        [JsonNull] = "null",       [JsonBool] = "a truth value", [JsonNumber] = "a number",
        [JsonString] = "a string", [JsonArray] = "an array",     [JsonObject] = "an object",
    };
    return word[j->kind];
}

const Json *json_read(Ctx *c, const char *s, size_t n, JsonError *e) {
    Reader r = { .c = c, .s = (const unsigned char *)s, .n = n };
    Json *j = NEW(c, Json);
    bool good = read_value(&r, j);
    if (good && r.at < n)
        good = wrong(&r, "only one value is expected");
    *e = r.error;
    return good ? j : NULL;
}
