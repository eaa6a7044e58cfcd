/* aws_chain and its providers, driven by a made-up world. */
#include "unit/unit.h"

#include "auth/aws_chain.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- a world -----------------------------------------------------------------------------------
 */

struct world_file {
    const char *path, *text;
    enum aws_outcome outcome;
};

/* One exchange: what the request must have in it, and what comes back. Used in order. */
struct world_exchange {
    const char *start, *has; /* "POST http://...", and text within URL, headers or body */
    int status;              /* 0: no answer in time */
    const char *body;
    const char *date; /* header; NULL: none */
};

struct world {
    const char *vars[12];
    struct world_file files[6];
    struct world_exchange exchanges[10];
    const char *profile, *role_arn;
    int only;
    /* what came of it */
    struct aws_chain *chain;
    struct buf asked; /* one line for each question */
    size_t exchanged;
    int64_t now_ms;
};

static const int64_t start_ms = 1795226561000; /* 2026-11-21T02:02:41Z */

static void show_request(struct buf *out, const struct aws_request *r)
{
    buf_addf(out, "%s %.*s", r->method, SLICE_ARG(buf_slice(&r->url)));
    for (size_t i = 0; i < r->header_count; i++)
        buf_addf(out, " | %s: %.*s", r->headers[i].name,
                 SLICE_ARG(buf_slice(&r->headers[i].value)));
    if (r->direct) buf_add_str(out, " | direct");
    buf_addf(out, " | %.*s", SLICE_ARG(buf_slice(&r->body)));
}

static void answer_http(struct world *w, const struct aws_ask *ask)
{
    struct buf line = { 0 };
    show_request(&line, &ask->request);
    buf_add_u8(&line, 0);
    buf_addf(&w->asked, "%s\n", line.at);
    assert_true(w->exchanged < 10);
    const struct world_exchange *e = &w->exchanges[w->exchanged++];
    if (!e->start) fail_msg("unexpected request: %s", line.at);
    if (strncmp(line.at, e->start, strlen(e->start)) != 0 || (e->has && !strstr(line.at, e->has)))
        fail_msg("expected %s ... %s, got %s", e->start, e->has ? e->has : "", line.at);
    struct sigv4_header headers[] = { { slice_str("Date"), slice_str(e->date) } };
    struct aws_response r = { e->status ? AWS_HTTP_OK : AWS_HTTP_TIMEOUT, e->status, headers,
                              e->date ? 1 : 0, slice_str(e->body) };
    buf_fini(&line);
    w->now_ms += 100;
    aws_chain_answer_http(w->chain, &r, w->now_ms);
}

static void answer_read(struct world *w, const struct aws_ask *ask)
{
    buf_addf(&w->asked, "READ %.*s\n", SLICE_ARG(buf_slice(&ask->path)));
    for (size_t i = 0; i < 6 && w->files[i].path; i++) {
        if (!slice_is(buf_slice(&ask->path), w->files[i].path)) continue;
        aws_chain_answer_outcome(w->chain, w->files[i].outcome, slice_str(w->files[i].text),
                                 w->now_ms);
        return;
    }
    aws_chain_answer_outcome(w->chain, AWS_NOT_THERE, (struct slice){ 0 }, w->now_ms);
}

static void answer_other(struct world *w, const struct aws_ask *ask)
{
    struct slice text = { 0 };
    enum aws_outcome outcome = AWS_DONE_WELL;
    if (ask->kind == AWS_ASK_WRITE) {
        buf_addf(&w->asked, "WRITE %.*s %.*s\n", SLICE_ARG(buf_slice(&ask->path)),
                 SLICE_ARG(buf_slice(&ask->content)));
    } else if (ask->kind == AWS_ASK_WAIT) {
        buf_addf(&w->asked, "WAIT %lld\n", (long long)(ask->until_ms - w->now_ms));
        assert_true(ask->until_ms >= w->now_ms);
        w->now_ms = ask->until_ms;
    } else {
        buf_add_str(&w->asked, "RUN");
        for (uint32_t i = 0; i < ask->path.len; i += (uint32_t)strlen(ask->path.at + i) + 1)
            buf_addf(&w->asked, " [%s]", ask->path.at + i);
        buf_add_str(&w->asked, "\n");
        text = slice_str(w->files[0].text); /* the first file stands for the program */
        outcome = w->files[0].outcome;
    }
    aws_chain_answer_outcome(w->chain, outcome, text, w->now_ms);
}

