/* safetensors.c: the format of Hugging Face, strictly.
 *
 *     u64 length, little-endian | header: JSON of that length | data
 *     { "__metadata__": {"key": "text"}, "NAME": { "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24] }, … }
 *
 * The ranges of the arrays must tile the data: no hole, no overlap, nothing left over. So a file
 * can hide nothing, and no two names share bytes. */
#include "archive.h"
#include "json.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t most_header = 100000000;

typedef struct ByteRange { uint64_t from, to; int array; } ByteRange;

typedef struct Safe {
    Ctx *c;
    const char *path;
    Bytes data;
    Archive *archive;
    ByteRange *range;
} Safe;

static const struct { const char *name; Elem elem; } dtypes[] = {
    { "F32", F32 }, { "F16", F16 }, { "BF16", BF16 }, { "F64", F64 }, { "BOOL", Bool },
    { "I8", I8 },   { "I16", I16 }, { "I32", I32 },   { "I64", I64 },
    { "U8", U8 },   { "U16", U16 }, { "U32", U32 },   { "U64", U64 },
};

static Elem dtype_named(const Json *j) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (j->n == strlen(dtypes[i].name) && !memcmp(j->text, dtypes[i].name, j->n))
            return dtypes[i].elem;
    return NoElem;
}

static const char *name_shown(const Safe *s, const Json *item) {
    return shown(s->c, item->key, item->key_n);
}

static bool header_wrong(const Safe *s, const Json *item, const char *what) {
    return archive_error(s->c, s->path, "array `%s`: %s", name_shown(s, item), what);
}

static bool is_natural(const Json *j) {
    return j->kind == JsonNumber && j->is_whole && j->whole >= 0 && j->text[0] != '-';
}

static bool read_dtype(const Safe *s, const Json *item, Array *a) {
    const Json *j = json_get(item, "dtype");
    if (!j || j->kind != JsonString)
        return header_wrong(s, item, "`dtype` must be a string");
    a->elem = dtype_named(j);
    if (a->elem)
        return true;
    return archive_error(s->c, s->path, "array `%s`: there is no element type for dtype `%s`",
                         name_shown(s, item), shown(s->c, j->text, j->n));
}

static bool read_sizes(const Safe *s, const Json *item, Array *a) {
    const Json *j = json_get(item, "shape");
    if (!j || j->kind != JsonArray)
        return header_wrong(s, item, "`shape` must be an array of numbers");
    if (j->n > MaxRank)
        return archive_error(s->c, s->path, "array `%s`: %zu axes; at most %d can be read",
                             name_shown(s, item), j->n, MaxRank);
    a->rank = (int)j->n;
    for (int i = 0; i < a->rank; i++) {
        if (!is_natural(&j->item[i]))
            return header_wrong(s, item, "a size in `shape` must be a whole number, 0 or more");
        a->dim[i] = j->item[i].whole;
    }
    return true;
}

static bool read_offsets(const Safe *s, const Json *item, const Array *a, ByteRange *r) {
    const Json *j = json_get(item, "data_offsets");
    if (!j || j->kind != JsonArray || j->n != 2 || !is_natural(&j->item[0]) ||
        !is_natural(&j->item[1]))
        return header_wrong(s, item, "`data_offsets` must be two whole numbers");
    r->from = (uint64_t)j->item[0].whole;
    r->to = (uint64_t)j->item[1].whole;
    size_t count, bytes;
    if (!array_size(a, &count, &bytes))
        return header_wrong(s, item, "its shape has more elements than memory can hold");
    if (r->to < r->from)
        return header_wrong(s, item, "it ends before it begins");
    if (r->to - r->from == bytes)
        return true;
    return archive_error(
        s->c, s->path, "array `%s` is %s, %zu bytes; its range in the file has %llu",
        name_shown(s, item), array_type(s->c, a), bytes, (unsigned long long)(r->to - r->from));
}

static bool read_array(Safe *s, const Json *item) {
    int i = s->archive->n;
    Array *a = &s->archive->at[i];
    if (item->kind != JsonObject)
        return header_wrong(s, item, "its entry in the header must be an object");
    if (item->repeated)
        return header_wrong(s, item, "a key of its entry is given twice");
    if (item->n != 3)
        return header_wrong(
            s, item, "its entry must have `dtype`, `shape` and `data_offsets`, and nothing else");
    if (memchr(item->key, 0, item->key_n))
        return header_wrong(s, item, "a zero byte in its name");
    if (!read_dtype(s, item, a) || !read_sizes(s, item, a) ||
        !read_offsets(s, item, a, &s->range[i]))
        return false;
    s->range[i].array = i;
    a->name = intern(s->c, item->key, item->key_n);
    s->archive->n++;
    return true;
}

