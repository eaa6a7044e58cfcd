/* Logins by IAM token, from the outside: presigned URLs of STS (T1), web identity tokens (T2), and
 * every attack on the like of them that we know of, by the names that others have given them. STS
 * and the issuer are tests/aws/sts.py, which checks signatures by itself. */
#include "integration/iam_world.h"

/* ---- logging in -------------------------------------------------------------------------------
 */

static PGconn *come(struct world *w, const char *user, const char *password)
{
    char port[16];
    snprintf(port, sizeof port, "%d", w->proxy.port);
    const char *const keys[] = { "host",    "port",     "user",       "dbname",
                                 "sslmode", "password", "gssencmode", NULL };
    const char *const values[] = { "127.0.0.1", port,     user,      "postgres",
                                   "require",   password, "disable", NULL };
    return PQconnectdbParams(keys, values, 0);
}

static void opens(struct world *w, const char *user, const char *password, const char *db_user)
{
    PGconn *c = come(w, user, password);
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s: %s", user, PQerrorMessage(c));
    assert_string_equal(before_says(c, "select current_user"), db_user);
    PQfinish(c);
}

/* Each time from another address: who fails often is answered late. */
static const char *source(void)
{
    static char text[32];
    static int n;
    n++;
    snprintf(text, sizeof text, "127.0.%d.%d", 1 + n / 200, 2 + n % 200);
    return text;
}

/* `user` NULL: a user whom nobody knows, which must not matter before the token is judged. */
static int strangers;

static void refused(struct world *w, const char *user, const char *password, const char *said,
                    const char *logged)
{
    char name[40];
    int before = logged ? before_log_count(w->kit, &w->proxy, logged) : 0;
    snprintf(name, sizeof name, "%s%d", user ? user : "stranger", user ? 0 : strangers++);
    struct raw *r = raw_open(w->proxy.port, source());
    raw_request(r, RAW_SSL_REQUEST);
    assert_int_equal(raw_byte(r), 'S');
    assert_true(raw_secure(r, NULL, NULL));
    raw_startup(r, RAW_PROTOCOL_3_0,
                (const char *[]){ "user", user ? user : name, "database", "postgres", NULL });
    assert_int_equal(raw_next(r), 'R');
    assert_int_equal(r->body[3], 3);
    raw_say(r, 'p', password, strlen(password) + 1);
    if (raw_next(r) != 'E') fail_msg("%s: let in", name);
    if (!strstr(raw_field(r, 'M'), said) && !strstr(raw_field(r, 'H'), said))
        fail_msg("wanted \"%s\": %s (%s)", said, raw_field(r, 'M'), raw_field(r, 'H'));
    raw_close(r);
    if (logged && !before_log_counts(w->kit, &w->proxy, logged, before + 1))
        fail_msg("not in the log: %s", logged);
}

struct minting {
    const char *key_id, *secret, *server_id, *region;
    int age_s;
};

/* To be freed. */
static char *mint(struct minting m)
{
    struct aws_credentials c;
    struct buf out = { 0 };
    struct err err;
    aws_credentials_init(&c);
    aws_credentials_set(&c, slice_str(m.key_id ? m.key_id : "ASIALOADERLOADERLOAD"),
                        slice_str(m.secret ? m.secret : "loader-secret"),
                        slice_str("session+token=="));
    struct iam_token_order order = { slice_str(m.server_id ? m.server_id : SERVER_ID),
                                     slice_str(m.region ? m.region : "us-east-1"),
                                     .now_ms = (time(NULL) - m.age_s) * 1000LL };
    if (!iam_token_mint(&order, &c, &out, &err)) fail_msg("%s", err.message);
    buf_add_u8(&out, 0);
    aws_credentials_fini(&c);
    return out.at;
}

/* One that is equal to no other: each is another session of the same role, with keys of its own. */
static char *fresh(struct minting m)
{
    static unsigned serial;
    char key_id[32];
    snprintf(key_id, sizeof key_id, "ASIALOADER%010u", serial++);
    if (!m.key_id) m.key_id = key_id;
    return mint(m);
}

