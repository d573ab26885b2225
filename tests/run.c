/* run.c: the test runner. One for every case whose expectation stands inside it or beside it.
 *
 *     run [-j N] [--build DIR] [--write] [--skip REASON] FOLDER|PROGRAM...
 *
 * The last part of a folder's name says what its cases are: errors, lang, golden, models, unit. Anything else is a
 * command that prints its own failures and ends with `N passed, N failed, N skipped`. Each case is a process,
 * at most N at a time. One line a failure; the last line sums up. The exit code is 1 if anything failed. */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct Kind {
    const char *folder, *suffix;
    void (*run)(Case *);
    bool folders;                       /* its cases are folders */
} Kind;

static const Kind kinds[] = {
    { "errors", ".mth", run_error,  false },
    { "lang",   ".mth", run_lang,   false },
    { "golden", ".mth", run_golden, false },
    { "models", "",     run_model,  true  },
    { "unit",   "",     run_unit,   false },
};

typedef struct Job {
    const Kind *kind;                   /* NULL: a program */
    char *path;
    pid_t pid;
    int from;                           /* the reading end of its report */
    char *text; size_t n, cap;
    bool started, done;
} Job;

typedef struct Jobs { Job *at; int n, cap; } Jobs;

static void report(Case *c, char what, const char *fmt, va_list ap) {
    char text[2000];
    vsnprintf(text, sizeof text, fmt, ap);
    for (char *p = text; *p; p++)       // one line, whatever another program said
        if (*p == '\n') *p = ' ';
    fprintf(c->report, "%c%s: %s\n", what, c->path, text);
    fflush(c->report);
}

void passed(Case *c) {
    fputs("P\n", c->report);
    fflush(c->report);
}

void failed(Case *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(c, 'F', fmt, ap);
    va_end(ap);
}

void skipped(Case *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(c, 'S', fmt, ap);
    va_end(ap);
}

/* ---- finding cases */

static void add_job(Jobs *jobs, const Kind *kind, char *path) {
    if (jobs->n == jobs->cap) {
        jobs->cap = jobs->cap ? 2 * jobs->cap : 64;
        jobs->at = realloc(jobs->at, (size_t)jobs->cap * sizeof *jobs->at);
        if (!jobs->at) die("out of memory");
    }
    jobs->at[jobs->n++] = (Job){ .kind = kind, .path = path, .from = -1 };
}

static const Kind *kind_of(const char *folder) {
    const char *last = strrchr(folder, '/');
    last = last ? last + 1 : folder;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].folder, last)) return &kinds[i];
    return NULL;
}

/* A folder, one case of it, or a program. */
static void find_cases(Jobs *jobs, char *given) {
    const Kind *kind = is_folder(given) ? kind_of(given) : NULL;
    if (kind) {
        char **name;
        int n = list_folder(given, kind->suffix, &name);
        for (int i = 0; i < n; i++) {
            char *path = text_of("%s/%s", given, name[i]);
            if (is_folder(path) == kind->folders) add_job(jobs, kind, path);
        }
        return;
    }
    char *parent = text_of("%s", given), *slash = strrchr(parent, '/');
    if (slash && there(given)) {
        *slash = 0;
        kind = kind_of(parent);
    }
    add_job(jobs, kind, given);
}

/* ---- running them */

static char *name_of(const char *path) {
    const char *last = strrchr(path, '/');
    char *name = text_of("%s", last ? last + 1 : path), *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = 0;
    for (char *p = name; *p; p++)
        if (*p == ' ') *p = '_';
    return name;
}

static _Noreturn void be_case(const Suite *suite, const Job *job, int to) {
    Case c = { .suite = suite, .path = job->path, .name = name_of(job->path) };
    c.folder = text_of("%s/tests/%s/%s", suite->build, job->kind ? job->kind->folder : "program", c.name);
    if (job->kind && job->kind->run == run_unit) c.folder = text_of("%s/tests/scratch/%s", suite->build, c.name);
    c.report = fdopen(to, "w");
    remove_folder(c.folder);
    make_folders(c.folder);
    (job->kind ? job->kind->run : run_program)(&c);
    fclose(c.report);
    exit(0);
}

static void start(const Suite *suite, Job *job) {
    int ends[2];
    if (pipe(ends)) die("pipe: %s", strerror(errno));
    fflush(stdout);
    job->pid = fork();
    if (job->pid < 0) die("fork: %s", strerror(errno));
    if (!job->pid) {
        close(ends[0]);
        be_case(suite, job, ends[1]);
    }
    close(ends[1]);
    job->from = ends[0];
    job->started = true;
}

