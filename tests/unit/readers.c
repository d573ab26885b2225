/* What the readers of weights take and what they refuse. Run in the root of the repository.
 *
 * tests/readers/ has one small file a case: ok_* must be read, bad_* refused with a message, and
 * the names say why. Larger collections beside the repository are used where they are there. */
#define _POSIX_C_SOURCE 200809L
#include "../../compiler/archive.h"
#include "../../compiler/json.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct Block { struct Block *before; };         /* as util.c begins it */

static Ctx fresh(void) {
    return (Ctx){ 0 };
}

static void discard(Ctx *c) {
    for (struct Block *b = c->arena, *before; b; b = before) {
        before = b->before;
        free(b);
    }
    *c = fresh();
}

static bool begins(const char *s, const char *start) {
    return !strncmp(s, start, strlen(start));
}

static Archive *read_at(Ctx *c, const char *folder, const char *file) {
    return setjmp(c->stop) ? NULL : archive_read(c, format(c, "%s/%s", folder, file));
}

/* Calls `check` for each file; how many there were. */
static int each_file(const char *folder, void (*check)(const char *folder, const char *file)) {
    DIR *d = opendir(folder);
    int n = 0;
    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            check(folder, e->d_name), n++;
    closedir(d);
    return n;
}

/* ---- archives */

static bool needs_zlib(const char *file) {
#ifdef HAVE_ZLIB
    (void)file;
    return false;
#else
    return strstr(file, "deflated") != NULL;
#endif
}

static void check_archive(const char *folder, const char *file) {
    Ctx c = fresh();
    bool read = read_at(&c, folder, file), ok = begins(file, "ok_") && !needs_zlib(file);
    if ((ok || begins(file, "bad_")) && read != ok)
        fail_msg("%s/%s: want %s", folder, file, ok ? "read" : "refused");
    if (read == (c.errors > 0))
        fail_msg("%s/%s: want a message exactly when it is refused", folder, file);
    discard(&c);
}

static void crafted_files(void **state) {
    (void)state;
    assert_true(each_file("tests/readers", check_archive) > 40);
}

static void collected_files(void **state) {
    (void)state;
    int n = each_file("../shared/data/loader/safetensors", check_archive) +
            each_file("../shared/data/loader/npy", check_archive);
    if (!n)
        print_message("skipped: ../shared/data/loader is not there\n");
}

static const Array *array_named(const Archive *a, const char *nm) {
    for (int i = 0; i < a->n; i++)
        if (!strcmp(a->at[i].name, nm))
            return &a->at[i];
    fail_msg("%s: no array %s", a->path, nm);
    return NULL;
}

/* All files of this list hold 0 … 5 as f32[2, 3]. */
static void values_survive_order_and_version(void **state) {
    (void)state;
    static const char *const file[] = {
        "ok_f32.npy", "ok_big_endian_fortran.npy", "ok_version_2.npy", "ok_version_3.npy", "ok_python_2_longs.npy",
        "ok_keys_in_another_order.npy", "ok_stored.npz", "ok_stored_zip64.npz",
#ifdef HAVE_ZLIB
        "ok_deflated.npz",
#endif
    };
    static const float want[] = { 0, 1, 2, 3, 4, 5 };
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        Ctx c = fresh();
        Archive *a = read_at(&c, "tests/readers", file[i]);
        assert_non_null(a);
        for (int k = 0; k < a->n; k++) {
            assert_string_equal(array_type(&c, &a->at[k]), "f32[2, 3]");
            assert_memory_equal(a->at[k].data, want, sizeof want);
        }
        discard(&c);
    }
}

static void unaligned_arrays_are_aligned(void **state) {
    (void)state;
    Ctx c = fresh();
    Archive *a = read_at(&c, "tests/readers", "ok_unsorted_and_unaligned.safetensors");
    assert_non_null(a);
    const float *b = array_named(a, "b")->data;
    assert_int_equal((uintptr_t)b % sizeof *b, 0);
    assert_true(b[0] == 1.5f && b[1] == -2.0f);
    assert_int_equal(*(const uint8_t *)array_named(a, "a")->data, 7);
    discard(&c);
}

static void every_type_is_read(void **state) {
    (void)state;
    Ctx c = fresh();
    Archive *a = read_at(&c, "tests/readers", "ok_all_types.safetensors");
    assert_non_null(a);
    assert_int_equal(a->n, 13);
    assert_true(elem_load(F64, array_named(a, "F64")->data) == 1.5);
    assert_true(elem_load(F32, array_named(a, "F32")->data) == 2.5);
    assert_true(elem_load(F16, array_named(a, "F16")->data) == 1.5);
    assert_true(elem_load(BF16, array_named(a, "BF16")->data) == 1.5);
    assert_int_equal(*(const int64_t *)array_named(a, "I64")->data, -2);
    assert_int_equal(*(const int16_t *)array_named(a, "I16")->data, -6);
    assert_int_equal(*(const uint8_t *)array_named(a, "BOOL")->data, 1);
    discard(&c);
}

