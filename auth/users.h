/* users: who may log in to Sluice, and what each proves itself with.
 *
 *     users_new -> users_add ... -> users_seal -> users_find, from any thread
 *
 * A table is built once from the config, sealed, and then never changes; a
 * reload builds another. A plaintext password is turned into the verifiers that
 * its methods need while the table is built, so that no login waits for PBKDF2
 * and nobody looks at the plaintext again.
 *
 * Ownership: counted; the last users_unref wipes and frees everything, also what
 * users_find returned. Hold a reference for as long as a login is under way.
 * Thread: one builder; after users_seal any number of readers.
 */
#ifndef SLUICE_AUTH_USERS_H
#define SLUICE_AUTH_USERS_H

#include "auth/digest.h"
#include "auth/md5.h"
#include "auth/scram.h"
#include "auth/secret.h"
#include "protocol/map.h"

enum auth_method {
    AUTH_NONE, /* no way in */
#define AUTH_METHOD(name, text, needs) AUTH_##name,
#include "auth/method.def"
#undef AUTH_METHOD
    AUTH_METHOD_COUNT
};

#define AUTH_BIT(method) (1u << (method))

enum {
    /* The methods that end in a password of ours. */
    AUTH_PASSWORD_BITS = AUTH_BIT(AUTH_SCRAM) | AUTH_BIT(AUTH_MD5) | AUTH_BIT(AUTH_DIGEST) |
                         AUTH_BIT(AUTH_CLEARTEXT),
    USER_NAME_MAX_BYTES = 128,
    USERS_KEY_BYTES = 32,
};

/* "scram-sha-256" and so on, as in the config; AUTH_NONE for anything else. */
enum auth_method auth_method_of(struct slice text);
const char *auth_method_text(enum auth_method method);

/* What a user may see and do in the admin console; each level includes those before it. */
enum console_level { CONSOLE_NONE, CONSOLE_VIEWER, CONSOLE_OPERATOR, CONSOLE_ROUTER };

/* One user. Slices and pointers live as long as the table; each text is followed by a NUL. */
struct user {
    struct slice name;
    unsigned methods; /* AUTH_BIT(...) | ... */
    enum console_level console;
    struct slice role, db_user;
    uint32_t role_index; /* the caller's own number for the role */
    const struct slice *arns;
    uint32_t arn_count;
    const struct slice *functions; /* Lambda functions it must be, as globs; none: whoever */
    uint32_t function_count;
    bool no_sts_token, no_web_identity; /* kinds of IAM token that are not for it */
    const struct slice *idp_users;      /* as the warehouse may call it, globs; none: as it likes */
    uint32_t idp_user_count;
    const struct slice *certificate_names; /* of certificates that prove this user */
    uint32_t certificate_name_count;
    /* What its password can be checked with; NULL: not held. */
    const struct scram_verifier *scram;
    const struct digest_verifier *digest;
    const struct md5_verifier *md5;
};

/* What users_add needs; everything is copied. */
struct user_setup {
    struct slice name;
    unsigned methods;
    enum console_level console;
    struct slice role, db_user;
    uint32_t role_index;
    const struct slice *arns;
    uint32_t arn_count;
    const struct slice *functions;
    uint32_t function_count;
    bool no_sts_token, no_web_identity;
    const struct slice *idp_users;
    uint32_t idp_user_count;
    const struct slice *certificate_names; /* none: the user's name */
    uint32_t certificate_name_count;
    /* Each is a stored verifier ("SCRAM-SHA-256$...", "sha256|...", "md5..." with 32 digits) or a
     * plaintext password; at most one of each kind. */
    const struct slice *passwords;
    uint32_t password_count;
};

struct users;

/* `key`: USERS_KEY_BYTES random bytes of this process, the same for every table it builds: salts
 * are derived from it. `previous`: the table this one replaces, borrowed until users_seal, or NULL;
 * passwords that did not change are not derived again. NULL: no memory. */
struct users *users_new(struct map_seed seed, struct slice key, const struct users *previous);

/* Slow when a plaintext password is new. False sets err (ERR_CONFIG, naming the user but never
 * its secret); the table is as before then. */
bool users_add(struct users *u, const struct user_setup *setup, struct err *err);

/* Ends the building. False: no memory. */
bool users_seal(struct users *u);

const struct user *users_find(const struct users *u, struct slice name);

/* A user that does not exist, with the methods and the kinds of credentials that most users have.
 * For choosing what somebody unknown is asked; it proves nothing and has no name. */
const struct user *users_stranger(const struct users *u);

/* The key given to users_new: what the mocks for unknown users are derived from. */
struct slice users_key(const struct users *u);

uint32_t users_count(const struct users *u);
/* Walks all users: start with *at = 0; NULL at the end. */
const struct user *users_next(const struct users *u, uint32_t *at);

struct users *users_ref(struct users *u);
void users_unref(struct users *u); /* NULL is fine */

#endif
