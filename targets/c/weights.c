/* weights.c: the weights as C or as a file, as --weights-as says.
 *
 *   embed   NAME_weights.c: a string literal a row of 64 bytes, aligned, and the struct that points to them
 *   incbin  NAME_weights.c and NAME_weights.bin, which the assembler takes in
 *   blob    NAME.weights, one file to map or to flash, with a directory; NAME_open_weights finds each by name
 *   extern  nothing: the caller fills the struct
 *
 * Text of hexadecimal or decimal numbers would take the C compiler ten times as long as strings do. */
#include "c.h"

#include <string.h>

enum { RowBytes = 64, EmbedLimit = 16 << 20 };

typedef enum Form { FormExtern, FormEmbed, FormIncbin, FormBlob } Form;

static Form form(const Interface *f) {
    const Program *p = f->code->program;
    const char *as = f->c->opt.weights_as;
    for (int i = 0; i < p->param.n; i++)
        if (!p->param.at[i]->data)
            return FormExtern;
    if (!p->param.n || !f->c->opt.weights || (as && !strcmp(as, "extern")))
        return FormExtern;
    if (as && !strcmp(as, "incbin"))
        return FormIncbin;
    return as && !strcmp(as, "blob") ? FormBlob : FormEmbed;
}

bool weights_are_held(const Interface *f) {
    return form(f) == FormEmbed || form(f) == FormIncbin;
}

bool weights_are_blob(const Interface *f) {
    return form(f) == FormBlob;
}

static int64_t size_of(const Interface *f, const Tensor *t) {
    return c_count(&t->type) * elem_bytes(f->c, t->type.elem);
}

static int64_t aligned(int64_t n) {
    return (n + 63) / 64 * 64;
}

static char *member(const Interface *f, const Tensor *t) {
    return map_get(&f->member, t);
}

/* ---- embed */

/* Bytes as the inside of a string literal: what prints stands for itself, the rest is octal. */
static void put_row(Text *out, Ctx *c, const unsigned char *at, int n) {
    char row[RowBytes * 4 + 1], *p = row;
    for (int i = 0; i < n; i++) {
        unsigned char b = at[i];
        if (b >= 32 && b < 127 && b != '"' && b != '\\' && b != '?') {
            *p++ = (char)b;
        } else {
            *p++ = '\\';
            *p++ = (char)('0' + (b >> 6));
            *p++ = (char)('0' + (b >> 3 & 7));
            *p++ = (char)('0' + (b & 7));
        }
    }
    *p = 0;
    text_add(c, out, "    \"%s\",\n", row);
}

static void print_array(const Interface *f, Emit *e, const Tensor *t) {
    Ctx *c = f->c;
    int64_t bytes = size_of(f, t), rows = (bytes + RowBytes - 1) / RowBytes;
    emit(e, "// %s %s", c_remark(c, t->path), type_text(c, &t->type));
    emit(e, "static const union {");
    emit(e, "char row[%lld][%d];", (long long)(rows ? rows : 1), RowBytes);
    emit(e, "%s value[%lld];", c_elem(c, t->type.elem), (long long)(bytes ? c_count(&t->type) : 1));
    emit(e, "} %s = {{", member(f, t));
    for (int64_t i = 0; i < bytes; i += RowBytes)
        put_row(&e->text, c, (const unsigned char *)t->data + i, (int)(bytes - i < RowBytes ? bytes - i : RowBytes));
    if (!bytes)
        emit(e, "\"\",");
    emit(e, "}};");
    emit_blank(e);
}

static void print_members(const Interface *f, Emit *e, const char *fmt) {
    const Program *p = f->code->program;
    emit(e, "const %s_weights %s_embedded = {", f->prefix, f->prefix);
    for (int i = 0; i < p->param.n; i++) {
        char *m = member(f, p->param.at[i]);
        emit(e, fmt, m, m);
    }
    emit(e, "};");
}

static const char little_endian[] =
    "#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__\n"
    "#error \"these weights are little-endian\"\n"
    "#endif\n\n";

static Emit open_file(const Interface *f, const char *what) {
    Emit e = { f->c, {0}, 0, true };
    emit_comment(&e, format(f->c, "%s_weights.c: %s; made by mithrilc, do not edit.", f->prefix, what));
    emit(&e, "#include \"%s.h\"", f->prefix);
    emit_blank(&e);
    return e;
}

static void close_file(const Interface *f, Emit *e, const char *suffix, OutFiles *out) {
    push(f->c, out, ((OutFile){ format(f->c, "%s%s", f->prefix, suffix), e->text.s, e->text.n }));
}

static void print_embed(const Interface *f, OutFiles *out) {
    const Program *p = f->code->program;
    int64_t total = 0;
    for (int i = 0; i < p->param.n; i++)
        total += size_of(f, p->param.at[i]);
    if (total > EmbedLimit) {
        error_plain(f->c, "the weights are %lld bytes; an array in C holds %d (16 MiB); use --weights-as blob",
                    (long long)total, EmbedLimit);
        return;
    }
    Emit e = open_file(f, "the weights");
    text_add(f->c, &e.text, "%s", little_endian);
    for (int i = 0; i < p->param.n; i++)
        print_array(f, &e, p->param.at[i]);
    print_members(f, &e, ".%s = %s.value,");
    close_file(f, &e, "_weights.c", out);
}

