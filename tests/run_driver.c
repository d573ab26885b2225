/* run_driver.c: a program around one function of generated C, written from the function's own prototype. */
#include "run.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void trim(char *s) {
    size_t n = strlen(s), from = strspn(s, " \n\t");
    while (n > from && isspace((unsigned char)s[n - 1])) n--;
    memmove(s, s + from, n - from);
    s[n - from] = 0;
}

/* "const float *x", "llama_state *s", "int32_t pos" */
static Parameter read_parameter(char *text) {
    Parameter p = {0};
    trim(text);
    if (!strncmp(text, "const ", 6)) {
        p.constant = true;
        text += 6;
    }
    char *name = text + strlen(text);
    while (name > text && (isalnum((unsigned char)name[-1]) || name[-1] == '_')) name--;
    snprintf(p.name, sizeof p.name, "%s", name);
    *name = 0;
    char *star = strchr(text, '*');
    if (star) {
        p.pointer = true;
        *star = 0;
    }
    trim(text);
    snprintf(p.type, sizeof p.type, "%s", text);
    return p;
}

static bool read_function(const char *at, const char *prefix, Function *f) {
    const char *open = strchr(at, '('), *close = open ? strchr(open, ')') : NULL;
    if (!close || open - at >= (long)sizeof f->name) return false;
    *f = (Function){0};
    snprintf(f->name, sizeof f->name, "%.*s", (int)(open - at), at);
    snprintf(f->prefix, sizeof f->prefix, "%s", prefix);
    char *list = text_of("%.*s", (int)(close - open - 1), open + 1);
    for (char *one = strtok(list, ","); one; one = strtok(NULL, ",")) {
        if (f->n == 64) return false;
        Parameter p = read_parameter(one);
        if (*p.name) f->at[f->n++] = p;
    }
    if (f->n == 1 && !strcmp(f->at[0].name, "void")) f->n = 0;
    return true;
}

bool find_function(const char *header, const char *prefix, const char *entry, Function *f) {
    char *full = entry && *entry ? text_of("%s_%s", prefix, entry) : NULL;
    for (const char *p = header; (p = strstr(p, "\nint ")); p++) {
        if (!read_function(p + 5, prefix, f) || strstr(f->name, "_open_weights")) continue;
        if (!full || !strcmp(full, f->name) || !strcmp(entry, f->name)) return true;
    }
    return false;
}

static const Count *count_of(const Count *count, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(count[i].name, name)) return &count[i];
    return NULL;
}

/* "T=4 N=2": the value of a size, or NULL. */
static const char *size_of(const char *sizes, const char *name) {
    size_t n = strlen(name);
    for (const char *p = sizes; p && *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (!strncmp(p, name, n) && p[n] == '=') return p + n + 1;
    return NULL;
}

char *driver_text(const Function *f, const Count *count, int n, const char *sizes) {
    char *head = text_of("#include \"%s.h\"\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\n", f->prefix);
    char *read = "", *write = "", *args = "", *fill = "", *reset = "", *upper = text_of("%s", f->prefix);
    for (char *p = upper; *p; p++) *p = (char)toupper((unsigned char)*p);
    for (int i = 0; i < f->n; i++) {
        const Parameter *p = &f->at[i];
        const char *comma = i ? ", " : "", *size;
        const Count *known = count_of(count, n, p->name);
        if (p->pointer && !strcmp(p->type, text_of("%s_weights", f->prefix))) {
            args = text_of("%s%s&%s_embedded", args, comma, f->prefix);
        } else if (p->pointer && !strcmp(p->type, text_of("%s_state", f->prefix))) {
            head = text_of("%sstatic %s state;\n", head, p->type);
            reset = text_of("    %s_reset(&state);\n", f->prefix);
            args = text_of("%s%s&state", args, comma);
        } else if (p->pointer && !strcmp(p->type, "void")) {
            head = text_of("%sstatic _Alignas(64) unsigned char work[%s_WORK_BYTES];\n", head, upper);
            fill = text_of("%s        memset(work, 0xff, sizeof work);\n", fill);
            args = text_of("%s%swork", args, comma);
        } else if (known) {
            head = text_of("%sstatic %s v_%s[%ld];\n", head, p->type, p->name, known->n ? known->n : 1);
            if (known->output) {
                fill = text_of("%s        memset(v_%s, 0xff, sizeof v_%s);\n", fill, p->name, p->name);
                write = text_of("%s        fwrite(v_%s, sizeof *v_%s, %ld, stdout);\n", write, p->name, p->name, known->n);
            } else {
                read = text_of("%s        if (fread(v_%s, sizeof *v_%s, %ld, stdin) != %ld) return 3;\n", read, p->name,
                               p->name, known->n, known->n);
            }
            args = text_of("%s%s%sv_%s", args, comma, p->pointer ? "" : "*", p->name);
        } else if (!p->pointer && (size = size_of(sizes, p->name))) {
            args = text_of("%s%s%.*s", args, comma, (int)strcspn(size, " "), size);
        } else {
            return NULL;
        }
    }
    return text_of("%s\nint main(int n, char **arg) {\n"
                   "    (void)n;\n%s"
                   "    for (long i = atol(arg[1]); i > 0; i--) {\n%s%s"
                   "        int code = %s(%s);\n"
                   "        if (code) {\n"
                   "            fprintf(stderr, \"%%s\\n\", %s_strerror(code));\n"
                   "            return 4;\n"
                   "        }\n%s"
                   "    }\n"
                   "    return 0;\n}\n",
                   head, reset, read, fill, f->name, args, f->prefix, write);
}
