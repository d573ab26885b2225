/* run_errors.c: what the compiler says about a program, to the letter.
 *
 * A case is a .mth file. The lines after `# expect:`, each behind `# `, are all that `mithrilc check FILE` writes to
 * stderr when it is run in the file's folder. It exits with 1 if an error is among them, else with 0.
 * `# options: …` are given to the command; `# skip: reason` leaves the case out. */
#include "run.h"

#include <string.h>

/* The rest of the line that begins with `mark`, or NULL. */
static char *line_after(const char *text, const char *mark) {
    for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (!strncmp(p, mark, strlen(mark)))
            return text_of("%.*s", (int)strcspn(p + strlen(mark), "\n"), p + strlen(mark));
    return NULL;
}

static char *expected(const char *text) {
    const char *p = strstr(text, "# expect:");
    char *out = get_memory(strlen(text) + 1);
    if (!p) return out;
    for (p = strchr(p, '\n'); p && p[1] == '#'; p = strchr(p + 1, '\n')) {
        const char *line = p + 2 + (p[2] == ' ');
        size_t n = strcspn(line, "\n");
        strncat(out, line, n);
        strcat(out, "\n");
    }
    return out;
}

void run_error(Case *c) {
    char *text = read_text(c->path, NULL), *reason = line_after(text, "# skip:"), *options = line_after(text, "# options:");
    if (reason) {
        skipped(c, "%s", reason);
        return;
    }
    char *folder = text_of("%s/%s", c->suite->root, c->path), *file = strrchr(folder, '/');
    *file++ = 0;
    Command check = { .folder = folder, .err = text_of("%s/stderr", c->folder), .out = text_of("%s/stdout", c->folder),
                      .seconds = 20 };
    add(&check, c->suite->mithrilc);
    add(&check, "check");
    add(&check, file);
    if (options) add_words(&check, options);
    int code = run_command(&check);

    char *want = expected(text), *got = read_text(check.err, NULL);
    int want_code = strstr(want, ": error: ") != NULL;
    char *difference = first_difference(want, got);
    if (difference) failed(c, "%s", difference);
    else if (code != want_code) failed(c, "want exit code %d, got %d", want_code, code);
    else passed(c);
}
