#include "auth/redshift_credentials.h"

#include "auth/aws_xml.h"
#include "auth/uri.h"
#include "protocol/json.h"

#include <stdio.h>

enum aws_service redshift_service(enum redshift_api api)
{
    return api == REDSHIFT_WORKGROUP ? AWS_REDSHIFT_SERVERLESS : AWS_REDSHIFT;
}

/* ---- asking for a login ------------------------------------------------------------------------
 */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Letters, digits and _ + . @ -, a letter first: what DbUser and DbGroups allow. */
static bool is_database_name(struct slice name, size_t most)
{
    if (name.len == 0 || name.len > most || !is_letter(name.at[0])) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && !(c && strchr("_+.@-", c))) return false;
    }
    return true;
}

static bool check_order(const struct redshift_order *o, struct err *err)
{
    int n = o->db_user.len < 64 ? (int)o->db_user.len : 64;
    if (o->name.len == 0 && o->domain.len == 0)
        return err_set(err, ERR_CONFIG, "credentials need a cluster_identifier or a workgroup");
    if (o->duration_s &&
        (o->duration_s < REDSHIFT_MIN_DURATION_S || o->duration_s > REDSHIFT_MAX_DURATION_S))
        return err_set(err, ERR_CONFIG, "database credentials live for %d to %d seconds, not %u",
                       REDSHIFT_MIN_DURATION_S, REDSHIFT_MAX_DURATION_S, o->duration_s);
    if (o->api != REDSHIFT_BY_USER) return true;
    if (!is_database_name(o->db_user, 64))
        return err_set(err, ERR_CONFIG,
                       "\"%.*s\" is not a database user for IAM (a letter, then up "
                       "to 63 of letters, digits and _ + . @ -)",
                       n, o->db_user.at);
    for (size_t i = 0; i < o->db_group_count; i++)
        if (!is_database_name(o->db_groups[i], 64))
            return err_set(err, ERR_CONFIG, "db_groups has a name that is no database group");
    return true;
}

static void add_number(struct aws_request *r, const char *name, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    aws_query_add(r, name, slice_str(text));
}

static void write_query_order(const struct redshift_order *o, uint32_t duration_s,
                              struct aws_request *r)
{
    if (o->api == REDSHIFT_BY_USER) aws_query_add(r, "DbUser", o->db_user);
    if (o->database.len) aws_query_add(r, "DbName", o->database);
    if (o->domain.len) {
        aws_query_add(r, "CustomDomainName", o->domain);
    } else {
        aws_query_add(r, "ClusterIdentifier", o->name);
    }
    add_number(r, "DurationSeconds", duration_s);
    if (o->api != REDSHIFT_BY_USER) return;
    aws_query_add(r, "AutoCreate", slice_str(o->autocreate ? "true" : "false"));
    for (size_t i = 0; i < o->db_group_count; i++) {
        char name[48];
        snprintf(name, sizeof name, "DbGroups.DbGroup.%zu", i + 1);
        aws_query_add(r, name, o->db_groups[i]);
    }
}

static void write_json_order(const struct redshift_order *o, uint32_t duration_s,
                             struct aws_request *r)
{
    buf_add_str(&r->body, o->domain.len ? "{\"customDomainName\":" : "{\"workgroupName\":");
    json_quote(&r->body, o->domain.len ? o->domain : o->name);
    if (o->database.len) {
        buf_add_str(&r->body, ",\"dbName\":");
        json_quote(&r->body, o->database);
    }
    buf_addf(&r->body, ",\"durationSeconds\":%u}", duration_s);
}

static bool sign(struct aws_request *r, const struct aws_signer *s)
{
    return aws_request_sign(r, s->credentials, s->endpoint, s->now_ms, s->skew_ms);
}

bool redshift_login_request(const struct redshift_order *o, const struct aws_signer *signer,
                            struct aws_request *request, struct err *err)
{
    static const char *const actions[] = { "GetClusterCredentials", "GetClusterCredentialsWithIAM",
                                           "GetCredentials" };
    uint32_t duration_s = o->duration_s ? o->duration_s : REDSHIFT_MAX_DURATION_S;
    aws_request_init(request, "POST", (struct slice){ 0 });
    if (!check_order(o, err)) return false;
    if (o->api == REDSHIFT_WORKGROUP) {
        aws_json_begin(request, signer->endpoint, actions[o->api]);
        write_json_order(o, duration_s, request);
    } else {
        aws_query_begin(request, signer->endpoint, actions[o->api]);
        write_query_order(o, duration_s, request);
    }
    return sign(request, signer) ||
           err_set(err, ERR_OUT_OF_MEMORY, "%s", err_text(ERR_OUT_OF_MEMORY));
}

