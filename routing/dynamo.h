/* dynamo: routing tables in DynamoDB: what to ask, and what the answers mean.
 *
 * The table has a partition key `pk` and a sort key `sk`, both strings:
 *
 *      pk               sk                  attributes
 *      active           table               generation N, hash S, parts N, author S, time S, action
 * S, note S document#HASH    0000, 0001, ...     text S               pieces of a document, never
 * changed history          GENERATION          hash S, parts N, author S, time S, action S, note S
 *      rule             ID                  position N, rule M   only if `active` has no hash
 *
 * To publish is to put the pieces, then to replace `active` on the condition that its
 * generation is still the one that was read, together with a line of history. With no hash
 * in `active`, the rules are the `rule` items, in the order of their positions, as they
 * are when the generation changes: for those who would rather edit items than a file.
 *
 * The second reader is for the table of aws-lambda-redshift-loader, whose items name
 * clusters, databases and users: a read-only source of targets. Passwords in it are never
 * looked at.
 *
 * Bodies only: nothing is sent or signed here. Operations and formats: the DynamoDB API
 * 2012-08-10, JSON protocol 1.0.
 */
#ifndef SLUICE_ROUTING_DYNAMO_H
#define SLUICE_ROUTING_DYNAMO_H

#include "protocol/buf.h"
#include "protocol/err.h"
#include "protocol/problem.h"
#include "routing/arena.h"

enum {
    DYNAMO_PART_BYTES = 256 * 1024, /* an item may have 400 KB, in UTF-8, with its names */
    DYNAMO_PARTS_MAX = 256,
    DYNAMO_ANSWER_BYTES = 16 << 20,
};

/* ---- requests: X-Amz-Target and body ----------------------------------------------------------
 */

#define DYNAMO_GET_ITEM     "DynamoDB_20120810.GetItem"
#define DYNAMO_PUT_ITEM     "DynamoDB_20120810.PutItem"
#define DYNAMO_QUERY        "DynamoDB_20120810.Query"
#define DYNAMO_SCAN         "DynamoDB_20120810.Scan"
#define DYNAMO_TRANSACT     "DynamoDB_20120810.TransactWriteItems"
#define DYNAMO_DESCRIBE     "DynamoDB_20120810.DescribeTable"
#define DYNAMO_CONTENT_TYPE "application/x-amz-json-1.0"

/* The table in force, and who put it there. Texts are bounded so that the struct owns them. */
struct dynamo_active {
    uint64_t generation; /* 0: there is none yet */
    uint32_t parts;
    char hash[65]; /* hex; empty: the rules are items */
    char author[128], time[32], action[16], note[256];
};

void dynamo_describe(struct buf *body, struct slice table);

/* GetItem of `active`, strongly consistent. */
void dynamo_get_active(struct buf *body, struct slice table);

/* A table that waits for somebody to activate it: pk "candidate", sk "table", otherwise like
 * `active`; its generation is the one that it would have. Read by dynamo_read_active. */
void dynamo_get_candidate(struct buf *body, struct slice table);
void dynamo_put_candidate(struct buf *body, struct slice table, const struct dynamo_active *next);

/* Query of all items under `pk`; `start_key`: empty, or what the last page left. Newest first and
 * at most `limit` where that is asked for (limit 0: all). */
void dynamo_query(struct buf *body, struct slice table, struct slice pk, struct slice start_key,
                  bool newest_first, uint32_t limit);

/* "document#HASH". */
void dynamo_document_pk(struct buf *out, const char *hash);

/* How many pieces a document of so many bytes may need; more than DYNAMO_PARTS_MAX: too long. */
uint32_t dynamo_part_count(struct slice document);

/* PutItem of piece `part`. That it is there already is no error: the hash names the content. */
void dynamo_put_part(struct buf *body, struct slice table, const char *hash, struct slice document,
                     uint32_t part);

/* TransactWriteItems: `next` becomes active if the generation is still `before`, and history has a
 * line for it. `next->generation` must be above it. */
void dynamo_activate(struct buf *body, struct slice table, uint64_t before,
                     const struct dynamo_active *next);

/* Scan of any table, strongly consistent. */
void dynamo_scan(struct buf *body, struct slice table, struct slice start_key);

/* ---- answers ----------------------------------------------------------------------------------
 */

/* Of dynamo_get_active. No item: generation 0. False with an error for what is none of ours. */
bool dynamo_read_active(struct slice answer, struct dynamo_active *out, struct err *e);

/* Pages of an answer, collected. Zero-initialised: none. */
struct dynamo_pages {
    struct arena arena;
    struct dynamo_item *first, *last;
    uint32_t count;
    struct buf start_key; /* for the next request; empty: that was the last page */
};

void dynamo_pages_fini(struct dynamo_pages *p);

/* Adds a page of Query or Scan. An empty one with more to follow is normal. */
bool dynamo_add_page(struct dynamo_pages *p, struct slice answer, struct err *e);

/* The pieces of a document, put together; the caller checks the hash. */
bool dynamo_read_document(const struct dynamo_pages *p, uint32_t parts, struct buf *out,
                          struct err *e);

/* `rule` items as a routing document, one rule to a line. */
bool dynamo_read_rules(const struct dynamo_pages *p, uint64_t generation, struct buf *out,
                       struct err *e);

/* A line of history; false at the end. */
bool dynamo_read_history(const struct dynamo_pages *p, uint32_t number, struct dynamo_active *out);

/* ---- the loader's table -----------------------------------------------------------------------
 */

struct dynamo_cluster { /* as the configuration has it */
    struct slice name, host;
    uint16_t port;
};

/* Items of LambdaRedshiftBatchLoadConfig as a routing document: for each user and database the
 * cluster at the endpoint that the item names. What names no known cluster, or two for one user
 * and database, is reported and left out. */
bool dynamo_read_loader(const struct dynamo_pages *p, const struct dynamo_cluster *clusters,
                        uint32_t cluster_count, struct buf *out, struct problems *problems);

#endif
