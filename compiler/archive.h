/* archive.h: what the readers of weight files share. A reader gets bytes nobody has checked, reports
 * what is wrong with `archive_error`, and returns NULL then. */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include "compiler.h"

/* ---- archive.c */

typedef struct Bytes { const unsigned char *at; size_t n; } Bytes;

Archive *archive_bytes(Ctx *c, const char *path, Bytes b);      /* archive_read, once the bytes are there */

bool archive_error(Ctx *c, const char *path, const char *fmt, ...);     /* reports; always false */
const char *shown(Ctx *c, const char *s, size_t n);     /* a foreign name for a message: one short printable line */
bool array_size(const Array *a, size_t *count, size_t *bytes);      /* false: more than fits in memory */
size_t stored_bytes(Elem e);                            /* of one element; 0: no type of files */
const char *array_type(Ctx *c, const Array *a);         /* "f32[10, 256]" */

bool host_is_big_endian(void);

/* The data of `a` at `from`, in this machine's byte order: in place when it is aligned, else a copy. */
const void *array_data(Ctx *c, const Array *a, const unsigned char *from, bool big_endian);
bool bools_good(const Array *a);                        /* bytes of a Bool are 0 or 1; true for other types */

/* Copies `count` elements, of which the k-th along axis i lies `step[i]` elements further. */
void array_gather(void *to, const void *from, size_t size, int rank, const int64_t *dim, const int64_t *step);

static inline uint64_t little(const unsigned char *s, int n)    /* n bytes, low first */
{
    uint64_t v = 0;
    while (n-- > 0) v = v << 8 | s[n];
    return v;
}

/* ---- safetensors.c, npy.c, zip.c */

Archive *safetensors_read(Ctx *c, const char *path, Bytes b);
bool     npy_read(Ctx *c, const char *path, Bytes b, Array *a);         /* all but the name */
Archive *npz_read(Ctx *c, const char *path, Bytes b);

typedef struct Member { Name name; Bytes bytes; } Member;
typedef VEC(Member) Members;
bool     zip_read(Ctx *c, const char *path, Bytes b, Members *to);      /* unpacked, checksums tested */

/* ---- weightmap.c: the file of --map */

typedef struct MapStep { bool permute; int n; int64_t arg[MaxRank]; Span at; } MapStep;     /* else reshape */
typedef struct MapLine {                /* MODEL_NAME = FILE_NAME [permute A B …] [reshape D0 D1 …] */
    Name to, from;
    Span to_at, from_at;
    VEC(MapStep) step;
    bool wrong;                         /* it was reported: nothing more is said of this parameter */
} MapLine;
typedef VEC(MapLine) MapLines;

bool map_read(Ctx *c, const char *path, MapLines *to);          /* false: something was reported; the rest is there */
bool map_apply(Ctx *c, MapLine *l, Array *a);                   /* its steps, on an array of the file */

#endif