/* Runs the search to its end; true when there are credentials. */
static bool search(struct world *w)
{
    struct aws_chain_config config = { .env = { w->vars },
                                       .profile = slice_str(w->profile),
                                       .role = { .role_arn = slice_str(w->role_arn) },
                                       .session_name = slice_str("sluice-host-1"),
                                       .only = w->only,
                                       .quota = AWS_QUOTA_FULL };
    const struct aws_ask *ask;
    w->now_ms = start_ms;
    w->chain = aws_chain_new(&config, w->now_ms, (struct map_seed){ 1, 2 });
    assert_non_null(w->chain);
    while ((ask = aws_chain_step(w->chain))) {
        if (ask->kind == AWS_ASK_HTTP)
            answer_http(w, ask);
        else if (ask->kind == AWS_ASK_READ)
            answer_read(w, ask);
        else
            answer_other(w, ask);
    }
    buf_add_u8(&w->asked, 0);
    assert_true(aws_chain_credentials(w->chain) || aws_chain_error(w->chain)->code != ERR_NONE);
    return aws_chain_credentials(w->chain) != NULL;
}

static void expect_keys(struct world *w, const char *key_id, const char *secret, const char *token)
{
    if (!search(w)) fail_msg("%s", aws_chain_error(w->chain)->message);
    const struct aws_credentials *c = aws_chain_credentials(w->chain);
    assert_true(slice_is(buf_slice(&c->key_id), key_id));
    assert_true(slice_is(secret_bytes(c->secret), secret));
    assert_true(slice_is(secret_bytes(c->token), token));
    for (size_t i = w->exchanged; i < 10; i++)
        if (w->exchanges[i].start) fail_msg("not asked: %s", w->exchanges[i].start);
}

static void expect_error(struct world *w, const char *message)
{
    if (search(w)) fail_msg("expected \"%s\", got credentials", message);
    if (!strstr(aws_chain_error(w->chain)->message, message))
        fail_msg("expected \"%s\", got \"%s\"", message, aws_chain_error(w->chain)->message);
}

static bool reported(const struct world *w, const char *text)
{
    struct slice report = aws_chain_report(w->chain);
    char *copy = strndup(report.at ? report.at : "", report.len);
    bool found = strstr(copy, text) != NULL;
    free(copy);
    return found;
}

static void world_end(struct world *w)
{
    aws_chain_free(w->chain);
    buf_fini(&w->asked);
}

#define ASSUMED(key, secret, token, until)                                                         \
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"   \
    "<Credentials><AccessKeyId>" key "</AccessKeyId><SecretAccessKey>" secret                      \
    "</SecretAccessKey><SessionToken>" token "</SessionToken><Expiration>" until                   \
    "</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/A/s"  \
    "</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
#define LATER "2026-11-21T03:02:41Z"
#define JSON_KEYS                                                                                  \
    "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\",\"Token\":\"TK\",\"Expiration\":\"" LATER  \
    "\",\"Code\":\"Success\"}"
#define FAILURE(code) "<ErrorResponse><Error><Code>" code "</Code></Error></ErrorResponse>"

/* ---- environment and files ---------------------------------------------------------------------
 */

static void environment_comes_first(void **state)
{
    (void)state;
    struct world w = { .vars = { "HOME=/h", "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=SK",
                                 "AWS_SESSION_TOKEN=T1", "AWS_SECURITY_TOKEN=T2",
                                 "AWS_DEFAULT_REGION=eu-west-1" },
                       .files = { { "/h/.aws/credentials",
                                    "[default]\naws_access_key_id=F\naws_secret_access_key=F" } } };
    expect_keys(&w, "AK", "SK", "T1");
    assert_string_equal(aws_chain_region(w.chain), "eu-west-1");
    assert_string_equal(aws_chain_credentials(w.chain)->source, "environment variables");
    assert_true(aws_chain_credentials(w.chain)->expires_ms == 0);
    world_end(&w);

    /* Unless our own configuration names a profile. */
    w = (struct world){ .vars = { "HOME=/h", "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=SK" },
                        .profile = "p",
                        .files = { { "/h/.aws/credentials",
                                     "[p]\naws_access_key_id=F\naws_secret_access_key=G\n"
                                     "aws_session_token=H" } } };
    expect_keys(&w, "F", "G", "H");
    assert_true(reported(&w, "environment: not looked at"));
    world_end(&w);

    w = (struct world){ .vars = { "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=" } };
    expect_error(&w, "AWS_SECRET_ACCESS_KEY is not");
    world_end(&w);
    w = (struct world){ .vars = { "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=S",
                                  "AWS_CREDENTIAL_EXPIRATION=2026-11-21T02:00:00Z" } };
    expect_error(&w, "expired at 2026-11-21T02:00:00Z");
    world_end(&w);
}

