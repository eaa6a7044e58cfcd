#include "routing/cache.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MAGIC "sluice-routes"

enum { FORMAT = 1, HEX_BYTES = 2 * CACHE_HASH_BYTES };

/* ---- bytes ------------------------------------------------------------------------------------
 */

static void add_hex(struct buf *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        buf_add_u8(out, (uint8_t)digits[bytes[i] >> 4]);
        buf_add_u8(out, (uint8_t)digits[bytes[i] & 15]);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool cache_hash_parse(uint8_t out[CACHE_HASH_BYTES], struct slice text)
{
    if (text.len != HEX_BYTES) return false;
    for (size_t i = 0; i < CACHE_HASH_BYTES; i++) {
        int high = hex_digit(text.at[2 * i]), low = hex_digit(text.at[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* One way to write each number: what is signed is what is read. */
static bool read_number(struct slice text, uint64_t *out)
{
    uint64_t v = 0;
    if (text.len == 0 || text.len > 16 || (text.at[0] == '0' && text.len > 1)) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        v = v * 10 + (uint64_t)(text.at[i] - '0');
    }
    *out = v;
    return true;
}

/* Cuts off what stands before the next space. */
static struct slice next_word(struct slice *line)
{
    const char *space = line->len ? memchr(line->at, ' ', line->len) : NULL;
    size_t n = space ? (size_t)(space - line->at) : line->len;
    struct slice word = slice_of(line->at, n);
    *line = line->at ? slice_after(*line, n + (space != NULL)) : *line;
    return word;
}

const char *cache_verdict_text(enum cache_verdict v)
{
    static const char *const texts[] = {
        [CACHE_BELIEVED] = "believed",           [CACHE_MISSING] = "nothing there",
        [CACHE_GARBAGE] = "not a routing table", [CACHE_LATER] = "written by a later version",
        [CACHE_FORGED] = "wrong signature",      [CACHE_MISMATCH] = "content does not fit its hash",
    };
    return texts[v];
}

/* ---- heads ------------------------------------------------------------------------------------
 */

bool cache_trust_check(const struct cache_trust *trust, struct err *e)
{
    for (size_t i = 0; i < trust->scope.len; i++) {
        char c = trust->scope.at[i];
        if (c <= ' ' || c == 0x7f || c == '{' || c == '}')
            return err_set(e, ERR_INVALID_VALUE, "the scope of a cache has no spaces or braces");
    }
    if (trust->scope.len == 0 || trust->scope.len > 100)
        return err_set(e, ERR_INVALID_VALUE, "the scope of a cache has from 1 to 100 bytes");
    for (uint32_t i = 0; i < trust->key_count; i++)
        if (trust->keys[i].len < CACHE_KEY_LEAST_BYTES)
            return err_set(e, ERR_INVALID_VALUE, "a signing key has at least %d bytes",
                           CACHE_KEY_LEAST_BYTES);
    return true;
}

static void hash_of(struct slice bytes, uint8_t out[CACHE_HASH_BYTES])
{
    unsigned n = 0;
    /* Fails only without memory; then the hash is zeros and fits no document. */
    memset(out, 0, CACHE_HASH_BYTES);
    EVP_Digest(bytes.at ? bytes.at : "", bytes.len, out, &n, EVP_sha256(), NULL);
}

void cache_head_of(struct cache_head *head, uint64_t generation, struct slice document)
{
    *head = (struct cache_head){ .generation = generation, .bytes = document.len };
    hash_of(document, head->hash);
}

static void write_fields(struct buf *out, const struct cache_head *head)
{
    buf_addf(out, MAGIC " %d %llu %llu ", FORMAT, (unsigned long long)head->generation,
             (unsigned long long)head->bytes);
    add_hex(out, head->hash, sizeof head->hash);
    buf_add_u8(out, ' ');
}

/* Over the fields as they are written, and the scope behind them: no scope begins where a head
 * could end, for none has a space in it. False when memory ran out. */
static bool sign(struct slice fields, struct slice scope, struct slice key,
                 uint8_t out[CACHE_HASH_BYTES])
{
    struct buf signed_bytes = { 0 };
    unsigned n = CACHE_HASH_BYTES;
    buf_add_slice(&signed_bytes, fields);
    buf_add_slice(&signed_bytes, scope);
    bool ok = !signed_bytes.failed &&
              HMAC(EVP_sha256(), key.at, (int)key.len, (const unsigned char *)signed_bytes.at,
                   signed_bytes.len, out, &n) != NULL;
    buf_fini(&signed_bytes);
    return ok;
}

void cache_head_write(struct buf *out, const struct cache_head *head,
                      const struct cache_trust *trust)
{
    uint8_t signature[CACHE_HASH_BYTES];
    uint32_t start = out->len;
    write_fields(out, head);
    if (out->failed) return;
    if (trust->key_count == 0) {
        buf_add_u8(out, '-');
    } else if (sign(slice_after(buf_slice(out), start), trust->scope, trust->keys[0], signature)) {
        add_hex(out, signature, sizeof signature);
    } else {
        out->failed = true;
    }
    buf_add_u8(out, '\n');
}

static bool is_signed(struct slice fields, struct slice word, const struct cache_trust *trust)
{
    uint8_t given[CACHE_HASH_BYTES], ours[CACHE_HASH_BYTES];
    if (trust->key_count == 0) return slice_is(word, "-");
    if (!cache_hash_parse(given, word)) return false;
    bool found = false;
    for (uint32_t i = 0; i < trust->key_count; i++)
        found |= sign(fields, trust->scope, trust->keys[i], ours) &&
                 CRYPTO_memcmp(given, ours, sizeof ours) == 0;
    return found;
}

enum cache_verdict cache_head_read(struct cache_head *head, struct slice line,
                                   const struct cache_trust *trust)
{
    struct cache_head h;
    uint64_t format;
    if (line.len == 0) return CACHE_MISSING;
    if (line.len > CACHE_HEAD_BYTES || line.at[line.len - 1] != '\n') return CACHE_GARBAGE;
    struct slice rest = slice_of(line.at, line.len - 1);
    if (!slice_is(next_word(&rest), MAGIC) || !read_number(next_word(&rest), &format))
        return CACHE_GARBAGE;
    if (format != FORMAT) return CACHE_LATER;
    if (!read_number(next_word(&rest), &h.generation) || !read_number(next_word(&rest), &h.bytes) ||
        !cache_hash_parse(h.hash, next_word(&rest)))
        return CACHE_GARBAGE;
    struct slice fields = slice_of(line.at, (size_t)(rest.at - line.at));
    if (!is_signed(fields, rest, trust)) return CACHE_FORGED;
    *head = h;
    return CACHE_BELIEVED;
}

enum cache_verdict cache_document_check(const struct cache_head *head, struct slice document)
{
    uint8_t hash[CACHE_HASH_BYTES];
    if (document.len == 0 && head->bytes != 0) return CACHE_MISSING;
    if (document.len != head->bytes) return CACHE_MISMATCH;
    hash_of(document, hash);
    return memcmp(hash, head->hash, sizeof hash) == 0 ? CACHE_BELIEVED : CACHE_MISMATCH;
}

static void key_start(struct buf *out, struct slice scope)
{
    buf_addf(out, "sluice:{%.*s}:", SLICE_ARG(scope));
}

void cache_key_active(struct buf *out, struct slice scope)
{
    key_start(out, scope);
    buf_add_str(out, "active");
}

void cache_key_document(struct buf *out, struct slice scope, const struct cache_head *head)
{
    key_start(out, scope);
    buf_add_str(out, "document:");
    add_hex(out, head->hash, sizeof head->hash);
}

void cache_key_changed(struct buf *out, struct slice scope)
{
    key_start(out, scope);
    buf_add_str(out, "changed");
}

void cache_save(struct buf *out, const struct cache_head *head, const struct cache_trust *trust,
                struct slice document)
{
    cache_head_write(out, head, trust);
    buf_add_slice(out, document);
}

enum cache_verdict cache_saved(struct slice file, const struct cache_trust *trust,
                               struct cache_head *head, struct slice *document)
{
    if (file.len == 0) return CACHE_MISSING;
    const char *end = memchr(file.at, '\n', file.len);
    size_t n = end ? (size_t)(end - file.at) + 1 : file.len;
    struct cache_head h;
    enum cache_verdict v = cache_head_read(&h, slice_of(file.at, n), trust);
    if (v != CACHE_BELIEVED) return v;
    v = cache_document_check(&h, slice_after(file, n));
    if (v != CACHE_BELIEVED) return CACHE_MISMATCH;
    *head = h;
    *document = slice_after(file, n);
    return CACHE_BELIEVED;
}

/* ---- the choice -------------------------------------------------------------------------------
 */

const char *cache_advice_text(enum cache_advice a)
{
    static const char *const texts[] = {
        [CACHE_KEEP_SAME] = "up to date",
        [CACHE_KEEP_DOUBTED] = "not believed",
        [CACHE_KEEP_OLDER] = "older than the table in force",
        [CACHE_KEEP_CONFLICT] = "other content under the generation in force",
        [CACHE_KEEP_REFUSED] = "failed validation before",
        [CACHE_FETCH] = "newer: fetch it",
        [CACHE_VALIDATE] = "validate it",
    };
    return texts[a];
}

const char *cache_advice_word(enum cache_advice a)
{
    static const char *const words[] = {
        [CACHE_KEEP_SAME] = "same",       [CACHE_KEEP_DOUBTED] = "doubted",
        [CACHE_KEEP_OLDER] = "older",     [CACHE_KEEP_CONFLICT] = "conflict",
        [CACHE_KEEP_REFUSED] = "refused", [CACHE_FETCH] = "fetch",
        [CACHE_VALIDATE] = "validate",
    };
    return words[a];
}

static bool same_content(const struct cache_head *a, const struct cache_head *b)
{
    return a->bytes == b->bytes && memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

static enum cache_advice advise(struct cache *c, enum cache_advice a)
{
    c->counts[a]++;
    return a;
}

enum cache_advice cache_on_head(struct cache *c, enum cache_verdict verdict,
                                const struct cache_head *head, int64_t now_s)
{
    if (verdict != CACHE_BELIEVED) return advise(c, CACHE_KEEP_DOUBTED);
    if (c->has_refused && head->generation == c->refused.generation &&
        same_content(head, &c->refused))
        return advise(c, CACHE_KEEP_REFUSED);
    if (c->from == CACHE_FROM_NOWHERE) return advise(c, CACHE_FETCH);
    if (head->generation < c->head.generation) return advise(c, CACHE_KEEP_OLDER);
    if (same_content(head, &c->head)) {
        /* The same rules under a newer number: validated already. */
        c->head.generation = head->generation;
        c->confirmed_at_s = now_s;
        return advise(c, CACHE_KEEP_SAME);
    }
    /* Without versions (generation 0) there is no order: the last word counts. */
    if (head->generation == c->head.generation && head->generation != 0)
        return advise(c, CACHE_KEEP_CONFLICT);
    return advise(c, CACHE_FETCH);
}

enum cache_advice cache_on_document(struct cache *c, const struct cache_head *head,
                                    struct slice document)
{
    /* It may have taken a while: what came meanwhile may be newer. */
    if (c->from != CACHE_FROM_NOWHERE && head->generation < c->head.generation)
        return advise(c, CACHE_KEEP_OLDER);
    bool fits = cache_document_check(head, document) == CACHE_BELIEVED;
    return advise(c, fits ? CACHE_VALIDATE : CACHE_KEEP_DOUBTED);
}

void cache_accept(struct cache *c, const struct cache_head *head, enum cache_from from,
                  int64_t now_s)
{
    c->head = *head;
    c->from = from;
    c->has_refused = false;
    /* What was kept on disk is good, and nobody says that it is up to date. */
    if (from != CACHE_FROM_DISK) c->confirmed_at_s = now_s;
}

void cache_refuse(struct cache *c, const struct cache_head *head)
{
    c->refused = *head;
    c->has_refused = true;
}

bool cache_should_publish(const struct cache *c, enum cache_verdict verdict,
                          const struct cache_head *head)
{
    if (c->from == CACHE_FROM_NOWHERE) return false;
    /* What a later Sluice wrote is not ours to replace. */
    if (verdict == CACHE_LATER) return false;
    return verdict != CACHE_BELIEVED || head->generation < c->head.generation;
}

int64_t cache_age_s(const struct cache *c, int64_t now_s)
{
    if (c->from == CACHE_FROM_NOWHERE || now_s < c->confirmed_at_s) return 0;
    return now_s - c->confirmed_at_s;
}
