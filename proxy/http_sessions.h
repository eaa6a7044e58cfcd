/* http_sessions: who is logged in to the dashboard.
 *
 *   login --http_sessions_open--> token --cookie--> browser --cookie--> http_sessions_find
 *
 * A session is a random token, of which only the hash is kept, and a user's name: what he may is
 * looked up in the configuration in force at each request. It ends with idleness, with age, when
 * the user logs out, and when what he proved himself with has changed (`proof`). Their number is
 * bounded; the one that was used longest ago makes room.
 * Pure but for its caller's clock and random bytes. Thread: control's.
 */
#ifndef SLUICE_PROXY_HTTP_SESSIONS_H
#define SLUICE_PROXY_HTTP_SESSIONS_H

#include "auth/hash.h"
#include "auth/users.h"

enum {
    HTTP_SESSIONS_MAX = 64,
    HTTP_SESSIONS_OF_USER_MAX = 8,
    HTTP_SESSION_IDLE_MS = 30 * 60 * 1000,
    HTTP_SESSION_LIFE_MS = 12 * 60 * 60 * 1000,
    HTTP_TOKEN_RANDOM_BYTES = 32,
    HTTP_TOKEN_TEXT_BYTES = 2 * HTTP_TOKEN_RANDOM_BYTES + 1,
};

struct http_session {
    uint8_t token[SHA256_BYTES]; /* its hash */
    uint8_t proof[SHA256_BYTES];
    char user[USER_NAME_MAX_BYTES + 1]; /* "": free */
    uint64_t opened_ms, used_ms;
};

struct http_sessions {
    struct http_session all[HTTP_SESSIONS_MAX];
};

/* What a user proves himself with, hashed. */
bool http_proof_of(const struct user *user, uint8_t proof[SHA256_BYTES]);

/* Begins one; `random` is fresh, `token` what the browser gets. False: hashing failed. */
bool http_sessions_open(struct http_sessions *s, const struct user *user, uint64_t now_ms,
                        const uint8_t random[HTTP_TOKEN_RANDOM_BYTES],
                        char token[HTTP_TOKEN_TEXT_BYTES]);

/* The user of a token, as `users` knows him now; the session counts as used. NULL: none. */
const struct user *http_sessions_find(struct http_sessions *s, struct slice token,
                                      const struct users *users, uint64_t now_ms);

void http_sessions_close(struct http_sessions *s, struct slice token);

#endif
