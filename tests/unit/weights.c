/* How parameters get their data: names, shapes, types, the map, and what is said of the rest. A
 * case writes its files into a folder of its own, and looks at the messages as the user sees them. */
#define _POSIX_C_SOURCE 200809L
#include "../../compiler/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct Block { struct Block *before; };         /* as util.c begins it */

typedef struct Case {
    Ctx c;
    Program program;
    char folder[32];
    const char *weights, *map;
    char *said;                         /* messages, and what went to stderr */
} Case;

static int set_up(void **state) {
    Case *t = calloc(1, sizeof *t);
    strcpy(t->folder, "/tmp/weightsXXXXXX");
    if (!mkdtemp(t->folder))
        return -1;
    t->weights = format(&t->c, "%s/w.safetensors", t->folder);
    *state = t;
    return 0;
}

static int tear_down(void **state) {
    Case *t = *state;
    unlink(t->weights);
    unlink(format(&t->c, "%s/stderr", t->folder));
    if (t->map)
        unlink(t->map);
    int r = rmdir(t->folder);
    for (struct Block *b = t->c.arena, *before; b; b = before) {
        before = b->before;
        free(b);
    }
    free(t);
    return r;
}

static void write_file(const char *path, const void *s, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(s, 1, n, f), n);
    fclose(f);
}

