/* c.h: what the parts of the C target share. */
#ifndef TARGET_C_H
#define TARGET_C_H

#include "../../codegen/codegen.h"

/* The names of one export as C sees them: tensors of the interface by pointer, made once. */
typedef struct Interface {
    Ctx *c;
    const Code *code;
    const char *prefix;                 /* "llama" */
    char *upper;                        /* "LLAMA" */
    Map member;                         /* Tensor * → name in the weights or the state struct, or of a constant */
} Interface;

extern const Dialect c_words;

/* names.c */
char *c_identifier(Ctx *c, const char *path);       /* "h.0.attn" → "h_0_attn"; never a keyword */
char *c_prefix(Ctx *c, const char *export);         /* what the functions and types of an export begin with */
bool  c_takes(const char *word);                    /* is it a name of C's library, of its headers or files? */

/* quote.c */
char *c_string(Ctx *c, const char *text);           /* as the inside of a string literal */
char *c_remark(Ctx *c, const char *text);           /* as what stands after two slashes */

/* refuse.c */
bool c_writes(Ctx *c, const Code *code);            /* false, with a message: this target cannot */
void c_check_statics(const Interface *f, const Map *helpers);                 /* no entry is called like a function of the file */
void c_check_files(Ctx *c, const OutFiles *out, int before);                  /* nor a file like one of those before */

/* c.c */
char *c_shape(Ctx *c, const Type *t);               /* "[1][16][32]", or "" */
const char *c_elem(Ctx *c, Elem e);
char *c_function(const Interface *f, const Routine *r);
int64_t c_count(const Type *t);                     /* of a tensor whose sizes are numbers */

/* helpers.c: defines the small functions the kernels call */
void print_helpers(Emit *e, const Map *helpers);

/* weights.c: the files that hold the weights, as --weights-as says */
void print_weights(const Interface *f, OutFiles *out);
bool weights_are_held(const Interface *f);          /* embed or incbin: NAME_embedded exists */
bool weights_are_blob(const Interface *f);
void print_weights_interface(const Interface *f, Emit *h);

#endif
