/* run_values.c: arrays as the tests write them, as .npy, as bytes; and when two are equal. Written apart from
 * the compiler's readers, so that one mistake is not made twice. */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *numpy, *mth, *c; size_t bytes; } types[] = {
    { "f4", "f32", "float", 4 },     { "f8", "f64", "double", 8 },   { "i1", "i8", "int8_t", 1 },
    { "i2", "i16", "int16_t", 2 },   { "i4", "i32", "int32_t", 4 },  { "i8", "i64", "int64_t", 8 },
    { "u1", "u8", "uint8_t", 1 },    { "u2", "u16", "uint16_t", 2 }, { "u4", "u32", "uint32_t", 4 },
    { "u8", "u64", "uint64_t", 8 },  { "b1", "bool", "uint8_t", 1 }, { "f4", "float", "float", 4 },
};

static int find_type(const char *numpy) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].numpy, numpy)) return (int)i;
    die("no type `%s`", numpy);
}

size_t type_bytes(const char *type) { return types[find_type(type)].bytes; }
const char *c_type(const char *type) { return types[find_type(type)].c; }

const char *numpy_type(const char *mth) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].mth, mth)) return types[i].numpy;
    return NULL;
}

/* ---- from text */

typedef struct Reader { const char *p, *all; Values *v; long cap; } Reader;

static void spaces(Reader *r) {
    r->p += strspn(r->p, " \t\n");
}

static void read_number(Reader *r) {
    char *end;
    double x = strtod(r->p, &end);
    if (!strncmp(r->p, "true", 4)) x = 1, end = (char *)r->p + 4;
    if (!strncmp(r->p, "false", 5)) x = 0, end = (char *)r->p + 5;
    if (end == r->p) die("a number is expected at `%.20s` in `%.60s`", r->p, r->all);
    if (r->v->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->v->at = realloc(r->v->at, (size_t)r->cap * sizeof(double));
        if (!r->v->at) die("out of memory");
    }
    r->v->at[r->v->n++] = x;
    r->p = end;
}

static void read_list(Reader *r, int depth) {
    spaces(r);
    if (*r->p != '[') {
        read_number(r);
        return;
    }
    if (depth == MaxAxes) die("too many brackets in `%.60s`", r->all);
    if (r->v->rank <= depth) r->v->rank = depth + 1;
    r->p++;
    long n = 0;
    for (spaces(r); *r->p != ']'; spaces(r), n++) {
        read_list(r, depth + 1);
        spaces(r);
        if (*r->p == ',') r->p++;
        else if (*r->p != ']') die("`,` or `]` is expected at `%.20s` in `%.60s`", r->p, r->all);
    }
    r->p++;
    r->v->shape[depth] = n;
}

Values read_values(const char *text, const char *type) {
    Values v = {0};
    Reader r = { text, text, &v, 0 };
    snprintf(v.type, sizeof v.type, "%s", type);
    read_list(&r, 0);
    return v;
}

/* ---- .npy, version 1.0, C order */

Values read_npy(const char *path) {
    size_t n;
    unsigned char *s = (unsigned char *)read_text(path, &n);
    if (!s) die("cannot read %s", path);
    if (n < 10 || memcmp(s, "\x93NUMPY\x01", 7)) die("%s is no .npy of version 1", path);
    size_t head = 10 + s[8] + 256u * s[9];
    char *at = strstr((char *)s + 10, "'descr': '"), *shape = strstr((char *)s + 10, "'shape': (");
    if (!at || !shape || head > n) die("%s: its header is not understood", path);
    Values v = {0};
    snprintf(v.type, sizeof v.type, "%.2s", at + 11);
    long count = 1;
    for (char *p = shape + 10; *p != ')';) {
        v.shape[v.rank] = strtol(p, &p, 10);
        count *= v.shape[v.rank++];
        p += strspn(p, ", ");
    }
    if (head + (size_t)count * type_bytes(v.type) != n) die("%s: its length does not fit its shape", path);
    v.n = count;
    v.at = unpack(s + head, count, v.type).at;
    return v;
}

