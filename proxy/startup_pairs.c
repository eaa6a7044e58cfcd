#include "proxy/startup_pairs.h"

#include "protocol/startup.h"

enum key_class { UNKNOWN, OURS, FORWARD, VERSION, LABEL };

static const struct {
    const char *name;
    enum key_class class;
} keys[] = {
#define STARTUP_KEY(name, class) { #name, class },
#include "proxy/startup_key.def"
#undef STARTUP_KEY
};

enum { KEYS = sizeof keys / sizeof keys[0] };

static size_t key_number(struct slice name)
{
    size_t i = 0;
    while (i < KEYS && !slice_is_nocase(name, keys[i].name)) i++;
    return i;
}

/* The last value of each known key; a later one wins, as in PostgreSQL. */
struct sorting {
    struct buf text; /* option values are unescaped into here */
    uint32_t at[KEYS];
};

static void note(struct sorting *sort, size_t key, struct slice value)
{
    /* Offsets, not pointers: the text moves as it grows. */
    sort->at[key] = sort->text.len + 1;
    buf_add_slice(&sort->text, value);
    buf_add_u8(&sort->text, 0);
}

static void ignore(struct startup_wishes *out, struct slice name)
{
    if (out->n_ignored < STARTUP_IGNORED_MAX) out->ignored[out->n_ignored++] = name;
}

/* By the name in the table. */
static void refuse(struct startup_wishes *out, const char *name)
{
    for (size_t i = 0; i < out->n_refused; i++)
        if (out->refused[i] == name) return;
    ignore(out, slice_str(name));
    if (out->n_refused < STARTUP_IGNORED_MAX) out->refused[out->n_refused++] = name;
}

/* A restricted role has UTF-8 anyway: who asks for that gets what it wants. */
static bool is_granted_anyway(const char *name, struct slice value)
{
    return slice_is(slice_str(name), "client_encoding") &&
           (slice_is_nocase(value, "utf8") || slice_is_nocase(value, "utf-8") ||
            slice_is_nocase(value, "unicode"));
}

static bool may_be_set(struct slice name)
{
    static const char *const settings[] = {
#define SETTING(name) name,
#include "auth/grants_setting.def"
#undef SETTING
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (slice_is_nocase(name, settings[i])) return true;
    return false;
}

static void sort_options(struct sorting *sort, struct slice options, bool restricted,
                         struct startup_wishes *out)
{
    struct startup_option option;
    bool bad;
    while (startup_next_option(&options, &option, &bad)) {
        size_t key = bad ? KEYS : key_number(option.name);
        if (key == KEYS || keys[key].class != FORWARD) {
            if (restricted) refuse(out, "options");
        } else if (!restricted || may_be_set(option.name)) {
            note(sort, key, option.value);
        } else if (!is_granted_anyway(keys[key].name, option.value)) {
            refuse(out, keys[key].name);
        }
    }
}

bool startup_wishes(struct slice parameters, bool restricted, struct startup_wishes *out)
{
    struct sorting sort = { 0 };
    struct slice name, value, at = parameters;
    *out = (struct startup_wishes){ 0 };
    struct slice options = startup_get(parameters, "options");
    if (options.at) sort_options(&sort, options, restricted, out);
    while (startup_next(&at, &name, &value)) {
        size_t key = key_number(name);
        const bool refused = restricted && key < KEYS && keys[key].class == FORWARD &&
                             !may_be_set(slice_str(keys[key].name));
        if (refused && !is_granted_anyway(keys[key].name, value))
            refuse(out, keys[key].name);
        else if (refused)
            continue;
        else if (key < KEYS && (keys[key].class == FORWARD || keys[key].class == VERSION))
            note(&sort, key, value);
        else if (key == KEYS && !slice_starts(name, "_pq_."))
            ignore(out, name);
        if (key < KEYS && keys[key].class == VERSION) out->version = value;
    }
    for (size_t key = 0; key < KEYS; key++) {
        if (!sort.at[key] || sort.text.failed) continue;
        buf_add_str(&out->pairs, keys[key].name);
        buf_add_u8(&out->pairs, 0);
        buf_add_str(&out->pairs, sort.text.at + sort.at[key] - 1);
        buf_add_u8(&out->pairs, 0);
    }
    bool ok = !sort.text.failed && !out->pairs.failed;
    buf_fini(&sort.text);
    return ok;
}

void startup_pairs_remove(struct buf *pairs, struct slice name)
{
    uint32_t at = 0;
    while (at < pairs->len) {
        struct slice key = slice_str(pairs->at + at);
        struct slice value = slice_str(key.at + key.len + 1);
        uint32_t size = (uint32_t)(key.len + 1 + value.len + 1);
        if (slice_eq(key, name)) {
            memmove(pairs->at + at, pairs->at + at + size, pairs->len - at - size);
            pairs->len -= size;
            return;
        }
        at += size;
    }
}
