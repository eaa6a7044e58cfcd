#include "auth/aws_credentials.h"

#include <openssl/crypto.h>

void aws_credentials_init(struct aws_credentials *c)
{
    *c = (struct aws_credentials){ .key_id.secret = true };
}

void aws_credentials_fini(struct aws_credentials *c)
{
    buf_fini(&c->key_id);
    secret_free(c->secret);
    secret_free(c->token);
    OPENSSL_cleanse(c, sizeof *c);
    aws_credentials_init(c);
}

bool aws_credentials_set(struct aws_credentials *c, struct slice key_id, struct slice secret,
                         struct slice token)
{
    buf_truncate(&c->key_id, 0);
    secret_free(c->secret);
    secret_free(c->token);
    buf_add_slice(&c->key_id, key_id);
    c->secret = secret_new(secret);
    c->token = token.len ? secret_new(token) : NULL;
    return !c->key_id.failed && c->secret && (c->token || token.len == 0);
}

bool aws_credentials_copy(struct aws_credentials *to, const struct aws_credentials *from)
{
    aws_credentials_init(to);
    bool ok = aws_credentials_set(to, buf_slice(&from->key_id), secret_bytes(from->secret),
                                  secret_bytes(from->token));
    to->issued_ms = from->issued_ms;
    to->expires_ms = from->expires_ms;
    memcpy(to->account, from->account, sizeof to->account);
    memcpy(to->source, from->source, sizeof to->source);
    return ok;
}

struct sigv4_key aws_credentials_key(const struct aws_credentials *c, struct slice region,
                                     struct slice service)
{
    return (struct sigv4_key){ buf_slice(&c->key_id), secret_bytes(c->secret),
                               secret_bytes(c->token), region, service };
}

enum { MINUTE_MS = 60 * 1000 };

static int64_t window(const struct aws_credentials *c, int64_t most, int64_t divisor)
{
    int64_t share = (c->expires_ms - c->issued_ms) / divisor;
    return share < 0 ? 0 : share < most ? share : most;
}

int64_t aws_credentials_advisory_ms(const struct aws_credentials *c, uint32_t random)
{
    if (c->expires_ms == 0) return INT64_MAX;
    int64_t before = window(c, 15 * MINUTE_MS, 4), spread = before / 15;
    int64_t jitter = spread ? (int64_t)(random % (uint64_t)(2 * spread)) - spread : 0;
    return c->expires_ms - before + jitter;
}

int64_t aws_credentials_mandatory_ms(const struct aws_credentials *c)
{
    if (c->expires_ms == 0) return INT64_MAX;
    return c->expires_ms - window(c, 10 * MINUTE_MS, 8);
}