static void missing_profile_names_the_others(void **state)
{
    (void)state;
    struct world w = { .vars = { "HOME=/h", "AWS_PROFILE=nope", "AWS_ACCESS_KEY_ID=AK",
                                 "AWS_SECRET_ACCESS_KEY=SK" },
                       .files = {
                           { "/h/.aws/config", "[profile a]\n[profile b]\n[profile a]\n" } } };
    expect_error(&w, "profile \"nope\" is not there");
    assert_string_equal(aws_chain_error(w.chain)->hint, "profiles that are: a, b");
    world_end(&w);
}

static void files_that_cannot_be_read(void **state)
{
    (void)state;
    struct world w = { .vars = { "HOME=/h", "AWS_EC2_METADATA_DISABLED=TRUE" },
                       .files = { { "/h/.aws/config", "", AWS_FORBIDDEN } } };
    expect_error(&w, "no AWS credentials found");
    assert_true(reported(&w, "files: /h/.aws/config: permission denied"));
    assert_true(reported(&w, "EC2 metadata: AWS_EC2_METADATA_DISABLED is set"));
    assert_true(reported(&w, "container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"));
    world_end(&w);
    w = (struct world){ .vars = { "AWS_CONFIG_FILE=/etc/c" },
                        .files = { { "/etc/c", "", AWS_FORBIDDEN } } };
    expect_error(&w, "/etc/c: permission denied");
    world_end(&w);
    w = (struct world){ .vars = { "AWS_CONFIG_FILE=/etc/c" }, .files = { { "/etc/c", "a: b" } } };
    expect_error(&w, "AWS config file, line 1");
    world_end(&w);
}

/* ---- roles -------------------------------------------------------------------------------------
 */

static void roles_are_assumed_from_the_inside_out(void **state)
{
    (void)state;
    struct world
        w = { .vars = { "AWS_CONFIG_FILE=/c", "AWS_PROFILE=a",
                        "AWS_ENDPOINT_URL_STS=http://127.0.0.1:1" },
              .files = { { "/c",
                           "[profile a]\nregion=eu-west-1\nrole_arn=arn:aws:iam::1:role/A\n"
                           "source_profile=b\nexternal_id=x 1\nduration_seconds=1800\n"
                           "[profile b]\nrole_arn=arn:aws:iam::1:role/B\nsource_profile=c\n"
                           "role_session_name=me\n"
                           "[profile c]\naws_access_key_id=CK\naws_secret_access_key=CS\n" } },
              .exchanges = {
                  { "POST http://127.0.0.1:1/ ",
                    "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole"
                    "%2FB&RoleSessionName=me",
                    200, ASSUMED("BK", "BS", "BT", LATER), NULL },
                  { "POST http://127.0.0.1:1/ ",
                    "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2FA&RoleSessionName=sluice-host-1"
                    "&DurationSeconds=1800&ExternalId=x%201",
                    200, ASSUMED("AK", "AS", "AT", LATER), NULL } } };
    expect_keys(&w, "AK", "AS", "AT");
    assert_non_null(strstr(w.asked.at, "Credential=CK/20261121/eu-west-1/sts/aws4_request"));
    assert_non_null(strstr(w.asked.at, "Credential=BK/20261121/eu-west-1/sts/aws4_request"));
    assert_non_null(strstr(w.asked.at, "Host: 127.0.0.1:1 "));
    const struct aws_credentials *c = aws_chain_credentials(w.chain);
    assert_true(c->expires_ms == start_ms + 3600000);
    assert_string_equal(c->account, "123456789012");
    assert_string_equal(c->source, "role arn:aws:iam::1:role/A via role arn:aws:iam::1:role/B via "
                                   "keys of profile c (config file)");
    world_end(&w);
}

static void a_role_on_top(void **state)
{
    (void)state;
    struct world w = { .vars = { "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=SK",
                                 "AWS_REGION=us-east-1",
                                 "AWS_ASSUME_ROLE_ARN=arn:aws:iam::210987654321:role/carto" },
                       .exchanges = { { "POST https://sts.us-east-1.amazonaws.com/ ",
                                        "210987654321%3Arole%2Fcarto", 200,
                                        ASSUMED("RK", "RS", "RT", LATER), NULL } } };
    expect_keys(&w, "RK", "RS", "RT");
    world_end(&w);
    w.role_arn = "arn:aws:iam::210987654321:role/ours"; /* our configuration goes first */
    w.exchanged = 0;
    w.exchanges[0].has = "210987654321%3Arole%2Fours";
    expect_keys(&w, "RK", "RS", "RT");
    world_end(&w);
    w.exchanged = 0;
    w.vars[2] = "X=1"; /* no region */
    expect_error(&w, "no AWS region for sts");
    assert_non_null(strstr(aws_chain_error(w.chain)->hint, "AWS_REGION"));
    world_end(&w);
}

