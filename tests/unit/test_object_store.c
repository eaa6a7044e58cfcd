/* aws_object_store: names of objects in S3, and what is made of an answer. */
#include "unit/unit.h"

#include "auth/aws_object_store.h"

static void names_are_read(void **state)
{
    (void)state;
    struct s3_object o;
    assert_true(s3_object_parse(slice_str("our.configs/prod/sluice-1.json"), &o));
    assert_true(slice_is(o.bucket, "our.configs"));
    assert_true(slice_is(o.key, "prod/sluice-1.json"));
}

static void what_means_something_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",       "b",     "b/",    "/k",      "b//k",
                                       "b/../k", "../k",  "b/./k", "b/k?x=1", "b/k#x",
                                       "b/a%2e", "b/a b", "b/k/",  "b@c/k" };
    struct s3_object o;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(s3_object_parse(slice_str(bad[i]), &o));
}

static void a_version_is_the_id_or_the_etag(void **state)
{
    (void)state;
    struct sigv4_header headers[] = { { slice_str("ETag"), slice_str("\"0cc5\"") },
                                      { slice_str("x-amz-version-id"), slice_str("null") } };
    struct aws_response r = {
        .status = 200, .headers = headers, .header_count = 2, .body = slice_str("{}")
    };
    struct aws_error error;
    struct buf value = { 0 };
    char version[S3_VERSION_BYTES];
    assert_true(s3_object_answer(&r, &value, version, &error));
    assert_string_equal(version, "0cc5");
    headers[1].value = slice_str("L4kqtJl");
    assert_true(s3_object_answer(&r, &value, version, &error));
    assert_string_equal(version, "L4kqtJl");
    assert_true(slice_is(buf_slice(&value), "{}{}"));
    buf_fini(&value);
}

static void an_error_is_read(void **state)
{
    (void)state;
    struct aws_response r = { .status = 404,
                              .body =
                                  slice_str("<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code>"
                                            "<Message>gone</Message></Error>") };
    struct aws_error error;
    struct buf value = { 0 };
    char version[S3_VERSION_BYTES];
    assert_false(s3_object_answer(&r, &value, version, &error));
    assert_string_equal(error.code, "NoSuchKey");
    assert_string_equal(error.message, "gone");
    assert_int_equal(error.fault, AWS_FAULT_DENIED);
    buf_fini(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read),
        cmocka_unit_test(what_means_something_else_is_refused),
        cmocka_unit_test(a_version_is_the_id_or_the_etag),
        cmocka_unit_test(an_error_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
