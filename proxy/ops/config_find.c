#include "proxy/ops/config.h"

#define FIND(items, count, wanted)                                                                 \
    for (size_t i = 0; i < (count); i++)                                                           \
        if (slice_is(wanted, (items)[i].name)) return &(items)[i];                                 \
    return NULL

const struct config_cluster *config_cluster(const struct config *config, struct slice name)
{
    FIND(config->clusters, config->n_clusters, name);
}

const struct config_user *config_user(const struct config *config, struct slice name)
{
    FIND(config->users, config->n_users, name);
}

const struct config_role *config_role(const struct config *config, struct slice name)
{
    FIND(config->roles, config->n_roles, name);
}

const char *config_issuer_file(const struct config_issuer *issuer)
{
    const char *keys = issuer->keys;
    return keys && strncmp(keys, "file:", 5) == 0 ? keys + 5 : NULL;
}

const char *config_db_user(const struct config_user *user)
{
    return user->db_user ? user->db_user : user->name;
}

bool config_role_is_unrestricted(const struct config_role *role)
{
    for (size_t i = 0; i < role->n_grants; i++) {
        const struct config_grant *grant = &role->grants[i];
        if (!(grant->verbs & (1u << CONFIG_VERB_ALL))) continue;
        for (size_t j = 0; j < grant->on.count; j++)
            if (strcmp(grant->on.items[j], "*") == 0) return true;
    }
    return false;
}