static char *with_url(const char *url)
{
    struct buf out = { 0 };
    buf_add_str(&out, "sluice-sts-v1.");
    base64url_encode(&out, slice_str(url));
    buf_add_u8(&out, 0);
    return out.at;
}

/* A fresh token whose URL has `with` in the place of `what`. */
static char *tampered(const char *what, const char *with)
{
    struct buf url = { 0 }, evil = { 0 };
    char *token = fresh((struct minting){ 0 });
    assert_true(base64url_decode(&url, slice_after(slice_str(token), 14)));
    buf_add_u8(&url, 0);
    char *at = strstr(url.at, what);
    if (!at) fail_msg("no %s in %s", what, url.at);
    buf_addf(&evil, "%.*s%s%s", (int)(at - url.at), url.at, with, at + strlen(what));
    buf_add_u8(&evil, 0);
    free(token);
    token = with_url(evil.at);
    buf_fini(&url);
    buf_fini(&evil);
    return token;
}

struct tampering {
    const char *what, *with, *logged;
};

/* Refused, all in the same words, and STS never hears of them. */
static void refused_unasked(struct world *w, const struct tampering *list, size_t count)
{
    int before = requests(w, "/");
    for (size_t i = 0; i < count; i++) {
        char *token = tampered(list[i].what, list[i].with);
        refused(w, NULL, token, "authentication failed for user", list[i].logged);
        free(token);
    }
    assert_int_equal(requests(w, "/"), before);
}

#define REFUSED_UNASKED(w, list) refused_unasked(w, list, sizeof list / sizeof *list)

struct jwt {
    const char *issuer, *sub, *aud, *kid, *alg, *function;
    EVP_PKEY *key;
    int age_s, life_s;
    bool rsa;
};

static char *jwt(struct world *w, struct jwt j)
{
    static int serial;
    struct buf out = { 0 }, text = { 0 };
    long long now = time(NULL) - j.age_s;
    buf_addf(&text, "{\"alg\":\"%s\",\"kid\":\"%s\"}",
             j.alg   ? j.alg
             : j.rsa ? "RS256"
                     : "ES384",
             j.kid   ? j.kid
             : j.rsa ? "r"
                     : "e");
    base64url_encode(&out, buf_slice(&text));
    buf_truncate(&text, 0);
    buf_addf(
        &text,
        "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"%s\",\"iat\":%lld,\"exp\":%lld,\"jti\":\"%d\","
        "\"https://sts.amazonaws.com/\":{\"aws_account\":\"" ACCOUNT "\"%s%s%s}}",
        j.issuer ? j.issuer : ISSUER, j.sub ? j.sub : "arn:aws:iam::" ACCOUNT ":role/loader",
        j.aud ? j.aud : SERVER_ID, now, now + (j.life_s ? j.life_s : 300), serial++,
        j.function ? ",\"lambda_source_function_arn\":\"" : "", j.function ? j.function : "",
        j.function ? "\"" : "");
    buf_add_str(&out, ".");
    base64url_encode(&out, buf_slice(&text));
    jws_sign(&out, j.key ? j.key : j.rsa ? w->rsa : w->ec, !j.rsa);
    buf_add_u8(&out, 0);
    buf_fini(&text);
    return out.at;
}

/* ---- what must work ---------------------------------------------------------------------------
 */

static void a_presigned_url_opens_once(void **state)
{
    struct world *w = *state;
    char *token = fresh((struct minting){ 0 });
    opens(w, "loader", token, "postgres");
    opens(w, "loader", token, "postgres"); /* a pool that opens several connections at once */
    assert_true(
        proxy_log_has(w->kit, &w->proxy, "identity=arn:aws:iam::" ACCOUNT ":role/loader", 2000));
    kit_sleep_ms(3200);
    int before = requests(w, "/");
    refused(w, "loader", token, "this IAM token was used before", "used before");
    assert_int_equal(requests(w, "/"), before); /* nor is STS asked again */
    free(token);
}

