/* aws_identity: who the proxy is towards AWS, for one combination of `aws` settings.
 *
 * Holds one set of keys and sees that it is good: searched for when first needed,
 * again in the background before it expires (the old set serves meanwhile), once
 * at a time, however many wait. A failed search is not repeated at once.
 *
 * Ownership: see creds, whose it is. Memory only; keys are wiped. Thread: the control thread's.
 */
#ifndef SLUICE_PROXY_AWS_IDENTITY_H
#define SLUICE_PROXY_AWS_IDENTITY_H

#include "auth/redshift_credentials.h"
#include "protocol/list.h"
#include "proxy/aws_client.h"
#include "proxy/ops/config.h"

/* Somebody who needs keys; on no list: not waiting. `ready` is told when there are keys, or why
 * there are none (err). */
struct aws_identity_wait {
    struct list node;
    void (*ready)(struct aws_identity_wait *w, const struct err *err);
};

struct aws_identity {
    char *key;
    uv_loop_t *uv;
    struct http *http;
    struct config *settings; /* held: the texts in `config` are its own */
    struct aws_chain_config config;
    struct buf external_id;
    char session_name[100];
    struct aws_search *search;
    struct aws_credentials keys;
    bool has_keys;
    int64_t advisory_ms, blocked_until_ms;
    struct err why; /* while blocked */
    struct aws_endpoint endpoints[AWS_SERVICE_COUNT];
    struct err no_endpoint[AWS_SERVICE_COUNT]; /* code 0: there is one, after the first search */
    int32_t quota;
    int64_t skew_ms;
    struct list waiting;
    char report[1024]; /* what the last search looked at; no secrets */
    char source[AWS_SOURCE_BYTES];
};

/* The settings in force for a cluster: its own over the top level's. The region of a cluster's host
 * name goes before the top level's. `cluster` NULL: the top level alone. */
struct config_aws aws_identity_settings(const struct config *config,
                                        const struct config_cluster *cluster, struct buf *region);

/* Appends what tells identities apart. */
void aws_identity_key(const struct config_aws *settings, struct buf *out);

/* NULL when memory ran out, or `err`: the external id cannot be read. */
struct aws_identity *aws_identity_new(uv_loop_t *uv, struct http *http, struct config *config,
                                      const struct config_aws *settings, struct slice key,
                                      struct err *err);
void aws_identity_free(struct aws_identity *id);

/* True: the keys are good now. False: `w` is told, later or (an error) at once. */
bool aws_identity_use(struct aws_identity *id, struct aws_identity_wait *w);

/* AWS does not take these keys any more: they are searched for anew. */
void aws_identity_drop_keys(struct aws_identity *id);

/* What signs a call to a service. False and `err`: no endpoint, no region. */
bool aws_identity_signer(const struct aws_identity *id, enum aws_service service,
                         struct aws_signer *out, struct err *err);

#endif
