/* iam_world: PostgreSQL, an STS that is a fake, and a proxy whose users come by IAM token. For one
 * program: the functions are static. */
#ifndef SLUICE_TESTS_IAM_WORLD_H
#define SLUICE_TESTS_IAM_WORLD_H

#include "auth/iam_token.h"
#include "support/before.h"
#include "support/raw.h"
#include "unit/jws.h"

#include <openssl/rsa.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define SERVER_ID "sluice-iam-test"
#define ISSUER    "https://11112222.tokens.sts.global.api.aws"
#define OTHER     "https://33334444.tokens.sts.global.api.aws"
#define ACCOUNT   "123456789012"
#define LOADER    "arn:aws:sts::" ACCOUNT ":assumed-role/loader/lambda"
#define FUNCTION  "arn:aws:lambda:us-east-1:" ACCOUNT ":function:etl-nightly"

struct world {
    struct kit *kit;
    struct postgres pg;
    const char *certs, *sts_dir;
    int sts_port;
    struct proxy proxy;
    PGconn *bystander;
    EVP_PKEY *rsa, *ec, *other_ec, *new_ec;
};

static char config[4000];

static void make_config(const struct world *w, const char *iam)
{
    snprintf(
        config, sizeof config,
        "{ \"server_id\": \"" SERVER_ID "\", \"workers\": 2, \"drain_timeout\": \"1s\",\n"
        "  \"aws\": { \"region\": \"us-east-1\" },\n"
        "  \"iam\": { %s\n"
        "    \"issuers\": [ { \"issuer\": \"" ISSUER
        "\", \"keys\": \"http://127.0.0.1:%d/jwks.json\" },\n"
        "                 { \"issuer\": \"" OTHER "\", \"keys\": \"file:%s/other.json\" } ] },\n"
        "  \"listen\": [ { \"address\": \"127.0.0.1:@port@\", \"tls\": { \"mode\": \"allow\",\n"
        "    \"certificate\": \"%s/server.crt\", \"key\": \"file:%s/proxy.key\" } } ],\n"
        "  \"clusters\": { \"pg\": { \"endpoint\": \"localhost:%d\", \"tls\": { \"mode\": "
        "\"disable\" },\n"
        "    \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": "
        "\"env:PG_PASSWORD\",\n"
        "      \"iam_team-a\": \"env:PG_PASSWORD\" } } } },\n"
        "  \"users\": {\n"
        "    \"postgres\": { \"auth\": [\"trust\"], \"role\": \"all\" },\n"
        "    \"loader\": { \"auth\": [\"iam\"], \"arns\": [\"arn:aws:iam::" ACCOUNT
        ":role/data/loader\"],\n"
        "      \"role\": \"all\", \"db_user\": \"postgres\" },\n"
        "    \"team\": { \"auth\": [\"iam\"], \"arns\": [\"arn:aws:iam::" ACCOUNT
        ":role/team-*\"],\n"
        "      \"role\": \"all\", \"db_user\": \"iam_{role}\" },\n"
        "    \"etl\": { \"auth\": [\"iam\"], \"arns\": [\"arn:aws:iam::" ACCOUNT
        ":role/loader\"],\n"
        "      \"functions\": [\"arn:aws:lambda:us-east-1:" ACCOUNT ":function:etl-*\"],\n"
        "      \"role\": \"all\", \"db_user\": \"postgres\" },\n"
        "    \"urls_only\": { \"auth\": [\"iam\"], \"arns\": [\"arn:aws:iam::" ACCOUNT
        ":role/loader\"],\n"
        "      \"iam_tokens\": [\"sts\"], \"role\": \"all\", \"db_user\": \"postgres\" } },\n"
        "  \"roles\": { \"all\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] } },\n"
        "  \"access\": [ { \"from\": [\"127.0.0.0/8\"], \"users\": [\"*\"] } ],\n"
        "  \"limits\": { \"clients\": 30000, \"logins_in_progress\": 30000, \"login_timeout\": "
        "\"2m\" },\n"
        "  \"log\": { \"level\": \"debug\", \"per_second\": 0 } }\n",
        iam, w->sts_port, w->sts_dir, w->certs, w->certs, w->pg.port);
}

static const char *sts_file(struct world *w, const char *name, const char *content)
{
    char path[64];
    snprintf(path, sizeof path, "sts/%s", name);
    return kit_file(w->kit, path, content);
}

static void set_fault(struct world *w, const char *fault) { sts_file(w, "fault", fault); }

static int requests(struct world *w, const char *path)
{
    char *text = kit_read(kit_path(w->kit, "sts/requests"));
    int n = 0;
    for (char *at = text; at && *at; at = strchr(at, '\n') + 1)
        n += strncmp(at, path, strlen(path)) == 0 && at[strlen(path)] == '\n';
    free(text);
    return n;
}

static void add_ec(struct buf *set, EVP_PKEY *key, const char *kid)
{
    buf_addf(set, "%s{\"kty\":\"EC\",\"kid\":\"%s\",\"crv\":\"P-384\",\"x\":\"",
             set->len > 10 ? "," : "", kid);
    jws_add_number(set, key, "qx", 48);
    buf_add_str(set, "\",\"y\":\"");
    jws_add_number(set, key, "qy", 48);
    buf_add_str(set, "\"}");
}

