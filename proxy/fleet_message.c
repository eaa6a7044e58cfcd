#include "proxy/fleet_message.h"

#include "auth/hash.h"

#include <inttypes.h>
#include <openssl/crypto.h>

static const char magic[] = "sluice-fleet 1 ";

/* The scope stands first and has no space in it; the key signs heads of tables, too, and those
 * begin otherwise. */
static bool sign(struct slice fields, struct slice scope, struct slice key,
                 uint8_t out[SHA256_BYTES])
{
    struct slice parts[] = { slice_str("fleet "), scope, slice_str(" "), fields };
    return hash_hmac(out, key, parts, sizeof parts / sizeof *parts);
}

void fleet_message_write(struct buf *out, const struct fleet_message *m,
                         const struct cache_trust *trust)
{
    uint8_t signature[SHA256_BYTES];
    uint32_t start = out->len;
    buf_addf(out, "%s%x %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " ", magic, (unsigned)m->kind,
             m->from, m->serial, (uint64_t)m->time_ms);
    hex_print(buf_slice(&m->body), out);
    buf_add_u8(out, ' ');
    struct slice fields = slice_after(buf_slice(out), start);
    if (out->failed || !sign(fields, trust->scope, trust->keys[0], signature)) {
        out->failed = true;
        return;
    }
    hex_print(slice_of((const char *)signature, sizeof signature), out);
}

static bool next_word(struct slice *rest, struct slice *word)
{
    const char *space = rest->len ? memchr(rest->at, ' ', rest->len) : NULL;
    if (!space) return false;
    *word = slice_of(rest->at, (size_t)(space - rest->at));
    *rest = slice_after(*rest, word->len + 1);
    return true;
}

static bool next_number(struct slice *rest, uint64_t *out)
{
    struct slice word;
    uint8_t bytes[8];
    if (!next_word(rest, &word) || !hex_parse(word, bytes, sizeof bytes)) return false;
    *out = 0;
    for (size_t i = 0; i < sizeof bytes; i++) *out = *out << 8 | bytes[i];
    return true;
}

static bool is_signed(struct fleet_message *m, struct slice fields, struct slice signature,
                      const struct cache_trust *trust)
{
    uint8_t said[SHA256_BYTES], ours[SHA256_BYTES];
    if (!hex_parse(signature, said, sizeof said)) return false;
    for (uint32_t i = 0; i < trust->key_count; i++) {
        if (!sign(fields, trust->scope, trust->keys[i], ours) ||
            CRYPTO_memcmp(said, ours, sizeof said) != 0)
            continue;
        m->key = trust->keys[i];
        return true;
    }
    return false;
}

bool fleet_message_read(struct fleet_message *m, struct slice line, const struct cache_trust *trust)
{
    enum { SIGNATURE_DIGITS = 2 * SHA256_BYTES };
    struct slice word, body;
    uint64_t time;
    *m = (struct fleet_message){ 0 };
    if (line.len <= SIGNATURE_DIGITS || line.len > 2 * FLEET_BODY_BYTES + 256) return false;
    struct slice fields = slice_of(line.at, line.len - SIGNATURE_DIGITS);
    if (!is_signed(m, fields, slice_after(line, fields.len), trust)) return false;
    if (!slice_starts(fields, magic)) return false;
    struct slice rest = slice_after(fields, sizeof magic - 1);
    if (!next_word(&rest, &word) || word.len != 1 || word.at[0] < '0' ||
        word.at[0] > '0' + FLEET_ANSWER)
        return false;
    m->kind = (enum fleet_kind)(word.at[0] - '0');
    if (!next_number(&rest, &m->from) || !next_number(&rest, &m->serial) ||
        !next_number(&rest, &time) || !next_word(&rest, &body) || rest.len || body.len % 2)
        return false;
    m->time_ms = (int64_t)time;
    uint8_t bytes[FLEET_BODY_BYTES];
    if (body.len / 2 > sizeof bytes || !hex_parse(body, bytes, body.len / 2)) return false;
    buf_add(&m->body, bytes, body.len / 2);
    return !m->body.failed;
}

bool fleet_message_pad(const struct fleet_message *m, struct slice key,
                       uint8_t out[FLEET_PAD_BYTES])
{
    char name[64];
    int n = snprintf(name, sizeof name, "pad %016" PRIx64 " %016" PRIx64, m->from, m->serial);
    struct slice part = slice_of(name, (size_t)n);
    return hash_hmac(out, key, &part, 1);
}

bool fleet_guard_take(struct fleet_guard *g, const struct fleet_message *m, int64_t now_ms)
{
    size_t at = FLEET_SENDERS_MAX;
    if (m->time_ms > now_ms + FLEET_WINDOW_MS || m->time_ms < now_ms - FLEET_WINDOW_MS)
        return false;
    for (size_t i = 0; i < FLEET_SENDERS_MAX; i++) {
        bool is_free = g->known[i].from == 0;
        if (g->known[i].from == m->from) {
            at = i;
            break;
        }
        /* Who is forgotten could not be repeated: his last words are too old. */
        if (is_free || now_ms - g->known[i].seen_ms > 3 * FLEET_WINDOW_MS) at = i;
    }
    if (at == FLEET_SENDERS_MAX || m->from == 0) return false;
    if (g->known[at].from == m->from && m->serial <= g->known[at].serial) return false;
    g->known[at].from = m->from;
    g->known[at].serial = m->serial;
    g->known[at].seen_ms = now_ms;
    return true;
}
