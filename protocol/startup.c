#include "protocol/startup.h"

#include "protocol/wire.h"

enum {
    CODE_CANCEL = 80877102,
    CODE_SSL = 80877103,
    CODE_GSS = 80877104,
};

/* A parameter list is sound when it is pairs of strings, then an empty key, then nothing.
 * PostgreSQL stops at the first empty key; what hides behind it must never be forwarded. */
static bool is_sound(struct slice parameters)
{
    struct wire w = wire_of(parameters);
    for (;;) {
        struct slice key = wire_string(&w);
        if (w.bad) return false;
        if (key.len == 0) return wire_is_done(&w);
        wire_string(&w);
    }
}

static struct startup session(struct slice packet, uint32_t code)
{
    struct startup s = { .kind = STARTUP_SESSION,
                         .size = (uint32_t)packet.len,
                         .major = (uint16_t)(code >> 16),
                         .minor = (uint16_t)code,
                         .parameters = slice_after(packet, 8) };
    if (s.major != 3)
        s.kind = STARTUP_OLD;
    else if (!is_sound(s.parameters))
        s.kind = STARTUP_BAD;
    return s;
}

static struct startup cancel(struct slice packet)
{
    struct startup s = { .kind = STARTUP_CANCEL, .size = (uint32_t)packet.len };
    if (packet.len < 16 || packet.len > 12 + STARTUP_CANCEL_KEY_MAX) {
        s.kind = STARTUP_BAD;
        return s;
    }
    s.cancel_pid = wire_be32(packet.at + 8);
    s.cancel_key = slice_after(packet, 12);
    return s;
}

struct startup startup_read(struct slice in)
{
    struct startup more = { .kind = STARTUP_MORE }, bad = { .kind = STARTUP_BAD };
    if (in.len == 0) return more;
    /* No packet is 0x16...... bytes long, so the first byte tells TLS from a length. */
    if (in.at[0] == STARTUP_TLS_BYTE) return (struct startup){ .kind = STARTUP_DIRECT_TLS };
    if (in.at[0] != 0) return bad;
    if (in.len < 4) return more;
    uint32_t size = wire_be32(in.at);
    if (size < 8 || size > STARTUP_MAX) return bad;
    if (in.len < size) return more;

    struct slice packet = slice_of(in.at, size);
    uint32_t code = wire_be32(packet.at + 4);
    if (code == CODE_CANCEL) return cancel(packet);
    if (code == CODE_SSL || code == CODE_GSS) {
        if (size != 8) return bad;
        return (struct startup){ .kind =
                                     code == CODE_SSL ? STARTUP_SSL_REQUEST : STARTUP_GSS_REQUEST,
                                 .size = size };
    }
    return session(packet, code);
}

bool startup_next(struct slice *at, struct slice *key, struct slice *value)
{
    struct wire w = wire_of(*at);
    *key = wire_string(&w);
    if (w.bad || key->len == 0) return false;
    *value = wire_string(&w);
    if (w.bad) return false;
    *at = slice_of(w.at, wire_left(&w));
    return true;
}

struct slice startup_get(struct slice parameters, const char *wanted)
{
    struct slice name = slice_str(wanted), key, value;
    while (startup_next(&parameters, &key, &value))
        if (slice_eq(key, name)) return value;
    return (struct slice){ NULL, 0 };
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* One word of an options string, unescaped; false at the end. *bad: too long, and cut. */
static bool next_word(struct slice *at, struct startup_option *option, struct slice *word,
                      bool *bad)
{
    size_t i = 0, n = 0;
    while (i < at->len && is_space(at->at[i])) i++;
    if (i == at->len) return false;
    for (; i < at->len && !is_space(at->at[i]); i++) {
        if (at->at[i] == '\\' && ++i == at->len) break;
        if (n < sizeof option->word)
            option->word[n++] = at->at[i];
        else
            *bad = true;
    }
    *at = slice_after(*at, i);
    *word = slice_of(option->word, n);
    return true;
}

bool startup_next_option(struct slice *at, struct startup_option *option, bool *bad)
{
    struct slice word;
    *bad = false;
    option->name = option->value = slice_of(option->word, 0);
    if (!next_word(at, option, &word, bad)) return false;
    if (slice_is(word, "-c"))
        *bad |= !next_word(at, option, &word, bad);
    else if (slice_starts(word, "-c") || slice_starts(word, "--"))
        word = slice_after(word, 2);
    else
        *bad = true;
    const char *equals = *bad || word.len == 0 ? NULL : memchr(word.at, '=', word.len);
    if (!equals || equals == word.at) {
        *bad = true;
        return true;
    }
    option->name = slice_of(word.at, (size_t)(equals - word.at));
    option->value = slice_after(word, option->name.len + 1);
    /* "--search-path" is search_path (PostgreSQL: ParseLongOption). */
    for (char *c = option->word; c < equals; c++)
        if (*c == '-') *c = '_';
    return true;
}
