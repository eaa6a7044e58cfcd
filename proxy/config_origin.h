/* config_origin: a configuration's text, from where `--config` says.
 *
 *      FILE               read
 *      ssm:NAME           GetParameter, decrypted; NAME may have ":VERSION" behind
 *      s3://BUCKET/KEY    GetObject
 *
 * AWS is asked as the environment says (region, profile, keys, role: the usual chain); the
 * configuration's own `aws` cannot count yet. Relative file names in a configuration from AWS start
 * from CONFIG_ORIGIN_DIRECTORY.
 *
 * Ownership: an open source belongs to its opener; one fetch at a time. Thread: the loop's;
 * config_origin_load is for those who have none.
 */
#ifndef SLUICE_PROXY_CONFIG_ORIGIN_H
#define SLUICE_PROXY_CONFIG_ORIGIN_H

#include "proxy/ops/config.h"

#include <uv.h>

#define CONFIG_ORIGIN_DIRECTORY "/etc/sluice/"

struct config_origin;
struct http;

enum { CONFIG_ORIGIN_VERSION_BYTES = 128 };

/* What came: the text, and what AWS calls its version. Borrowed for the call. `err` NULL: success.
 */
typedef void config_origin_done(void *owner, struct slice text, const char *version,
                                const struct err *err);

/* Whether it has to be fetched from AWS. */
bool config_origin_is_remote(const char *name);

/* For a remote name. `http` must outlive it. NULL and `err` when it cannot be. close: no `done`
 * comes any more; free: after the end of the loop. */
struct config_origin *config_origin_open(uv_loop_t *uv, struct http *http, const char *name,
                                         struct err *err);
void config_origin_close(struct config_origin *s); /* NULL is fine, here and below */
void config_origin_free(struct config_origin *s);

/* `done` comes once, possibly before this returns. False: one is under way already. */
bool config_origin_fetch(struct config_origin *s, config_origin_done *done, void *owner);

/* Reads and checks what was fetched; as config_load. */
struct config *config_origin_parse(const char *name, struct slice text, struct problems *problems);

/* Fetches, reads and checks, blocking, whatever the source. `version` may be NULL; it is empty for
 * a file. */
struct config *config_origin_load(const char *name, char version[CONFIG_ORIGIN_VERSION_BYTES],
                                  struct problems *problems);

/* The same, for who only wants to know what it says: files that it names need not be here. */
struct config *config_origin_look(const char *name, struct problems *problems);

#endif
