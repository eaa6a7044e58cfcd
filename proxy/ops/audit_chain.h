/* audit_chain: what binds the lines of an audit record to each other, and the check of it. */
#ifndef SLUICE_PROXY_OPS_AUDIT_CHAIN_H
#define SLUICE_PROXY_OPS_AUDIT_CHAIN_H

#include "auth/sha.h"
#include "protocol/slice.h"

#include <stdio.h>

enum { AUDIT_LINE_MAX = 256 * 1024 };

/* Where a chain stands: before the first line all zero. */
struct audit_chain {
    uint64_t sequence;          /* of the last line */
    uint8_t hash[SHA256_BYTES]; /* of the last line, without its line break */
};

void audit_chain_init(struct audit_chain *chain);

/* The line now stands in the record, `lost` others before it do not. */
void audit_chain_add(struct audit_chain *chain, struct slice line, uint64_t lost);

/* Goes on behind the last line of a file; one that has none, or cannot be read, changes nothing. A
 * line that was cut short is ended, so that it shows. */
void audit_chain_resume(struct audit_chain *chain, int fd);

/* A walk over the lines of one or more files, in their order. */
struct audit_walk {
    struct audit_chain chain;
    uint64_t lines, lost;
    bool begun;
    char trouble[160]; /* why the last line does not fit */
};

/* Takes the next line, without its line break. False: the chain breaks here; see `trouble`. The
 * first line of the walk may continue any chain. */
bool audit_walk_line(struct audit_walk *walk, struct slice line);

#endif
