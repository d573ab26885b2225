/* zip.c: the members of a zip, as .npz has them: stored or deflated, zip64 too.
 *
 * The central directory at the end is believed, each local header must agree with it, and the members
 * must lie one behind the other before the directory: bytes that two members share are the trick of
 * small files that unpack to huge ones. Inflating is zlib's; without it only stored members are read. */
#include "archive.h"

#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

enum { EndBytes = 22, LocatorBytes = 20, End64Bytes = 56, CentralBytes = 46, LocalBytes = 30 };
enum { Stored = 0, Deflated = 8 };
enum { FlagEncrypted = 1 << 0, FlagStrong = 1 << 6, FlagMasked = 1 << 13 };

typedef struct Entry {
    const unsigned char *name;
    size_t name_n;
    unsigned flags, method;
    uint32_t crc;
    uint64_t packed, size, at; /* at: of the local header */
    uint64_t end;              /* of the packed bytes, once they were found */
    const unsigned char *data;
} Entry;

typedef struct Zip {
    Ctx *c;
    const char *path;
    Bytes b;
    uint64_t directory, directory_end, n;
    Entry *entry;
    uint32_t crc[256];
} Zip;

static bool bad(const Zip *z, const char *what) {
    return archive_error(z->c, z->path, "the zip is damaged: %s", what);
}

static bool refuse(const Zip *z, const Entry *e, const char *what) {
    return archive_error(z->c, z->path, "member `%s` %s",
                         shown(z->c, (const char *)e->name, e->name_n), what);
}

static bool has(const Zip *z, uint64_t at, uint64_t n) {
    return at <= z->b.n && n <= z->b.n - at;
}

static bool signed_as(const Zip *z, uint64_t at, const char *magic) {
    return has(z, at, 4) && !memcmp(z->b.at + at, magic, 4);
}

/* ---- the directory -------------------------------------------------------------------------------- */

/* The end record is last but for a comment of up to 65535 bytes, whose length it gives. */
static bool find_end(const Zip *z, uint64_t *end) {
    for (uint64_t comment = 0; comment <= 0xFFFF && has(z, 0, EndBytes + comment); comment++) {
        *end = z->b.n - EndBytes - comment;
        if (signed_as(z, *end, "PK\5\6") && little(z->b.at + *end + 20, 2) == comment)
            return true;
    }
    return bad(z, "its directory is missing; is the file whole?");
}

/* Fields that are too large for the end record stand in a second one, which a locator before it finds. */
static bool read_end64(Zip *z, uint64_t end) {
    if (end < LocatorBytes || !signed_as(z, end - LocatorBytes, "PK\6\7"))
        return bad(z, "its zip64 directory is missing");
    uint64_t at = little(z->b.at + end - LocatorBytes + 8, 8);
    if (!has(z, at, End64Bytes) || !signed_as(z, at, "PK\6\6"))
        return bad(z, "its zip64 directory is missing");
    const unsigned char *s = z->b.at + at;
    if (little(s + 16, 4) || little(s + 20, 4))
        return bad(z, "it is in several parts");
    z->n = little(s + 32, 8);
    z->directory_end = at;
    z->directory = little(s + 48, 8);
    if (z->directory > at || little(s + 40, 8) != at - z->directory)
        return bad(z, "its directory is not where it should be");
    return true;
}

static bool read_end(Zip *z) {
    uint64_t end = 0;
    if (!find_end(z, &end))
        return false;
    const unsigned char *s = z->b.at + end;
    uint64_t size = little(s + 12, 4);
    z->n = little(s + 10, 2);
    z->directory = little(s + 16, 4);
    z->directory_end = end;
    if (z->n == 0xFFFF || size == 0xFFFFFFFF || z->directory == 0xFFFFFFFF)
        return read_end64(z, end);
    if (little(s + 4, 2) || little(s + 6, 2))
        return bad(z, "it is in several parts");
    if (end >= LocatorBytes && signed_as(z, end - LocatorBytes, "PK\6\7"))
        return read_end64(z, end);
    if (z->directory > end || size != end - z->directory)
        return bad(z, "its directory is not where it should be");
    return true;
}