void write_npy(const char *path, const Values *v) {
    char shape[200] = "", head[256];
    for (int i = 0; i < v->rank; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%ld,", v->shape[i]);
    size_t bytes = (size_t)v->n * type_bytes(v->type), length = 118;
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf(head + 10, length, "{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }",
                     type_bytes(v->type) > 1 ? "<" : "|", v->type, shape);
    head[10 + n] = ' ';
    head[10 + length - 1] = '\n';
    unsigned char *all = get_memory(10 + length + bytes);
    memcpy(all, head, 10 + length);
    memcpy(all + 10 + length, pack(v, 0, v->n, v->type), bytes);
    write_bytes(path, all, 10 + length + bytes);
}

void write_safetensors(const char *path, char *const *names, const Values *v, int n) {
    char *head = text_of("{");
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        char shape[200] = "";
        for (int k = 0; k < v[i].rank; k++)
            snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%ld", k ? "," : "", v[i].shape[k]);
        size_t bytes = (size_t)v[i].n * type_bytes(v[i].type);
        const char *mth = types[find_type(v[i].type)].mth;
        head = text_of("%s%s\"%s\":{\"dtype\":\"%c%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", head, i ? "," : "",
                       names[i], mth[0] - 'a' + 'A', mth + 1, shape, at, at + bytes);
        at += bytes;
    }
    head = text_of("%s}", head);
    head = text_of("%s%*s", head, (int)(7 - (strlen(head) + 7) % 8), "");
    size_t length = strlen(head);
    unsigned char *all = get_memory(8 + length + at), *p = all + 8 + length;
    for (int i = 0; i < 8; i++)
        all[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(all + 8, head, length);
    for (int i = 0; i < n; i++) {
        size_t bytes = (size_t)v[i].n * type_bytes(v[i].type);
        memcpy(p, pack(&v[i], 0, v[i].n, v[i].type), bytes);
        p += bytes;
    }
    write_bytes(path, all, 8 + length + at);
}

/* ---- bytes */

#define EACH_TYPE(X) X("f4", float) X("f8", double) X("i1", int8_t) X("i2", int16_t) X("i4", int32_t) X("i8", int64_t) \
                     X("u1", uint8_t) X("u2", uint16_t) X("u4", uint32_t) X("u8", uint64_t) X("b1", uint8_t)

unsigned char *pack(const Values *v, long from, long n, const char *type) {
    unsigned char *bytes = get_memory((size_t)n * type_bytes(type));
#define PACK(name, T) \
    if (!strcmp(type, name)) for (long i = 0; i < n; i++) ((T *)(void *)bytes)[i] = (T)v->at[from + i];
    EACH_TYPE(PACK)
    return bytes;
}

Values unpack(const unsigned char *bytes, long n, const char *type) {
    Values v = { .rank = 1, .n = n, .at = get_memory((size_t)n * sizeof(double)) };
    v.shape[0] = n;
    snprintf(v.type, sizeof v.type, "%s", type);
#define UNPACK(name, T) \
    if (!strcmp(type, name)) for (long i = 0; i < n; i++) { T x; memcpy(&x, bytes + (size_t)i * sizeof x, sizeof x); v.at[i] = (double)x; }
    EACH_TYPE(UNPACK)
    return v;
}

/* Equal infinities and two NaNs are equal; else |want - got| <= absolute + relative |want|. */
static double excess(double want, double got, double absolute, double relative) {
    if (want == got || (isnan(want) && isnan(got))) return 0;
    double bound = absolute + relative * fabs(want);
    if (!isfinite(want) || !isfinite(got)) return INFINITY;
    return bound > 0 ? fabs(want - got) / bound : INFINITY;
}

char *compare(const Values *want, const double *got, double absolute, double relative) {
    double worst = 1;
    long where = -1;
    for (long i = 0; i < want->n; i++) {
        double e = excess(want->at[i], got[i], absolute, relative);
        if (e > worst) worst = e, where = i;
    }
    if (where < 0) return NULL;
    char index[200] = "";
    long rest = where;
    for (int i = want->rank - 1; i >= 0; i--) {
        char *after = text_of("[%ld]%s", rest % want->shape[i], index);
        snprintf(index, sizeof index, "%s", after);
        rest /= want->shape[i];
    }
    return text_of("%s: want %.9g, got %.9g", index, want->at[where], got[where]);
}