/* Two proxies that share a Redis; the token that one of them took is no good at the other, the
 * twin's three seconds included; and nobody can say while Redis is away. */
static void a_token_opens_once_in_a_fleet(void **state)
{
    struct world *w = *state;
    struct proxy alone = w->proxy, first = { 0 }, second = { 0 };
    struct redis redis;
    char whole[5000];
    assert_true(redis_start(w->kit, &redis));
    setenv("ROUTES_KEY", "0123456789abcdef0123456789abcdef", 1);
    make_config(w, "\"per_key\": 0, \"per_address\": 0,");
    snprintf(whole, sizeof whole,
             "{ \"routes\": { \"cache\": \"redis://127.0.0.1:%d\", \"signing_key\": "
             "\"env:ROUTES_KEY\" },\n%s",
             redis.port, config + 1);
    assert_true(proxy_start(w->kit, &first, whole));
    assert_true(proxy_start(w->kit, &second, whole));
    /* Until each has its Redis, it lets nobody in. */
    assert_true(proxy_log_has(w->kit, &first, "fleet.met", 15000));
    assert_true(proxy_log_has(w->kit, &second, "fleet.met", 15000));

    char *token = fresh((struct minting){ 0 }), *other = fresh((struct minting){ 0 });
    char *late = fresh((struct minting){ 0 });
    w->proxy = first;
    opens(w, "loader", token, "postgres");
    opens(w, "loader", token, "postgres"); /* its twin */
    w->proxy = second;
    refused(w, "loader", token, "this IAM token was used before", "used before");
    opens(w, "loader", other, "postgres");
    w->proxy = first;
    refused(w, "loader", other, "this IAM token was used before", "used before");

    kit_stop(w->kit, redis.pid, SIGKILL, 5000);
    refused(w, "loader", late, "", "cannot be told whether the token was used before");
    w->proxy = alone;
    opens(w, "loader", late, "postgres"); /* it was good */
    assert_true(proxy_stop(w->kit, &first));
    assert_true(proxy_stop(w->kit, &second));
    free(token);
    free(other);
    free(late);
}

static void a_web_identity_opens_once(void **state)
{
    struct world *w = *state;
    for (int rsa = 0; rsa < 2; rsa++) {
        char *token = jwt(w, (struct jwt){ .rsa = rsa });
        opens(w, "loader", token, "postgres");
        if (rsa) {
            kit_sleep_ms(3200);
            refused(w, "loader", token, "this IAM token was used before", NULL);
        }
        free(token);
    }
    assert_int_equal(requests(w, "/jwks.json"), 1);
}

static void a_database_user_is_made_of_the_role(void **state)
{
    struct world *w = *state;
    char *token =
        fresh((struct minting){ .key_id = "ASIATEAMATEAMATEAMAT", .secret = "team-secret" });
    opens(w, "team", token, "iam_team-a");
    free(token);
    /* A role of which no name can be made that AWS would take. */
    token = jwt(w, (struct jwt){ .sub = "arn:aws:iam::" ACCOUNT ":role/team-=x" });
    refused(w, "team", token, "authentication failed", "client.not_the_user");
    free(token);
}

static void a_function_is_seen_in_web_identities_only(void **state)
{
    struct world *w = *state;
    char *token = jwt(w, (struct jwt){ .function = FUNCTION });
    opens(w, "etl", token, "postgres");
    free(token);
    token =
        jwt(w, (struct jwt){ .function = "arn:aws:lambda:us-east-1:" ACCOUNT ":function:other" });
    refused(w, "etl", token, "authentication failed", "client.not_the_user");
    free(token);
    token = jwt(w, (struct jwt){ 0 });
    refused(w, "etl", token, "authentication failed", "client.not_the_user");
    free(token);
    token = fresh((struct minting){ 0 });
    refused(w, "etl", token, "authentication failed", "client.not_the_user");
    free(token);
    token = jwt(w, (struct jwt){ 0 });
    refused(w, "urls_only", token, "authentication failed", "client.not_the_user");
    free(token);
}