/* In the extra field 1 stand, in this order, those of size, packed and at that are all ones. */
static bool read_extra(const Zip *z, Entry *e, const unsigned char *s, size_t n) {
    uint64_t *field[] = { &e->size, &e->packed, &e->at };
    for (size_t length; n >= 4; s += 4 + length, n -= 4 + length) {
        length = (size_t)little(s + 2, 2);
        if (length > n - 4)
            return bad(z, "an extra field is cut");
        if (little(s, 2) != 1)
            continue;
        size_t used = 0;
        for (int i = 0; i < 3; i++) {
            if (*field[i] != 0xFFFFFFFF)
                continue;
            if (used + 8 > length)
                return bad(z, "a zip64 field is cut");
            *field[i] = little(s + 4 + used, 8);
            used += 8;
        }
        return true;
    }
    return true;
}

static bool read_central(Zip *z, Entry *e, uint64_t *at) {
    if (z->directory_end - *at < CentralBytes || !signed_as(z, *at, "PK\1\2"))
        return bad(z, "an entry of its directory is cut");
    const unsigned char *s = z->b.at + *at;
    size_t extra = (size_t)little(s + 30, 2), comment = (size_t)little(s + 32, 2);
    *e = (Entry){
        .flags = (unsigned)little(s + 8, 2),
        .method = (unsigned)little(s + 10, 2),
        .crc = (uint32_t)little(s + 16, 4),
        .packed = little(s + 20, 4),
        .size = little(s + 24, 4),
        .at = little(s + 42, 4),
        .name = s + CentralBytes,
        .name_n = (size_t)little(s + 28, 2),
    };
    if (z->directory_end - *at - CentralBytes < e->name_n + extra + comment)
        return bad(z, "an entry of its directory is cut");
    *at += CentralBytes + e->name_n + extra + comment;
    return read_extra(z, e, s + CentralBytes + e->name_n, extra);
}

static bool read_directory(Zip *z) {
    uint64_t at = z->directory;
    if (z->n > (z->directory_end - at) / CentralBytes)
        return bad(z, "its directory is too short");
    z->entry = NEWN(z->c, Entry, z->n + 1);
    for (uint64_t i = 0; i < z->n; i++)
        if (!read_central(z, &z->entry[i], &at))
            return false;
    return at == z->directory_end || bad(z, "its directory is too long");
}

/* ---- members -------------------------------------------------------------------------------------- */

static bool find_data(const Zip *z, Entry *e) {
    if (e->flags & (FlagEncrypted | FlagStrong | FlagMasked))
        return refuse(z, e, "is encrypted");
    if (!has(z, e->at, LocalBytes) || !signed_as(z, e->at, "PK\3\4"))
        return refuse(z, e, "is not where the directory says");
    const unsigned char *s = z->b.at + e->at;
    uint64_t head = LocalBytes + little(s + 26, 2) + little(s + 28, 2);
    if (!has(z, e->at, head) || !has(z, e->at + head, e->packed))
        return refuse(z, e, "is cut");
    if (little(s + 26, 2) != e->name_n || memcmp(s + LocalBytes, e->name, e->name_n) != 0 ||
        little(s + 8, 2) != e->method)
        return refuse(z, e, "is described in two different ways");
    e->data = s + head;
    e->end = e->at + head + e->packed;
    return e->end <= z->directory || refuse(z, e, "is cut");
}

static int by_position(const void *pa, const void *pb) {
    const Entry *a = *(Entry *const *)pa, *b = *(Entry *const *)pb;
    return a->at < b->at ? -1 : a->at > b->at;
}

static bool check_overlap(const Zip *z) {
    Entry **sorted = NEWN(z->c, Entry *, z->n + 1);
    for (uint64_t i = 0; i < z->n; i++)
        sorted[i] = &z->entry[i];
    qsort(sorted, (size_t)z->n, sizeof *sorted, by_position);
    for (uint64_t i = 1; i < z->n; i++)
        if (sorted[i]->at < sorted[i - 1]->end)
            return refuse(z, sorted[i], "shares bytes with another");
    return true;
}

