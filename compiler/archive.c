/* archive.c: a file of arrays, whatever its format.
 *
 * The file is mapped, and arrays stay where they are in it when they can: weights are large, and
 * most are only copied into the output. The first bytes decide the format, never the name. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "archive.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- messages */

bool archive_error(Ctx *c, const char *path, const char *fmt, ...) {
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    error_plain(c, "%s: %s", path, text);
    return false;
}

const char *shown(Ctx *c, const char *s, size_t n) {
    enum { Longest = 100 };
    bool cut = n > Longest;
    if (cut)
        n = Longest;
    while (cut && n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80)
        n--;
    char *to = alloc(c, n + 4);
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)s[i] < ' ' || s[i] == 127 ? '?' : s[i];
    if (cut)
        memcpy(to + n, "...", 3);
    return to;
}

const char *array_type(Ctx *c, const Array *a) {
    Text t = { 0 };
    text_add(c, &t, "%s", elem_name(a->elem));
    for (int i = 0; i < a->rank; i++)
        text_add(c, &t, "%s%lld", i ? ", " : "[", (long long)a->dim[i]);
    if (a->rank)
        text_add(c, &t, "]");
    return t.s;
}

/* ---- arrays */

size_t stored_bytes(Elem e) {
    static const unsigned char size[] = {
        [Bool] = 1, [I8] = 1, [I16] = 2, [I32] = 4, [I64] = 8, [U8] = 1, [U16] = 2, [U32] = 4, [U64] = 8,
        [F16] = 2, [BF16] = 2, [F32] = 4, [F64] = 8,
    };
    return (size_t)e < sizeof size ? size[e] : 0;
}

/* An overflow is one even where a later size is 0: no real file has such a shape. */
bool array_size(const Array *a, size_t *count, size_t *bytes) {
    size_t n = 1, size = stored_bytes(a->elem);
    for (int i = 0; i < a->rank; i++) {
        uint64_t d = (uint64_t)a->dim[i];
        if (a->dim[i] < 0 || (d && n > (size_t)PTRDIFF_MAX / d))
            return false;
        n *= (size_t)d;
    }
    if (n > (size_t)PTRDIFF_MAX / size)
        return false;
    *count = n;
    *bytes = n * size;
    return true;
}

bool host_is_big_endian(void) {
    const uint16_t one = 1;
    return !*(const unsigned char *)&one;
}

static void copy_reversed(unsigned char *to, const unsigned char *from, size_t count, size_t size) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < size; k++)
            to[i * size + k] = from[i * size + size - 1 - k];
}

const void *array_data(Ctx *c, const Array *a, const unsigned char *from, bool big_endian) {
    size_t count, bytes, size = stored_bytes(a->elem);
    if (!array_size(a, &count, &bytes) || !count)
        return alloc(c, 1);
    bool reversed = size > 1 && big_endian != host_is_big_endian();
    if (!reversed && (uintptr_t)from % size == 0)
        return from;
    unsigned char *to = alloc(c, bytes);
    if (reversed)
        copy_reversed(to, from, count, size);
    else
        memcpy(to, from, bytes);
    return to;
}

bool bools_good(const Array *a) {
    size_t count, bytes;
    if (a->elem != Bool || !array_size(a, &count, &bytes))
        return true;
    const unsigned char *s = a->data;
    for (size_t i = 0; i < count; i++)
        if (s[i] > 1)
            return false;
    return true;
}

void array_gather(void *to, const void *from, size_t size, int rank, const int64_t *dim,
                  const int64_t *step) {
    int64_t at[MaxRank] = { 0 }, offset = 0;
    unsigned char *p = to;
    for (int i = 0; i < rank; i++)
        if (!dim[i])
            return;
    for (int i = rank;;) {
        memcpy(p, (const unsigned char *)from + (size_t)offset * size, size);
        p += size;
        for (i = rank - 1; i >= 0; i--) { /* count up, last axis first */
            offset += step[i];
            if (++at[i] < dim[i])
                break;
            offset -= at[i] * step[i];
            at[i] = 0;
        }
        if (i < 0)
            return;
    }
}

/* ---- files */

/* A mapping lives as long as the compilation, like the arena. False: not a file that can be mapped. */
static bool map_file(Ctx *c, const char *path, Bytes *b) {
    struct stat about;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    void *p = MAP_FAILED;
    bool regular = !fstat(fd, &about) && S_ISREG(about.st_mode);
    if (regular && about.st_size > 0 && (uintmax_t)about.st_size <= PTRDIFF_MAX)
        p = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return false;
    *b = (Bytes){ p, (size_t)about.st_size };
    push(c, &c->files, name(c, "%s", path));
    return true;
}

static bool load_file(Ctx *c, const char *path, Bytes *b) {
    if (map_file(c, path, b))
        return true;
    char *s = read_file(c, path, &b->n);
    b->at = (unsigned char *)s;
    return s || archive_error(c, path, "cannot be read");
}

/* Formats of other tools that people hand in, to name them. */
static const struct Foreign { size_t at; const char *magic, *what; } foreign[] = {
    { 0, "GGUF",       "a GGUF file" },
    { 4, "TFL3",       "a TensorFlow Lite model" },
    { 0, "\x89HDF",    "an HDF5 file" },
    { 0, "\x80\x02}q", "a Python pickle" },
    { 0, "\x80\x02\x8a", "a PyTorch checkpoint" },
    { 0, "\x1f\x8b",   "a gzip file" },
    { 0, "\xFD" "7zXZ", "an xz file" },
};

static bool begins(Bytes b, size_t at, const char *magic) {
    size_t n = strlen(magic);
    return b.n >= at + n && !memcmp(b.at + at, magic, n);
}

static const char *foreign_format(Bytes b) {
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (begins(b, foreign[i].at, foreign[i].magic))
            return foreign[i].what;
    return NULL;
}

/* An .npy has one array without a name: it is called like the file. */
static Name base_name(Ctx *c, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *s = slash ? slash + 1 : path;
    size_t n = strlen(s);
    if (n > 4 && !strcmp(s + n - 4, ".npy"))
        n -= 4;
    return intern(c, s, n);
}

static Archive *one_array(Ctx *c, const char *path, Bytes b) {
    Archive *a = NEW(c, Archive);
    *a = (Archive){ path, NEW(c, Array), 1 };
    if (!npy_read(c, path, b, a->at))
        return NULL;
    a->at->name = base_name(c, path);
    return a;
}

Archive *archive_bytes(Ctx *c, const char *path, Bytes b) {
    if (begins(b, 0, "\x93NUMPY"))
        return one_array(c, path, b);
    if (begins(b, 0, "PK\3\4") || begins(b, 0, "PK\5\6"))
        return npz_read(c, path, b);
    const char *other = foreign_format(b);
    if (!other)
        return safetensors_read(c, path, b);
    archive_error(c, path, "this is %s; weights are read from safetensors, .npz and .npy", other);
    return NULL;
}

Archive *archive_read(Ctx *c, const char *path) {
    Bytes b;
    return load_file(c, path, &b) ? archive_bytes(c, path, b) : NULL;
}
