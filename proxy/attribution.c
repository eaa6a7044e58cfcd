#include "proxy/attribution.h"

#include "proxy/realm.h"

#include <stdio.h>

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("_-+=,.@:/", c));
}

static void add(struct buf *out, uint32_t from, struct slice text, bool as_it_is)
{
    for (size_t i = 0; i < text.len && out->len - from < ATTRIBUTION_MAX_BYTES; i++)
        buf_add_u8(out, (uint8_t)(as_it_is || is_plain(text.at[i]) ? text.at[i] : '_'));
}

void attribution_expand(const struct client *c, struct slice text, struct buf *out)
{
    uint32_t from = out->len;
    char conn[24];
    snprintf(conn, sizeof conn, "%llu", (unsigned long long)c->id);
    const struct {
        const char *word;
        struct slice value;
    } words[] = {
        { "{identity}", client_identity(c) },
        { "{user}", c->user ? c->user->name : (struct slice){ 0 } },
        { "{conn}", slice_str(conn) },
    };
    while (text.len) {
        size_t taken = 1;
        struct slice value = slice_of(text.at, 1);
        bool as_it_is = true;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            if (!slice_starts(text, words[i].word)) continue;
            taken = strlen(words[i].word);
            value = words[i].value;
            as_it_is = false;
        }
        add(out, from, value, as_it_is);
        text = slice_after(text, taken);
    }
}

bool attribution_default(const struct client *c, struct buf *out)
{
    if (!c->identity || !c->realm->config->iam.attribution) return false;
    attribution_expand(c, slice_str("{identity} {conn}"), out);
    return !out->failed;
}