/* Each prefix of a good file is refused, and nothing beyond its end is read. */
static void check_prefixes(const char *folder, const char *file) {
    Ctx c = fresh();
    size_t n;
    char *s = begins(file, "ok_") ? read_file(&c, format(&c, "%s/%s", folder, file), &n) : NULL;
    for (size_t k = 0; s && k < n; k++) {
        unsigned char *part = malloc(k + 1);
        memcpy(part, s, k);
        Ctx inner = fresh();
        Archive *a = setjmp(inner.stop) ? NULL : archive_bytes(&inner, file, (Bytes){ part, k });
        if (a)
            fail_msg("%s: its first %zu bytes are read", file, k);
        free(part);
        discard(&inner);
    }
    discard(&c);
}

static void cut_files_are_refused(void **state) {
    (void)state;
    each_file("tests/readers", check_prefixes);
}

static void missing_file_is_an_error(void **state) {
    (void)state;
    Ctx c = fresh();
    assert_null(read_at(&c, "tests/readers", "no_such_file.npy"));
    assert_int_equal(c.errors, 1);
    discard(&c);
}

/* ---- npy_write */

static void check_written(Elem e, Elem back, int rank, const int64_t *dim, const void *data) {
    Ctx c = fresh();
    char folder[] = "/tmp/readersXXXXXX";
    assert_non_null(mkdtemp(folder));
    Array a = { .elem = e, .rank = rank, .data = data };
    for (int i = 0; i < rank; i++)
        a.dim[i] = dim[i];
    const char *path = format(&c, "%s/x.npy", folder);
    assert_true(npy_write(&c, path, &a));
    Archive *r = archive_read(&c, path);
    assert_non_null(r);
    assert_int_equal(r->at->elem, back);
    assert_int_equal(r->at->rank, rank);
    assert_memory_equal(r->at->dim, a.dim, sizeof a.dim);
    size_t count, bytes;
    assert_true(array_size(r->at, &count, &bytes));
    if (e == BF16)
        assert_true(elem_load(F32, r->at->data) == elem_load(BF16, data));
    else
        assert_memory_equal(r->at->data, data, bytes);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* no temporary file is left */
    discard(&c);
}

static void written_arrays_read_back(void **state) {
    (void)state;
    static const float f[6] = { 0, -1, 2.5f, 3, 4, INFINITY };
    static const int64_t whole[6] = { 1, INT64_MIN, 3, 4, 5, 6 };
    static const uint16_t brain[6] = { 0x3FC0, 1, 2, 3, 4, 5 };
    static const int64_t dims[3] = { 2, 1, 3 }, none[2] = { 0, 5 }, six[1] = { 6 };
    check_written(F32, F32, 3, dims, f);
    check_written(Float, F32, 1, six, f);
    check_written(F64, F64, 1, &dims[1], whole);
    check_written(I64, I64, 1, six, whole);
    check_written(U8, U8, 1, six, whole);
    check_written(BF16, F32, 1, six, brain);
    check_written(F32, F32, 0, dims, f);
    check_written(F32, F32, 2, none, NULL);
}

