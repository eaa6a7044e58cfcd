/* secrets, env_file, file: from references to secrets, and what is said when there is none. */
#include "unit/unit.h"

#include "auth/secret.h"
#include "proxy/ops/env_file.h"
#include "proxy/ops/file.h"
#include "proxy/ops/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char directory[32], path[64];
};

static int make_directory(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->directory, "/tmp/sluice-test-XXXXXX");
    *state = f;
    if (!mkdtemp(f->directory)) return -1;
    snprintf(f->path, sizeof f->path, "%s/file", f->directory);
    return 0;
}

static int remove_directory(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    rmdir(f->directory);
    free(f);
    return 0;
}

static void write_file(const struct fixture *f, struct slice text, mode_t mode)
{
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.at, 1, text.len, file), text.len);
    fclose(file);
    assert_int_equal(chmod(f->path, mode), 0);
}

static struct secret_ref ref_of(enum secret_kind kind, const char *text)
{
    static char copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    return (struct secret_ref){ .kind = kind, .text = copy };
}

/* The secret, or the error in brackets. */
static const char *resolve(enum secret_kind kind, const char *text, const struct env_file *env)
{
    static char result[512];
    struct secret_ref ref = ref_of(kind, text);
    struct buf out = { 0 };
    struct err err = { 0 };
    if (secret_resolve(&ref, env, &out, &err))
        snprintf(result, sizeof result, "%.*s", (int)out.len, out.at);
    else
        snprintf(result, sizeof result, "[%s]", err.message);
    buf_wipe(&out);
    return result;
}

static void secrets_come_from_where_they_are(void **state)
{
    struct fixture *f = *state;
    struct problems problems = { 0 };
    struct env_file *env = env_file_parse(slice_str("SLUICE_TEST_B=from the file\n"
                                                    "SLUICE_TEST_A=overridden\n"),
                                          &problems);
    setenv("SLUICE_TEST_A", "from the environment", 1);
    setenv("SLUICE_TEST_EMPTY", "", 1);
    assert_string_equal(resolve(SECRET_ENV, "SLUICE_TEST_A", env), "from the environment");
    assert_string_equal(resolve(SECRET_ENV, "SLUICE_TEST_B", env), "from the file");
    assert_string_equal(resolve(SECRET_ENV, "SLUICE_TEST_B", NULL),
                        "[env:SLUICE_TEST_B is not set]");
    assert_string_equal(resolve(SECRET_ENV, "SLUICE_TEST_EMPTY", env),
                        "[env:SLUICE_TEST_EMPTY is empty]");
    assert_string_equal(resolve(SECRET_VERIFIER, "sha256|a|b", NULL), "sha256|a|b");
    assert_string_equal(resolve(SECRET_PLAIN, "text", NULL), "text");
    struct secret_ref fetched = ref_of(SECRET_SSM, "/a");
    struct buf value = { 0 };
    struct err err;
    fetched.fetched = secret_new(slice_str("from AWS"));
    assert_true(secret_resolve(&fetched, NULL, &value, &err));
    assert_true(slice_is(buf_slice(&value), "from AWS"));
    secret_free(fetched.fetched);
    buf_wipe(&value);
    assert_string_equal(resolve(SECRET_SSM, "/a", NULL), "[ssm:/a must be fetched from AWS first]");
    assert_string_equal(resolve(SECRET_SECRETSMANAGER, "a#b", NULL),
                        "[secretsmanager:a#b must be fetched from AWS first]");
    write_file(f, slice_str("hunter2\r\n"), 0600);
    assert_string_equal(resolve(SECRET_FILE, f->path, NULL), "hunter2");
    write_file(f, slice_str("two\n\n"), 0600);
    assert_string_equal(resolve(SECRET_FILE, f->path, NULL), "two\n");
    write_file(f, slice_str("\n"), 0600);
    assert_non_null(strstr(resolve(SECRET_FILE, f->path, NULL), "is empty]"));
    assert_string_equal(resolve(SECRET_FILE, "/nonexistent", NULL),
                        "[file:/nonexistent: No such file or directory]");
    assert_string_equal(resolve(SECRET_FILE, "/tmp", NULL), "[file:/tmp: Is a directory]");
    env_file_free(env);
    problems_fini(&problems);
}

static void aws_hears_of_its_own_variables_only(void **state)
{
    (void)state;
    struct problems problems = { 0 };
    struct env_file *env = env_file_parse(slice_str("AWS_SLUICE_A=file\nAWS_SLUICE_B=first\n"
                                                    "AWS_SLUICE_B=last\nSLUICE_TEST_C=secret\n"
                                                    "NO_PROXY=.local\n"),
                                          &problems);
    setenv("AWS_SLUICE_A", "environment", 1);
    unsetenv("NO_PROXY");
    env_file_export(env);
    env_file_export(NULL);
    assert_string_equal(getenv("AWS_SLUICE_A"), "environment");
    assert_string_equal(getenv("AWS_SLUICE_B"), "last");
    assert_string_equal(getenv("NO_PROXY"), ".local");
    assert_null(getenv("SLUICE_TEST_C"));
    unsetenv("NO_PROXY");
    env_file_free(env);
    problems_fini(&problems);
}

static void what_was_there_before_stays(void **state)
{
    (void)state;
    struct secret_ref ref = ref_of(SECRET_PLAIN, "b");
    struct buf out = { 0 };
    struct err err;
    buf_add_str(&out, "a");
    assert_true(secret_resolve(&ref, NULL, &out, &err));
    assert_true(slice_is(buf_slice(&out), "ab"));
    buf_fini(&out);
}

