/* run_process.c: files, folders and other programs. */
#include "run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fputs("run: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

void *get_memory(size_t n) {
    void *p = calloc(n ? n : 1, 1);
    if (!p) die("out of memory");
    return p;
}

char *text_of(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = get_memory((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

/* ---- files */

char *read_text(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    size_t size = 0, cap = 1 << 16;
    char *s = get_memory(cap);
    for (size_t got; (got = fread(s + size, 1, cap - size - 1, f)) > 0;) {
        size += got;
        if (cap - size > 1) continue;
        cap *= 2;
        s = realloc(s, cap);
        if (!s) die("out of memory");
    }
    fclose(f);
    s[size] = 0;
    if (n) *n = size;
    return s;
}

void write_bytes(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!f || (n && fwrite(data, n, 1, f) != 1) || fclose(f)) die("cannot write %s: %s", path, strerror(errno));
}

bool there(const char *path) {
    return access(path, F_OK) == 0;
}

bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int list_folder(const char *path, const char *suffix, char ***names) {
    DIR *d = opendir(path);
    int n = 0, cap = 0;
    *names = NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t length = strlen(e->d_name), tail = strlen(suffix);
        if (*e->d_name == '.' || length < tail || strcmp(e->d_name + length - tail, suffix)) continue;
        if (n == cap) {
            cap = cap ? 2 * cap : 64;
            *names = realloc(*names, (size_t)cap * sizeof **names);
            if (!*names) die("out of memory");
        }
        (*names)[n++] = text_of("%s", e->d_name);
    }
    if (d) closedir(d);
    if (n) qsort(*names, (size_t)n, sizeof **names, by_name);
    return n;
}

void make_folders(const char *path) {
    char *s = text_of("%s", path);
    for (char *p = s + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        mkdir(s, 0777);
        *p = '/';
    }
    mkdir(s, 0777);
}

void remove_folder(const char *path) {
    char **name;
    int n = list_folder(path, "", &name);
    for (int i = 0; i < n; i++) {
        char *one = text_of("%s/%s", path, name[i]);
        if (is_folder(one)) remove_folder(one);
        else unlink(one);
    }
    rmdir(path);
}

/* ---- text */

static int line_length(const char *s) {
    return (int)strcspn(s, "\n");
}

char *first_difference(const char *want, const char *got) {
    for (int line = 1;; line++) {
        int a = line_length(want), b = line_length(got);
        if (a != b || memcmp(want, got, (size_t)a) || want[a] != got[b]) {
            return text_of("line %d: want `%.*s`%s, got `%.*s`%s", line, a < 200 ? a : 200, want,
                           *want ? "" : " (the end)", b < 200 ? b : 200, got, *got ? "" : " (the end)");
        }
        if (!want[a]) return NULL;
        want += a + 1;
        got += b + 1;
    }
}

/* ---- programs */

void add(Command *c, const char *arg) {
    if (c->n + 1 >= (int)(sizeof c->arg / sizeof *c->arg)) die("too many arguments");
    c->arg[c->n++] = arg;
    c->arg[c->n] = NULL;
}

void add_words(Command *c, const char *words) {
    char *s = text_of("%s", words);
    for (char *w = strtok(s, " \t"); w; w = strtok(NULL, " \t"))
        add(c, w);
}

static void redirect(const char *path, int flags, int to) {
    int f = open(path ? path : "/dev/null", flags, 0666);
    if (f < 0) _exit(126);
    dup2(f, to);
    close(f);
}

int run_command(const Command *c) {
    pid_t pid = fork();
    if (pid < 0) die("fork: %s", strerror(errno));
    if (!pid) {
        redirect(c->in, O_RDONLY, 0);
        redirect(c->out, O_WRONLY | O_CREAT | O_TRUNC, 1);
        redirect(c->err, O_WRONLY | O_CREAT | O_TRUNC, 2);
        if (c->folder && chdir(c->folder)) _exit(126);
        alarm((unsigned)(c->seconds ? c->seconds : 120));
        execvp(c->arg[0], (char *const *)c->arg);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool have_command(const char *name) {
    Command c = {0};
    add(&c, name);
    add(&c, "--version");
    return run_command(&c) == 0;
}
