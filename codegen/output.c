/* output.c: files onto the disk, all of them or none.
 *
 * Every file is first written whole under a name of its own beside its place; only when all are
 * there are they renamed. A full disk or a folder that cannot be written leaves what was there before. */
#include "codegen.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool make_folder(Ctx *c, const char *dir) {
    char *path = format(c, "%s", dir);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        mkdir(path, 0777);              // one that is missing and stays missing shows in the last
        *p = '/';
    }
    struct stat st;
    if (mkdir(path, 0777) == 0 || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return true;
    error_plain(c, "cannot make the folder %s: %s", dir, strerror(errno));
    return false;
}

static bool write_whole(Ctx *c, const char *path, const OutFile *file) {
    FILE *to = fopen(path, "wb");
    bool good = to && fwrite(file->data, 1, file->n, to) == file->n;
    if (to && fclose(to) != 0)
        good = false;
    if (!good)
        error_plain(c, "cannot write %s: %s", path, strerror(errno));
    return good;
}

bool write_files(Ctx *c, const char *dir, const OutFiles *out) {
    signal(SIGXFSZ, SIG_IGN);           // a file over the limit is then an error like a full disk
    if (!make_folder(c, dir))
        return false;
    bool good = true;
    int written = 0;
    for (; good && written < out->n; written++)
        good = write_whole(c, format(c, "%s/.%s.part", dir, out->at[written].path), &out->at[written]);
    for (int i = 0; i < written; i++) {
        char *part = format(c, "%s/.%s.part", dir, out->at[i].path);
        char *path = format(c, "%s/%s", dir, out->at[i].path);
        if (!good) {
            unlink(part);
        } else if (rename(part, path) != 0) {
            error_plain(c, "cannot write %s: %s", path, strerror(errno));
            unlink(part);
            good = false;
        }
    }
    return good;
}
