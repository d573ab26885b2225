/* npy.c: NumPy's .npy, one array a file, and .npz, a zip of them.
 *
 *     \x93NUMPY | u8 major, u8 minor | u16 length (u32 from version 2.0 on) | header | data
 *     header = {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } and spaces
 *
 * The header is a Python literal; exactly those three keys are read, in any order. Data of the
 * other byte order and of Fortran's order are turned round here, so that nothing later knows of
 * them. Arrays of Python objects are pickles, programs that is, and refused. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "archive.h"

#include <string.h>
#include <unistd.h>

typedef struct Header {
    Ctx *c;
    const char *path;
    const char *s, *end;                /* what is left of the dictionary */
    bool fortran, big_endian;
} Header;

/* ---- the dictionary */

static bool npy_wrong(const Header *h, const char *what) {
    return archive_error(h->c, h->path, "the header of the array is not as NumPy writes it: %s",
                         what);
}

static void npy_space(Header *h) {
    while (h->s < h->end && (*h->s == ' ' || *h->s == '\t' || *h->s == '\n' || *h->s == '\r'))
        h->s++;
}

static bool npy_take(Header *h, char ch) {
    npy_space(h);
    if (h->s == h->end || *h->s != ch)
        return false;
    h->s++;
    return true;
}

/* 'text' or "text", without escapes. */
static bool npy_string(Header *h, const char **text, size_t *n) {
    char quote = '\'';
    if (!npy_take(h, quote) && !npy_take(h, quote = '"'))
        return false;
    const char *from = h->s;
    while (h->s < h->end && *h->s != quote && *h->s != '\\' && *h->s != '\n')
        h->s++;
    if (h->s == h->end || *h->s != quote)
        return false;
    *text = from;
    *n = (size_t)(h->s++ - from);
    return true;
}

static bool take_word(Header *h, const char *word) {
    size_t n = strlen(word);
    npy_space(h);
    if ((size_t)(h->end - h->s) < n || memcmp(h->s, word, n) != 0)
        return false;
    h->s += n;
    return true;
}

/* Python 2 wrote 3L for a long 3. */
static bool read_size(Header *h, int64_t *d) {
    npy_space(h);
    const char *from = h->s;
    *d = 0;
    for (; h->s < h->end && *h->s >= '0' && *h->s <= '9'; h->s++) {
        int digit = *h->s - '0';
        if (*d > (INT64_MAX - digit) / 10)
            return false;
        *d = *d * 10 + digit;
    }
    bool good = h->s > from && (*from != '0' || h->s == from + 1);
    if (good && h->s < h->end && *h->s == 'L')
        h->s++;
    return good;
}

/* shape = () | (n,) | (n, m …) */
static bool npy_shape(Header *h, Array *a) {
    if (!npy_take(h, '('))
        return npy_wrong(h, "`shape` must be a tuple");
    a->rank = 0;
    while (!npy_take(h, ')')) {
        if (a->rank == MaxRank)
            return archive_error(h->c, h->path, "the array has more than %d axes", MaxRank);
        if (!read_size(h, &a->dim[a->rank]))
            return npy_wrong(h, "a size in `shape` must be a whole number, 0 or more");
        a->rank++;
        bool comma = npy_take(h, ',');
        if (comma || (a->rank > 1 && h->s < h->end && *h->s == ')'))
            continue;
        return npy_wrong(h, "`shape` must be a tuple");
    }
    return true;
}

static const struct Descr { char kind; size_t size; Elem elem; } descrs[] = {
    { 'b', 1, Bool }, { 'f', 2, F16 }, { 'f', 4, F32 }, { 'f', 8, F64 },
    { 'i', 1, I8 },   { 'i', 2, I16 }, { 'i', 4, I32 }, { 'i', 8, I64 },
    { 'u', 1, U8 },   { 'u', 2, U16 }, { 'u', 4, U32 }, { 'u', 8, U64 },
};

static const char *refused(char kind) {
    switch (kind) {
    case 'O': return "Python objects";
    case 'c': return "complex numbers";
    case 'S':
    case 'U':
    case 'a': return "strings";
    case 'V': return "structures";
    case 'M':
    case 'm': return "dates";
    default: return NULL;
    }
}

static bool no_such_type(const Header *h, const char *s, size_t n, char kind) {
    const char *what = refused(kind);
    if (what)
        return archive_error(h->c, h->path,
                             "an array of %s (`%s`): only numbers and truth values are read", what,
                             shown(h->c, s, n));
    return archive_error(h->c, h->path, "an array of unknown type `%s`", shown(h->c, s, n));
}

