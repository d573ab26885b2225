/* type.c: element types and the types of tensors. */
#include "compiler.h"

#include <string.h>

typedef enum ElemKind { NoKind, IsBool, IsInt, IsFloat } ElemKind;

static const struct { const char *name; int bytes; ElemKind kind; } elems[] = {
    [NoElem]   = {"?",     0, NoKind},
    [Bool]     = {"bool",  1, IsBool},
    [I8]       = {"i8",    1, IsInt},
    [I16]      = {"i16",   2, IsInt},
    [I32]      = {"i32",   4, IsInt},
    [I64]      = {"i64",   8, IsInt},
    [U8]       = {"u8",    1, IsInt},
    [U16]      = {"u16",   2, IsInt},
    [U32]      = {"u32",   4, IsInt},
    [U64]      = {"u64",   8, IsInt},
    [F16]      = {"f16",   2, IsFloat},
    [BF16]     = {"bf16",  2, IsFloat},
    [F32]      = {"f32",   4, IsFloat},
    [F64]      = {"f64",   8, IsFloat},
    [Float]    = {"float", 4, IsFloat},
    [AnyInt]   = {"int",   8, IsInt},
    [AnyFloat] = {"float", 8, IsFloat},
};

const char *elem_name(Elem e) {
    return elems[e].name;
}

bool elem_is_float(Elem e) {
    return elems[e].kind == IsFloat;
}

bool elem_is_int(Elem e) {
    return elems[e].kind == IsInt;
}

Elem elem_named(Name n) {
    for (Elem e = Bool; e <= Float; e++)
        if (strcmp(elems[e].name, n) == 0)
            return e;
    return NoElem;
}

Elem elem_storage(Ctx *c, Elem e) {
    if (e == Float)
        return c->opt.precision == NoElem ? F32 : c->opt.precision;
    if (e == AnyInt)
        return I32;
    return e == AnyFloat ? F32 : e;
}

int elem_bytes(Ctx *c, Elem e) {
    return elems[elem_storage(c, e)].bytes;
}

char *type_text(Ctx *c, const Type *t) {
    Text s = { 0 };
    text_add(c, &s, "%s", elem_name(t->elem));
    for (int i = 0; i < t->rank; i++)
        text_add(c, &s, "%s%s", i ? ", " : "[", dim_text(c, t->dim[i]));
    if (t->rank)
        text_add(c, &s, "]");
    return s.s;
}

Dim type_count(Ctx *c, const Type *t) {
    Dim n = dim(c, 1);
    for (int i = 0; i < t->rank; i++)
        n = dim_mul(c, n, t->dim[i]);
    return n;
}
