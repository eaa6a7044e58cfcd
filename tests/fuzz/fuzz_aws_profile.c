/* The shared AWS files, and everything that is read out of them.
 *
 * Input: the config file, a NUL, the credentials file. Properties: sections that
 * are listed are there; a plan for any of them ends, and its profiles exist.
 */
#include "auth/aws_chain.h"
#include "auth/aws_role_plan.h"

#include <stdlib.h>

static void try_plans(const struct aws_profiles *p)
{
    struct aws_role_plan plan = { 0 };
    struct err err;
    struct slice name;
    for (size_t n = 0; n < 64 && (name = aws_profiles_name(p, AWS_PROFILE, n)).len; n++) {
        if (!aws_profiles_has(p, AWS_PROFILE, name)) abort();
        if (!aws_role_plan_make(p, name, &plan, &err)) continue;
        for (size_t i = 0; i < plan.role_count; i++)
            if (!aws_profiles_has(p, AWS_PROFILE, plan.roles[i])) abort();
        aws_profiles_get_nested(p, AWS_PROFILE, name, "s3", "endpoint_url");
    }
}

/* The whole search over these files, in a world where nothing else answers. */
static void try_search(struct slice config, struct slice credentials)
{
    const char *vars[] = { "HOME=/h", "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
                           NULL };
    struct aws_chain_config c = { .env = { vars }, .quota = AWS_QUOTA_FULL };
    struct aws_chain *chain = aws_chain_new(&c, 1795226561000, (struct map_seed){ 1, 2 });
    const struct aws_ask *ask;
    int reads = 0, asks = 0;
    if (!chain) return;
    while ((ask = aws_chain_step(chain))) {
        struct aws_response refused = { .failure = AWS_HTTP_OFFLINE };
        if (++asks > AWS_SCRIPT_MAX_ANSWERS) abort();
        if (ask->kind == AWS_ASK_HTTP)
            aws_chain_answer_http(chain, &refused, 1795226561000);
        else if (ask->kind == AWS_ASK_READ && reads < 2)
            aws_chain_answer_outcome(chain, AWS_DONE_WELL, reads++ == 0 ? config : credentials,
                                     1795226561000);
        else
            aws_chain_answer_outcome(chain, AWS_NOT_THERE, (struct slice){ 0 }, 1795226561000);
    }
    if (!aws_chain_credentials(chain) && aws_chain_error(chain)->code == ERR_NONE) abort();
    aws_chain_free(chain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
    size_t n = cut ? (size_t)(cut - data) : size;
    struct slice config = slice_of(data, n);
    struct slice credentials = cut ? slice_of(cut + 1, size - n - 1) : slice_of("", 0);
    struct err err = { 0 };
    struct aws_profiles *p = aws_profiles_read(config, credentials, &err);
    if (!p && err.code == ERR_NONE) abort();
    if (p) try_plans(p);
    aws_profiles_free(p);
    try_search(config, credentials);
    return 0;
}