/* descr = order kind size: '<f4', '|b1' */
static bool read_descr(Header *h, Array *a) {
    const char *s;
    size_t n;
    npy_space(h);
    if (h->s < h->end && *h->s == '[')
        return archive_error(h->c, h->path,
                             "an array of structures: only numbers and truth values are read");
    if (!npy_string(h, &s, &n))
        return npy_wrong(h, "`descr` must be a string");
    char order = n && memchr("<>|=", s[0], 4) ? s[0] : 0;
    size_t skip = order ? 1 : 0;
    char kind = n > skip ? s[skip] : 0;
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++) {
        if (n != skip + 2 || kind != descrs[i].kind || s[skip + 1] - '0' != (int)descrs[i].size)
            continue;
        if (order == '|' && descrs[i].size > 1)
            break;
        a->elem = descrs[i].elem;
        h->big_endian = order == '>' || (order != '<' && host_is_big_endian());
        return true;
    }
    return no_such_type(h, s, n, kind);
}

static bool read_fortran(Header *h, Array *a) {
    (void)a;
    if (take_word(h, "True"))
        return h->fortran = true;
    return take_word(h, "False") || npy_wrong(h, "`fortran_order` must be True or False");
}

static const struct { const char *key; bool (*read)(Header *, Array *); } keys[] = {
    { "descr", read_descr }, { "fortran_order", read_fortran }, { "shape", npy_shape },
};
enum { NKeys = sizeof keys / sizeof *keys };

static int find_key(const char *s, size_t n) {
    for (int i = 0; i < NKeys; i++)
        if (n == strlen(keys[i].key) && !memcmp(s, keys[i].key, n))
            return i;
    return -1;
}

static bool read_dictionary(Header *h, Array *a) {
    bool seen[NKeys] = { false };
    const char *s;
    size_t n;
    if (!npy_take(h, '{'))
        return npy_wrong(h, "a dictionary is expected");
    for (int left = NKeys; left > 0; left--) {
        if (!npy_string(h, &s, &n))
            return npy_wrong(h, "it needs `descr`, `fortran_order` and `shape`");
        int k = find_key(s, n);
        if (k < 0 || seen[k])
            return npy_wrong(h, k < 0 ? "an unknown key" : "a key is given twice");
        seen[k] = true;
        if (!npy_take(h, ':'))
            return npy_wrong(h, "`:` is expected after a key");
        if (!keys[k].read(h, a))
            return false;
        if (!npy_take(h, ',') && left > 1)
            return npy_wrong(h, "`,` is expected after a value");
    }
    if (!npy_take(h, '}'))
        return npy_wrong(h, "`}` is expected");
    npy_space(h);
    return h->s == h->end || npy_wrong(h, "only spaces may follow the dictionary");
}

/* ---- the file */

/* Finds header and data. */
static bool npy_parts(Header *h, Bytes b, Bytes *data) {
    int wide = b.n > 6 && b.at[6] > 1 ? 4 : 2;
    size_t fixed = 8 + (size_t)wide;
    if (b.n < fixed)
        return archive_error(h->c, h->path, "the .npy file ends in its first line");
    if (b.at[6] < 1 || b.at[6] > 3 || b.at[7] != 0)
        return archive_error(h->c, h->path, "version %d.%d of .npy; 1.0, 2.0 and 3.0 are read",
                             b.at[6], b.at[7]);
    uint64_t n = little(b.at + 8, wide);
    if (n > b.n - fixed)
        return archive_error(h->c, h->path,
                             "a header of %llu bytes, but the file has only %zu more",
                             (unsigned long long)n, b.n - fixed);
    h->s = (const char *)b.at + fixed;
    h->end = h->s + n;
    *data = (Bytes){ b.at + fixed + n, b.n - fixed - (size_t)n };
    return true;
}

static void order_as_c(Ctx *c, Array *a, size_t bytes) {
    int64_t step[MaxRank], n = 1;
    if (a->rank < 2 || !bytes)
        return;
    for (int i = 0; i < a->rank; n *= a->dim[i++])
        step[i] = n;
    void *to = alloc(c, bytes);
    array_gather(to, a->data, stored_bytes(a->elem), a->rank, a->dim, step);
    a->data = to;
}

