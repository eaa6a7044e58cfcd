#include "proxy/ops/audit_chain.h"

#include "protocol/json.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void audit_chain_init(struct audit_chain *chain) { *chain = (struct audit_chain){ 0 }; }

void audit_chain_add(struct audit_chain *chain, struct slice line, uint64_t lost)
{
    chain->sequence += lost + 1;
    /* When OpenSSL refuses, the hash is all zero, and the check says so. */
    if (!sha256(line, chain->hash)) memset(chain->hash, 0, sizeof chain->hash);
}

/* False: there is no such member, or it is no whole number. */
static bool read_number(const struct json_value *record, const char *key, int64_t *n)
{
    const struct json_value *v = json_member(record, slice_str(key));
    return v && json_integer(v, n);
}

static bool sequence_of(struct slice line, uint64_t *sequence)
{
    struct json_error error;
    int64_t n = 0;
    struct json_doc *doc = json_parse(line, AUDIT_LINE_MAX, &error);
    if (!doc) return false;
    bool ok = read_number(json_root(doc), "sequence", &n) && n > 0;
    json_free(doc);
    *sequence = (uint64_t)n;
    return ok;
}

/* The last line of `text`, which ends with a line break. */
static struct slice last_line(struct slice text)
{
    const char *end = text.at + text.len - 1;
    const char *before = memrchr(text.at, '\n', (size_t)(end - text.at));
    const char *at = before ? before + 1 : text.at;
    return slice_of(at, (size_t)(end - at));
}

void audit_chain_resume(struct audit_chain *chain, int fd)
{
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0) return;
    off_t from = st.st_size > AUDIT_LINE_MAX ? st.st_size - AUDIT_LINE_MAX : 0;
    char *tail = malloc(AUDIT_LINE_MAX + 1);
    ssize_t n = tail ? pread(fd, tail, AUDIT_LINE_MAX, from) : -1;
    if (n > 0) {
        bool is_cut = tail[n - 1] != '\n';
        if (is_cut) tail[n++] = '\n';
        struct slice line = last_line(slice_of(tail, (size_t)n));
        uint64_t sequence;
        if (!is_cut || write(fd, "\n", 1) == 1) {
            chain->sequence = sequence_of(line, &sequence) ? sequence - 1 : 0;
            audit_chain_add(chain, line, 0);
        }
    }
    free(tail);
}

/* ---- the check ------------------------------------------------------------------------------ */

static bool trouble(struct audit_walk *walk, const char *what)
{
    snprintf(walk->trouble, sizeof walk->trouble, "%s", what);
    return false;
}

static bool is_zero(const uint8_t hash[SHA256_BYTES])
{
    for (size_t i = 0; i < SHA256_BYTES; i++)
        if (hash[i]) return false;
    return true;
}

static bool follows(struct audit_walk *walk, const struct json_value *record, int64_t *lost)
{
    const struct json_value *bound = json_member(record, slice_str("prev"));
    struct slice prev = bound ? json_string(bound) : (struct slice){ 0 };
    char wanted[SHA256_HEX_BYTES];
    int64_t sequence;
    *lost = 0;
    if (!read_number(record, "sequence", &sequence) || sequence < 1 || prev.len != 64)
        return trouble(walk, "it has no sequence or no prev");
    if (json_member(record, slice_str("lost")) &&
        (!read_number(record, "lost", lost) || *lost < 1 || *lost >= sequence))
        return trouble(walk, "its lost is no number of records");
    if (!walk->begun) {
        walk->chain.sequence = (uint64_t)(sequence - 1 - *lost);
        return true;
    }
    hex_encode(walk->chain.hash, sizeof walk->chain.hash, wanted);
    if (is_zero(walk->chain.hash) || !slice_eq(prev, slice_of(wanted, 64)))
        return trouble(walk, "the line before it was changed, or lines between are missing");
    if ((uint64_t)sequence != walk->chain.sequence + 1 + (uint64_t)*lost)
        return trouble(walk, "its sequence does not follow");
    return true;
}

bool audit_walk_line(struct audit_walk *walk, struct slice line)
{
    struct json_error error;
    struct json_doc *doc = json_parse(line, AUDIT_LINE_MAX, &error);
    int64_t lost;
    if (!doc || json_type(json_root(doc)) != JSON_OBJECT) {
        json_free(doc);
        return trouble(walk, "it is no record");
    }
    bool ok = follows(walk, json_root(doc), &lost);
    json_free(doc);
    if (!ok) return false;
    audit_chain_add(&walk->chain, line, (uint64_t)lost);
    walk->begun = true;
    walk->lines++;
    walk->lost += (uint64_t)lost;
    return true;
}
