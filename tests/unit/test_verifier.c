/* verifier: the command, from its arguments and stdin to what it prints. */
#include "unit/unit.h"

#include "auth/digest.h"
#include "auth/md5.h"
#include "auth/scram.h"
#include "proxy/command/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char printed[1024];

/* Runs the command with `input` on stdin; what it wrote to stdout is left in `printed`. */
static int run(struct slice input, int argc, const char *const *args)
{
    char *argv[8], *own[8]; /* the command moves its arguments about */
    int in[2], saved_in = dup(0), saved_out = dup(1), saved_err = dup(2);
    FILE *out = tmpfile();
    assert_non_null(out);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(write(in[1], input.at, input.len), input.len);
    close(in[1]);
    for (int i = 0; i < argc; i++) argv[i] = own[i] = strdup(args[i]);
    fflush(stdout);
    fflush(stderr);
    dup2(in[0], 0);
    dup2(fileno(out), 1);
    dup2(fileno(out), 2); /* usage and errors go the same way, to be looked at */
    int status = command_verifier(argc, argv);
    fflush(stdout);
    fflush(stderr);
    dup2(saved_in, 0);
    dup2(saved_out, 1);
    dup2(saved_err, 2);
    close(saved_in);
    close(saved_out);
    close(saved_err);
    close(in[0]);
    rewind(out);
    size_t n = fread(printed, 1, sizeof printed - 1, out);
    printed[n] = '\0';
    fclose(out);
    for (int i = 0; i < argc; i++) free(own[i]);
    return status;
}

static int make(const char *method, struct slice input)
{
    return run(input, 4, (const char *const[]){ "verifier", "--method", method, "user1" });
}

/* Without the newline at its end. */
static struct slice line(void)
{
    size_t n = strlen(printed);
    assert_true(n > 0 && printed[n - 1] == '\n');
    return slice_of(printed, n - 1);
}

static void each_method_prints_what_it_can_check(void **state)
{
    (void)state;
    struct scram_verifier scram, other;
    struct digest_verifier digest;
    struct err err;
    assert_int_equal(make("scram-sha-256", slice_str("se cret\n")), 0);
    assert_true(scram_verifier_parse(&scram, line(), &err));
    assert_true(scram_verifier_check(&scram, slice_str("se cret")));
    assert_int_equal(make("scram-sha-256", slice_str("se cret\n")), 0);
    assert_true(scram_verifier_parse(&other, line(), &err));
    assert_memory_not_equal(scram.salt.bytes, other.salt.bytes, SCRAM_SALT_BYTES);

    assert_int_equal(make("digest", slice_str("se cret\r\nsecond line\n")), 0);
    assert_true(digest_verifier_parse(&digest, line(), &err));
    assert_true(digest_verifier_check(&digest, slice_str("se cret")));

    assert_int_equal(make("md5", slice_str("ez")), 0);
    assert_string_equal(printed, "md5153c434b4b77c89e6b94f12c5393af5b\n");
    assert_int_equal(
        run(slice_str("ez"), 3, (const char *const[]){ "verifier", "user1", "--method=md5" }), 0);
    assert_string_equal(printed, "md5153c434b4b77c89e6b94f12c5393af5b\n");
}

static void no_password_is_not_fine(void **state)
{
    (void)state;
    char big[1100];
    memset(big, 'x', sizeof big);
    const struct slice inputs[] = {
        { "", 0 }, { "\n", 1 }, { "\r\n", 2 }, { "a\0b\n", 4 }, { big, 1025 }, { big, sizeof big },
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        assert_int_equal(make("scram-sha-256", inputs[i]), 1);
        assert_null(strstr(printed, "SCRAM"));
        assert_null(strstr(printed, "xxx"));
    }
    assert_int_equal(make("scram-sha-256", slice_of(big, 1024)), 0);
}

static void wrong_usage_says_how(void **state)
{
    (void)state;
    static const char *const lines[][5] = {
        { "verifier" },
        { "verifier", "user1" },
        { "verifier", "--method" },
        { "verifier", "--method", "md5" },
        { "verifier", "--method", "md5", "" },
        { "verifier", "--method", "cleartext", "user1" },
        { "verifier", "--method", "iam", "user1" },
        { "verifier", "--method", "nonsense", "user1" },
        { "verifier", "--method", "md5", "user1", "user2" },
        { "verifier", "--methods", "md5", "user1" },
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int argc = 0;
        while (argc < 5 && lines[i][argc]) argc++;
        assert_int_equal(run(slice_str("secret\n"), argc, lines[i]), 2);
        assert_non_null(strstr(printed, "usage: sluice verifier"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_prints_what_it_can_check),
        cmocka_unit_test(no_password_is_not_fine),
        cmocka_unit_test(wrong_usage_says_how),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
