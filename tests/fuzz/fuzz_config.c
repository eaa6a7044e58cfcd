/* fuzz_config: a configuration is read or refused with a reason; what is read can be shown,
 * compared with itself and is the same the second time. */
#include "proxy/ops/config.h"
#include "proxy/ops/config_settings.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) abort();
}

static struct config *parse(struct slice text, struct problems *problems)
{
    static const struct config_world WORLD = { .path = "etc/sluice.json", .now_s = 1795219200 };
    return config_parse(text, &WORLD, problems);
}

static void check_problems(const struct problems *problems)
{
    struct buf text = { 0 };
    problems_print(problems, "f", &text);
    for (size_t i = 1; i < problems->count; i++)
        require(problems->items[i - 1].line <= problems->items[i].line);
    for (uint32_t i = 0; i < text.len; i++)
        require((unsigned char)text.at[i] >= 0x20 || text.at[i] == '\n');
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems problems = { 0 }, again_problems = { 0 };
    struct slice text = slice_of(data, size);
    struct config *config = parse(text, &problems);
    struct config *again = parse(text, &again_problems);
    check_problems(&problems);
    require((config == NULL) == (problems.errors > 0));
    require((config == NULL) == (again == NULL));
    require(problems.count == again_problems.count);
    if (config) {
        struct config_changes changes;
        config_changes_init(&changes, config, again);
        require(!changes.failed && changes.count == 0);
        require(config->n_listen > 0 && config->n_clusters > 0 && config->n_users > 0);
        for (size_t i = 0; i < config->n_users; i++)
            require(config_role(config, slice_str(config->users[i].role)) != NULL);
        config_changes_fini(&changes);
    }
    config_unref(config);
    config_unref(again);
    problems_fini(&problems);
    problems_fini(&again_problems);
    return 0;
}
