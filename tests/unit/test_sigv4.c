/* sigv4, and what it stands on: sha, uri, timestamp, base64url. */
#include "unit/vectors.h"

#include "auth/base64url.h"
#include "auth/sigv4.h"
#include "auth/uri.h"

#include <dirent.h>

static const struct sigv4_key example_key = {
    .id = { "AKIDEXAMPLE", 11 },
    .secret = { "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 40 },
    .region = { "us-east-1", 9 },
    .service = { "iam", 3 },
};

/* AWS General Reference, "Examples of the complete Signature Version 4 signing process". */
static void published_list_users_example(void **state)
{
    (void)state;
    struct sigv4_header headers[] = {
        { slice_str("Content-Type"),
          slice_str("application/x-www-form-urlencoded; charset=utf-8") },
        { slice_str("Host"), slice_str("iam.amazonaws.com") },
        { slice_str("User-Agent"), slice_str("never signed") },
    };
    struct sigv4_request request = { .method = slice_str("GET"),
                                     .path = slice_str("/"),
                                     .query = slice_str("Version=2010-05-08&Action=ListUsers"),
                                     .headers = headers,
                                     .header_count = 3 };
    struct sigv4_options options = { 0 };
    assert_true(timestamp_from_amz(slice_str("20150830T123600Z"), &options.now_ms));
    struct sigv4_signed out;
    assert_true(sigv4_sign(&request, &example_key, &options, &out));
    assert_string_equal(out.signature,
                        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    sigv4_signed_fini(&out);

    /* A clock that is an hour slow, and known to be, signs the same. */
    options.now_ms -= 3600000;
    options.skew_ms = 3600000;
    assert_true(sigv4_sign(&request, &example_key, &options, &out));
    assert_string_equal(out.date, "20150830T123600Z");
    assert_string_equal(out.signature,
                        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    sigv4_signed_fini(&out);
}

static void too_much_is_refused(void **state)
{
    (void)state;
    struct sigv4_header headers[SIGV4_MAX_HEADERS + 1];
    for (size_t i = 0; i <= SIGV4_MAX_HEADERS; i++)
        headers[i] = (struct sigv4_header){ slice_str("x"), slice_str("y") };
    struct sigv4_request request = { .method = slice_str("GET"), .headers = headers };
    struct sigv4_options options = { .now_ms = 1440938160000 };
    struct sigv4_signed out;
    request.header_count = SIGV4_MAX_HEADERS + 1;
    assert_false(sigv4_sign(&request, &example_key, &options, &out));
    sigv4_signed_fini(&out);
    request.header_count = 1;
    assert_true(sigv4_sign(&request, &example_key, &options, &out));
    sigv4_signed_fini(&out);
    assert_false(sigv4_presign(&request, &example_key, &options, 0, &out));
    sigv4_signed_fini(&out);
    assert_false(sigv4_presign(&request, &example_key, &options, 604801, &out));
    sigv4_signed_fini(&out);
    static char query[3 * 80 + 1];
    for (size_t i = 0; i < 80; i++) memcpy(query + 3 * i, "a&a", 3);
    request.query = slice_str(query);
    assert_false(sigv4_sign(&request, &example_key, &options, &out));
    sigv4_signed_fini(&out);
}

/* ---- the published suite ------------------------------------------------------------------- */

/* request.txt: request line, headers (folded lines belong to the one before), blank, body. */
struct sent {
    struct buf text;
    struct sigv4_request request;
    struct sigv4_header headers[16];
};

static struct slice next_line(struct slice *rest)
{
    struct slice line = { 0 };
    if (!uri_next_piece(rest, '\n', &line)) return (struct slice){ 0 };
    return line;
}

static void read_request(struct sent *sent)
{
    struct slice rest = buf_slice(&sent->text), line = next_line(&rest);
    struct sigv4_request *request = &sent->request;
    uri_next_piece(&line, ' ', &request->method);
    assert_true(line.len > 9);
    line.len -= 9; /* " HTTP/1.1" */
    uri_next_piece(&line, '?', &request->path);
    request->query = line;
    request->headers = sent->headers;
    while ((line = next_line(&rest)).len > 0) {
        struct sigv4_header *header = &sent->headers[request->header_count];
        if (line.at[0] == ' ') {
            struct sigv4_header *last = header - 1;
            last->value.len = (size_t)(line.at + line.len - last->value.at);
            continue;
        }
        uri_next_piece(&line, ':', &header->name);
        header->value = line;
        request->header_count++;
    }
    if (rest.at) request->body = rest;
}

static void expect_file(const char *folder, const char *name, struct slice ours)
{
    char path[256];
    struct buf text = { 0 };
    snprintf(path, sizeof path, "sigv4/%s/%s", folder, name);
    assert_true(vectors_read(&text, path));
    struct slice theirs = buf_slice(&text);
    if (!slice_eq(theirs, ours))
        fail_msg("%s\n--- expected\n%.*s\n--- ours\n%.*s", path, SLICE_ARG(theirs),
                 SLICE_ARG(ours));
    buf_fini(&text);
}

static void expect_signed(const char *folder, const char *form, const struct sigv4_signed *out)
{
    char name[64];
    snprintf(name, sizeof name, "%s-canonical-request.txt", form);
    expect_file(folder, name, buf_slice(&out->canonical_request));
    snprintf(name, sizeof name, "%s-string-to-sign.txt", form);
    expect_file(folder, name, buf_slice(&out->string_to_sign));
    snprintf(name, sizeof name, "%s-signature.txt", form);
    expect_file(folder, name, slice_str(out->signature));
}

static void run_case(const char *folder)
{
    char path[256];
    snprintf(path, sizeof path, "sigv4/%s/context.json", folder);
    cJSON *context = vectors_json(path);
    const cJSON *keys = cJSON_GetObjectItem(context, "credentials");
    struct sent sent = { 0 };
    snprintf(path, sizeof path, "sigv4/%s/request.txt", folder);
    assert_true(vectors_read(&sent.text, path));
    read_request(&sent);
    struct sigv4_key key = { slice_str(vectors_text(keys, "access_key_id")),
                             slice_str(vectors_text(keys, "secret_access_key")),
                             slice_str(vectors_text(keys, "token")),
                             slice_str(vectors_text(context, "region")),
                             slice_str(vectors_text(context, "service")) };
    struct sigv4_options options = {
        .keep_path = !cJSON_IsTrue(cJSON_GetObjectItem(context, "normalize")),
        .sign_body = cJSON_IsTrue(cJSON_GetObjectItem(context, "sign_body")),
        .token_unsigned = cJSON_IsTrue(cJSON_GetObjectItem(context, "omit_session_token")),
    };
    uint32_t expires =
        (uint32_t)cJSON_GetNumberValue(cJSON_GetObjectItem(context, "expiration_in_seconds"));
    assert_true(timestamp_from_iso(slice_str(vectors_text(context, "timestamp")), &options.now_ms));
    struct sigv4_signed out;
    assert_true(sigv4_sign(&sent.request, &key, &options, &out));
    expect_signed(folder, "header", &out);
    sigv4_signed_fini(&out);
    assert_true(sigv4_presign(&sent.request, &key, &options, expires, &out));
    expect_signed(folder, "query", &out);
    sigv4_signed_fini(&out);
    buf_fini(&sent.text);
    cJSON_Delete(context);
}

static void published_suite(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/sigv4", vectors_folder());
    DIR *dir = opendir(path);
    if (!dir) {
        print_message("SKIP: NO VECTORS: %s is not there\n", path);
        skip();
    }
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        run_case(entry->d_name);
        count++;
    }
    closedir(dir);
    assert_true(count >= 38);
}

/* ---- the parts ----------------------------------------------------------------------------- */

static void base64url_has_one_spelling(void **state)
{
    (void)state;
    static const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
    static const char *const coded[] = { "", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy" };
    for (size_t i = 0; i < 7; i++) {
        struct buf b = { 0 };
        base64url_encode(&b, slice_str(plain[i]));
        assert_true(slice_is(buf_slice(&b), coded[i]));
        buf_truncate(&b, 0);
        assert_true(base64url_decode(&b, slice_str(coded[i])));
        assert_true(slice_is(buf_slice(&b), plain[i]));
        buf_fini(&b);
    }
    /* padding, white space, the other alphabet, left-over bits, a lone character */
    static const char *const bad[] = { "Zg==", "Zm 8", "Zm8\n", "+/8", "Zh", "Zm9", "Z", "Zm9vY" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = { 0 };
        assert_false(base64url_decode(&b, slice_str(bad[i])));
        assert_int_equal(b.len, 0);
        buf_fini(&b);
    }
}

static void urls_come_apart(void **state)
{
    (void)state;
    struct url url;
    assert_true(url_parse(slice_str("http://localhost:8080/a/b?c=d"), &url));
    assert_true(!url.https && slice_is(url.host, "localhost") && url.port == 8080);
    assert_true(slice_is(url.path, "/a/b") && slice_is(url.query, "c=d"));
    assert_true(slice_is(url_host_header(&url), "localhost:8080"));
    assert_true(url_parse(slice_str("https://[fd00:ec2::23]:443/"), &url));
    assert_true(slice_is(url.host, "fd00:ec2::23") && url.port == 443);
    assert_true(slice_is(url_host_header(&url), "[fd00:ec2::23]"));
    static const char *const bad[] = {
        "not a uri",    "ftp://a/",      "https://",         "https:///x",
        "https://a@b/", "https://a:0/",  "https://a:99999/", "https://a:/",
        "https://a/#f", "https://a\\b/", "https://[::1",     "https://[::1]x/",
        "https://a b/", "HTTPS://a/",    "https://a%2eb/",   "//a/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (url_parse(slice_str(bad[i]), &url)) fail_msg("accepted: %s", bad[i]);
}

static void timestamps_round_trip(void **state)
{
    (void)state;
    int64_t ms, again;
    char amz[TIMESTAMP_AMZ_BYTES], iso[TIMESTAMP_ISO_BYTES];
    assert_true(timestamp_from_iso(slice_str("2026-11-21T02:02:41.030509Z"), &ms));
    assert_true(ms == 1795226561030);
    timestamp_to_amz(ms, amz);
    assert_string_equal(amz, "20261121T020241Z");
    timestamp_to_iso(ms, iso);
    assert_string_equal(iso, "2026-11-21T02:02:41Z");
    assert_true(timestamp_from_http(slice_str("Sat, 21 Nov 2026 02:02:41 GMT"), &again));
    assert_true(again == 1795226561000);
    assert_true(timestamp_from_iso(slice_str("2026-11-21T03:02:41+01:00"), &again));
    assert_true(again == 1795226561000);
    assert_true(timestamp_from_iso(slice_str("2026-11-21T02:02:41UTC"), &again));
    assert_true(again == 1795226561000);
    for (int64_t day = 0; day < 40000; day += 13) { /* 1970 to 2079, leap years included */
        timestamp_to_amz(day * 86400000, amz);
        assert_true(timestamp_from_amz(slice_str(amz), &again));
        assert_true(again == day * 86400000);
    }
    static const char *const bad[] = { "20150229T000000Z",
                                       "20151301T000000Z",
                                       "20150830T240000Z",
                                       "20150830T123600",
                                       "2015083OT123600Z",
                                       "20150830T123600ZZ",
                                       "",
                                       "20150800T000000Z",
                                       "19690830T123600Z" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(timestamp_from_amz(slice_str(bad[i]), &ms));
    assert_false(timestamp_from_iso(slice_str("2026-11-21T02:02:41."), &ms));
    assert_false(timestamp_from_iso(slice_str("2026-11-21 02:02:41Z"), &ms));
    assert_false(timestamp_from_iso(slice_str("2026-11-21T02:02:41"), &ms));
}

/* RFC 4231, test case 2. */
static void hmac_is_hmac(void **state)
{
    (void)state;
    uint8_t mac[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES], sha1[SHA1_HEX_BYTES];
    assert_true(hmac_sha256(slice_str("Jefe"), slice_str("what do ya want for nothing?"), mac));
    hex_encode(mac, sizeof mac, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_true(sha1_hex(slice_str("corp"), sha1));
    assert_string_equal(sha1, "ee0bfd2552fbd840c02cc48b6e823320543c450f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_list_users_example),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(published_suite),
        cmocka_unit_test(base64url_has_one_spelling),
        cmocka_unit_test(urls_come_apart),
        cmocka_unit_test(timestamps_round_trip),
        cmocka_unit_test(hmac_is_hmac),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