static void a_new_key_is_fetched_once_a_minute(void **state)
{
    struct world *w = *state;
    publish(w, true);
    char *token = jwt(w, (struct jwt){ .kid = "new", .key = w->new_ec });
    int before = requests(w, "/jwks.json");
    opens(w, "loader", token, "postgres");
    free(token);
    assert_int_equal(requests(w, "/jwks.json"), before + 1);
    /* Invented keys do not make us ask again. */
    for (int i = 0; i < 3; i++) {
        token = jwt(w, (struct jwt){ .kid = i ? "invented" : "made-up" });
        refused(w, NULL, token, "authentication failed", "not in the issuer's key set");
        free(token);
    }
    assert_int_equal(requests(w, "/jwks.json"), before + 1);
}

/* A proxy that begins while the issuer is away lets nobody in for it, and says so; it comes back.
 */
static void without_keys_nobody_is_let_in(void **state)
{
    struct world *w = *state;
    struct world late = *w;
    late.proxy = (struct proxy){ 0 };
    sts_file(w, "keys_fault", "500");
    assert_true(proxy_start(w->kit, &late.proxy, config));
    char *token = jwt(w, (struct jwt){ 0 });
    refused(&late, NULL, token, "logins cannot be verified at the moment",
            "cannot be had: HTTP status 500");
    free(token);
    /* The other issuer's are in a file. */
    token = jwt(w, (struct jwt){ .issuer = OTHER, .key = w->other_ec });
    opens(&late, "loader", token, "postgres");
    free(token);
    sts_file(w, "keys_fault", "");
    assert_true(proxy_log_has(w->kit, &late.proxy, "keys.fetched", 10000));
    token = jwt(w, (struct jwt){ 0 });
    opens(&late, "loader", token, "postgres");
    free(token);
    assert_true(proxy_stop(w->kit, &late.proxy));
}

static void known_keys_serve_through_an_outage(void **state)
{
    struct world *w = *state;
    sts_file(w, "keys_fault", "500");
    char *token = jwt(w, (struct jwt){ 0 });
    opens(w, "loader", token, "postgres");
    free(token);
    sts_file(w, "keys_fault", "");
}

/* ---- the attacks, facts/aws.md 5.5 in short -----------------------------------------------------
 */

/* Vault: another action, whose answer reflects words of the attacker that a lenient reader
 * believes. */
static void cve_2020_16250_a_reflected_reply(void **state)
{
    static const struct tampering list[] = {
        { "Action=GetCallerIdentity", "Action=AssumeRoleWithWebIdentity", "not GetCallerIdentity" },
        { "Action=GetCallerIdentity", "Action=GetCallerIdentity&WebIdentityToken=x",
          "does not have" },
        { "Action=GetCallerIdentity", "Action=GetCallerIdentity&Accept=application%2Fjson",
          "does not have" },
        { "Version=2011-06-15", "Version=2010-05-08", "API version" },
        { "host%3Bx-sluice-server-id", "accept%3Bhost%3Bx-sluice-server-id", "not bound" },
    };
    struct world *w = *state;
    REFUSED_UNASKED(w, list);
    set_fault(w, "json");
    char *token = fresh((struct minting){ 0 });
    refused(w, "loader", token, "authentication failed for user \"loader\"", "not with XML");
    free(token);
}

