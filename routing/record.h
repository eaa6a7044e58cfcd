/* record: one routing decision's facts as a line of JSON, to be decided again elsewhere.
 *
 * Written by the proxy that records its traffic, read by `sluice route diff` and by the
 * shadow table's report. Free of literals: the text of a statement is the normalised
 * one. Members that are empty are left out.
 *
 *      {"at":"2026-11-23T12:00:00Z","user":"ana","role":"analyst","database":"dev",
 *       "application":"psql","client":"10.0.0.7","tls":true,"query_group":"g",
 *       "db_user":"ana","db_users":["reader"],
 *       "statement":{"at":"...","verb":"SELECT","tables":["mart.sales"],"query":"...",
 *                    "query_group":"g"},
 *       "fingerprint":"5f1c..."}
 */
#ifndef SLUICE_ROUTING_RECORD_H
#define SLUICE_ROUTING_RECORD_H

#include "protocol/json.h"
#include "routing/route.h"

enum { RECORD_LINE_BYTES = 64 * 1024, RECORD_LIST = 64 };

/* Appends the line with its line feed. `statement` NULL: a login. Of lists, RECORD_LIST are kept;
 * of the text, what expressions look at. */
void record_write(struct buf *out, const struct route_facts *facts,
                  const struct route_statement *statement, struct slice fingerprint);

struct record {
    struct route_facts facts;
    struct route_statement statement;
    bool has_statement;
    struct slice fingerprint;
    struct slice db_users[RECORD_LIST], tables[RECORD_LIST];
    struct json_doc *doc; /* what all slices point into */
};

/* Reads a line; members that are not known are passed over. False, and nothing to free, when it is
 * no such line. */
bool record_read(struct record *r, struct slice line);
void record_fini(struct record *r);

#endif