/* Arrays of `header`, whose offsets tile `n` bytes. */
static void weights_are(Case *t, const char *header, const void *data, size_t n) {
    Ctx *c = &t->c;
    size_t length = strlen(header);
    unsigned char *s = alloc(c, 8 + length + n);
    for (int i = 0; i < 8; i++)
        s[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(s + 8, header, length);
    memcpy(s + 8 + length, data, n);
    write_file(t->weights, s, 8 + length + n);
}

static void map_is(Case *t, const char *text) {
    t->map = format(&t->c, "%s/m.map", t->folder);
    write_file(t->map, text, strlen(text));
}

static Tensor *add(Case *t, TensorKind kind, const char *path, Elem e, int rank,
                   const int64_t *size) {
    Tensor *p = NEW(&t->c, Tensor);
    p->kind = kind;
    p->name = p->path = name(&t->c, "%s", path);
    p->type = (Type){ .elem = e, .rank = rank };
    for (int i = 0; i < rank; i++)
        p->type.dim[i] = dim(&t->c, size[i]);
    if (kind == TState)
        push(&t->c, &t->program.state, p);
    else
        push(&t->c, &t->program.param, p);
    return p;
}

static Tensor *param(Case *t, const char *path, Elem e, int rank, const int64_t *size) {
    return add(t, TParam, path, e, rank, size);
}

static bool load(Case *t, bool partial) {
    const char *path = format(&t->c, "%s/stderr", t->folder);
    int before = dup(2);
    fflush(stderr);
    FILE *f = freopen(path, "wb", stderr);
    assert_non_null(f);
    bool good = weights_load(&t->c, &t->program, t->weights, t->map, partial);
    diag_print(&t->c, stderr);
    fflush(stderr);
    dup2(before, 2);
    close(before);
    size_t n;
    t->said = read_file(&t->c, path, &n);
    assert_int_equal(good, t->c.errors == 0);
    return good;
}

static void says(const Case *t, const char *part) {
    if (!strstr(t->said, part))
        fail_msg("want: %s\ngot: %s", part, t->said);
}

static const float six[6] = { 0, 1, 2, 3, 4, 5 };
static const char one_matrix[] =
    "{\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}";
static const int64_t two_three[] = { 2, 3 }, three_two[] = { 3, 2 };

static void found_by_full_name(void **state) {
    Case *t = *state;
    weights_are(t, one_matrix, six, sizeof six);
    Tensor *p = param(t, "fc.weight", Float, 2, two_three);
    assert_true(load(t, false));
    assert_memory_equal(p->data, six, sizeof six);
    assert_string_equal(t->said, "");
}

static void missing_names_the_nearest(void **state) {
    Case *t = *state;
    weights_are(t, one_matrix, six, sizeof six);
    param(t, "fd.weight", Float, 2, two_three);
    assert_false(load(t, false));
    says(t, "w.safetensors has no array `fd.weight`, which the model needs as float[2, 3]");
    says(t, "the nearest name in the file is `fc.weight`");
}

static void missing_ones_are_counted(void **state) {
    Case *t = *state;
    weights_are(t, "{}", "", 0);
    for (int i = 0; i < 13; i++)
        param(t, format(&t->c, "p%d", i), Float, 0, NULL);
    assert_false(load(t, false));
    assert_int_equal(t->c.errors, 11);
    says(t, "and 3 more that do not fit");
}

static void wrong_shape_is_an_error(void **state) {
    Case *t = *state;
    weights_are(t, one_matrix, six, sizeof six);
    param(t, "fc.weight", Float, 2, three_two);
    assert_false(load(t, false));
    says(t, "is f32[2, 3]; parameter `fc.weight` is float[3, 2]");
}

static void only_a_float_takes_other_types(void **state) {
    Case *t = *state;
    weights_are(t, one_matrix, six, sizeof six);
    param(t, "fc.weight", F64, 2, two_three);
    assert_false(load(t, false));
    says(t, "is f32[2, 3]; parameter `fc.weight` is f64[2, 3]");
}

static void float_is_converted(void **state) {
    Case *t = *state;
    static const char header[] =
        "{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]},"
        "\"c\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[12,14]}}";
    static const int64_t one = 1, two = 2;
    double tenth = 0.1;
    uint16_t half[3] = { 0x0001, 0xC000, 0x3FC0 };
    unsigned char data[14];
    memcpy(data, &tenth, 8);
    memcpy(data + 8, half, 6);
    weights_are(t, header, data, sizeof data);
    Tensor *a = param(t, "a", Float, 1, &one), *b = param(t, "b", Float, 1, &two),
           *d = param(t, "c", Float, 1, &one);
    assert_true(load(t, false));
    assert_true(*(const float *)a->data == 0.1f);
    assert_true(((const float *)b->data)[0] == 0x1p-24f && ((const float *)b->data)[1] == -2.0f);
    assert_true(*(const float *)d->data == 1.5f);
}

static void excess_is_noted(void **state) {
    Case *t = *state;
    static const char header[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
        "\"norm.num_batches_tracked\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}";
    weights_are(t, header, "ab", 2);
    assert_true(load(t, false));
    says(t, "has 1 array no parameter takes: a\n");
}

static void partial_leaves_missing_ones(void **state) {
    Case *t = *state;
    weights_are(t, one_matrix, six, sizeof six);
    Tensor *p = param(t, "fc.weight", Float, 2, two_three),
           *q = param(t, "fc.bias", Float, 1, two_three);
    assert_true(load(t, true));
    assert_non_null(p->data);
    assert_null(q->data);
    says(t, "lacks 1 parameter, left without data: fc.bias");
}

/* A state that an entry writes starts as its initialiser says; one that is only read is a weight. */
static void states_only_read_are_loaded(void **state) {
    Case *t = *state;
    weights_are(t, "{\"mean\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]}}", six,
                sizeof six);
    static const int64_t length = 6;
    Tensor *mean = add(t, TState, "mean", Float, 1, &length),
           *count = add(t, TState, "count", Float, 0, NULL), later = *count;
    Tensor *last[] = { mean, &later };
    Graph g = { .last_state = last }, *graphs[] = { &g };
    t->program.graph = graphs;
    t->program.n = 1;
    assert_true(load(t, false));
    assert_memory_equal(mean->data, six, sizeof six);
    assert_null(count->data);
}

static void open_size_is_an_error(void **state) {
    Case *t = *state;
    weights_are(t, one_matrix, six, sizeof six);
    Tensor *p = param(t, "fc.weight", Float, 2, two_three);
    p->type.dim[1] = dim_symbol(&t->c, &(Symbol){ .name = name(&t->c, "T"), .hi = 9 });
    assert_false(load(t, false));
    says(t, "parameter `fc.weight` is float[2, T]: `T` must be a number");
}

static void map_renames_permutes_reshapes(void **state) {
    Case *t = *state;
    static const float turned[] = { 0, 3, 1, 4, 2, 5 };
    weights_are(t, one_matrix, six, sizeof six);
    map_is(t, "# a comment\n\n  a = fc.weight permute 1 0 reshape 1 6 # another\r\nb=fc.weight");
    static const int64_t one_six[] = { 1, 6 };
    Tensor *a = param(t, "a", Float, 2, one_six), *b = param(t, "b", Float, 2, two_three);
    assert_true(load(t, false));
    assert_memory_equal(a->data, turned, sizeof turned);
    assert_memory_equal(b->data, six, sizeof six);
    assert_string_equal(t->said, "");
}

/* A bad line is told at its place, and nothing more is said of its parameter. */
static void check_map(Case *t, const char *map, const char *want) {
    weights_are(t, one_matrix, six, sizeof six);
    map_is(t, map);
    param(t, "a", Float, 2, two_three);
    assert_false(load(t, true));
    says(t, want);
    assert_int_equal(t->c.errors, 1);
}

#define MAP_CASE(test, map, want)     \
    static void test(void **state) {  \
        check_map(*state, map, want); \
    }
MAP_CASE(map_needs_equals, "a fc.weight\n", "m.map:1:3: error: `=` is expected")
MAP_CASE(map_needs_a_file_name, "\na =  # none\n",
         "m.map:2:6: error: the name of an array in the file is expected")
MAP_CASE(map_knows_two_steps, "a = fc.weight transpose 1 0",
         "m.map:1:15: error: `permute` or `reshape` is expected")
MAP_CASE(map_takes_numbers, "a = fc.weight permute 1 x",
         "m.map:1:25: error: a whole number is expected")
MAP_CASE(map_permutes_each, "a = fc.weight permute 0 0",
         "m.map:1:15: error: `fc.weight` is f32[2, 3] here")
MAP_CASE(map_keeps_elements, "a = fc.weight reshape 7",
         "m.map:1:15: error: `fc.weight` is f32[2, 3] here, with 6 elements")
MAP_CASE(map_has_one_line_each, "a = fc.weight\na = fc.weight",
         "m.map:2:1: error: this parameter has a line already")
MAP_CASE(map_knows_the_model, "a = fc.weight\nb = fc.weight",
         "m.map:2:1: error: the model has no parameter `b`")
MAP_CASE(map_knows_the_file, "a = fd.weight", "m.map:1:5: error:")
MAP_CASE(map_fits_the_model, "a = fc.weight permute 1 0",
         "is f32[3, 2] after these steps; parameter `a` is float[2, 3]")
MAP_CASE(map_numbers_are_small, "a = fc.weight reshape 99999999999999999999",
         "this number is too large")

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(found_by_full_name),
        TEST(missing_names_the_nearest),
        TEST(missing_ones_are_counted),
        TEST(wrong_shape_is_an_error),
        TEST(only_a_float_takes_other_types),
        TEST(float_is_converted),
        TEST(excess_is_noted),
        TEST(partial_leaves_missing_ones),
        TEST(states_only_read_are_loaded),
        TEST(open_size_is_an_error),
        TEST(map_renames_permutes_reshapes),
        TEST(map_needs_equals),
        TEST(map_needs_a_file_name),
        TEST(map_knows_two_steps),
        TEST(map_takes_numbers),
        TEST(map_permutes_each),
        TEST(map_keeps_elements),
        TEST(map_has_one_line_each),
        TEST(map_knows_the_model),
        TEST(map_knows_the_file),
        TEST(map_fits_the_model),
        TEST(map_numbers_are_small),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