/* Vault's GCP login: claims believed although their signer may not make them. */
static void cve_2020_16251_another_signers_claims(void **state)
{
    struct world *w = *state;
    char *token = jwt(w, (struct jwt){ .issuer = ISSUER, .key = w->other_ec });
    refused(w, "loader", token, "authentication failed", "signature is not its issuer's");
    free(token);
    token = jwt(w, (struct jwt){ .issuer = OTHER });
    refused(w, NULL, token, "authentication failed", "signature is not its issuer's");
    free(token);
    token = jwt(w, (struct jwt){ .issuer = "https://evil.example" });
    refused(w, NULL, token, "authentication failed", "issuer is not configured");
    free(token);
    token = jwt(w, (struct jwt){ .alg = "none" });
    refused(w, NULL, token, "authentication failed", "algorithm is not RS256 or ES384");
    free(token);
    token = jwt(w, (struct jwt){ .alg = "HS256", .kid = "r" });
    refused(w, NULL, token, "authentication failed", "algorithm is not RS256 or ES384");
    free(token);
}

/* aws-iam-authenticator: parameters that differ in case, or stand twice. */
static void cve_2022_2385_parameters_that_differ_in_case(void **state)
{
    static const struct tampering list[] = {
        { "X-Amz-SignedHeaders=", "x-amz-signedheaders=", "does not have" },
        { "&X-Amz-SignedHeaders=", "&X-Amz-SignedHeaders=host&X-Amz-SignedHeaders=", "twice" },
        { "&X-Amz-SignedHeaders=", "&x-amz-signedheaders=host&X-Amz-SignedHeaders=",
          "does not have" },
        { "Action=", "action=GetCallerIdentity&Action=", "does not have" },
        { "&X-Amz-Credential=", "&X-Amz-Credential=AKIAEVIL&X-Amz-Credential=", "twice" },
    };
    REFUSED_UNASKED(*state, list);
}

static void parsers_that_disagree(void **state)
{
    static const struct tampering list[] = {
        { "Action=", "Action=GetCallerIdentity&Action=", "twice" },
        { "Action=", "%41ction=", "does not have" },
        { "Action=GetCallerIdentity", "Action=GetCallerIdentity%00", "malformed" },
        { "Action=GetCallerIdentity", "Action=GetCallerIdentity+", "malformed" },
        { "Action=GetCallerIdentity&", "Action=GetCallerIdentity;", "name=value" },
    };
    REFUSED_UNASKED(*state, list);
}

static void hosts_that_are_not_sts(void **state)
{
    static const char *const hosts[] = {
        "sts.us-east-1.amazonaws.com.evil.example",
        "sts.evil.com",
        "127.0.0.1",
        "169.254.169.254",
        "sts.us-east-1.amazonaws.com@evil.example",
        "sts.us-east-1.amazonaws.com:8443",
        "xn--sts-9ea.us-east-1.amazonaws.com",
        "sts%2eus-east-1.amazonaws.com",
        "sts.eu-west-1.amazonaws.com",
        "STS.us-east-1.amazonaws.com",
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        const struct tampering one = { "sts.us-east-1.amazonaws.com", hosts[i], "no STS endpoint" };
        refused_unasked(w, &one, 1);
    }
}

static void a_redirect_is_not_followed(void **state)
{
    struct world *w = *state;
    set_fault(w, "redirect");
    char *token = fresh((struct minting){ 0 });
    refused(w, "loader", token, "", "client.token_refused");
    free(token);
    assert_int_equal(requests(w, "/redirected"), 0);
}

/* The confused deputy: a token for another server, or for none. */
static void a_token_of_another_server(void **state)
{
    static const struct tampering list[] = {
        { "host%3Bx-sluice-server-id", "host", "not bound" },
        { "host%3Bx-sluice-server-id", "host%3Bx-k8s-aws-id", "not bound" },
    };
    struct world *w = *state;
    REFUSED_UNASKED(w, list);
    char *token = fresh((struct minting){ .server_id = "sluice-elsewhere" });
    refused(w, "loader", token,
            "is it made for another server? run: sluice token --server-id " SERVER_ID,
            "SignatureDoesNotMatch");
    free(token);
    token = jwt(w, (struct jwt){ .aud = "sluice-elsewhere" });
    refused(w, NULL, token, "authentication failed", "for another audience");
    free(token);
}