/* ---- reading a login ---------------------------------------------------------------------------
 */

/* An answer that is a success by its status but not by its content: a proxy's page, a cut body. */
static bool malformed(struct aws_error *e, int status, const char *what)
{
    *e = (struct aws_error){ .fault = AWS_FAULT_TRANSIENT, .status = status };
    snprintf(e->code, sizeof e->code, "malformed answer");
    snprintf(e->message, sizeof e->message, "%s", what);
    return false;
}

/* What goes into a startup packet must be text without control bytes. */
static bool is_clean(const struct buf *text, uint32_t most)
{
    for (uint32_t i = 0; i < text->len; i++)
        if ((uint8_t)text->at[i] < ' ' || text->at[i] == 0x7f) return false;
    return text->len > 0 && text->len <= most && !text->failed;
}

static bool is_login(const struct redshift_login *l)
{
    return is_clean(&l->user, 128) && is_clean(&l->password, 32767) && l->expires_ms > 0;
}

static bool read_xml_login(enum redshift_api api, struct slice body, struct redshift_login *out)
{
    bool with_iam = api == REDSHIFT_WITH_IAM;
    struct aws_xml_field fields[] = {
        { .path = with_iam ? "GetClusterCredentialsWithIAMResult/DbUser"
                           : "GetClusterCredentialsResult/DbUser" },
        { .path = with_iam ? "GetClusterCredentialsWithIAMResult/DbPassword"
                           : "GetClusterCredentialsResult/DbPassword" },
        { .path = with_iam ? "GetClusterCredentialsWithIAMResult/Expiration"
                           : "GetClusterCredentialsResult/Expiration" },
    };
    bool ok = aws_xml_read(body,
                           with_iam ? "GetClusterCredentialsWithIAMResponse"
                                    : "GetClusterCredentialsResponse",
                           NULL, fields, 3) &&
              timestamp_from_iso(buf_slice(&fields[2].value), &out->expires_ms);
    buf_add_slice(&out->user, buf_slice(&fields[0].value));
    buf_add_slice(&out->password, buf_slice(&fields[1].value));
    aws_xml_fields_fini(fields, 3);
    return ok;
}

static struct slice text_member(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_member(object, slice_str(name));
    return v ? json_string(v) : (struct slice){ 0 };
}

static bool read_json_login(struct slice body, struct redshift_login *out)
{
    struct json_error ignored;
    struct json_doc *doc = json_parse(body, AWS_ANSWER_CAP_BYTES, &ignored);
    if (!doc) return false;
    const struct json_value *root = json_root(doc);
    const struct json_value *expiration = json_member(root, slice_str("expiration"));
    double seconds;
    bool ok =
        expiration && json_number(expiration, &seconds) && seconds > 0 && seconds < 253402300800.0;
    if (ok) out->expires_ms = (int64_t)(seconds * 1000);
    buf_add_slice(&out->user, text_member(root, "dbUser"));
    buf_add_slice(&out->password, text_member(root, "dbPassword"));
    json_free(doc);
    return ok;
}

bool redshift_login_answer(enum redshift_api api, const struct aws_response *response,
                           struct redshift_login *out, struct aws_error *error)
{
    enum aws_protocol protocol = aws_service(redshift_service(api))->protocol;
    *out = (struct redshift_login){ .user.secret = true, .password.secret = true };
    if (aws_error_read(protocol, response, error)) return false;
    bool ok = api == REDSHIFT_WORKGROUP ? read_json_login(response->body, out)
                                        : read_xml_login(api, response->body, out);
    if (ok && is_login(out)) return true;
    redshift_login_fini(out);
    return malformed(error, response->status, "the answer has no database credentials");
}

void redshift_login_fini(struct redshift_login *login)
{
    buf_fini(&login->user);
    buf_fini(&login->password);
    login->expires_ms = 0;
}

/* ---- where a cluster is ------------------------------------------------------------------------
 */

bool redshift_endpoint_request(enum redshift_api api, struct slice name,
                               const struct aws_signer *signer, struct aws_request *request)
{
    if (api == REDSHIFT_WORKGROUP) {
        aws_json_begin(request, signer->endpoint, "GetWorkgroup");
        buf_add_str(&request->body, "{\"workgroupName\":");
        json_quote(&request->body, name);
        buf_add_str(&request->body, "}");
    } else {
        aws_query_begin(request, signer->endpoint, "DescribeClusters");
        aws_query_add(request, "ClusterIdentifier", name);
    }
    return sign(request, signer);
}

