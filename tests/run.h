/* run.h: what the parts of the test runner share. See run.c. */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- run.c */

typedef struct Suite {                  /* absolute paths, and what the command line asked for */
    char *mithrilc, *build, *root;
    bool write;                         /* golden: write what is there instead of comparing */
} Suite;

typedef struct Case {                   /* runs in a process of its own */
    const Suite *suite;
    const char *path;                   /* "tests/errors/loop.mth", or a command line */
    char *name;                         /* "loop" */
    char *folder;                       /* scratch of its own, empty and absolute */
    FILE *report;
} Case;

void passed(Case *c);
void failed(Case *c, const char *fmt, ...);             /* one line: want and got */
void skipped(Case *c, const char *fmt, ...);            /* one line: what is left unproved */

/* ---- run_process.c */

_Noreturn void die(const char *fmt, ...);
void *get_memory(size_t n);             /* zeroed; the process is short, nothing is freed */
char *text_of(const char *fmt, ...);
char *read_text(const char *path, size_t *n);           /* NUL-terminated; NULL: cannot be read */
void write_bytes(const char *path, const void *data, size_t n);
bool there(const char *path);
bool is_folder(const char *path);
int list_folder(const char *path, const char *suffix, char ***names);   /* sorted */
void make_folders(const char *path);
void remove_folder(const char *path);
char *first_difference(const char *want, const char *got);              /* "line 3: want `a`, got `b`", or NULL */

typedef struct Command {
    const char *arg[128]; int n;
    const char *folder, *in, *out, *err;                /* NULL: as it is, nothing, nothing, nothing */
    int seconds;                        /* 0: 120 */
} Command;
void add(Command *c, const char *arg);
void add_words(Command *c, const char *words);          /* split at spaces */
int  run_command(const Command *c);     /* the exit code; 128 + signal; 142: out of time; 127: not there */
bool have_command(const char *name);

/* ---- run_values.c: arrays, from text, .npy and back */

enum { MaxAxes = 8 };
typedef struct Values {
    char type[4];                       /* of NumPy: f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 */
    int rank;
    long shape[MaxAxes];
    long n;                             /* elements */
    double *at;                         /* their values */
} Values;

Values read_values(const char *text, const char *type); /* "[[1.0, nan], [2.0, -inf]]"; dies with a message */
Values read_npy(const char *path);
void   write_npy(const char *path, const Values *v);
void   write_safetensors(const char *path, char *const *names, const Values *v, int n);
size_t type_bytes(const char *type);
const char *c_type(const char *type);
const char *numpy_type(const char *mth);                /* "f32" → "f4"; NULL if there is none */
unsigned char *pack(const Values *v, long from, long n, const char *type);      /* as bytes of that type */
Values unpack(const unsigned char *bytes, long n, const char *type);
char  *compare(const Values *want, const double *got, double absolute, double relative);  /* NULL, or the worst difference */

/* ---- run_driver.c: a program around one function of generated C */

typedef struct Parameter {
    char type[64], name[64];
    bool pointer, constant;
} Parameter;

typedef struct Function {
    char name[128], prefix[128];
    Parameter at[64]; int n;
} Function;

bool  find_function(const char *header, const char *prefix, const char *entry, Function *f);
/* The program reads from its input, for each of argv[1] calls, every array in order; it writes every result. Arguments of
 * that name have `count` elements. Before each call the arena and the results are filled with 0xff bytes. */
typedef struct Count { const char *name; long n; bool output; } Count;
char *driver_text(const Function *f, const Count *count, int n, const char *sizes);

/* ---- the kinds of cases */

void run_error(Case *c);                /* run_errors.c */
void run_golden(Case *c);               /* run_golden.c */
void run_lang(Case *c);                 /* run_lang.c */
void run_model(Case *c);                /* run_models.c */
void run_unit(Case *c);                 /* run_programs.c */
void run_program(Case *c);

#endif
