/* run_programs.c: tests that are programs. A cmocka program counts in TAP; any other closes with
 * `N passed, N failed, N skipped`, or else its exit code is one test. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

static char *output_of(Case *c, const char *words, int *code) {
    char *all = text_of("%s/output", c->folder);
    Command run = {0};
    add(&run, "sh");
    add(&run, "-c");
    add(&run, text_of("%s 2>&1", words));
    run.out = all;
    run.seconds = 580;
    *code = run_command(&run);
    return read_text(all, NULL);
}

/* The reason follows a failure in lines that begin with `#`. */
static char *tap_reason(const char *after) {
    char *out = "";
    for (const char *p = strchr(after, '\n'); p && p[1] == '#'; p = strchr(p + 1, '\n'))
        out = text_of("%s %.*s", out, (int)strcspn(p + 2, "\n"), p + 2);
    return out;
}

void run_unit(Case *c) {
    int code, n = 0;
    char *out = output_of(c, text_of("CMOCKA_MESSAGE_OUTPUT=TAP %s", c->path), &code);
    for (char *p = out; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
        if (!strncmp(p, "ok ", 3)) {
            strstr(p, "# SKIP") && strstr(p, "# SKIP") < p + strcspn(p, "\n") ? skipped(c, "%.*s", (int)strcspn(p, "\n"), p)
                                                                           : passed(c);
            n++;
        } else if (!strncmp(p, "not ok ", 7)) {
            failed(c, "%.*s:%.300s", (int)strcspn(p + 7, "\n"), p + 7, tap_reason(p));
            n++;
            code = 0;
        }
    }
    if (code || !n) failed(c, "exit code %d: %.300s", code, out);
}

/* The last line of `text`, without its newline; it is cut off there. */
static char *cut_last_line(char *text) {
    size_t n = strlen(text);
    while (n && text[n - 1] == '\n') text[--n] = 0;
    char *p = strrchr(text, '\n');
    if (!p) return text;
    *p = 0;
    return p + 1;
}

void run_program(Case *c) {
    int code;
    long n[3];
    char *out = output_of(c, c->path, &code), *all = text_of("%s", out), *last = cut_last_line(out);
    if (sscanf(last, "%ld passed, %ld failed, %ld skipped", &n[0], &n[1], &n[2]) == 3) {
        for (char *line = last != out ? strtok(out, "\n") : NULL; line; line = strtok(NULL, "\n"))
            fprintf(c->report, "L%s\n", line);
        fprintf(c->report, "T%ld %ld %ld\n", n[0], n[1], n[2]);
        if (code && !n[1]) failed(c, "exit code %d", code);
    } else if (code) {
        failed(c, "exit code %d: %.600s", code, all);
    } else if (strstr(all, "skip")) {
        skipped(c, "%.300s", last);
    } else {
        passed(c);
    }
}
