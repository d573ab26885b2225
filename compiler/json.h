/* json.h: what json.c reads. */
#ifndef JSON_H
#define JSON_H

#include "compiler.h"

typedef enum JsonKind { JsonNull, JsonBool, JsonNumber, JsonString, JsonArray, JsonObject } JsonKind;

typedef struct Json Json;
struct Json {
    JsonKind kind;
    bool truth;                         /* JsonBool */
    bool is_whole;                      /* JsonNumber without fraction and exponent that fits `whole` */
    const char *key; size_t key_n;      /* its key, in the object it stands in */
    const char *text;                   /* JsonString: decoded; JsonNumber: as written; NUL-terminated */
    size_t n;                           /* bytes of text (a string may hold NULs), or items */
    double number; int64_t whole;       /* JsonNumber; ±inf when out of range */
    const Json *item;                   /* JsonArray, JsonObject: n of them, in order of the text */
    const Json *repeated;               /* JsonObject: an item whose key stands there already, or NULL */
    size_t at;                          /* where it begins, in bytes */
};

typedef struct JsonError { const char *what; size_t at; } JsonError;

/* NULL: it is not JSON, and `e` says why and where. Nothing is reported. */
const Json *json_read(Ctx *c, const char *s, size_t n, JsonError *e);
const Json *json_get(const Json *object, const char *key);      /* NULL when absent, or no object */
const char *json_kind(const Json *j);                           /* "a string", "an object" … for messages */

#endif
