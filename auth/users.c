#include "auth/users.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A user with everything that its public part points at, in one piece of memory. */
struct entry {
    struct user user;
    struct scram_verifier scram;
    struct digest_verifier digest;
    struct md5_verifier md5;
    uint8_t password_sum[SHA256_BYTES]; /* of the plaintext, keyed; zero: none was given */
    size_t size;
    char tail[]; /* the slices of the lists, then the bytes of all strings */
};

struct users {
    atomic_uint references;
    struct map by_name;
    struct secret *key;
    const struct users *previous; /* only while building */
    struct entry *stranger;
};

static const char *const method_texts[AUTH_METHOD_COUNT] = {
    [AUTH_NONE] = "none",
#define AUTH_METHOD(name, text, needs) [AUTH_##name] = text,
#include "auth/method.def"
#undef AUTH_METHOD
};

enum auth_method auth_method_of(struct slice text)
{
    for (int m = AUTH_NONE + 1; m < AUTH_METHOD_COUNT; m++)
        if (slice_is(text, method_texts[m])) return (enum auth_method)m;
    return AUTH_NONE;
}

const char *auth_method_text(enum auth_method method)
{
    return method_texts[(unsigned)method < AUTH_METHOD_COUNT ? method : AUTH_NONE];
}

struct users *users_new(struct map_seed seed, struct slice key, const struct users *previous)
{
    struct users *u = calloc(1, sizeof *u);
    if (!u) return NULL;
    atomic_init(&u->references, 1);
    map_init(&u->by_name, seed);
    u->previous = previous;
    u->key = secret_new(key);
    if (u->key) return u;
    free(u);
    return NULL;
}

/* ---- one entry ---------------------------------------------------------------------------- */

static void entry_free(struct entry *e)
{
    if (!e) return;
    OPENSSL_cleanse(e, e->size);
    free(e);
}

/* Into zeroed memory. */
static struct slice put_string(char **at, struct slice s)
{
    struct slice copy = slice_of(*at, s.len);
    if (s.len) memcpy(*at, s.at, s.len);
    *at += s.len + 1;
    return copy;
}

static const struct slice *put_list(struct slice **slot, char **at, const struct slice *list,
                                    uint32_t count)
{
    const struct slice *copy = *slot;
    for (uint32_t i = 0; i < count; i++) *(*slot)++ = put_string(at, list[i]);
    return copy;
}

static size_t list_bytes(const struct slice *list, uint32_t count)
{
    size_t sum = count * (sizeof *list + 1);
    for (uint32_t i = 0; i < count; i++) sum += list[i].len;
    return sum;
}

/* Everything but the credentials. NULL: no memory. */
static struct entry *entry_new(const struct user_setup *setup)
{
    const struct slice *names = setup->certificate_names;
    uint32_t name_count = setup->certificate_name_count;
    if (!name_count && setup->methods & AUTH_BIT(AUTH_CERT)) {
        names = &setup->name;
        name_count = 1;
    }
    size_t size = sizeof(struct entry) + setup->name.len + 1 + setup->role.len + 1 +
                  setup->db_user.len + 1 + list_bytes(setup->arns, setup->arn_count) +
                  list_bytes(setup->functions, setup->function_count) +
                  list_bytes(setup->idp_users, setup->idp_user_count) +
                  list_bytes(names, name_count);
    struct entry *e = calloc(1, size);
    if (!e) return NULL;
    e->size = size;
    struct slice *slot = (struct slice *)(void *)e->tail;
    char *at = (char *)(slot + setup->arn_count + setup->function_count + setup->idp_user_count +
                        name_count);
    e->user = (struct user){
        .name = put_string(&at, setup->name),
        .methods = setup->methods,
        .console = setup->console,
        .role = put_string(&at, setup->role),
        .db_user = put_string(&at, setup->db_user),
        .role_index = setup->role_index,
        .arns = put_list(&slot, &at, setup->arns, setup->arn_count),
        .arn_count = setup->arn_count,
        .functions = put_list(&slot, &at, setup->functions, setup->function_count),
        .function_count = setup->function_count,
        .idp_users = put_list(&slot, &at, setup->idp_users, setup->idp_user_count),
        .idp_user_count = setup->idp_user_count,
        .no_sts_token = setup->no_sts_token,
        .no_web_identity = setup->no_web_identity,
        .certificate_names = put_list(&slot, &at, names, name_count),
        .certificate_name_count = name_count,
    };
    return e;
}
_Static_assert(offsetof(struct entry, tail) % _Alignof(struct slice) == 0,
               "the lists of slices start aligned");