static void finish(Job *job) {
    int status;
    close(job->from);
    waitpid(job->pid, &status, 0);
    job->done = true;
    if (status) {                       // the case itself died: it has reported as far as it came
        char *line = text_of("F%s: the test ended with %s %d\n", job->path, WIFSIGNALED(status) ? "signal" : "code",
                             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        job->text = realloc(job->text, job->n + strlen(line) + 1);
        if (!job->text) die("out of memory");
        memcpy(job->text + job->n, line, strlen(line));
        job->n += strlen(line);
    }
}

/* Takes what the job has reported; false when it has ended. */
static bool take(Job *job) {
    if (job->n + 4096 > job->cap) {
        job->cap = 2 * job->cap + 8192;
        job->text = realloc(job->text, job->cap);
        if (!job->text) die("out of memory");
    }
    ssize_t n = read(job->from, job->text + job->n, 4096);
    if (n > 0) job->n += (size_t)n;
    return n > 0 || (n < 0 && errno == EINTR);
}

typedef struct Tally { long passed, failed, skipped; } Tally;

/* Lines: P, F text, S text, and from a program that counted for itself L text, T passed failed skipped. */
static void print_report(const Job *job, Tally *t) {
    const char *p = job->text, *end = p + job->n;
    long many[3];
    while (p < end) {
        const char *line = p, *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        p = stop + 1;
        int n = (int)(stop - line) - 1;
        if (*line == 'P') {
            t->passed++;
        } else if (*line == 'F') {
            t->failed++;
            printf("FAIL %.*s\n", n, line + 1);
        } else if (*line == 'S') {
            t->skipped++;
            printf("skip %.*s\n", n, line + 1);
        } else if (*line == 'T' && sscanf(line + 1, "%ld %ld %ld", &many[0], &many[1], &many[2]) == 3) {
            t->passed += many[0];
            t->failed += many[1];
            t->skipped += many[2];
        } else if (n > 0) {             // L: a line of a program's own
            printf("%.*s\n", n, line + 1);
        }
    }
    fflush(stdout);
}

static void run_jobs(const Suite *suite, Jobs *jobs, int most, Tally *tally) {
    int next = 0, printed = 0, running = 0;
    struct pollfd *wait_for = get_memory((size_t)most * sizeof *wait_for);
    Job **job_of = get_memory((size_t)most * sizeof *job_of);
    while (printed < jobs->n) {
        for (; running < most && next < jobs->n; running++)
            start(suite, &jobs->at[next++]);
        nfds_t n = 0;
        for (int i = printed; i < next; i++) {
            if (jobs->at[i].done) continue;
            job_of[n] = &jobs->at[i];
            wait_for[n++] = (struct pollfd){ .fd = jobs->at[i].from, .events = POLLIN };
        }
        if (poll(wait_for, n, -1) < 0 && errno != EINTR) die("poll: %s", strerror(errno));
        for (nfds_t i = 0; i < n; i++)
            if (wait_for[i].revents && !take(job_of[i])) {
                finish(job_of[i]);
                running--;
            }
        for (; printed < next && jobs->at[printed].done; printed++)
            print_report(&jobs->at[printed], tally);
    }
}

static char *absolute(const char *path) {
    char *here = getcwd(NULL, 0);
    return *path == '/' ? text_of("%s", path) : text_of("%s/%s", here, path);
}

int main(int n, char **arg) {
    Suite suite = { .build = "build" };
    Jobs jobs = {0};
    Tally tally = {0};
    int most = 2;
    double start_time = (double)time(NULL);
    for (int i = 1; i < n; i++) {
        if (!strcmp(arg[i], "-j") && i + 1 < n) {
            most = atoi(arg[++i]);
        } else if (!strcmp(arg[i], "--build") && i + 1 < n) {
            suite.build = arg[++i];
        } else if (!strcmp(arg[i], "--skip") && i + 1 < n) {
            printf("skip %s\n", arg[++i]);
            tally.skipped++;
        } else if (!strcmp(arg[i], "--write")) {
            suite.write = true;
        } else {
            find_cases(&jobs, arg[i]);
        }
    }
    suite.build = absolute(suite.build);
    suite.root = absolute(".");
    suite.mithrilc = text_of("%s/mithrilc", suite.build);
    setenv("MITHRILC", suite.mithrilc, 1);
    setenv("MITHRIL_BUILD", suite.build, 1);
    run_jobs(&suite, &jobs, most > 0 ? most : 1, &tally);
    fprintf(stderr, "(%.0f s)\n", (double)time(NULL) - start_time);
    printf("%ld passed, %ld failed, %ld skipped\n", tally.passed, tally.failed, tally.skipped);
    return tally.failed > 0;
}