static void header_is_aligned_and_as_numpy_writes_it(void **state) {
    (void)state;
    Ctx c = fresh();
    char path[] = "/tmp/readersXXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    float f[6] = { 0 };
    size_t n;
    assert_true(
        npy_write(&c, path, &(Array){ .elem = F32, .rank = 2, .dim = { 2, 3 }, .data = f }));
    char *s = read_file(&c, path, &n);
    assert_int_equal(n, 128 + sizeof f);
    assert_true(begins(s + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  ") ||
                begins(s + 10, "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }  "));
    assert_int_equal(s[127], '\n');
    unlink(path);
    discard(&c);
}

static void unwritable_path_is_an_error(void **state) {
    (void)state;
    Ctx c = fresh();
    float f = 0;
    assert_false(npy_write(&c, "tests/no_such_folder/x.npy", &(Array){ .elem = F32, .data = &f }));
    assert_int_equal(c.errors, 1);
    discard(&c);
}

/* ---- elements */

static bool is_nan(Elem e, uint16_t v) {
    return e == F16 ? (v & 0x7FFF) > 0x7C00 : (v & 0x7FFF) > 0x7F80;
}

/* Each of the 65536 values comes back; the middle of two neighbours goes to the even one. */
static void check_halves(Elem e) {
    for (unsigned i = 0; i <= 0xFFFF; i++) {
        uint16_t v = (uint16_t)i, next = (uint16_t)(i + 1), back;
        double d = elem_load(e, &v);
        elem_store(e, &back, d);
        if (is_nan(e, v)) {
            assert_true(isnan(d) && is_nan(e, back));
            continue;
        }
        assert_int_equal(back, v);
        if (isinf(d) || (i & 0x7FFF) == 0x7FFF || isinf(elem_load(e, &next)))
            continue;
        double middle = (d + elem_load(e, &next)) / 2;
        elem_store(e, &back, middle);
        assert_int_equal(back, v & 1 ? next : v);
        elem_store(e, &back, nextafter(middle, elem_load(e, &next)));
        assert_int_equal(back, next);
    }
}

static void halves_are_exact(void **state) {
    (void)state;
    check_halves(F16);
    check_halves(BF16);
    uint16_t v;
    elem_store(F16, &v, 65519.99);
    assert_int_equal(v, 0x7BFF);
    elem_store(F16, &v, 65520);
    assert_int_equal(v, 0x7C00);
    elem_store(F16, &v, -1e-300);
    assert_int_equal(v, 0x8000);
}

/* ---- JSON */

static const Json *json(Ctx *c, const char *s) {
    JsonError e;
    return json_read(c, s, strlen(s), &e);
}

static void json_values(void **state) {
    (void)state;
    Ctx c = fresh();
    const Json *j = json(&c, " {\"a\": [1, -2.5e1, true], \"b\": \"\\u00e9\\ud83d\\ude00\\n\", "
                             "\"n\": 9223372036854775808} ");
    assert_non_null(j);
    const Json *a = json_get(j, "a"), *b = json_get(j, "b"), *n = json_get(j, "n");
    assert_true(a->item[0].is_whole && a->item[0].whole == 1);
    assert_true(!a->item[1].is_whole && a->item[1].number == -25);
    assert_true(a->item[2].kind == JsonBool && a->item[2].truth);
    assert_string_equal(b->text, "\xC3\xA9\xF0\x9F\x98\x80\n");
    assert_true(!n->is_whole && n->number == 0x1p63);
    assert_null(json_get(j, "c"));
    assert_null(j->repeated);
    discard(&c);
}

static void json_repeated_key_is_told(void **state) {
    (void)state;
    Ctx c = fresh();
    const Json *j = json(&c, "{\"a\": 1, \"b\": 2, \"\\u0062\": 3, \"a\": 4}");
    assert_ptr_equal(j->repeated, &j->item[2]);
    discard(&c);
}

static void json_depth_is_limited(void **state) {
    (void)state;
    Ctx c = fresh();
    char s[258];
    for (int n = 128; n <= 129; n++) {
        memset(s, '[', (size_t)n);
        memset(s + n, ']', (size_t)n);
        JsonError e;
        assert_int_equal(json_read(&c, s, 2 * (size_t)n, &e) != NULL, n == 128);
    }
    discard(&c);
}

static void check_json(const char *folder, const char *file) {
    Ctx c = fresh();
    size_t n;
    JsonError e;
    char *s = read_file(&c, format(&c, "%s/%s", folder, file), &n);
    assert_non_null(s);
    bool read = json_read(&c, s, n, &e);
    if ((file[0] == 'y' && !read) || (file[0] == 'n' && read))
        fail_msg("%s: %s", file, read ? "accepted" : e.what);
    discard(&c);
}

static void json_test_suite(void **state) {
    (void)state;
    static const char suite[] = "../shared/data/loader/JSONTestSuite_test_parsing.tar.xz";
    char folder[] = "/tmp/jsonXXXXXX", command[200];
    if (access(suite, R_OK)) {
        print_message("skipped: %s is not there\n", suite);
        return;
    }
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "tar -xJf %s -C %s && mv %s/*/* %s 2>/dev/null", suite,
             folder, folder, folder);
    if (system(command))
        print_message("note: %s was not unpacked as expected\n", suite);
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));)
        if (strstr(e->d_name, ".json"))
            check_json(folder, e->d_name), n++;
    closedir(d);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(n, 318);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crafted_files),
        cmocka_unit_test(collected_files),
        cmocka_unit_test(values_survive_order_and_version),
        cmocka_unit_test(unaligned_arrays_are_aligned),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(missing_file_is_an_error),
        cmocka_unit_test(written_arrays_read_back),
        cmocka_unit_test(header_is_aligned_and_as_numpy_writes_it),
        cmocka_unit_test(unwritable_path_is_an_error),
        cmocka_unit_test(halves_are_exact),
        cmocka_unit_test(json_values),
        cmocka_unit_test(json_repeated_key_is_told),
        cmocka_unit_test(json_depth_is_limited),
        cmocka_unit_test(json_test_suite),
    };
    return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
