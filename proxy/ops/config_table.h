/* config_table: config.def as data, for the files that walk it.
 *
 * Private to config*.c. Immutable, so threads do not matter.
 */
#ifndef SLUICE_PROXY_OPS_CONFIG_TABLE_H
#define SLUICE_PROXY_OPS_CONFIG_TABLE_H

#include "proxy/ops/config.h"

enum config_type {
    TYPE_BOOL,
    TYPE_INT,
    TYPE_DURATION,
    TYPE_SIZE,
    TYPE_DATE,
    TYPE_STRING,
    TYPE_PATH,
    TYPE_PLACE,
    TYPE_ADDRESS,
    TYPE_ENDPOINT,
    TYPE_LIST,
    TYPE_ENUM,
    TYPE_SET,
    TYPE_SECRET,
    TYPE_SETTING,
    TYPE_SECRETS,
    TYPE_OBJECT,
    TYPE_OBJECTS,
    TYPE_MAP,
};

struct config_choice {
    const char *text, *sentence;
};

struct config_choices {
    const char *name;
    const struct config_choice *items;
    size_t count;
};

struct config_section {
    const char *name, *sentence;
    const struct config_field *fields;
    size_t n_fields;
    size_t size; /* of its struct */
};

struct config_field {
    const char *name;
    enum config_type type;
    const struct config_section *section; /* OBJECT, OBJECTS, MAP */
    const struct config_choices *choices; /* ENUM, SET */
    size_t offset;                        /* of its member in the section's struct */
    size_t count_offset;                  /* of n_name: OBJECTS, MAP */
    const char *default_text;             /* NULL: absent */
    const char *low, *high;               /* NULL: unbounded */
    bool is_required, is_live;
    const char *sentence;
};

/* What every section's struct starts with. */
struct config_head {
    CONFIG_HEAD
};

extern const struct config_section *const config_section_top;
extern const struct config_section *const config_section_pool;

/* The member of a field in its section's struct. */
static inline void *config_member(const struct config_field *field, const void *section)
{
    return (char *)(uintptr_t)section + field->offset;
}

static inline size_t *config_member_count(const struct config_field *field, const void *section)
{
    return (size_t *)(void *)((char *)(uintptr_t)section + field->count_offset);
}

/* The value of a number, duration, size or date as the file writes it; false: not one. */
bool config_scalar(enum config_type type, struct slice text, uint64_t *out);

/* Looks a word up; -1 when it is none of them. */
int config_choice(const struct config_choices *choices, struct slice word);

/* ---- memory of one configuration, freed as a whole ---- */

struct config_arena {
    struct config_chunk *chunks;
    bool failed;
};

/* Zeroed bytes, aligned for anything; NULL and `failed` when memory ran out. */
void *config_alloc(struct config_arena *arena, size_t bytes);
char *config_copy(struct config_arena *arena, struct slice text);
void config_arena_fini(struct config_arena *arena);

/* A configuration as it really is. */
struct config_loaded {
    struct config config; /* first: they share their address */
    struct config_arena arena;
    struct slice text;     /* in the arena: what it was read from */
    const char *directory; /* likewise; NULL: the path's */
    _Atomic uint32_t references;
};

/* ---- the stations of config.h's drawing ---- */

struct config_reader {
    const struct json_doc *doc;
    struct config_arena *arena;
    struct problems *problems;
    struct slice directory; /* that relative paths start from; empty: the current one */
};

/* Fills a section's struct from `object` (NULL: defaults throughout, nothing is required). With
 * `keep`, what `object` does not mention stays as it is. `path` names it in messages. */
void config_read_section(struct config_reader *reader, const struct config_section *section,
                         const char *path, const struct json_value *object, bool keep, void *out);

/* What no single directive can tell: references, contradictions, files. */
void config_check(struct config *config, const struct json_doc *doc,
                  const struct config_world *world, struct problems *problems);

#endif