/* ---- credentials -------------------------------------------------------------------------- */

static bool fail(struct err *err, struct slice user, const char *why)
{
    return err_set(err, ERR_CONFIG, "user \"%.*s\": %s", SLICE_ARG(user), why);
}

/* Puts the user's name before what the parser of a verifier said. */
static bool fail_in_verifier(struct err *err, struct slice user, const struct err *why)
{
    return fail(err, user, why->message);
}

/* Verifiers from a plaintext password, for the methods that the user has. The salts are the ones
 * that an unknown user of this name would be shown. */
static bool derive(const struct users *u, struct entry *e, struct slice password)
{
    struct slice name = e->user.name, key = secret_bytes(u->key);
    struct slice parts[] = { slice_of("password", 9), password };
    uint8_t sum[SHA256_BYTES], salt[SCRAM_SALT_BYTES];

    if (!hash_hmac(e->password_sum, key, parts, 2)) return false;
    const struct entry *old = NULL;
    if (u->previous && secret_equals(u->previous->key, key))
        old = map_get(&u->previous->by_name, name);
    if (!e->user.scram) {
        if (old && old->user.scram &&
            CRYPTO_memcmp(old->password_sum, e->password_sum, SHA256_BYTES) == 0) {
            e->scram = old->scram;
        } else if (!scram_stable_salt(salt, key, name) ||
                   !scram_verifier_make(&e->scram, password, slice_of(salt, sizeof salt),
                                        SCRAM_ITERATIONS)) {
            return false;
        }
        e->user.scram = &e->scram;
    }
    if (!e->user.digest) {
        if (!digest_stable_salt(sum, key, name) ||
            !digest_verifier_make(&e->digest, password, slice_of(sum, sizeof sum)))
            return false;
        e->user.digest = &e->digest;
    }
    /* Only on demand: md5 is the one that a policy of the machine may forbid. */
    if (!e->user.md5 && e->user.methods & AUTH_BIT(AUTH_MD5)) {
        if (!md5_verifier_make(&e->md5, password, name)) return false;
        e->user.md5 = &e->md5;
    }
    return true;
}

/* PostgreSQL's rule: what looks like an md5 verifier is one; the others begin unmistakably. */
static bool is_md5_verifier(struct slice text)
{
    uint8_t sum[MD5_BYTES];
    bool is = slice_starts(text, "md5") && hex_parse(slice_after(text, 3), sum, sizeof sum);
    OPENSSL_cleanse(sum, sizeof sum);
    return is;
}

static bool take_credentials(const struct users *u, struct entry *e, const struct user_setup *setup,
                             struct err *err)
{
    const struct slice *plaintext = NULL;
    struct user *user = &e->user;
    struct err why;
    for (uint32_t i = 0; i < setup->password_count; i++) {
        struct slice text = setup->passwords[i];
        bool is_second = false;
        if (slice_starts(text, "SCRAM-SHA-256$")) {
            is_second = user->scram != NULL;
            if (!scram_verifier_parse(&e->scram, text, &why))
                return fail_in_verifier(err, user->name, &why);
            user->scram = &e->scram;
        } else if (slice_starts(text, "sha256|")) {
            is_second = user->digest != NULL;
            if (!digest_verifier_parse(&e->digest, text, &why))
                return fail_in_verifier(err, user->name, &why);
            user->digest = &e->digest;
        } else if (is_md5_verifier(text)) {
            is_second = user->md5 != NULL;
            if (!md5_verifier_parse(&e->md5, text, &why))
                return fail_in_verifier(err, user->name, &why);
            user->md5 = &e->md5;
        } else {
            is_second = plaintext != NULL;
            /* An empty password is what a client sends that was never told one. */
            if (!text.len) return fail(err, user->name, "the password is empty");
            if (memchr(text.at, '\0', text.len))
                return fail(err, user->name, "the password contains a NUL byte");
            plaintext = &setup->passwords[i];
        }
        if (is_second) return fail(err, user->name, "two passwords of the same kind");
    }
    if (plaintext && !derive(u, e, *plaintext))
        return fail(err, user->name, "the password cannot be hashed on this machine");
    return true;
}

