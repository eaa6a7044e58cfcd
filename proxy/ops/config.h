/* config: what the administrator wrote, checked, as structs.
 *
 * A configuration is immutable once loaded and shared by reference count: whoever keeps it calls
 * config_ref and config_unref, from any thread; a reload makes a new one beside it. The structs
 * below are generated from config.def; see there for how each type looks. Every string in them
 * belongs to the configuration.
 *
 *   file --json_parse--> values --config_read--> structs --config_check--> struct config
 *            |                      |                          |
 *            +--------- problems: FILE:LINE: text, all of them at once --+
 */
#ifndef SLUICE_PROXY_OPS_CONFIG_H
#define SLUICE_PROXY_OPS_CONFIG_H

#include "protocol/buf.h"
#include "protocol/json.h"
#include "protocol/problem.h"
#include "protocol/slice.h"
#include "proxy/ops/secrets.h"

enum { CONFIG_CAP_BYTES = 16 << 20 };

struct config_list {
    char **items;
    size_t count;
};

struct config_address {
    char *text; /* as written; NULL: absent */
    char *host; /* name or address without brackets; the path, when is_unix */
    uint16_t port;
    bool is_unix;
};

struct config_secret {
    char *name;
    struct secret_ref secret;
};

struct config_secrets {
    struct config_secret *items;
    size_t count;
};

#define CHOICES(set)                                                                               \
    enum config_##set                                                                              \
    {
#define CHOICE(set, id, text, sentence) CONFIG_##id,
#define END_CHOICES(set)                                                                           \
    }                                                                                              \
    ;
#include "proxy/ops/config.def"

#define CONFIG_DECLARE_BOOL(of, name)     bool name;
#define CONFIG_DECLARE_INT(of, name)      uint32_t name;
#define CONFIG_DECLARE_DURATION(of, name) uint64_t name##_ms;
#define CONFIG_DECLARE_SIZE(of, name)     uint64_t name##_bytes;
#define CONFIG_DECLARE_DATE(of, name)     uint64_t name##_s;
#define CONFIG_DECLARE_STRING(of, name)   char *name;
#define CONFIG_DECLARE_PATH(of, name)     char *name;
#define CONFIG_DECLARE_PLACE(of, name)    char *name;
#define CONFIG_DECLARE_ADDRESS(of, name)  struct config_address name;
#define CONFIG_DECLARE_ENDPOINT(of, name) struct config_address name;
#define CONFIG_DECLARE_LIST(of, name)     struct config_list name;
#define CONFIG_DECLARE_ENUM(of, name)     enum config_##of name;
#define CONFIG_DECLARE_SET(of, name)      uint32_t name;
#define CONFIG_DECLARE_SECRET(of, name)   struct secret_ref name;
#define CONFIG_DECLARE_SETTING(of, name)  struct secret_ref name;
#define CONFIG_DECLARE_SECRETS(of, name)  struct config_secrets name;
#define CONFIG_DECLARE_OBJECT(of, name)   struct config_##of name;
#define CONFIG_DECLARE_OBJECTS(of, name)                                                           \
    struct config_##of *name;                                                                      \
    size_t n_##name;
#define CONFIG_DECLARE_MAP(of, name) CONFIG_DECLARE_OBJECTS(of, name)

/* The section `top` is the configuration itself. */
#define config_top config

/* What every section knows of itself. */
#define CONFIG_HEAD                                                                                \
    char *name;    /* its key in a MAP; of the configuration, its path; else NULL */               \
    uint32_t line; /* where it begins; 0: it is absent and all defaults */                         \
    uint32_t node; /* the JSON value's number, for the checks while loading */

#define SECTION(section, sentence)                                                                 \
    struct config_##section {                                                                      \
        CONFIG_HEAD
#define FIELD(section, type, of, name, default_, low, high, when, sentence)                        \
    CONFIG_DECLARE_##type(of, name)
#define END(section)                                                                               \
    }                                                                                              \
    ;
#include "proxy/ops/config.def"

/* Reads and checks the file. NULL when there is any error; warnings come with a configuration.
 * All problems are added to `problems`, sorted by line. The reference is the caller's. */
struct config *config_load(const char *path, struct problems *problems);

/* The same, for who only wants to know what it says: certificates, keys and other files that it
 * names need not be on this machine. */
struct config *config_look(const char *path, struct problems *problems);

/* What config_parse looks at outside the text. */
struct config_world {
    const char *path;      /* relative file names start from its directory */
    const char *directory; /* unless this, with a slash at the end, says otherwise */
    uint64_t now_s;        /* since 1970 */
    bool has_files;        /* look whether certificates, keys and the like are there */
};

/* The text that it was made of. */
struct slice config_text(const struct config *config);

/* The same from memory. */
struct config *config_parse(struct slice text, const struct config_world *world,
                            struct problems *problems);

/* Another one from the same text, private to the caller; what it names is not looked at again. */
struct config *config_again(const struct config *config, struct problems *problems);

/* Every reference to a secret, absent ones included, with its directive
 * ("users.ana.password"). */
typedef void config_visit_secret(void *arg, const char *path, struct secret_ref *ref);
void config_each_secret(struct config *config, config_visit_secret *visit, void *arg);

struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* NULL is fine */

/* Reads pool directives out of `object` over those of `pool`: what a route overrides. What it
 * points to (local_answers) belongs to `owner`, which therefore must outlive it and must still be
 * private to the caller. False when something was wrong. */
bool config_read_pool(struct config *owner, const struct json_value *object,
                      struct config_pool *pool, struct problems *problems);

/* A configuration of nothing, to be the owner of what is read out of a document beside it. NULL
 * when memory ran out. */
struct config *config_keeper_new(void);

/* By name; NULL when there is none. */
const struct config_cluster *config_cluster(const struct config *config, struct slice name);
const struct config_user *config_user(const struct config *config, struct slice name);
const struct config_role *config_role(const struct config *config, struct slice name);

/* As a file, or by reference. */
bool config_has_certificate(const struct config_listen_tls *tls);

/* The database user of a user's sessions when no route says otherwise. */
const char *config_db_user(const struct config_user *user);

/* The file with an issuer's keys; NULL: they are fetched. */
const char *config_issuer_file(const struct config_issuer *issuer);

/* Whether a role holds ALL on "*": its statements are passed on unread. */
bool config_role_is_unrestricted(const struct config_role *role);

/* A word of config.def as the file writes it: config_word_pool_mode(CONFIG_POOL_SESSION). */
#define CHOICES(set) const char *config_word_##set(enum config_##set value);
#define CHOICE(set, id, text, sentence)
#define END_CHOICES(set)
#include "proxy/ops/config.def"

/* The reference, as Markdown, and a JSON Schema (draft-07) of the document. */
void config_describe(struct buf *out);
void config_schema(struct buf *out);

#endif