/* ---- incbin and blob: the bytes in one piece, each array aligned to 64 */

static void add_bytes(Ctx *c, Text *out, const void *at, size_t n) {
    if (out->n + n + 1 > out->cap) {
        size_t cap = (out->n + n + 1) * 2;
        char *s = alloc(c, cap);
        if (out->n)
            memcpy(s, out->s, out->n);
        out->s = s;
        out->cap = cap;
    }
    if (n)
        memcpy(out->s + out->n, at, n);
    out->n += n;
    out->s[out->n] = 0;
}

static void pad_to(Ctx *c, Text *out, int64_t to) {
    static const char zeros[64];
    while ((int64_t)out->n < to) {
        int64_t n = to - (int64_t)out->n;
        add_bytes(c, out, zeros, (size_t)(n < 64 ? n : 64));
    }
}

static Text all_bytes(const Interface *f) {
    const Program *p = f->code->program;
    Text out = {0};
    for (int i = 0; i < p->param.n; i++) {
        pad_to(f->c, &out, aligned((int64_t)out.n));
        add_bytes(f->c, &out, p->param.at[i]->data, (size_t)size_of(f, p->param.at[i]));
    }
    pad_to(f->c, &out, aligned((int64_t)out.n));
    return out;
}

static void print_incbin(const Interface *f, OutFiles *out) {
    const Program *p = f->code->program;
    Text bytes = all_bytes(f);
    push(f->c, out, ((OutFile){ format(f->c, "%s_weights.bin", f->prefix), bytes.s, bytes.n }));
    Emit e = open_file(f, format(f->c, "takes in %s_weights.bin (assemble with -Wa,-I or in its folder)", f->prefix));
    text_add(f->c, &e.text, "%s", little_endian);
    emit(&e, "__asm__(\".section .rodata\\n.balign 64\\n\"");
    int64_t at = 0;
    for (int i = 0; i < p->param.n; i++) {
        int64_t n = size_of(f, p->param.at[i]);
        emit(&e, "    \"%s_%s: .incbin \\\"%s_weights.bin\\\", %lld, %lld\\n\"", f->prefix,
             member(f, p->param.at[i]), f->prefix, (long long)at, (long long)(aligned(n) ? aligned(n) : 64));
        at += aligned(n);
    }
    emit(&e, "    \".previous\\n\");");
    emit_blank(&e);
    for (int i = 0; i < p->param.n; i++)
        emit(&e, "extern const %s %s_%s[];", c_elem(f->c, p->param.at[i]->type.elem), f->prefix, member(f, p->param.at[i]));
    emit_blank(&e);
    print_members(f, &e, format(f->c, ".%%s = %s_%%s,", f->prefix));
    close_file(f, &e, "_weights.c", out);
}

static void add_u64(Ctx *c, Text *out, uint64_t v) {
    unsigned char b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(v >> 8 * i);
    add_bytes(c, out, b, 8);
}

/* The file: "mthblob1", count, bytes of the directory, checksum of all that follows; then an entry each: offset, bytes,
 * length of the name, the name padded with zeros to 8; then the arrays, aligned to 64 from the start of the file. */
enum { BlobHead = 32, ChecksumAt = 24 };

static int64_t directory_bytes(const Interface *f) {
    const Program *p = f->code->program;
    int64_t size = BlobHead;
    for (int i = 0; i < p->param.n; i++)
        size += 24 + ((int64_t)strlen(p->param.at[i]->path) + 7) / 8 * 8;
    return aligned(size);
}

static Text blob_directory(const Interface *f) {
    const Program *p = f->code->program;
    int64_t size = directory_bytes(f);
    Text out = {0};
    add_bytes(f->c, &out, "mthblob1", 8);
    add_u64(f->c, &out, (uint64_t)p->param.n);
    add_u64(f->c, &out, (uint64_t)size);
    add_u64(f->c, &out, 0);
    int64_t at = size;
    for (int i = 0; i < p->param.n; i++) {
        const Tensor *t = p->param.at[i];
        add_u64(f->c, &out, (uint64_t)at);
        add_u64(f->c, &out, (uint64_t)size_of(f, t));
        add_u64(f->c, &out, strlen(t->path));
        add_bytes(f->c, &out, t->path, strlen(t->path));
        pad_to(f->c, &out, ((int64_t)out.n + 7) / 8 * 8);
        at += aligned(size_of(f, t));
    }
    pad_to(f->c, &out, size);
    return out;
}

/* The checksum is 64-bit FNV-1a (Fowler, Noll, Vo). */
static Text blob_file(const Interface *f, uint64_t *checksum) {
    Text file = blob_directory(f), bytes = all_bytes(f);
    uint64_t h = 0xcbf29ce484222325u;
    add_bytes(f->c, &file, bytes.s, bytes.n);
    for (size_t i = BlobHead; i < file.n; i++)
        h = (h ^ (unsigned char)file.s[i]) * 0x100000001b3u;
    for (int i = 0; i < 8; i++)
        file.s[ChecksumAt + i] = (char)(unsigned char)(h >> 8 * i);
    *checksum = h;
    return file;
}

