#include "proxy/role.h"

#include <stdlib.h>

uint32_t role_verbs(uint32_t set)
{
    uint32_t verbs = 0;
    for (unsigned v = 0; v < 32; v++)
        if (set & (1u << v))
            verbs |= sql_verb_find(slice_str(config_word_verb((enum config_verb)v)));
    return verbs;
}

static size_t count_rules(const struct config_role *role)
{
    size_t n = role->insert_only.count;
    for (size_t i = 0; i < role->n_grants; i++) n += role->grants[i].on.count;
    return n;
}

static void fill_rules(const struct config_role *role, struct grants_rule *rules)
{
    size_t n = 0;
    for (size_t i = 0; i < role->insert_only.count; i++)
        rules[n++] = (struct grants_rule){ slice_str(role->insert_only.items[i]),
                                           sql_verb_find(slice_str("INSERT")) };
    for (size_t i = 0; i < role->n_grants; i++)
        for (size_t j = 0; j < role->grants[i].on.count; j++)
            rules[n++] = (struct grants_rule){ slice_str(role->grants[i].on.items[j]),
                                               role_verbs(role->grants[i].verbs) };
}

/* A list of strings as slices; `out` is the caller's to free. */
static struct grants_list list_of(const struct config_list *from, struct slice **out)
{
    *out = calloc(from->count + 1, sizeof **out);
    for (size_t i = 0; *out && i < from->count; i++) (*out)[i] = slice_str(from->items[i]);
    return (struct grants_list){ *out, *out ? from->count : 0 };
}

struct grants *role_compile(const struct config_role *role, size_t statement_bytes,
                            uint64_t generation, struct map_seed seed, struct err *err)
{
    size_t n = count_rules(role);
    struct grants_rule *rules = calloc(n + 1, sizeof *rules);
    struct slice *functions, *from, *roles;
    struct grants_options options = {
        .name = slice_str(role->name),
        .rules = rules,
        .rule_count = n,
        .search_path = slice_str(role->search_path),
        .functions = list_of(&role->functions, &functions),
        .copy_from = list_of(&role->copy.from, &from),
        .copy_roles = list_of(&role->copy.iam_roles, &roles),
        .no_access_keys = role->copy.line && !role->copy.access_keys,
        .catalog = role->catalog,
        .statement_bytes = statement_bytes,
        .generation = generation,
        .seed = seed,
    };
    struct grants *grants = NULL;
    if (rules && functions && from && roles) {
        fill_rules(role, rules);
        grants = grants_new(&options, err);
    } else {
        err_set(err, ERR_OUT_OF_MEMORY, "");
    }
    free(rules);
    free(functions);
    free(from);
    free(roles);
    return grants;
}