static void broken_roles_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        int status;
        const char *body, *error;
    } cases[] = {
        { "role_arn=arn:aws:iam::1:role/A\nsource_profile=default\n", 0, "", "leads back" },
        { "role_arn=arn:aws:iam::1:role/A\ncredential_source=Environment\n", 0, "",
          "credential_source Environment has no credentials" },
        { "role_arn=arn:aws:iam::1:role/A\ncredential_source=environment\n", 0, "", "not one of" },
        { "role_arn=arn:aws:iam::1:role/A\nmfa_serial=m\nsource_profile=default\n"
          "aws_access_key_id=K\naws_secret_access_key=S\n",
          0, "", "MFA" },
        { "role_arn=arn:aws:iam::1:role/A\nsource_profile=default\naws_access_key_id=K\n"
          "aws_secret_access_key=S\n",
          403, FAILURE("AccessDenied"), "sts AssumeRole arn:aws:iam::1:role/A: AccessDenied" },
        { "role_arn=arn:aws:iam::1:role/A\nsource_profile=default\naws_access_key_id=K\n"
          "aws_secret_access_key=S\n",
          200, "<html>", "no credentials" },
        { "role_arn=arn:aws:iam::1:role/A\nsource_profile=default\naws_access_key_id=K\n"
          "aws_secret_access_key=S\n",
          200, ASSUMED("A", "B", "C", "2026-11-21T02:00:00Z"), "expired" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[512];
        snprintf(config, sizeof config, "[default]\nregion=us-east-1\n%s", cases[i].config);
        struct world w = { .vars = { "AWS_CONFIG_FILE=/c" }, .files = { { "/c", config } } };
        if (cases[i].status)
            w.exchanges[0] = (struct world_exchange){ "POST https://sts.", NULL, cases[i].status,
                                                      cases[i].body, NULL };
        expect_error(&w, cases[i].error);
        world_end(&w);
    }
}

static void web_identity_is_not_signed(void **state)
{
    (void)state;
    static const char body[] =
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
        "<AccessKeyId>W</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T"
        "</SessionToken><Expiration>" LATER "</Expiration></Credentials>"
        "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    struct world w = { .vars = { "AWS_ROLE_ARN=arn:aws:iam::1:role/W", "AWS_REGION=us-east-1",
                                 "AWS_WEB_IDENTITY_TOKEN_FILE=/token" },
                       .files = { { "/token", "e.y.J\n" } },
                       .exchanges = { { "POST https://sts.us-east-1.amazonaws.com/ ",
                                        "Action=AssumeRoleWithWebIdentity&", 200, body, NULL } } };
    expect_keys(&w, "W", "S", "T");
    assert_null(strstr(w.asked.at, "Authorization"));
    assert_non_null(strstr(w.asked.at, "&WebIdentityToken=e.y.J\n"));
    world_end(&w);
    w = (struct world){ .vars = { "AWS_WEB_IDENTITY_TOKEN_FILE=/token", "AWS_REGION=us-east-1",
                                  "AWS_ROLE_ARN=arn:aws:iam::1:role/W" } };
    expect_error(&w, "/token is not there");
    world_end(&w);
    w = (struct world){ .vars = { "AWS_WEB_IDENTITY_TOKEN_FILE=/token" } };
    expect_error(&w, "AWS_ROLE_ARN is missing");
    world_end(&w);
}

/* ---- retries and clocks ------------------------------------------------------------------------
 */

static struct world role_world(void)
{
    return (struct world){ .vars = { "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=SK",
                                     "AWS_REGION=us-east-1",
                                     "AWS_ASSUME_ROLE_ARN=arn:aws:iam::1:role/R" } };
}

