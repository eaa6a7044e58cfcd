#include "proxy/ops/config_table.h"

#include "protocol/units.h"

#include <stdlib.h>

/* ---- words -----------------------------------------------------------------------------------*/

#define CHOICES(set)                    static const struct config_choice words_##set[] = {
#define CHOICE(set, id, text, sentence) { text, sentence },
#define END_CHOICES(set)                                                                           \
    }                                                                                              \
    ;                                                                                              \
    static const struct config_choices choices_##set = {                                           \
        #set, words_##set, sizeof words_##set / sizeof *words_##set                                \
    };
#include "proxy/ops/config.def"

#define CHOICES(set)                                                                               \
    const char *config_word_##set(enum config_##set value) { return words_##set[value].text; }
#define CHOICE(set, id, text, sentence)
#define END_CHOICES(set)
#include "proxy/ops/config.def"

/* ---- directives ------------------------------------------------------------------------------*/

#define MEMBER_BOOL(name)     name
#define MEMBER_INT(name)      name
#define MEMBER_DURATION(name) name##_ms
#define MEMBER_SIZE(name)     name##_bytes
#define MEMBER_DATE(name)     name##_s
#define MEMBER_STRING(name)   name
#define MEMBER_PATH(name)     name
#define MEMBER_PLACE(name)    name
#define MEMBER_ADDRESS(name)  name
#define MEMBER_ENDPOINT(name) name
#define MEMBER_LIST(name)     name
#define MEMBER_ENUM(name)     name
#define MEMBER_SET(name)      name
#define MEMBER_SECRET(name)   name
#define MEMBER_SETTING(name)  name
#define MEMBER_SECRETS(name)  name
#define MEMBER_OBJECT(name)   name
#define MEMBER_OBJECTS(name)  name
#define MEMBER_MAP(name)      name

/* What `of` and the counter come to, where there are any. */
#define EXTRA_BOOL(parent, of, id)
#define EXTRA_INT(parent, of, id)
#define EXTRA_DURATION(parent, of, id)
#define EXTRA_SIZE(parent, of, id)
#define EXTRA_DATE(parent, of, id)
#define EXTRA_STRING(parent, of, id)
#define EXTRA_PATH(parent, of, id)
#define EXTRA_PLACE(parent, of, id)
#define EXTRA_ADDRESS(parent, of, id)
#define EXTRA_ENDPOINT(parent, of, id)
#define EXTRA_LIST(parent, of, id)
#define EXTRA_SECRET(parent, of, id)
#define EXTRA_SETTING(parent, of, id)
#define EXTRA_SECRETS(parent, of, id)
#define EXTRA_ENUM(parent, of, id)   .choices = &choices_##of,
#define EXTRA_SET(parent, of, id)    .choices = &choices_##of,
#define EXTRA_OBJECT(parent, of, id) .section = &section_##of,
#define EXTRA_OBJECTS(parent, of, id)                                                              \
    .section = &section_##of, .count_offset = offsetof(struct config_##parent, n_##id),
#define EXTRA_MAP(parent, of, id) EXTRA_OBJECTS(parent, of, id)

#define REQUIRED                  NULL, .is_required = true
#define NONE                      NULL
#define LIVE                      true
#define RESTART                   false

#define SECTION(id, about)                                                                         \
    static const char about_##id[] = about;                                                        \
    static const struct config_field fields_##id[] = {
#define FIELD(parent, kind, of, id, preset, least, most, when, about)                              \
    { .name = #id,                                                                                 \
      .type = TYPE_##kind,                                                                         \
      .offset = offsetof(struct config_##parent, MEMBER_##kind(id)),                               \
      EXTRA_##kind(parent, of, id).default_text = preset,                                          \
      .low = least,                                                                                \
      .high = most,                                                                                \
      .is_live = when,                                                                             \
      .sentence = about },
#define END(id)                                                                                    \
    }                                                                                              \
    ;                                                                                              \
    static const struct config_section section_##id = {                                            \
        .name = #id,                                                                               \
        .sentence = about_##id,                                                                    \
        .fields = fields_##id,                                                                     \
        .n_fields = sizeof fields_##id / sizeof *fields_##id,                                      \
        .size = sizeof(struct config_##id),                                                        \
    };
#include "proxy/ops/config.def"

const struct config_section *const config_section_top = &section_top;
const struct config_section *const config_section_pool = &section_pool;

/* ---- looking things up -----------------------------------------------------------------------*/

int config_choice(const struct config_choices *choices, struct slice word)
{
    for (size_t i = 0; i < choices->count; i++)
        if (slice_is(word, choices->items[i].text)) return (int)i;
    return -1;
}

bool config_scalar(enum config_type type, struct slice text, uint64_t *out)
{
    switch (type) {
    case TYPE_DURATION: return units_duration(text, out);
    case TYPE_SIZE: return units_size(text, out);
    case TYPE_DATE: return units_date(text, out);
    default: break;
    }
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || n > UINT32_MAX) return false;
        n = n * 10 + (uint64_t)(text.at[i] - '0');
    }
    *out = n;
    return text.len > 0 && n <= UINT32_MAX;
}

/* ---- memory ----------------------------------------------------------------------------------*/

struct config_chunk {
    struct config_chunk *next;
    size_t used, cap;
    max_align_t bytes[];
};

void *config_alloc(struct config_arena *arena, size_t bytes)
{
    enum { CHUNK_BYTES = 16 * 1024, ALIGNMENT = _Alignof(max_align_t) };
    if (bytes > BUF_CAP_BYTES) {
        arena->failed = true;
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct config_chunk *chunk = arena->chunks;
    if (!chunk || bytes > chunk->cap - chunk->used) {
        size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = calloc(1, sizeof *chunk + cap);
        if (!chunk) {
            arena->failed = true;
            return NULL;
        }
        chunk->cap = cap;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *at = (char *)chunk->bytes + chunk->used;
    chunk->used += bytes;
    return at;
}

char *config_copy(struct config_arena *arena, struct slice text)
{
    char *copy = config_alloc(arena, text.len + 1);
    if (copy && text.len > 0) memcpy(copy, text.at, text.len);
    return copy;
}

void config_arena_fini(struct config_arena *arena)
{
    while (arena->chunks) {
        struct config_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        explicit_bzero(chunk->bytes, chunk->used); /* verifiers among it */
        free(chunk);
    }
}
