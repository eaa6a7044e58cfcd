/* config_settings: a configuration as a flat list of directives with their values.
 *
 * For SHOW CONFIG and for saying what a reload changes. Everything is copied, so a list outlives
 * its configuration, except texts of config.def, which live for ever. No secret is in it.
 */
#ifndef SLUICE_PROXY_OPS_CONFIG_SETTINGS_H
#define SLUICE_PROXY_OPS_CONFIG_SETTINGS_H

#include "proxy/ops/config.h"

struct config_setting {
    char *path;  /* "clusters.warehouse.max_connections", "listen[0].address" */
    char *value; /* as in the file, without quotes; "": absent; secrets: a reference */
    const char *default_value; /* "": none */
    const char *sentence;
    bool is_live;         /* a reload applies it */
    uint64_t fingerprint; /* equal for equal values, stored verifiers included */
};

struct config_settings {
    struct config_setting *items;
    size_t count, cap;
    bool failed; /* memory ran out: incomplete */
};

/* All directives in the order of the reference, what is absent included. `out` is zeroed. */
void config_settings_init(struct config_settings *out, const struct config *config);
void config_settings_fini(struct config_settings *settings);

struct config_change {
    const struct config_setting *before, *after; /* NULL: not there */
};

/* What differs between two configurations. */
struct config_changes {
    struct config_settings before, after; /* what `items` point into */
    struct config_change *items;
    size_t count, need_restart;
    bool failed;
};

/* What is new comes last, otherwise in the order of the reference. */
void config_changes_init(struct config_changes *out, const struct config *before,
                         const struct config *after);
void config_changes_fini(struct config_changes *changes);

/* Whether a change waits for the next start. */
bool config_change_needs_restart(const struct config_change *change);

#endif