static void a_file_has_its_limit(void **state)
{
    struct fixture *f = *state;
    struct buf text = { 0 }, out = { 0 };
    struct err err = { 0 };
    memset(buf_extend(&text, SECRET_CAP_BYTES), 'x', SECRET_CAP_BYTES);
    write_file(f, buf_slice(&text), 0600);
    assert_true(file_read(f->path, SECRET_CAP_BYTES, &out, &err));
    assert_int_equal(out.len, SECRET_CAP_BYTES);
    buf_add_u8(&text, 'x');
    write_file(f, buf_slice(&text), 0600);
    assert_false(file_read(f->path, SECRET_CAP_BYTES, &out, &err));
    assert_string_equal(err.message, "more than 65536 bytes");
    buf_fini(&text);
    buf_fini(&out);
}

static void exposed_files_are_noticed(void **state)
{
    struct fixture *f = *state;
    write_file(f, slice_str("A=1\n"), 0640);
    assert_false(file_is_exposed(f->path));
    write_file(f, slice_str("A=1\n"), 0644);
    assert_true(file_is_exposed(f->path));
    assert_false(file_is_exposed("/nonexistent"));

    struct problems problems = { 0 };
    struct env_file *env = env_file_load(f->path, &problems);
    assert_non_null(env);
    assert_int_equal(problems.warnings, 1);
    env_file_free(env);
    assert_null(env_file_load("/nonexistent", &problems));
    assert_int_equal(problems.errors, 1);
    problems_fini(&problems);
}

static void no_description_tells_the_secret(void **state)
{
    (void)state;
    char text[64];
    struct secret_ref ref = ref_of(SECRET_VERIFIER, "SCRAM-SHA-256$4096:hidden");
    assert_string_equal(secret_describe(&ref, text, sizeof text), "(SCRAM-SHA-256 verifier)");
    ref = ref_of(SECRET_PLAIN, "hidden");
    assert_string_equal(secret_describe(&ref, text, sizeof text), "(given)");
    ref = ref_of(SECRET_ENV, "NAME");
    assert_string_equal(secret_describe(&ref, text, sizeof text), "env:NAME");
    ref.kind = SECRET_ABSENT;
    assert_string_equal(secret_describe(&ref, text, sizeof text), "(none)");
}

static void env_files_are_read(void **state)
{
    (void)state;
    static const char TEXT[] = "\xef\xbb\xbf# comment\n"
                               "\n"
                               "  T_PLAIN = value with blanks  # comment\n"
                               "export T_EXPORTED=a#b\n"
                               "T_SINGLE='a \\n $HOME \"x\"' # comment\r\n"
                               "T_DOUBLE=\"a\\n\\t\\\"\\\\\\$ #x\"\n"
                               "T_EMPTY=\n"
                               "T_TWICE=1\n"
                               "T_TWICE=2\n"
                               "T_EQUALS=a=b==\n"
                               "T_LAST=end";
    static const char *const EXPECTED[][2] = {
        { "T_PLAIN", "value with blanks" },
        { "T_EXPORTED", "a#b" },
        { "T_SINGLE", "a \\n $HOME \"x\"" },
        { "T_DOUBLE", "a\n\t\"\\$ #x" },
        { "T_EMPTY", "" },
        { "T_TWICE", "2" },
        { "T_EQUALS", "a=b==" },
        { "T_LAST", "end" },
    };
    struct problems problems = { 0 };
    struct env_file *env = env_file_parse(slice_of(TEXT, sizeof TEXT - 1), &problems);
    assert_int_equal(problems.count, 0);
    for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++)
        assert_string_equal(env_file_get(env, EXPECTED[i][0]), EXPECTED[i][1]);
    assert_null(env_file_get(env, "T_NONE"));
    assert_null(env_file_get(env, "value with blanks")); /* a value is no name */
    env_file_free(env);
}

static void bad_lines_of_env_files_are_told(void **state)
{
    (void)state;
    static const char TEXT[] = "no equals\n"
                               "T_GOOD=1\n"
                               "9X=1\n"
                               "T_OPEN='abc\n"
                               "T_OPEN2=\"abc\\\n"
                               "T_AFTER='abc' def\n"
                               "T_ESCAPE=\"\\x\"\n"
                               "T_NUL=a\0b\n"
                               "=1\n";
    struct problems problems = { 0 };
    struct buf out = { 0 };
    struct env_file *env = env_file_parse(slice_of(TEXT, sizeof TEXT - 1), &problems);
    problems_print(&problems, "f", &out);
    buf_add_u8(&out, 0);
    assert_string_equal(out.at,
                        "f:1: error: not NAME=value\n"
                        "f:3: error: not NAME=value\n"
                        "f:4: error: the quote is not closed on its line\n"
                        "f:5: error: the quote is not closed on its line\n"
                        "f:6: error: something stands behind the closing quote\n"
                        "f:7: error: unknown escape; in double quotes there are \\n \\r \\t "
                        "\\\\ \\\" \\$\n"
                        "f:8: error: a NUL byte\n"
                        "f:9: error: not NAME=value\n");
    assert_string_equal(env_file_get(env, "T_GOOD"), "1");
    assert_null(env_file_get(env, "T_OPEN"));
    assert_null(env_file_get(env, "T_ESCAPE"));
    buf_fini(&out);
    env_file_free(env);
    problems_fini(&problems);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
    const struct CMUnitTest tests[] = {
        TEST(secrets_come_from_where_they_are),
        TEST(aws_hears_of_its_own_variables_only),
        TEST(what_was_there_before_stays),
        TEST(a_file_has_its_limit),
        TEST(exposed_files_are_noticed),
        TEST(no_description_tells_the_secret),
        TEST(env_files_are_read),
        TEST(bad_lines_of_env_files_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
