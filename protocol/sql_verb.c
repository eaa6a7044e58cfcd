#include "protocol/sql_verb.h"

static const char *const names[SQL_VERB_COUNT] = {
#define VERB(id, text) text,
#include "protocol/sql_verb.def"
#undef VERB
};

const char *sql_verb_name(enum sql_verb verb) { return names[verb]; }

uint32_t sql_verb_find(struct slice word)
{
    if (slice_is_nocase(word, "ALL")) return SQL_VERBS_ALL;
    for (unsigned i = 0; i < SQL_VERB_COUNT; i++)
        if (slice_is_nocase(word, names[i])) return 1U << i;
    return 0;
}