static void throttles_are_waited_out(void **state)
{
    (void)state;
    struct world w = role_world();
    w.exchanges[0] = (struct world_exchange){ "POST", NULL, 400, FAILURE("Throttling"), NULL };
    w.exchanges[1] = (struct world_exchange){ "POST", NULL, 503, "", NULL };
    w.exchanges[2] =
        (struct world_exchange){ "POST", NULL, 200, ASSUMED("R", "S", "T", LATER), NULL };
    expect_keys(&w, "R", "S", "T");
    assert_non_null(strstr(w.asked.at, "WAIT "));
    assert_int_equal(aws_chain_quota(w.chain), AWS_QUOTA_FULL - 5);
    world_end(&w);

    w = role_world();
    for (int i = 0; i < 3; i++)
        w.exchanges[i] = (struct world_exchange){ "POST", NULL, 0, "", NULL };
    expect_error(&w, "no answer in time");
    assert_int_equal(w.exchanged, 3);
    assert_non_null(strstr(aws_chain_error(w.chain)->hint, "VPC endpoint"));
    assert_int_equal(aws_chain_quota(w.chain), AWS_QUOTA_FULL - 28);
    world_end(&w);
}

static void backoff_is_bounded_and_jittered(void **state)
{
    (void)state;
    int32_t quota = AWS_QUOTA_FULL;
    struct aws_error throttled = { .fault = AWS_FAULT_THROTTLED };
    struct aws_response none = { 0 };
    uint32_t delay;
    for (uint32_t n = 1; n < 40; n++) {
        struct aws_retry r = { &quota, n, 100, 0 };
        assert_true(aws_retry_again(&r, &throttled, &none, UINT32_MAX, &delay));
        assert_true(delay <= 20000 && delay >= (n < 5 ? (1000u << (n - 1)) - 1 : 15999));
        assert_true(aws_retry_again(&r, &throttled, &none, 0, &delay));
        assert_int_equal(delay, 0);
    }
    struct sigv4_header wish[] = { { slice_str("X-Amz-Retry-After"), slice_str("3000") } };
    struct aws_response r = { AWS_HTTP_OK, 503, wish, 1, { 0 } };
    struct aws_retry retry = { &quota, 1, 3, 0 };
    assert_true(aws_retry_again(&retry, &throttled, &r, 0, &delay));
    assert_int_equal(delay, 3000);
    quota = 4;
    assert_false(aws_retry_again(&retry, &throttled, &r, 0, &delay)); /* the quota is spent */
    quota = AWS_QUOTA_FULL;
    retry.attempts = 3;
    assert_false(aws_retry_again(&retry, &throttled, &r, 0, &delay));
    struct aws_error denied = { .fault = AWS_FAULT_DENIED };
    retry.attempts = 1;
    assert_false(aws_retry_again(&retry, &denied, &r, 0, &delay));
}

static void a_clock_that_is_an_hour_off_is_corrected_once(void **state)
{
    (void)state;
    struct world w = role_world();
    w.exchanges[0] = (struct world_exchange){ "POST", "X-Amz-Date: 20261121T020241Z", 403,
                                              FAILURE("SignatureDoesNotMatch"),
                                              "Sat, 21 Nov 2026 03:02:41 GMT" };
    w.exchanges[1] = (struct world_exchange){ "POST", "X-Amz-Date: 20261121T030241Z", 200,
                                              ASSUMED("R", "S", "T", "2026-11-21T04:02:41Z"),
                                              "Sat, 21 Nov 2026 03:02:41 GMT" };
    expect_keys(&w, "R", "S", "T");
    assert_true(aws_chain_skew_ms(w.chain) > 3590000 && aws_chain_skew_ms(w.chain) <= 3600000);
    world_end(&w);
    w = role_world(); /* a wrong key, not a wrong clock */
    w.exchanges[0] = (struct world_exchange){ "POST", NULL, 403, FAILURE("SignatureDoesNotMatch"),
                                              "Sat, 21 Nov 2026 02:02:40 GMT" };
    expect_error(&w, "SignatureDoesNotMatch");
    world_end(&w);
}

/* ---- SSO ---------------------------------------------------------------------------------------
 */

#define SSO_CONFIG                                                                                 \
    "[profile dev]\nsso_session=corp\nsso_account_id=123456789012\nsso_role_name=R D\n"            \
    "[sso-session corp]\nsso_region=eu-central-1\nsso_start_url=https://corp.awsapps.com/start\n"
#define SSO_CACHE "/h/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json"
#define SSO_FILE(until)                                                                            \
    "{\"startUrl\":\"https://corp.awsapps.com/"                                                    \
    "start\",\"region\":\"eu-central-1\",\"accessToken\":"                                         \
    "\"OLD\",\"expiresAt\":\"" until "\",\"clientId\":\"CI\",\"clientSecret\":\"CS\","             \
    "\"registrationExpiresAt\":\"2027-01-01T00:00:00Z\",\"refreshToken\":\"RT\"}"
#define SSO_ROLE                                                                                   \
    "{\"roleCredentials\":{\"accessKeyId\":\"SK\",\"secretAccessKey\":\"SS\",\"sessionToken\":"    \
    "\"ST\",\"expiration\":1795230161000}}"