static void publish(struct world *w, bool with_new)
{
    struct buf set = { 0 };
    buf_add_str(&set, "{\"keys\":[");
    add_ec(&set, w->ec, "e");
    buf_add_str(&set, ",{\"kty\":\"RSA\",\"kid\":\"r\",\"alg\":\"RS256\",\"n\":\"");
    jws_add_number(&set, w->rsa, "n", 0);
    buf_add_str(&set, "\",\"e\":\"");
    jws_add_number(&set, w->rsa, "e", 0);
    buf_add_str(&set, "\"}");
    if (with_new) add_ec(&set, w->new_ec, "new");
    buf_add_str(&set, "]}");
    buf_add_u8(&set, 0);
    sts_file(w, "jwks.json", set.at);
    buf_fini(&set);
}

static bool start_sts(struct world *w)
{
    char port[16];
    struct buf set = { 0 };
    w->sts_dir = kit_path(w->kit, "sts");
    if (kit_run(w->kit, "mkdir.log", (const char *[]){ "mkdir", w->sts_dir, NULL })) return false;
    w->sts_port = kit_port(w->kit);
    snprintf(port, sizeof port, "%d", w->sts_port);
    sts_file(w, "keys",
             "ASIALOADER* loader-secret " LOADER "\n"
             "ASIATEAMATEAMATEAMAT team-secret arn:aws:sts::" ACCOUNT ":assumed-role/team-a/s\n"
             "ASIATEAMXTEAMXTEAMXT team-secret arn:aws:sts::" ACCOUNT ":assumed-role/team-+x/s\n"
             "ASIAELSEWHEREELSEWHE loader-secret arn:aws:sts::999999999999:assumed-role/loader/s\n"
             "ASIATHREEPARTSTHREEP loader-secret arn:aws:sts::" ACCOUNT ":assumed-role/loader/a/b\n"
             "ASIACHINACHINACHINAC loader-secret arn:aws-cn:sts::" ACCOUNT
             ":assumed-role/loader/s\n"
             "ASIAROOTROOTROOTROOT loader-secret arn:aws:iam::" ACCOUNT ":root\n"
             "ASIASTORM* storm-secret " LOADER "\n");
    publish(w, false);
    buf_add_str(&set, "{\"keys\":[");
    add_ec(&set, w->other_ec, "e");
    buf_add_str(&set, "]}");
    buf_add_u8(&set, 0);
    sts_file(w, "other.json", set.at);
    buf_fini(&set);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", w->sts_port);
    setenv("AWS_ENDPOINT_URL_STS", url, 1);
    pid_t pid = kit_start(w->kit, "sts.log",
                          (const char *[]){ "python3", kit_source(w->kit, "tests/aws/sts.py"), port,
                                            w->sts_dir, NULL });
    return kit_wait_port(w->kit, pid, "sts.log", w->sts_port);
}

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char *copy;
    w->kit = kit_new("iam");
    *state = w;
    setenv("PG_PASSWORD", "none", 1);
    w->rsa = EVP_RSA_gen(2048);
    w->ec = EVP_EC_gen("P-384");
    w->other_ec = EVP_EC_gen("P-384");
    w->new_ec = EVP_EC_gen("P-384");
    w->certs = certs_make(w->kit, (const char *[]){ NULL });
    if (!w->certs || !postgres_start(w->kit, &w->pg, NULL) ||
        !postgres_run(&w->pg, "create role \"iam_team-a\" login") || !start_sts(w))
        return -1;
    if (asprintf(&copy, "cp %s/server.key %s/proxy.key; chmod 644 %s/proxy.key", w->certs, w->certs,
                 w->certs) < 0)
        return -1;
    int status = kit_run(w->kit, "copy.log", (const char *[]){ "sh", "-c", copy, NULL });
    free(copy);
    make_config(w, "\"per_key\": 0, \"per_address\": 0,");
    if (status || !proxy_start(w->kit, &w->proxy, config)) return -1;
    w->bystander = connect_to(w->proxy.port, "postgres", "");
    return PQstatus(w->bystander) == CONNECTION_OK ? 0 : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    PQfinish(w->bystander);
    bool clean = !w->proxy.pid || proxy_stop(w->kit, &w->proxy);
    EVP_PKEY_free(w->rsa);
    EVP_PKEY_free(w->ec);
    EVP_PKEY_free(w->other_ec);
    EVP_PKEY_free(w->new_ec);
    kit_free(w->kit);
    free(w);
    return clean ? 0 : -1;
}

/* After each test: whoever was in has not noticed. */
static int undisturbed(void **state)
{
    struct world *w = *state;
    set_fault(w, "");
    if (strcmp(before_says(w->bystander, "select 41 + 1"), "42") == 0) return 0;
    kit_print_log(w->kit, w->proxy.log_name, stderr);
    return -1;
}

#endif