static void tokens_out_of_their_time(void **state)
{
    static const struct tampering list[] = {
        { "X-Amz-Expires=900", "X-Amz-Expires=604800", "X-Amz-Expires" },
        { "%2Fus-east-1%2F", "%2Feu-west-1%2F", "another region" },
        { "%2Fsts%2F", "%2Fiam%2F", "not for STS" },
    };
    struct world *w = *state;
    REFUSED_UNASKED(w, list);
    /* An hour behind, an hour ahead: the words say so, and what to do. */
    char *token = mint((struct minting){ .age_s = 3600 });
    refused(w, NULL, token, "seconds old, at most 300 are allowed", "s old, 300 allowed");
    refused(w, NULL, token, "sluice token --server-id " SERVER_ID, NULL);
    free(token);
    token = mint((struct minting){ .age_s = -3600 });
    refused(w, NULL, token, "set the client's clock", "in the future");
    free(token);
    token = jwt(w, (struct jwt){ .age_s = 3600 });
    refused(w, NULL, token, "the web identity token expired", "the JWT has expired");
    free(token);
    token = jwt(w, (struct jwt){ .age_s = -3600 });
    refused(w, NULL, token, "authentication failed", "not valid yet");
    free(token);
    token = jwt(w, (struct jwt){ .life_s = 90000 });
    refused(w, NULL, token, "authentication failed", "longer than an hour");
    free(token);
}

static void principals_that_look_alike(void **state)
{
    static const char *const keys[] = { "ASIAELSEWHEREELSEWHE", "ASIATHREEPARTSTHREEP",
                                        "ASIACHINACHINACHINAC", "ASIAROOTROOTROOTROOT" };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *token = fresh((struct minting){ .key_id = keys[i] });
        refused(w, "loader", token, "authentication failed for user \"loader\"", NULL);
        free(token);
    }
    /* The right one, as somebody else; and as nobody. */
    char *token = fresh((struct minting){ 0 });
    refused(w, "team", token, "authentication failed for user \"team\"", "client.not_the_user");
    free(token);
    token = fresh((struct minting){ 0 });
    refused(w, NULL, token, "authentication failed for user", "client.not_the_user");
    free(token);
}

static void odd_answers_of_sts_let_nobody_in(void **state)
{
    static const struct {
        const char *fault, *said;
    } odd[] = {
        { "500", "logins cannot be verified at the moment" },
        { "throttle", "logins cannot be verified at the moment" },
        { "json", "authentication failed" },
        { "doctype", "authentication failed" },
        { "large", "" },
        { "two", "authentication failed" },
        { "account", "authentication failed" },
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        set_fault(w, odd[i].fault);
        char *token = fresh((struct minting){ 0 });
        refused(w, "loader", token, odd[i].said, "client.token_refused");
        free(token);
        set_fault(w, "");
        token = fresh((struct minting){ 0 });
        opens(w, "loader", token, "postgres");
        free(token);
    }
}

static void a_token_is_not_asked_for_without_tls(void **state)
{
    struct world *w = *state;
    char *token = fresh((struct minting){ 0 }), extra[4000];
    snprintf(extra, sizeof extra, "sslmode=disable password=%s", token);
    PGconn *c = connect_to(w->proxy.port, "loader", extra);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    assert_int_equal(PQconnectionUsedPassword(c), 0);
    PQfinish(c);
    opens(w, "loader", token, "postgres"); /* it was not used up either */
    free(token);
}

/* ---- bad input ---------------------------------------------------------------------------------
 */