static const char open_source[] =
    "static uint64_t number(const unsigned char *at) {\n"
    "    uint64_t v = 0;\n"
    "    for (int i = 7; i >= 0; i--)\n"
    "        v = v << 8 | at[i];\n"
    "    return v;\n"
    "}\n"
    "\n"
    "// The array called `name`, if it has that many bytes. The directory was checked.\n"
    "static const void *find(const unsigned char *blob, const char *name, uint64_t length,\n"
    "                        uint64_t bytes) {\n"
    "    const unsigned char *at = blob + 32;\n"
    "    for (uint64_t i = number(blob + 8); i > 0; i--) {\n"
    "        uint64_t n = number(at + 16), same = n == length;\n"
    "        for (uint64_t k = 0; same && k < n; k++)\n"
    "            same = at[24 + k] == (unsigned char)name[k];\n"
    "        if (same)\n"
    "            return number(at + 8) == bytes ? blob + number(at) : 0;\n"
    "        at += 24 + (n + 7) / 8 * 8;\n"
    "    }\n"
    "    return 0;\n"
    "}\n\n";

static void print_open(const Interface *f, Emit *e, uint64_t file_bytes) {
    const Program *p = f->code->program;
    text_add(f->c, &e->text, "%s%s", little_endian, open_source);
    emit(e, "int %s_open_weights(%s_weights *w, const void *blob, size_t bytes) {", f->prefix, f->prefix);
    emit(e, "const unsigned char *b = blob;");
    emit(e, "static const char magic[] = \"mthblob1\";");
    emit(e, "if (!blob || (uintptr_t)blob %% 64 || bytes != %llu)", (unsigned long long)file_bytes);
    emit(e, "    return -1;");
    emit(e, "for (int i = 0; i < 8; i++)");
    emit(e, "    if (b[i] != (unsigned char)magic[i])");
    emit(e, "        return -1;");
    emit(e, "uint64_t sum = 0xcbf29ce484222325u; // 64-bit FNV-1a of all but the first 32 bytes");
    emit(e, "for (size_t i = %d; i < bytes; i++)", BlobHead);
    emit(e, "    sum = (sum ^ b[i]) * 0x100000001b3u;");
    emit(e, "if (number(b + 8) != %d || number(b + 16) != %llu)", p->param.n, (unsigned long long)directory_bytes(f));
    emit(e, "    return -1;");
    emit(e, "if (number(b + %d) != sum || sum != %s_WEIGHTS_CHECKSUM)", ChecksumAt, f->upper);
    emit(e, "    return -1;");
    emit_blank(e);
    for (int i = 0; i < p->param.n; i++) {
        const Tensor *t = p->param.at[i];
        emit(e, "w->%s = find(b, \"%s\", %zu, %lld);", member(f, t), c_string(f->c, t->path),
             strlen(t->path), (long long)size_of(f, t));
    }
    emit_blank(e);
    for (int i = 0; i < p->param.n; i++)
        emit(e, "%s!w->%s%s", i ? "    " : "if (", member(f, p->param.at[i]), i + 1 < p->param.n ? " ||" : ")");
    emit(e, "    return -1;");
    emit(e, "return 0;");
    emit(e, "}");
}

static void print_blob(const Interface *f, OutFiles *out) {
    uint64_t sum;
    Text file = blob_file(f, &sum);
    push(f->c, out, ((OutFile){ format(f->c, "%s.weights", f->prefix), file.s, file.n }));
    Emit e = open_file(f, format(f->c, "finds the arrays of %s.weights", f->prefix));
    print_open(f, &e, file.n);
    close_file(f, &e, "_weights.c", out);
}

void print_weights_interface(const Interface *f, Emit *h) {
    if (weights_are_held(f)) {
        emit(h, "extern const %s_weights %s_embedded; // %s_weights.c", f->prefix, f->prefix, f->prefix);
        emit_blank(h);
    }
    if (weights_are_blob(f)) {
        uint64_t sum;
        blob_file(f, &sum);
        emit(h, "#define %s_WEIGHTS_CHECKSUM 0x%016llxu", f->upper, (unsigned long long)sum);
        emit_blank(h);
        emit_comment(h, format(f->c, "Points w into %s.weights, which lies whole at `blob`, aligned to 64 bytes. 0, or -1 if it is not "
                               "the file made with this header.", f->prefix));
        emit(h, "int %s_open_weights(%s_weights *w, const void *blob, size_t bytes);", f->prefix, f->prefix);
        emit_blank(h);
    }
}

void print_weights(const Interface *f, OutFiles *out) {
    switch (form(f)) {
    case FormEmbed:  print_embed(f, out); return;
    case FormIncbin: print_incbin(f, out); return;
    case FormBlob:   print_blob(f, out); return;
    case FormExtern: return;
    }
}