bool npy_read(Ctx *c, const char *path, Bytes b, Array *a) {
    Header h = { .c = c, .path = path };
    Bytes data = { 0 };
    size_t count, bytes;
    if (!npy_parts(&h, b, &data) || !read_dictionary(&h, a))
        return false;
    if (!array_size(a, &count, &bytes))
        return archive_error(c, path, "the shape has more elements than memory can hold");
    if (bytes != data.n)
        return archive_error(c, path, "%s is %zu bytes; the file has %zu after its header",
                             array_type(c, a), bytes, data.n);
    a->data = array_data(c, a, data.at, h.big_endian);
    if (!bools_good(a))
        return archive_error(c, path, "a truth value must be 0 or 1");
    if (h.fortran)
        order_as_c(c, a, bytes);
    return true;
}

/* A member is called like its array; the arrays of an .npz have the suffix .npy. */
static bool read_member(Ctx *c, const char *path, const Member *m, Array *a) {
    size_t n = strlen(m->name);
    const char *inside = format(c, "%s(%s)", path, shown(c, m->name, n));
    if (n < 4 || strcmp(m->name + n - 4, ".npy") != 0) {
        archive_error(c, inside, "this is no .npy array");
        if (n >= 8 && !strcmp(m->name + n - 8, "data.pkl"))
            help(c, "a PyTorch checkpoint: save it as safetensors");
        return false;
    }
    if (m->bytes.n < 6 || memcmp(m->bytes.at, "\x93NUMPY", 6) != 0)
        return archive_error(c, inside, "this is no .npy array");
    a->name = intern(c, m->name, n - 4);
    return npy_read(c, inside, m->bytes, a);
}

Archive *npz_read(Ctx *c, const char *path, Bytes b) {
    Members member = { 0 };
    Archive *to = NEW(c, Archive);
    if (!zip_read(c, path, b, &member))
        return NULL;
    *to = (Archive){ path, NEWN(c, Array, member.n), member.n };
    for (int i = 0; i < member.n; i++)
        if (!read_member(c, path, &member.at[i], &to->at[i]))
            return NULL;
    return to;
}

/* ---- writing */

static const struct Descr *descr_of(Elem e) {
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (descrs[i].elem == e)
            return &descrs[i];
    return NULL;
}

/* NumPy has no bf16: such arrays are written as f32, which holds each of its values. */
static const void *widened(Ctx *c, const Array *a, size_t count) {
    const uint16_t *from = a->data;
    uint32_t *to = NEWN(c, uint32_t, count + 1);
    for (size_t i = 0; i < count; i++)
        to[i] = (uint32_t)from[i] << 16;
    return to;
}

static char *header_text(Ctx *c, const Array *a, const struct Descr *d) {
    Text t = { 0 };
    char order = d->size == 1 ? '|' : host_is_big_endian() ? '>' : '<';
    text_add(c, &t, "{'descr': '%c%c%zu', 'fortran_order': False, 'shape': (", order, d->kind,
             d->size);
    for (int i = 0; i < a->rank; i++)
        text_add(c, &t, i ? " %lld," : "%lld,", (long long)a->dim[i]);
    if (a->rank > 1)
        t.n--; /* (3,) but (2, 3) */
    text_add(c, &t, "), }");
    while ((10 + t.n + 1) % 64)
        text_add(c, &t, " ");
    text_add(c, &t, "\n");
    return t.s;
}

static bool write_bytes(const char *path, const char *header, const void *data, size_t bytes) {
    size_t n = strlen(header);
    const unsigned char start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)n, (unsigned char)(n >> 8)
    };
    FILE *f = fopen(path, "wb");
    if (!f)
        return false;
    bool good = fwrite(start, 1, sizeof start, f) == sizeof start && fwrite(header, 1, n, f) == n;
    if (good && bytes)
        good = fwrite(data, 1, bytes, f) == bytes;
    return !fclose(f) && good;
}

bool npy_write(Ctx *c, const char *path, const Array *a) {
    Array as = *a;
    size_t count, bytes;
    as.elem = elem_storage(c, a->elem);
    if (!stored_bytes(as.elem))
        return archive_error(c, path, "there is no .npy of %s", elem_name(as.elem));
    if (!array_size(&as, &count, &bytes))
        return archive_error(c, path, "the array is too large");
    if (as.elem == BF16) {
        as.data = widened(c, &as, count);
        as.elem = F32;
        bytes = 4 * count;
    }
    const char *fresh = format(c, "%s.%ld.tmp", path, (long)getpid());
    if (write_bytes(fresh, header_text(c, &as, descr_of(as.elem)), as.data, bytes) &&
        !rename(fresh, path))
        return true;
    remove(fresh);
    return archive_error(c, path, "cannot be written");
}