static bool check_metadata(const Safe *s, const Json *meta) {
    if (meta->kind != JsonObject)
        return archive_error(s->c, s->path, "`__metadata__` must be an object");
    if (meta->repeated)
        return archive_error(s->c, s->path, "a key of `__metadata__` is given twice");
    for (size_t i = 0; i < meta->n; i++)
        if (meta->item[i].kind != JsonString)
            return archive_error(s->c, s->path, "`__metadata__` must hold strings only; `%s` is %s",
                                 name_shown(s, &meta->item[i]), json_kind(&meta->item[i]));
    return true;
}

static int by_begin(const void *pa, const void *pb) {
    const ByteRange *a = pa, *b = pb;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return a->array < b->array ? -1 : a->array > b->array;
}

static bool check_tiling(Safe *s) {
    uint64_t end = 0;
    qsort(s->range, (size_t)s->archive->n, sizeof *s->range, by_begin);
    for (int i = 0; i < s->archive->n; i++) {
        const ByteRange *r = &s->range[i];
        const char *nm = s->archive->at[r->array].name;
        if (r->from != end)
            return archive_error(
                s->c, s->path, "array `%s` begins at byte %llu of the data; %llu is expected (%s)",
                shown(s->c, nm, strlen(nm)), (unsigned long long)r->from, (unsigned long long)end,
                r->from < end ? "it overlaps the one before" : "there is a hole before it");
        end = r->to;
    }
    if (end == s->data.n)
        return true;
    return archive_error(s->c, s->path,
                         "the arrays take %llu bytes; the file has %zu after its header",
                         (unsigned long long)end, s->data.n);
}

static bool take_data(Safe *s) {
    for (int i = 0; i < s->archive->n; i++) {
        const ByteRange *r = &s->range[i];
        Array *a = &s->archive->at[r->array];
        a->data = array_data(s->c, a, s->data.at + r->from, false);
        if (!bools_good(a))
            return archive_error(s->c, s->path, "array `%s`: a truth value must be 0 or 1",
                                 shown(s->c, a->name, strlen(a->name)));
    }
    return true;
}

static bool read_header(Safe *s, const Json *header) {
    if (header->kind != JsonObject)
        return archive_error(s->c, s->path, "the header is %s; an object is expected",
                             json_kind(header));
    if (header->repeated)
        return archive_error(s->c, s->path, "array `%s` is given twice",
                             name_shown(s, header->repeated));
    if (header->n > INT_MAX / 2)
        return archive_error(s->c, s->path, "too many arrays");
    s->archive->at = NEWN(s->c, Array, header->n);
    s->range = NEWN(s->c, ByteRange, header->n + 1);
    for (size_t i = 0; i < header->n; i++) {
        const Json *item = &header->item[i];
        bool meta = item->key_n == 12 && !memcmp(item->key, "__metadata__", 12);
        if (meta ? !check_metadata(s, item) : !read_array(s, item))
            return false;
    }
    return check_tiling(s) && take_data(s);
}

/* The bytes of the header; what follows is the data. */
static bool split_file(Safe *s, Bytes b, Bytes *header) {
    if (!b.n)
        return archive_error(s->c, s->path, "the file is empty");
    if (b.n < 8)
        return archive_error(s->c, s->path, "%zu bytes are no file of weights", b.n);
    uint64_t n = little(b.at, 8);
    if (n > most_header && (b.n == 8 || b.at[8] != '{'))
        return archive_error(s->c, s->path, "this is no safetensors, .npz or .npy file");
    if (n > most_header)
        return archive_error(s->c, s->path, "a header of %llu bytes; at most %llu are allowed",
                             (unsigned long long)n, (unsigned long long)most_header);
    if (n > b.n - 8)
        return archive_error(s->c, s->path,
                             "a header of %llu bytes, but the file has only %zu more",
                             (unsigned long long)n, b.n - 8);
    *header = (Bytes){ b.at + 8, (size_t)n };
    s->data = (Bytes){ b.at + 8 + n, b.n - 8 - (size_t)n };
    return true;
}

Archive *safetensors_read(Ctx *c, const char *path, Bytes b) {
    Safe s = { .c = c, .path = path, .archive = NEW(c, Archive) };
    Bytes header = { 0 };
    JsonError e;
    s.archive->path = path;
    if (!split_file(&s, b, &header))
        return NULL;
    const Json *j = json_read(c, (const char *)header.at, header.n, &e);
    if (!j)
        archive_error(c, path, "the header is not JSON: %s (byte %zu of the file)", e.what,
                      e.at + 8);
    return j && read_header(&s, j) ? s.archive : NULL;
}
