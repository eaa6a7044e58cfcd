/* aws_endpoint: which host answers for a service, and for which region to sign.
 *
 * Pure name-making; whether the name resolves is somebody else's question. One
 * fixed host for each service and region, never DynamoDB's per-account names: so
 * that one VPC endpoint, one no_proxy entry and one endpoint policy cover it.
 * Ownership: the results are values.
 */
#ifndef SLUICE_AUTH_AWS_ENDPOINT_H
#define SLUICE_AUTH_AWS_ENDPOINT_H

#include "auth/aws_profile.h"

enum aws_protocol { AWS_QUERY, AWS_JSON_1_0, AWS_JSON_1_1, AWS_REST };

enum aws_service {
#define AWS_SERVICE(name, prefix, signing, protocol, version, id, odd) AWS_##name,
#include "auth/aws_service.def"
#undef AWS_SERVICE
    AWS_SERVICE_COUNT
};

struct aws_service_facts {
    const char *name;    /* "REDSHIFT" */
    const char *prefix;  /* "redshift" */
    const char *signing; /* the service in a signature's scope */
    enum aws_protocol protocol;
    const char *version; /* query: API version; JSON: prefix of X-Amz-Target */
    const char *id;      /* tail of AWS_ENDPOINT_URL_<id> */
};

const struct aws_service_facts *aws_service(enum aws_service service);

struct aws_partition {
    const char *id; /* "aws", as in ARNs */
    const char *regions, *suffix, *dual_stack_suffix, *global_region;
};

const struct aws_partition *aws_partition_of(struct slice region);
const struct aws_partition *aws_partition_named(struct slice id); /* NULL: there is none */

/* A region is put into host names, so it must look like one: a-z 0-9 '-', at most 32. */
bool aws_region_is_valid(struct slice region);

enum { AWS_REGION_BYTES = 33, AWS_ENDPOINT_URL_BYTES = 320 };

struct aws_endpoint {
    char url[AWS_ENDPOINT_URL_BYTES];      /* "https://host[:port]", no path */
    char signing_region[AWS_REGION_BYTES]; /* the scope's region */
    enum aws_service service;
};

struct aws_endpoint_options {
    struct slice region;
    struct slice override; /* AWS_ENDPOINT_URL... or the config's; empty: none */
    bool fips, dual_stack;
    bool sts_global; /* STS: the old global endpoint, for the regions that had it */
};

/* False and `err` (CONFIG) when the region is missing or malformed, the override is no URL, or an
 * override meets FIPS or dual-stack. */
bool aws_endpoint_resolve(enum aws_service service, const struct aws_endpoint_options *options,
                          struct aws_endpoint *out, struct err *err);

/* The override that environment and files configure for the service whose id is `id`:
 * AWS_ENDPOINT_URL_<ID>, AWS_ENDPOINT_URL, the profile's `services` section, the profile's
 * endpoint_url. Empty: none, or AWS_IGNORE_CONFIGURED_ENDPOINT_URLS. `profiles` may be NULL. */
struct slice aws_endpoint_override(const struct aws_env *env, const struct aws_profiles *profiles,
                                   struct slice profile, const char *id);

#endif