#define SSO_GET                                                                                    \
    "GET https://portal.sso.eu-central-1.amazonaws.com/federation/credentials?"                    \
    "role_name=R%20D&account_id=123456789012"

static struct world sso_world(const char *file)
{
    return (struct world){ .vars = { "HOME=/h", "AWS_PROFILE=dev" },
                           .files = { { "/h/.aws/config", SSO_CONFIG }, { SSO_CACHE, file } } };
}

static void sso_session_gives_the_roles_keys(void **state)
{
    (void)state;
    struct world w = sso_world(SSO_FILE("2026-11-21T09:00:00Z"));
    w.exchanges[0] =
        (struct world_exchange){ SSO_GET, "x-amz-sso_bearer_token: OLD", 200, SSO_ROLE, NULL };
    expect_keys(&w, "SK", "SS", "ST");
    assert_true(aws_chain_credentials(w.chain)->expires_ms == 1795230161000);
    assert_null(strstr(w.asked.at, "Authorization"));
    world_end(&w);
}

static void sso_session_is_refreshed(void **state)
{
    (void)state;
    struct world w = sso_world(SSO_FILE("2026-11-21T02:10:00Z")); /* eight minutes left */
    w.exchanges[0] = (struct world_exchange){
        "POST https://oidc.eu-central-1.amazonaws.com/token", "\"grantType\": \"refresh_token\"",
        200, "{\"accessToken\":\"NEW\",\"expiresIn\":28800,\"refreshToken\":\"RT2\"}", NULL
    };
    w.exchanges[1] =
        (struct world_exchange){ SSO_GET, "x-amz-sso_bearer_token: NEW", 200, SSO_ROLE, NULL };
    expect_keys(&w, "SK", "SS", "ST");
    const char *write = strstr(w.asked.at, "WRITE " SSO_CACHE);
    assert_non_null(write);
    assert_non_null(strstr(write, "\"accessToken\": \"NEW\""));
    assert_non_null(strstr(write, "\"expiresAt\": \"2026-11-21T10:02:41Z\""));
    assert_non_null(strstr(write, "\"refreshToken\": \"RT2\""));
    assert_non_null(strstr(write, "\"clientSecret\": \"CS\""));
    world_end(&w);

    /* A refresh that fails does no harm while the old token lives. */
    w = sso_world(SSO_FILE("2026-11-21T02:10:00Z"));
    w.exchanges[0] = (struct world_exchange){ "POST https://oidc.", NULL, 400,
                                              "{\"error\":\"invalid_grant\"}", NULL };
    w.exchanges[1] =
        (struct world_exchange){ SSO_GET, "x-amz-sso_bearer_token: OLD", 200, SSO_ROLE, NULL };
    expect_keys(&w, "SK", "SS", "ST");
    world_end(&w);
}

static void sso_session_that_is_over_says_what_to_run(void **state)
{
    (void)state;
    struct world w = sso_world(SSO_FILE("2026-11-21T01:00:00Z"));
    w.exchanges[0] = (struct world_exchange){ "POST https://oidc.", NULL, 400,
                                              "{\"error\":\"invalid_grant\"}", NULL };
    expect_error(&w, "the SSO session has expired");
    assert_string_equal(aws_chain_error(w.chain)->hint, "run: aws sso login --profile dev");
    world_end(&w);

    w = sso_world(SSO_FILE("2026-11-21T09:00:00Z"));
    w.exchanges[0] = (struct world_exchange){ SSO_GET, NULL, 401,
                                              "{\"message\":\"Session token not found\"}", NULL };
    expect_error(&w, "no longer accepts");
    assert_string_equal(aws_chain_error(w.chain)->hint, "run: aws sso login --profile dev");
    world_end(&w);

    w = sso_world(NULL);
    w.files[1].outcome = AWS_NOT_THERE;
    expect_error(&w, "there is no SSO session");
    world_end(&w);
    w = sso_world("{");
    expect_error(&w, "unreadable");
    world_end(&w);

    /* The old kind, bound to a start URL, is never refreshed. */
    w = (struct world){
        .vars = { "HOME=/h" },
        .files = { { "/h/.aws/config", "[default]\nsso_account_id=1\nsso_role_name=R\n"
                                       "sso_region=us-east-1\nsso_start_url=corp\n" },
                   { SSO_CACHE, SSO_FILE("2026-11-21T02:02:00UTC") } },
    };
    expect_error(&w, "the SSO session has expired");
    world_end(&w);
}

