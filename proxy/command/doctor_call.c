#include "proxy/command/doctor_call.h"

#include "auth/aws_xml.h"
#include "proxy/aws_errand.h"
#include "routing/dynamo.h"

#include <stdio.h>

enum { PATIENCE_MS = 10 * 1000 };

struct calling {
    struct aws_errand errand;
    struct doctor_call *call;
    struct wheel_node deadline;
    bool over;
};

static struct calling *calling_of(struct aws_errand *e)
{
    return list_item(e, struct calling, errand);
}

enum aws_service doctor_service(enum doctor_part part)
{
    switch (part) {
    case DOCTOR_REDSHIFT: return AWS_REDSHIFT;
    case DOCTOR_SERVERLESS: return AWS_REDSHIFT_SERVERLESS;
    case DOCTOR_DYNAMODB: return AWS_DYNAMODB;
    case DOCTOR_GROUPS: return AWS_EC2;
    default: return AWS_STS;
    }
}

/* ---- the request ----------------------------------------------------------------------------- */

static void write_call(const struct doctor_call *c, const struct aws_signer *signer,
                       struct aws_request *r)
{
    switch (c->part) {
    case DOCTOR_DYNAMODB:
        aws_json_begin(r, signer->endpoint, "DescribeTable");
        dynamo_describe(&r->body, c->name);
        break;
    case DOCTOR_GROUPS:
    case DOCTOR_SERVERLESS: break; /* written whole elsewhere */
    case DOCTOR_REDSHIFT:
        aws_query_begin(r, signer->endpoint, "DescribeClusters");
        if (c->name.len)
            aws_query_add(r, "ClusterIdentifier", c->name);
        else
            aws_query_add(r, "MaxRecords", slice_str("20"));
        break;
    default: aws_query_begin(r, signer->endpoint, "GetCallerIdentity");
    }
}

static bool build(struct aws_errand *e, const struct aws_signer *signer,
                  struct aws_request *request, struct err *err)
{
    struct doctor_call *c = calling_of(e)->call;
    bool ok;
    if (c->part == DOCTOR_GROUPS) {
        ok = security_groups_request(c->groups, c->n_groups, signer, request);
    } else if (c->part == DOCTOR_SERVERLESS) {
        ok = redshift_endpoint_request(REDSHIFT_WORKGROUP, c->name, signer, request);
    } else {
        write_call(c, signer, request);
        ok = aws_request_sign(request, signer->credentials, signer->endpoint, signer->now_ms,
                              signer->skew_ms);
    }
    return ok || err_set(err, ERR_OUT_OF_MEMORY, "");
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void read_identity(struct doctor_call *c, struct slice body)
{
    struct aws_xml_field arn = { .path = "GetCallerIdentityResult/Arn" };
    if (aws_xml_read(body, "GetCallerIdentityResponse", NULL, &arn, 1) && arn.count == 1)
        snprintf(c->said, sizeof c->said, "%.*s", SLICE_ARG(buf_slice(&arn.value)));
    aws_xml_fields_fini(&arn, 1);
}

static void read_place(struct doctor_call *c, const struct aws_response *response)
{
    enum redshift_api api = c->part == DOCTOR_SERVERLESS ? REDSHIFT_WORKGROUP : REDSHIFT_BY_USER;
    struct redshift_endpoint place;
    struct aws_error ignored;
    if (!c->name.len || !redshift_endpoint_answer(api, response, &place, &ignored)) return;
    c->port = place.port;
    snprintf(c->said, sizeof c->said, "%.*s is %s, at %s:%u", SLICE_ARG(c->name), place.status,
             place.host[0] ? place.host : "no endpoint yet", place.port);
}

static bool read_answer(struct aws_errand *e, const struct aws_response *response,
                        struct aws_error *error)
{
    struct doctor_call *c = calling_of(e)->call;
    const struct aws_service_facts *service = aws_service(doctor_service(c->part));
    if (aws_error_read(service->protocol, response, error)) return false;
    snprintf(c->said, sizeof c->said, "the call was answered");
    if (c->part == DOCTOR_STS) read_identity(c, response->body);
    if (c->part == DOCTOR_REDSHIFT || c->part == DOCTOR_SERVERLESS) read_place(c, response);
    if (c->part == DOCTOR_REDSHIFT && c->name.len)
        c->n_groups = security_groups_of_cluster(response->body, c->groups);
    if (c->part == DOCTOR_GROUPS && !security_groups_answer(response->body, c->port, &c->sources)) {
        *error = (struct aws_error){ .fault = AWS_FAULT_TRANSIENT, .status = response->status };
        snprintf(error->code, sizeof error->code, "malformed answer");
        return false;
    }
    if (c->part == DOCTOR_DYNAMODB)
        snprintf(c->said, sizeof c->said, "table %.*s is there", SLICE_ARG(c->name));
    return true;
}

/* Only AWS's own no is a matter of permissions. */
static enum doctor_symptom symptom_of(const struct aws_errand *e)
{
    if (e->last.fault == AWS_FAULT_NONE) return DOCTOR_NO_KEYS;
    bool denied = e->last.status == 403 || strstr(e->last.code, "AccessDenied") ||
                  strstr(e->last.code, "Unauthorized");
    return e->last.fault == AWS_FAULT_DENIED && denied ? DOCTOR_DENIED : DOCTOR_FAILED;
}

static void fail(struct calling *k, const struct err *err)
{
    k->call->symptom = symptom_of(&k->errand);
    snprintf(k->call->said, sizeof k->call->said, "%s%s%s", err->message, err->hint[0] ? "; " : "",
             err->hint);
    k->over = true;
}

static void done(struct aws_errand *e, const struct err *err, bool for_good)
{
    struct calling *k = calling_of(e);
    (void)for_good;
    if (err) {
        fail(k, err);
        return;
    }
    k->call->ok = k->over = true;
}

static void on_deadline(struct wheel_node *node)
{
    struct calling *k = list_item(node, struct calling, deadline);
    struct err err;
    aws_errand_explain(&k->errand, &err);
    aws_errand_stop(&k->errand);
    fail(k, &err);
}

static const struct aws_errand_kind kind = { .build = build, .read = read_answer, .done = done };

void doctor_call(uv_loop_t *loop, struct wheel *wheel, struct aws_identity *identity,
                 struct doctor_call *c)
{
    static const char *const whats[] = {
        [DOCTOR_STS] = "sts GetCallerIdentity",
        [DOCTOR_REDSHIFT] = "redshift DescribeClusters",
        [DOCTOR_SERVERLESS] = "redshift-serverless GetWorkgroup",
        [DOCTOR_DYNAMODB] = "dynamodb DescribeTable",
        [DOCTOR_GROUPS] = "ec2 DescribeSecurityGroups",
    };
    struct calling k = { .call = c };
    uint64_t begun = uv_hrtime();
    c->ok = false;
    wheel_node_init(&k.deadline, on_deadline);
    wheel_set(wheel, &k.deadline, PATIENCE_MS);
    aws_errand_init(&k.errand, &kind, identity, wheel);
    aws_errand_start(&k.errand, doctor_service(c->part), whats[c->part]);
    while (!k.over) uv_run(loop, UV_RUN_ONCE);
    wheel_cancel(&k.deadline);
    c->ms = (double)(uv_hrtime() - begun) / 1e6;
}
