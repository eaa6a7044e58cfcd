#include "auth/aws_endpoint.h"

#include "auth/uri.h"

#include <stdio.h>

enum odd_names { ODD_NONE, ODD_GOV, ODD_FLAT };

static const struct {
    struct aws_service_facts facts;
    enum odd_names odd;
} services[] = {
#define AWS_SERVICE(name, prefix, signing, protocol, version, id, odd)                             \
    { { #name, prefix, signing, AWS_##protocol, version, id }, ODD_##odd },
#include "auth/aws_service.def"
#undef AWS_SERVICE
};

static const struct aws_partition partitions[] = {
#define AWS_PARTITION(id, regions, suffix, dual_stack, global)                                     \
    { id, regions, suffix, dual_stack, global },
#include "auth/aws_partition.def"
#undef AWS_PARTITION
};

enum { PARTITION_COUNT = sizeof partitions / sizeof *partitions };

const struct aws_service_facts *aws_service(enum aws_service service)
{
    return &services[service].facts;
}

bool aws_region_is_valid(struct slice region)
{
    if (region.len == 0 || region.len >= AWS_REGION_BYTES) return false;
    if (region.at[0] == '-' || region.at[region.len - 1] == '-') return false;
    for (size_t i = 0; i < region.len; i++) {
        char c = region.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

/* "us-gov-west-1" after the prefix "us-gov": a word, a dash, digits; "us-iso-..." is not "us". */
static bool has_region_prefix(struct slice region, struct slice prefix)
{
    if (region.len <= prefix.len || memcmp(region.at, prefix.at, prefix.len) != 0) return false;
    struct slice rest = slice_after(region, prefix.len), word, digits;
    if (rest.at[0] != '-') return false;
    rest = slice_after(rest, 1);
    if (slice_is(prefix, "eusc")) { /* eusc-de-east-1: one part more */
        uri_next_piece(&rest, '-', &word);
        if (!rest.at) return false;
    }
    uri_next_piece(&rest, '-', &word);
    if (!rest.at || word.len == 0) return false;
    uri_next_piece(&rest, '-', &digits);
    for (size_t i = 0; i < digits.len; i++)
        if (digits.at[i] < '0' || digits.at[i] > '9') return false;
    return digits.len > 0 && !rest.at;
}

const struct aws_partition *aws_partition_of(struct slice region)
{
    for (size_t i = 0; i < PARTITION_COUNT; i++) {
        struct slice rest = slice_str(partitions[i].regions), prefix;
        while (uri_next_piece(&rest, '|', &prefix))
            if (has_region_prefix(region, prefix)) return &partitions[i];
    }
    return &partitions[PARTITION_COUNT - 1];
}

const struct aws_partition *aws_partition_named(struct slice id)
{
    for (size_t i = 0; i < PARTITION_COUNT; i++)
        if (slice_is(id, partitions[i].id)) return &partitions[i];
    return NULL;
}

/* The regions that were there before STS became regional (endpoint-rule-set-1.json of sts). */
static bool had_global_sts(struct slice region)
{
    static const char *const old[] = {
        "ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
        "eu-central-1",   "eu-north-1", "eu-west-1",      "eu-west-2",      "eu-west-3",
        "sa-east-1",      "us-east-1",  "us-east-2",      "us-west-1",      "us-west-2",
    };
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (slice_is(region, old[i])) return true;
    return false;
}

static void set_region(struct aws_endpoint *out, struct slice region)
{
    snprintf(out->signing_region, sizeof out->signing_region, "%.*s", SLICE_ARG(region));
}

static bool use_override(const struct aws_endpoint_options *o, struct aws_endpoint *out,
                         struct err *err)
{
    struct url url;
    if (o->fips)
        return err_set(err, ERR_CONFIG,
                       "a configured endpoint URL and FIPS endpoints exclude each other");
    if (o->dual_stack)
        return err_set(err, ERR_CONFIG,
                       "a configured endpoint URL and dual-stack endpoints exclude each other");
    struct slice text = o->override;
    while (text.len > 0 && text.at[text.len - 1] == '/') text.len--;
    if (!url_parse(text, &url) || url.path.len || url.query.len || text.len >= sizeof out->url)
        return err_set(err, ERR_CONFIG,
                       "\"%.*s\" is not a usable endpoint URL (scheme://host[:port])",
                       (int)(o->override.len < 100 ? o->override.len : 100), o->override.at);
    memcpy(out->url, text.at, text.len);
    out->url[text.len] = 0;
    set_region(out, o->region);
    return true;
}

/* Names that follow no rule. True: `out` is done. */
static bool use_special(enum aws_service service, const struct aws_endpoint_options *o,
                        struct aws_endpoint *out)
{
    if (service == AWS_DYNAMODB && slice_is(o->region, "local")) {
        snprintf(out->url, sizeof out->url, "http://localhost:8000");
        set_region(out, slice_str("us-east-1"));
        return true;
    }
    bool global = slice_is(o->region, "aws-global") || (o->sts_global && had_global_sts(o->region));
    if (service == AWS_STS && global && !o->fips && !o->dual_stack) {
        snprintf(out->url, sizeof out->url, "https://sts.amazonaws.com");
        set_region(out, slice_str("us-east-1"));
        return true;
    }
    return false;
}

bool aws_endpoint_resolve(enum aws_service service, const struct aws_endpoint_options *o,
                          struct aws_endpoint *out, struct err *err)
{
    *out = (struct aws_endpoint){ .service = service };
    if (o->region.len > 0 && !aws_region_is_valid(o->region))
        return err_set(err, ERR_CONFIG, "\"%.*s\" is not an AWS region",
                       (int)(o->region.len < 40 ? o->region.len : 40), o->region.at);
    if (o->override.len > 0) return use_override(o, out, err);
    if (o->region.len == 0) {
        err_set(err, ERR_CONFIG, "no AWS region for %s", services[service].facts.prefix);
        err_hint(err, "set aws.region, AWS_REGION, or region in the AWS profile");
        return false;
    }
    if (use_special(service, o, out)) return true;

    const struct aws_partition *partition = aws_partition_of(o->region);
    enum odd_names odd = services[service].odd;
    bool gov = strcmp(partition->id, "aws-us-gov") == 0;
    bool china = strcmp(partition->id, "aws-cn") == 0;
    bool dual = o->dual_stack && !(odd == ODD_FLAT && !(china && o->fips));
    bool dashed = o->fips && !(odd == ODD_GOV && gov && !o->dual_stack);
    snprintf(out->url, sizeof out->url, "https://%s%s.%.*s.%s", services[service].facts.prefix,
             dashed ? "-fips" : "", SLICE_ARG(o->region),
             dual ? partition->dual_stack_suffix : partition->suffix);
    set_region(out, o->region);
    return true;
}

/* ---- what environment and files say ---------------------------------------------------------- */

static void lower_copy(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++) out[n] = ascii_lower(text[n]);
    out[n] = 0;
}

struct slice aws_endpoint_override(const struct aws_env *env, const struct aws_profiles *profiles,
                                   struct slice profile, const char *id)
{
    char name[64];
    struct slice none = { 0 }, found;
    if (aws_env_is_true(env, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) return none;
    if (profiles && slice_is_nocase(aws_profiles_get(profiles, AWS_PROFILE, profile,
                                                     "ignore_configured_endpoint_urls"),
                                    "true"))
        return none;
    snprintf(name, sizeof name, "AWS_ENDPOINT_URL_%s", id);
    found = aws_env_get(env, name);
    if (found.len == 0) found = aws_env_get(env, "AWS_ENDPOINT_URL");
    if (found.len > 0 || !profiles) return found;
    struct slice services_name = aws_profiles_get(profiles, AWS_PROFILE, profile, "services");
    lower_copy(id, name, sizeof name);
    if (services_name.len > 0)
        found =
            aws_profiles_get_nested(profiles, AWS_SERVICES, services_name, name, "endpoint_url");
    if (found.len > 0) return found;
    return aws_profiles_get(profiles, AWS_PROFILE, profile, "endpoint_url");
}