/* ---- a process ---------------------------------------------------------------------------------
 */

static void process_prints_keys(void **state)
{
    (void)state;
    struct world w = {
        .vars = { "AWS_CONFIG_FILE=/c" },
        .files = { { "program",
                     "{\"Version\":1,\"AccessKeyId\":\"PK\",\"SecretAccessKey\":\"PS\"}" },
                   { "/c",
                     "[default]\ncredential_process = /bin/x \"a b\" c\\ d 'e\\f' g\"h\"\n" } }
    };
    expect_keys(&w, "PK", "PS", "");
    assert_non_null(strstr(w.asked.at, "RUN [/bin/x] [a b] [c d] [e\\f] [gh]\n"));
    world_end(&w);
    static const struct {
        const char *output;
        enum aws_outcome outcome;
        const char *error;
    } cases[] = {
        { "", AWS_DONE_BADLY, "failed" },
        { "", AWS_NOT_THERE, "not there" },
        { "hello", AWS_DONE_WELL, "did not print JSON" },
        { "{\"Version\":2}", AWS_DONE_WELL, "another Version" },
        { "{\"Version\":1,\"AccessKeyId\":\"K\"}", AWS_DONE_WELL, "no usable" },
        { "{\"Version\":1,\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Expiration\":\"soon\"}",
          AWS_DONE_WELL, "no usable" },
        { "{\"Version\":1,\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"S\",\"Expiration\":"
          "\"2026-11-21T02:00:00Z\"}",
          AWS_DONE_WELL, "expired" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world bad = { .vars = { "AWS_CONFIG_FILE=/c" },
                             .files = { { "program", cases[i].output, cases[i].outcome },
                                        { "/c", "[default]\ncredential_process = x\n" } } };
        expect_error(&bad, cases[i].error);
        world_end(&bad);
    }
    w = (struct world){ .vars = { "AWS_CONFIG_FILE=/c" },
                        .files = { { "/c", "[default]\ncredential_process = x \"y\n" } } };
    expect_error(&w, "open quote");
    world_end(&w);
}

/* ---- containers and EC2 ------------------------------------------------------------------------
 */

static void container_gives_keys(void **state)
{
    (void)state;
    struct world w = { .vars = { "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/c",
                                 "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/t",
                                 "AWS_CONTAINER_AUTHORIZATION_TOKEN=loses" },
                       .files = { { "/t", "from file\n" } },
                       .exchanges = { { "GET http://169.254.170.23/v1/c", NULL, 500, "", NULL },
                                      { "GET http://169.254.170.23/v1/c",
                                        "Authorization: from file | direct", 200, JSON_KEYS,
                                        NULL } } };
    expect_keys(&w, "AK", "SK", "TK");
    assert_non_null(strstr(w.asked.at, "WAIT 1000\n"));
    world_end(&w);
    /* Configured and broken: EC2 metadata is not asked instead. */
    w = (struct world){ .vars = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c" },
                        .exchanges = { { "GET http://169.254.170.2/c", NULL, 404, "", NULL } } };
    expect_error(&w, "container credentials: HTTP 404");
    world_end(&w);
    w = (struct world){ .vars = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c",
                                  "AWS_CONTAINER_AUTHORIZATION_TOKEN=a\r\nX: y" } };
    expect_error(&w, "line break");
    world_end(&w);
    static const char *const evil[] = { "http://evil/",           "http://127.0.0.1.evil/",
                                        "http://128.0.0.1/",      "http://127.0.0/",
                                        "http://localhost.evil/", "http://169.254.169.254/",
                                        "ftp://localhost/" };
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        char var[128];
        snprintf(var, sizeof var, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s", evil[i]);
        w = (struct world){ .vars = { var } };
        expect_error(&w, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
        world_end(&w);
    }
}

#define IMDS "http://169.254.169.254/latest/"

static void metadata_is_version_two_or_nothing(void **state)
{
    (void)state;
    struct world w = {
        .exchanges = { { "PUT " IMDS "api/token", "x-aws-ec2-metadata-token-ttl-seconds: 21600",
                         200, "TOKEN", NULL },
                       { "GET " IMDS "meta-data/iam/security-credentials/ ",
                         "x-aws-ec2-metadata-token: TOKEN", 200, "my-role\n", NULL },
                       { "GET " IMDS "meta-data/iam/security-credentials/my-role", "direct", 200,
                         JSON_KEYS, NULL },
                       { "GET " IMDS "meta-data/placement/region", NULL, 200, "eu-west-3", NULL } }
    };
    expect_keys(&w, "AK", "SK", "TK");
    assert_string_equal(aws_chain_region(w.chain), "eu-west-3");
    assert_string_equal(aws_chain_credentials(w.chain)->source, "EC2 instance role my-role");
    world_end(&w);

    static const struct {
        int status;
        const char *says;
    } refusals[] = { { 0, "http-put-response-hop-limit to 2" },
                     { 404, "version 1 is never used" },
                     { 403, "version 1 is never used" },
                     { 500, "no metadata service" } };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        w = (struct world){ .exchanges = {
                                { "PUT " IMDS "api/token", NULL, refusals[i].status, "", NULL } } };
        expect_error(&w, "no AWS credentials found");
        assert_true(reported(&w, refusals[i].says));
        world_end(&w);
    }
    w = (struct world){ .exchanges = { { "PUT", NULL, 200, "T", NULL },
                                       { "GET", NULL, 404, "", NULL } } };
    expect_error(&w, "no AWS credentials found");
    assert_true(reported(&w, "no IAM role"));
    world_end(&w);
    w = (struct world){ .exchanges = { { "PUT", NULL, 200, "T", NULL },
                                       { "GET", NULL, 200, "r", NULL },
                                       { "GET", NULL, 200,
                                         "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}", NULL } } };
    expect_error(&w, "no AWS credentials found");
    assert_true(reported(&w, "AssumeRoleUnauthorizedAccess"));
    world_end(&w);
}