static bool set_host(struct redshift_endpoint *out, struct slice host, int64_t port)
{
    if (host.len == 0 || host.len >= sizeof out->host || port < 1 || port > 65535) return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '-' && c != '.') return false;
    }
    memcpy(out->host, host.at, host.len);
    out->host[host.len] = 0;
    out->port = (uint16_t)port;
    return true;
}

static enum redshift_state state_of(struct slice status)
{
    if (slice_is_nocase(status, "available")) return REDSHIFT_AVAILABLE;
    if (slice_is_nocase(status, "paused")) return REDSHIFT_PAUSED;
    if (slice_is_nocase(status, "creating")) return REDSHIFT_CREATING;
    static const char *const gone[] = { "deleting", "final-snapshot", "hardware-failure",
                                        "incompatible-" };
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        if (slice_starts(status, gone[i])) return REDSHIFT_GONE;
    return slice_is(status, "DELETING") ? REDSHIFT_GONE : REDSHIFT_BUSY;
}

static void set_status(struct redshift_endpoint *out, struct slice status)
{
    out->state = REDSHIFT_BUSY;
    if (status.len == 0) return;
    snprintf(out->status, sizeof out->status, "%.*s", status.len < 60 ? (int)status.len : 60,
             status.at);
    out->state = state_of(status);
}

static bool read_cluster(struct slice body, struct redshift_endpoint *out)
{
    struct aws_xml_field fields[] = {
        { .path = "DescribeClustersResult/Clusters/Cluster" },
        { .path = "DescribeClustersResult/Clusters/Cluster/ClusterStatus" },
        { .path = "DescribeClustersResult/Clusters/Cluster/Endpoint/Address" },
        { .path = "DescribeClustersResult/Clusters/Cluster/Endpoint/Port" },
    };
    bool ok =
        aws_xml_read(body, "DescribeClustersResponse", NULL, fields, 4) && fields[0].count == 1;
    if (ok) {
        set_status(out, buf_slice(&fields[1].value));
        struct slice port = buf_slice(&fields[3].value);
        int64_t number = 0;
        for (size_t i = 0; i < port.len && i < 6; i++)
            number =
                port.at[i] >= '0' && port.at[i] <= '9' ? number * 10 + (port.at[i] - '0') : 70000;
        if (fields[2].count) ok = set_host(out, buf_slice(&fields[2].value), number);
    }
    aws_xml_fields_fini(fields, 4);
    return ok;
}

static bool read_workgroup(struct slice body, struct redshift_endpoint *out)
{
    struct json_error ignored;
    struct json_doc *doc = json_parse(body, AWS_ANSWER_CAP_BYTES, &ignored);
    if (!doc) return false;
    const struct json_value *group = json_member(json_root(doc), slice_str("workgroup"));
    const struct json_value *endpoint = group ? json_member(group, slice_str("endpoint")) : NULL;
    if (group) set_status(out, text_member(group, "status"));
    bool ok = group != NULL;
    if (endpoint && json_type(endpoint) == JSON_OBJECT && text_member(endpoint, "address").len) {
        const struct json_value *port = json_member(endpoint, slice_str("port"));
        int64_t number = 0;
        ok = port && json_integer(port, &number) &&
             set_host(out, text_member(endpoint, "address"), number);
    }
    json_free(doc);
    return ok;
}

bool redshift_endpoint_answer(enum redshift_api api, const struct aws_response *response,
                              struct redshift_endpoint *out, struct aws_error *error)
{
    *out = (struct redshift_endpoint){ 0 };
    if (aws_error_read(aws_service(redshift_service(api))->protocol, response, error)) return false;
    bool ok = api == REDSHIFT_WORKGROUP ? read_workgroup(response->body, out)
                                        : read_cluster(response->body, out);
    return ok || malformed(error, response->status, "the answer does not describe one cluster");
}

bool redshift_host_parse(struct slice host, struct redshift_host *out)
{
    struct slice rest = host, id, service;
    *out = (struct redshift_host){ 0 };
    if (!uri_next_piece(&rest, '.', &out->name) || out->name.len == 0) return false;
    if (!uri_next_piece(&rest, '.', &id) || id.len == 0) return false;
    if (!uri_next_piece(&rest, '.', &out->region) || !aws_region_is_valid(out->region))
        return false;
    if (!uri_next_piece(&rest, '.', &service) || !rest.at) return false;
    if (!slice_is(rest, aws_partition_of(out->region)->suffix)) return false;
    if (slice_is(service, "redshift-serverless")) out->api = REDSHIFT_WORKGROUP;
    return out->api == REDSHIFT_WORKGROUP || slice_is(service, "redshift");
}