static void passwords_that_are_no_token_of_ours(void **state)
{
    struct world *w = *state;
    char *big = malloc(40000);
    memset(big, 'A', 40000);
    memcpy(big, "sluice-sts-v1.", 14);
    big[16300] = '\0';
    refused(w, NULL, big, "authentication failed", "no byte that no URL has" + 3);
    free(big);
    refused(w, NULL, "host:5439/?Action=connect&DBUser=u&X-Amz-Signature=00",
            "sluice token --server-id " SERVER_ID, "RDS IAM token");
    refused(w, NULL, "k8s-aws-v1.aGk", "EKS tokens are not accepted here", "EKS token");
    refused(w, NULL, "sluice-sts-v1.", "authentication failed", "client.token_refused");
    refused(w, NULL, "sluice-sts-v1.????", "authentication failed", "not base64url");
    refused(w, NULL, "eyJ.eyJ.eyJ", "authentication failed", "not base64url of JSON");
    refused(w, NULL, "secret", "authentication failed", NULL);
    char *token = fresh((struct minting){ .key_id = "ASIAUNKNOWNUNKNOWNUN" });
    refused(w, NULL, token, "aws sts get-caller-identity", "InvalidClientTokenId");
    free(token);
}

static void a_token_beyond_16_kib_is_told_so(void **state)
{
    struct world *w = *state;
    char *big = malloc(40000);
    memset(big, 'A', 40000);
    memcpy(big, "sluice-sts-v1.", 14);
    big[17000] = '\0';
    refused(w, NULL, big, "longer than 16 KiB", NULL);
    free(big);
    big = malloc(40000);
    memset(big, 'A', 40000);
    memcpy(big, "eyJ.eyJ.", 8);
    big[9000] = '\0';
    refused(w, NULL, big, "the web identity token is longer than 8192 bytes", NULL);
    free(big);
}

/* ---- many at once ------------------------------------------------------------------------------
 */

static bool go_on(PGconn *c, struct pollfd *p)
{
    PostgresPollingStatusType now = PQconnectPoll(c);
    p->fd = PQsocket(c);
    p->events = now == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
    return now != PGRES_POLLING_OK && now != PGRES_POLLING_FAILED;
}

/* Until none is under way, or until `stop_at` questions have come to STS. */
static void drive(struct world *w, PGconn **c, struct pollfd *p, int n, int before, int stop_at)
{
    int left = n;
    for (int i = 0; i < n; i++) left -= p[i].fd < 0;
    for (int turn = 0; left > 0 && turn < 20000; turn++) {
        if (stop_at && turn % 20 == 0 && requests(w, "/") - before >= stop_at) return;
        poll(p, (nfds_t)n, 100);
        for (int i = 0; i < n; i++)
            if (p[i].fd >= 0 && p[i].revents && !go_on(c[i], &p[i])) {
                p[i].fd = -1;
                left--;
            }
    }
}

static PGconn *begin(struct world *w, const char *user, char *token)
{
    char port[16];
    snprintf(port, sizeof port, "%d", w->proxy.port);
    const char *const keys[] = { "host",    "port",     "user",       "dbname",
                                 "sslmode", "password", "gssencmode", NULL };
    const char *const values[] = { "127.0.0.1", port,  user,      "postgres",
                                   "require",   token, "disable", NULL };
    PGconn *c = PQconnectStartParams(keys, values, 0);
    free(token);
    return c;
}

/* Many tokens of one key: STS hears of so many and no more. */
static void a_flood_is_stopped_before_sts(void **state)
{
    enum { FLOOD = 20 };
    struct world *w = *state;
    struct world small = *w;
    PGconn *c[FLOOD];
    struct pollfd p[FLOOD];
    small.proxy = (struct proxy){ 0 };
    make_config(w, "\"per_key\": 2, \"per_address\": 40,");
    assert_true(proxy_start(w->kit, &small.proxy, config));
    int before = requests(w, "/");
    for (int i = 0; i < FLOOD; i++) {
        c[i] = begin(&small, "stranger", mint((struct minting){ .secret = "wrong", .age_s = i }));
        p[i] = (struct pollfd){ PQsocket(c[i]), POLLOUT, 0 };
    }
    drive(w, c, p, FLOOD, before, 0);
    for (int i = 0; i < FLOOD; i++) {
        assert_int_equal(PQstatus(c[i]), CONNECTION_BAD);
        PQfinish(c[i]);
    }
    assert_true(before_log_counts(w->kit, &small.proxy, "than iam.per_key", 1));
    assert_true(requests(w, "/") - before < FLOOD);
    assert_true(proxy_stop(w->kit, &small.proxy));
    make_config(w, "\"per_key\": 0, \"per_address\": 0,");
}