#ifdef HAVE_ZLIB
static uInt part(uint64_t n) {
    return n > 1u << 30 ? 1u << 30 : (uInt)n;
}

/* Lengths of zlib are 32 bits wide, so it is fed piece by piece. */
static bool inflate_all(const Entry *e, unsigned char *to) {
    z_stream s = { .next_in = (Bytef *)e->data, .next_out = to };
    uint64_t in = e->packed, out = e->size;
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return false;
    int state = Z_OK;
    while (state == Z_OK) {
        uInt give = part(in), room = part(out);
        s.avail_in = give;
        s.avail_out = room;
        state = inflate(&s, Z_NO_FLUSH);
        in -= give - s.avail_in;
        out -= room - s.avail_out;
    }
    inflateEnd(&s);
    return state == Z_STREAM_END && !in && !out;
}

static bool unpack(const Zip *z, const Entry *e, Bytes *to) {
    enum { MostRatio = 1032 }; /* deflate cannot do better: 258 bytes from two bits */
    if (e->size / MostRatio > e->packed)
        return refuse(z, e, "is damaged: it cannot be as large as it says");
    unsigned char *s = alloc(z->c, (size_t)e->size + 1);
    *to = (Bytes){ s, (size_t)e->size };
    return inflate_all(e, s) || refuse(z, e, "is damaged: it cannot be inflated");
}
#else
static bool unpack(const Zip *z, const Entry *e, Bytes *to) {
    (void)to;
    return refuse(z, e,
                  "is compressed: this mithrilc was built without zlib; save with numpy.savez");
}
#endif

static void make_crc_table(uint32_t *table) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i;
        for (int k = 0; k < 8; k++)
            r = r >> 1 ^ (r & 1 ? 0xEDB88320u : 0);
        table[i] = r;
    }
}

static uint32_t crc_of(const uint32_t *table, Bytes b) {
    uint32_t r = 0xFFFFFFFFu;
    for (size_t i = 0; i < b.n; i++)
        r = r >> 8 ^ table[(r ^ b.at[i]) & 0xFF];
    return ~r;
}

static bool take_bytes(const Zip *z, const Entry *e, Bytes *to) {
    *to = (Bytes){ e->data, (size_t)e->packed };
    if (e->method != Stored && e->method != Deflated)
        return refuse(
            z, e,
            "is compressed in a way that is not read: numpy.savez and numpy.savez_compressed are");
    if (e->method == Stored && e->packed != e->size)
        return refuse(z, e, "is damaged: it is stored, with two lengths");
    if (e->method == Deflated && !unpack(z, e, to))
        return false;
    return crc_of(z->crc, *to) == e->crc || refuse(z, e, "is damaged: its checksum is wrong");
}

static bool read_member(const Zip *z, const Entry *e, Map *seen, Members *to) {
    Member m = { 0 };
    if (memchr(e->name, 0, e->name_n))
        return refuse(z, e, "has a zero byte in its name");
    m.name = intern(z->c, (const char *)e->name, e->name_n);
    if (map_get(seen, m.name))
        return refuse(z, e, "is there twice");
    map_put(z->c, seen, m.name, (void *)m.name);
    if (!take_bytes(z, e, &m.bytes))
        return false;
    push(z->c, to, m);
    return true;
}

bool zip_read(Ctx *c, const char *path, Bytes b, Members *to) {
    Zip z = { .c = c, .path = path, .b = b };
    Map seen = { 0 };
    make_crc_table(z.crc);
    if (!read_end(&z) || !read_directory(&z))
        return false;
    for (uint64_t i = 0; i < z.n; i++)
        if (!find_data(&z, &z.entry[i]))
            return false;
    if (!check_overlap(&z))
        return false;
    for (uint64_t i = 0; i < z.n; i++)
        if (!read_member(&z, &z.entry[i], &seen, to))
            return false;
    return true;
}