static void stale_metadata_keys_go_on_working(void **state)
{
    (void)state;
    struct world w = { .vars = { "AWS_REGION=us-east-1" },
                       .exchanges = {
                           { "PUT", NULL, 200, "T", NULL },
                           { "GET", NULL, 200, "r", NULL },
                           { "GET", NULL, 200,
                             "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":"
                             "\"T\",\"Expiration\":\"2026-11-21T01:00:00Z\"}",
                             NULL } } };
    expect_keys(&w, "A", "S", "T");
    int64_t life = aws_chain_credentials(w.chain)->expires_ms - start_ms;
    assert_true(life > 16 * 60000 && life < 27 * 60000);
    world_end(&w);
}

/* Every place reports why it has nothing, and nobody is asked who need not be. */
static void one_place_alone(void **state)
{
    (void)state;
    struct world w = { .vars = { "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=SK" }, .only = 6 };
    assert_string_equal(aws_chain_place(5), "container");
    assert_null(aws_chain_place(7));
    expect_error(&w, "no AWS credentials found");
    assert_int_equal(w.exchanged, 0);
    world_end(&w);
}

static void refresh_windows_scale_with_life(void **state)
{
    (void)state;
    struct aws_credentials c = { .issued_ms = 0, .expires_ms = 3600000 };
    for (uint32_t r = 0; r < 1000; r++) {
        int64_t at = aws_credentials_advisory_ms(&c, r * 4294967);
        assert_true(at >= 3600000 - 16 * 60000 && at <= 3600000 - 14 * 60000);
    }
    assert_true(aws_credentials_mandatory_ms(&c) == 3600000 - 450000); /* an eighth of an hour */
    c.expires_ms = 12 * 3600000;
    assert_true(aws_credentials_mandatory_ms(&c) == c.expires_ms - 600000);
    c.expires_ms = 900000;
    assert_true(aws_credentials_advisory_ms(&c, 0) <= 900000 - 225000);
    c.expires_ms = 0;
    assert_true(aws_credentials_advisory_ms(&c, 0) == INT64_MAX);
    assert_true(aws_credentials_mandatory_ms(&c) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_comes_first),
        cmocka_unit_test(missing_profile_names_the_others),
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(roles_are_assumed_from_the_inside_out),
        cmocka_unit_test(a_role_on_top),
        cmocka_unit_test(broken_roles_say_why),
        cmocka_unit_test(web_identity_is_not_signed),
        cmocka_unit_test(throttles_are_waited_out),
        cmocka_unit_test(backoff_is_bounded_and_jittered),
        cmocka_unit_test(a_clock_that_is_an_hour_off_is_corrected_once),
        cmocka_unit_test(sso_session_gives_the_roles_keys),
        cmocka_unit_test(sso_session_is_refreshed),
        cmocka_unit_test(sso_session_that_is_over_says_what_to_run),
        cmocka_unit_test(process_prints_keys),
        cmocka_unit_test(container_gives_keys),
        cmocka_unit_test(metadata_is_version_two_or_nothing),
        cmocka_unit_test(stale_metadata_keys_go_on_working),
        cmocka_unit_test(one_place_alone),
        cmocka_unit_test(refresh_windows_scale_with_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
