/* run_golden.c: generated C, byte for byte.
 *
 * A case is NAME.mth; the files the build writes lie beside it under their own names. `# build: OPTIONS` in the
 * .mth is given to the command. With --write the files are written anew: read the difference before it is committed. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

static char *options_of(const char *text) {
    const char *p = strstr(text, "# build:");
    return p ? text_of("%.*s", (int)strcspn(p + 8, "\n"), p + 8) : "";
}

static void compare_file(Case *c, const char *beside, const char *name) {
    size_t n, m;
    char *path = text_of("%s/%s", beside, name), *got = read_text(text_of("%s/%s", c->folder, name), &n);
    if (c->suite->write) {
        write_bytes(path, got, n);
        passed(c);
        return;
    }
    char *want = read_text(path, &m);
    char *difference = want ? first_difference(want, got) : NULL;
    if (!want) failed(c, "%s is missing: `make golden` writes it", path);
    else if (n != m || difference) failed(c, "%s: %s", name, difference ? difference : "the lengths differ");
    else passed(c);
}

void run_golden(Case *c) {
    char *text = read_text(c->path, NULL), *beside = text_of("%s", c->path);
    *strrchr(beside, '/') = 0;
    Command build = { .err = text_of("%s.stderr", c->folder), .folder = beside };
    add(&build, c->suite->mithrilc);
    add(&build, "build");
    add(&build, strrchr(c->path, '/') + 1);
    add(&build, "-o");
    add(&build, c->folder);
    add_words(&build, options_of(text));
    int code = run_command(&build);
    if (code) {
        failed(c, "want exit code 0, got %d: %.300s", code, read_text(build.err, NULL));
        return;
    }
    char **name;
    int n = list_folder(c->folder, "", &name);
    for (int i = 0; i < n; i++)
        compare_file(c, beside, name[i]);
}
