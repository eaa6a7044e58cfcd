/* Startup packets, and the options in them.
 *
 * Properties: a packet cut short is MORE, or refused for what is already there, and never another
 * packet; the pairs, written again, are the packet; a key that is found is in the list; the options
 * end, and their names and values lie in the word. */
#include "protocol/frontend.h"
#include "protocol/startup.h"

#include <stdlib.h>

static void must(bool holds)
{
    if (!holds) abort();
}

static void check_options(struct slice options)
{
    struct startup_option o;
    bool bad;
    size_t left = options.len + 1;
    while (startup_next_option(&options, &o, &bad)) {
        must(options.len < left);
        left = options.len;
        must(bad == (o.name.len == 0));
        must(o.name.at >= o.word && o.name.at + o.name.len <= o.word + sizeof o.word);
        must(o.value.at >= o.word && o.value.at + o.value.len <= o.word + sizeof o.word);
        if (!bad) must(!memchr(o.name.at, '=', o.name.len) && !memchr(o.name.at, '-', o.name.len));
    }
}

static void check_session(struct slice in, const struct startup *s)
{
    struct buf again = { 0 };
    struct slice at = s->parameters, key, value;
    uint32_t begun = frontend_startup_begin(&again, s->major, s->minor);
    while (startup_next(&at, &key, &value)) {
        must(key.len > 0 && startup_get(s->parameters, key.at).at != NULL);
        frontend_startup_add(&again, key, value);
        if (slice_is(key, "options")) check_options(value);
    }
    frontend_startup_end(&again, begun);
    must(slice_eq(buf_slice(&again), slice_of(in.at, s->size)));
    buf_fini(&again);
}

static void check_cancel(struct slice in, const struct startup *s)
{
    struct buf again = { 0 };
    frontend_cancel(&again, s->cancel_pid, s->cancel_key);
    must(slice_eq(buf_slice(&again), slice_of(in.at, s->size)));
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct startup s = startup_read(in);
    must(s.size <= size && s.size <= STARTUP_MAX);
    for (size_t n = 0; n < size && n < 64; n++) {
        struct startup part = startup_read(slice_of(data, n));
        must(part.kind == s.kind || part.kind == STARTUP_MORE);
        if (n < s.size) must(part.kind == STARTUP_MORE);
    }
    if (s.kind == STARTUP_SESSION) check_session(in, &s);
    if (s.kind == STARTUP_CANCEL) check_cancel(in, &s);
    if (s.kind == STARTUP_BAD || s.kind == STARTUP_MORE) must(s.size == 0 || size >= s.size);
    check_options(in);
    return 0;
}