/* Every method that is listed must be able to succeed. */
static bool methods_fit(const struct user *user, struct err *err)
{
    unsigned m = user->methods;
    if (!m) return fail(err, user->name, "no auth method");
    if (m & AUTH_BIT(AUTH_SCRAM) && !user->scram)
        return fail(err, user->name, "scram-sha-256 needs a password or a SCRAM verifier");
    if (m & AUTH_BIT(AUTH_DIGEST) && !user->digest)
        return fail(err, user->name, "digest needs a password or a sha256 verifier");
    if (m & AUTH_BIT(AUTH_MD5) && !user->md5)
        return fail(err, user->name, "md5 needs a password or an md5 verifier");
    if (m & AUTH_BIT(AUTH_CLEARTEXT) && !user->scram && !user->digest && !user->md5)
        return fail(err, user->name, "cleartext needs a password or a verifier");
    if (m & AUTH_BIT(AUTH_IAM) && !user->arn_count)
        return fail(err, user->name, "iam needs at least one ARN");
    return true;
}

bool users_add(struct users *u, const struct user_setup *setup, struct err *err)
{
    struct slice name = setup->name;
    if (!name.len || name.len > USER_NAME_MAX_BYTES || memchr(name.at, '\0', name.len))
        return err_set(err, ERR_CONFIG, "a user's name is 1 to %d bytes without NUL",
                       USER_NAME_MAX_BYTES);
    if (map_get(&u->by_name, name)) return fail(err, name, "defined twice");
    struct entry *e = entry_new(setup);
    if (!e) return err_set(err, ERR_OUT_OF_MEMORY, "");
    bool added = take_credentials(u, e, setup, err) && methods_fit(&e->user, err);
    if (added && !map_put(&u->by_name, e->user.name, e))
        added = err_set(err, ERR_OUT_OF_MEMORY, "");
    if (!added) entry_free(e);
    return added;
}

/* ---- the stranger ------------------------------------------------------------------------- */

/* What an outsider can learn about a user by trying to log in: methods and kinds of verifiers. */
static unsigned shape_of(const struct user *user)
{
    return user->methods << 3 | (user->scram ? 1u : 0) | (user->digest ? 2u : 0) |
           (user->md5 ? 4u : 0);
}

bool users_seal(struct users *u)
{
    enum { SHAPES = AUTH_BIT(AUTH_METHOD_COUNT) << 3 };
    uint32_t *counts = calloc(SHAPES, sizeof *counts);
    u->stranger = entry_new(&(struct user_setup){ .methods = AUTH_BIT(AUTH_SCRAM) });
    u->previous = NULL;
    if (!counts || !u->stranger) {
        free(counts);
        return false;
    }
    uint32_t at = 0;
    for (const struct user *user; (user = users_next(u, &at));) counts[shape_of(user)]++;
    unsigned best = 0;
    for (unsigned shape = 1; shape < SHAPES; shape++)
        if (counts[shape] > counts[best]) best = shape;
    free(counts);
    const struct user *typical = NULL;
    at = 0;
    for (const struct user *user; !typical && (user = users_next(u, &at));)
        if (shape_of(user) == best) typical = user;

    struct user *stranger = &u->stranger->user;
    u->stranger->scram.iterations = SCRAM_ITERATIONS;
    if (!typical) {
        stranger->scram = &u->stranger->scram;
        return true;
    }
    stranger->methods = typical->methods;
    if (typical->scram) {
        u->stranger->scram.iterations = typical->scram->iterations;
        stranger->scram = &u->stranger->scram;
    }
    if (typical->digest) stranger->digest = &u->stranger->digest;
    if (typical->md5) stranger->md5 = &u->stranger->md5;
    return true;
}

const struct user *users_stranger(const struct users *u) { return &u->stranger->user; }

/* ---- looking ------------------------------------------------------------------------------ */

const struct user *users_find(const struct users *u, struct slice name)
{
    const struct entry *e = map_get(&u->by_name, name);
    return e ? &e->user : NULL;
}

struct slice users_key(const struct users *u) { return secret_bytes(u->key); }

uint32_t users_count(const struct users *u) { return u->by_name.count; }

const struct user *users_next(const struct users *u, uint32_t *at)
{
    const struct entry *e = map_next(&u->by_name, at);
    return e ? &e->user : NULL;
}

struct users *users_ref(struct users *u)
{
    atomic_fetch_add_explicit(&u->references, 1, memory_order_relaxed);
    return u;
}

void users_unref(struct users *u)
{
    if (!u || atomic_fetch_sub_explicit(&u->references, 1, memory_order_acq_rel) != 1) return;
    uint32_t at = 0;
    for (struct entry *e; (e = map_next(&u->by_name, &at));) entry_free(e);
    map_fini(&u->by_name);
    entry_free(u->stranger);
    secret_free(u->key);
    free(u);
}
