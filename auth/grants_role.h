/* grants_role: what the files of grants share: a role, compiled. Nobody else includes this. */
#ifndef SLUICE_AUTH_GRANTS_ROLE_H
#define SLUICE_AUTH_GRANTS_ROLE_H

#include "auth/grants.h"
#include "protocol/scratch.h"
#include "protocol/sql_lex.h"

/* A pattern with a star in it. Parts are NUL-free; the memory is behind the struct. */
struct grants_glob {
    struct grants_glob *next;
    struct slice part[GRANTS_PARTS];
    bool wild[GRANTS_PARTS];
    unsigned count;
    uint32_t verbs;
};

struct grants_word {
    struct grants_word *next; /* all words of a role, for freeing */
    struct slice text;
    uint32_t verbs;
};

struct grants {
    struct slice name;
    struct map objects;   /* exact names, parts separated by NUL -> grants_word */
    struct map functions; /* likewise */
    struct map catalog;
    struct grants_glob *globs;
    struct grants_word *words;
    struct grants_word *path; /* schemas of the search_path, in order */
    struct grants_word *copy_from, *copy_roles;
    uint32_t every;    /* verbs on every object: the pattern `*` */
    uint32_t anywhere; /* verbs that are granted on something */
    bool unrestricted, no_access_keys;
    enum sql_case letters;
    size_t statement_bytes;
    uint64_t generation;
};

/* Does `text` match, with `*` in the pattern for any run of characters? Linear in both for one
 * star, at worst their product. */
bool grants_glob(struct slice pattern, struct slice text);

#endif
