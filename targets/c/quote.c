/* quote.c: what a user wrote, inside a literal or a remark of C, so that it ends neither. */
#include "c.h"

/* Quotes, backslashes and what does not print are escaped; so is the second of two `?`, which might begin a trigraph. */
char *c_string(Ctx *c, const char *text) {
    Text out = {0};
    text_add(c, &out, "%s", "");
    for (const char *p = text; *p; p++) {
        unsigned char b = (unsigned char)*p;
        if (b == '\n')
            text_add(c, &out, "\\n");
        else if (b < 32 || b == 127)
            text_add(c, &out, "\\%03o", b);
        else
            text_add(c, &out, b == '"' || b == '\\' || (b == '?' && p > text && p[-1] == '?') ? "\\%c" : "%c", b);
    }
    return out.s;
}

/* One line. A backslash, or the trigraph that is one, would draw in the next line, and is a slash here. */
char *c_remark(Ctx *c, const char *text) {
    Text out = {0};
    text_add(c, &out, "%s", "");
    for (const char *p = text; *p; p++) {
        unsigned char b = (unsigned char)*p;
        bool trigraph = b == '/' && p > text + 1 && p[-1] == '?' && p[-2] == '?';
        text_add(c, &out, trigraph ? " %c" : "%c", b < 32 || b == 127 ? ' ' : b == '\\' ? '/' : b);
    }
    return out.s;
}
