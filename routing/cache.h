/* cache: what Redis and the disk hold of a routing table, and what to believe of it.
 *
 * A table travels as a *head*, one signed line, and a *document*, the bytes that the
 * head names by hash. Redis holds the head under cache_key_active and the document
 * under cache_key_document; the disk holds both in one file.
 *
 *      sluice-routes 1 <generation> <bytes> <sha256 of the document> <hmac-sha256 of all that>
 *
 * A generation numbers the changes: the document's version where the source is a
 * file, the number of activations where it is DynamoDB. It never goes back; to return
 * to older rules is a new generation. The signature covers the scope too (whose table
 * this is), so that a head of the test system is none in production.
 *
 * What is believed:
 *   signature wrong, malformed, missing   nothing; the table in force stays
 *   an older generation                   nothing: a replay, or a source that is behind
 *   the same generation, other content    nothing: two tables claim to be one
 *   the same generation and content       that the table in force is up to date
 *   a newer generation                    fetch, check the hash, validate; only then in force
 *   a document that failed validation     nothing, and it is not fetched again
 *
 *                     head                  document                 table_load
 *     source, Redis --------> cache_on_head --FETCH--> cache_on_document --VALIDATE--> cache_accept
 *     or disk                      |                        |                   `----> cache_refuse
 *                                  `-- KEEP_... ------------'
 *
 * Pure: bytes and the time in, advice out. One owner, one thread.
 */
#ifndef SLUICE_ROUTING_CACHE_H
#define SLUICE_ROUTING_CACHE_H

#include "protocol/buf.h"
#include "protocol/err.h"

enum {
    CACHE_HASH_BYTES = 32,
    CACHE_KEY_LEAST_BYTES = 16, /* a shorter signing key is refused */
    CACHE_HEAD_BYTES = 256,     /* no head is longer */
};

struct cache_head {
    uint64_t generation; /* 0: the document has no version */
    uint64_t bytes;      /* of the document */
    uint8_t hash[CACHE_HASH_BYTES];
};

/* Who may write tables of which system. The first key signs, all verify: so keys can be changed.
 * Without a key (no cache is shared) heads carry no signature and none is asked for. */
struct cache_trust {
    struct slice scope; /* no spaces, no control bytes */
    const struct slice *keys;
    uint32_t key_count;
};

enum cache_verdict {
    CACHE_BELIEVED,
    CACHE_MISSING,  /* there is nothing */
    CACHE_GARBAGE,  /* not a head */
    CACHE_LATER,    /* a head of a later Sluice */
    CACHE_FORGED,   /* the signature is not one of ours */
    CACHE_MISMATCH, /* the document is not the one that the head names */
};

const char *cache_verdict_text(enum cache_verdict v);

/* False, with an error, for a scope or a key that is no good. */
bool cache_trust_check(const struct cache_trust *trust, struct err *e);

/* The head of a document. */
void cache_head_of(struct cache_head *head, uint64_t generation, struct slice document);

/* Appends the head as its line, signed, with a line feed. */
void cache_head_write(struct buf *out, const struct cache_head *head,
                      const struct cache_trust *trust);

/* Reads such a line; *head is filled only if believed. */
enum cache_verdict cache_head_read(struct cache_head *head, struct slice line,
                                   const struct cache_trust *trust);

/* A hash as 64 hexadecimal digits; false: it is none. */
bool cache_hash_parse(uint8_t out[CACHE_HASH_BYTES], struct slice text);

/* Whether the document is the one that a head names. */
enum cache_verdict cache_document_check(const struct cache_head *head, struct slice document);

/* Names in Redis: "sluice:{SCOPE}:active", "sluice:{SCOPE}:document:HASH", and the channel on which
 * a change is announced, "sluice:{SCOPE}:changed". The braces keep all on one slot of a cluster. */
void cache_key_active(struct buf *out, struct slice scope);
void cache_key_document(struct buf *out, struct slice scope, const struct cache_head *head);
void cache_key_changed(struct buf *out, struct slice scope);

/* The file that keeps the last good table: the head's line, then the document. `*document` points
 * into the file. */
void cache_save(struct buf *out, const struct cache_head *head, const struct cache_trust *trust,
                struct slice document);
enum cache_verdict cache_saved(struct slice file, const struct cache_trust *trust,
                               struct cache_head *head, struct slice *document);

/* ---- the choice -------------------------------------------------------------------------------
 */

enum cache_from { CACHE_FROM_NOWHERE, CACHE_FROM_DISK, CACHE_FROM_REDIS, CACHE_FROM_SOURCE };

enum cache_advice {
    CACHE_KEEP_SAME,     /* in force already: confirmed */
    CACHE_KEEP_DOUBTED,  /* not believed, see the verdict */
    CACHE_KEEP_OLDER,    /* a replay, or somebody who is behind */
    CACHE_KEEP_CONFLICT, /* other content under the generation in force */
    CACHE_KEEP_REFUSED,  /* failed validation before */
    CACHE_FETCH,         /* get the document */
    CACHE_VALIDATE,      /* make a table of it, then cache_accept or cache_refuse */
};

const char *cache_advice_text(enum cache_advice a);
const char *cache_advice_word(enum cache_advice a); /* "older", for a metric's label */

/* Zero-initialised: no table is in force. */
struct cache {
    enum cache_from from; /* where the table in force came from */
    struct cache_head head;
    int64_t confirmed_at_s; /* when somebody who is believed last said that it is up to date */
    bool has_refused;
    struct cache_head refused;
    uint64_t counts[CACHE_VALIDATE + 1]; /* of advice given, for metrics */
};

/* Somebody says what the table is. For a source that is no head (a file, DynamoDB), the head is
 * made of its document and the verdict is CACHE_BELIEVED. */
enum cache_advice cache_on_head(struct cache *c, enum cache_verdict verdict,
                                const struct cache_head *head, int64_t now_s);

/* The document for a head that was to be fetched. */
enum cache_advice cache_on_document(struct cache *c, const struct cache_head *head,
                                    struct slice document);

/* The table is valid and in force now: save it, and offer it to Redis. */
void cache_accept(struct cache *c, const struct cache_head *head, enum cache_from from,
                  int64_t now_s);

/* It is not: its content is not looked at again until the generation changes. */
void cache_refuse(struct cache *c, const struct cache_head *head);

/* Whether what Redis holds should be replaced by the table in force. */
bool cache_should_publish(const struct cache *c, enum cache_verdict verdict,
                          const struct cache_head *head);

/* Seconds since the table in force was last known to be up to date; 0 when there is none. */
int64_t cache_age_s(const struct cache *c, int64_t now_s);

#endif