/* A thousand clients (IAM_STORM: so many) whose tokens STS takes its time for: sessions that are
 * open never notice, and all are let in when it answers. */
static void a_storm_of_logins_blocks_nobody(void **state)
{
    struct world *w = *state;
    const char *more = getenv("IAM_STORM");
    int n = more ? atoi(more) : 1000, before = requests(w, "/"), asked = n < 1000 ? n : 1000;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    PGconn **c = calloc((size_t)n, sizeof *c);
    struct pollfd *p = calloc((size_t)n, sizeof *p);
    char key_id[32];
    set_fault(w, "hold");
    for (int i = 0; i < n; i++) {
        snprintf(key_id, sizeof key_id, "ASIASTORM%011d", i);
        c[i] = begin(w, "loader",
                     mint((struct minting){ .key_id = key_id, .secret = "storm-secret" }));
        p[i] = (struct pollfd){ PQsocket(c[i]), POLLOUT, 0 };
    }
    drive(w, c, p, n, before, asked);
    assert_true(requests(w, "/") - before >= asked);
    for (int i = 0; i < 50; i++) assert_string_equal(before_says(w->bystander, "select 42"), "42");
    for (int i = 0; i < n; i++) assert_true(p[i].fd >= 0); /* none of them has come in */
    set_fault(w, "");
    drive(w, c, p, n, before, 0);
    /* Where it took so long to begin them all that STS counted as hanging, they are told to try
     * again. */
    int told = 0;
    for (int i = 0; i < n; i++) {
        bool is_in = PQstatus(c[i]) == CONNECTION_OK;
        told += !is_in;
        if (!is_in && !strstr(PQerrorMessage(c[i]), "cannot be verified at the moment; try again"))
            fail_msg("client %d: %s", i, PQerrorMessage(c[i]));
        PQfinish(c[i]);
    }
    print_message("# %d let in, %d told to try again\n", n - told, told);
    if (told) {
        char *token = fresh((struct minting){ 0 });
        opens(w, "loader", token, "postgres");
        free(token);
    }
    free(c);
    free(p);
}

static void no_token_is_in_the_log(void **state)
{
    struct world *w = *state;
    static const char *const words[] = { "sluice-sts-v1.",  "X-Amz-Signature", "session+token",
                                         "session%2Btoken", "eyJhbGciOi",      "storm-secret",
                                         "loader-secret" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (before_log_count(w->kit, &w->proxy, words[i])) fail_msg("in the log: %s", words[i]);
}

#define test(f) cmocka_unit_test_setup_teardown(f, NULL, undisturbed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_presigned_url_opens_once),
        test(a_web_identity_opens_once),
        test(a_database_user_is_made_of_the_role),
        test(a_function_is_seen_in_web_identities_only),
        test(a_new_key_is_fetched_once_a_minute),
        test(known_keys_serve_through_an_outage),
        test(without_keys_nobody_is_let_in),
        test(cve_2020_16250_a_reflected_reply),
        test(cve_2020_16251_another_signers_claims),
        test(cve_2022_2385_parameters_that_differ_in_case),
        test(parsers_that_disagree),
        test(hosts_that_are_not_sts),
        test(a_redirect_is_not_followed),
        test(a_token_of_another_server),
        test(tokens_out_of_their_time),
        test(principals_that_look_alike),
        test(odd_answers_of_sts_let_nobody_in),
        test(a_token_is_not_asked_for_without_tls),
        test(a_flood_is_stopped_before_sts),
        test(passwords_that_are_no_token_of_ours),
        test(a_token_beyond_16_kib_is_told_so),
        test(a_storm_of_logins_blocks_nobody),
        test(a_token_opens_once_in_a_fleet),
        test(no_token_is_in_the_log),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
