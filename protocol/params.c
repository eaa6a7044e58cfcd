#include "protocol/params.h"

#include "protocol/backend.h"

void params_fini(struct params *p) { buf_fini(&p->pairs); }

bool params_next(const struct params *p, uint32_t *at, struct slice *name, struct slice *value)
{
    if (*at >= p->pairs.len) return false;
    *name = slice_str(p->pairs.at + *at);
    *value = slice_str(name->at + name->len + 1);
    *at += (uint32_t)(name->len + 1 + value->len + 1);
    return true;
}

struct slice params_get(const struct params *p, const char *wanted)
{
    uint32_t at = 0;
    struct slice name, value;
    while (params_next(p, &at, &name, &value))
        if (slice_is(name, wanted)) return value;
    return (struct slice){ NULL, 0 };
}

static void add_pair(struct buf *pairs, struct slice name, struct slice value)
{
    buf_add_slice(pairs, name);
    buf_add_u8(pairs, 0);
    buf_add_slice(pairs, value);
    buf_add_u8(pairs, 0);
}

bool params_set(struct params *p, struct slice wanted, struct slice wanted_value)
{
    struct buf pairs = { 0 };
    uint32_t at = 0;
    bool found = false;
    struct slice name, value;
    while (params_next(p, &at, &name, &value)) {
        bool here = slice_eq(name, wanted);
        found |= here;
        add_pair(&pairs, name, here ? wanted_value : value);
    }
    if (!found) add_pair(&pairs, wanted, wanted_value);
    if (pairs.failed) {
        buf_fini(&pairs);
        return false;
    }
    buf_fini(&p->pairs);
    p->pairs = pairs;
    return true;
}

bool params_is_utf8(struct slice encoding)
{
    return slice_is_nocase(encoding, "UTF8") || slice_is_nocase(encoding, "UTF-8") ||
           slice_is_nocase(encoding, "UNICODE");
}

struct slice params_shown(struct slice name, struct slice value)
{
    if (slice_is_nocase(name, "client_encoding") && slice_is_nocase(value, "UNICODE"))
        return slice_str("UTF8");
    return value;
}

bool params_is_readable(struct slice encoding)
{
    /* PostgreSQL 15, table 24.1 and the aliases of its source: not SJIS (WIN932), BIG5 (WIN950),
     * GBK (WIN936), GB18030, UHC (WIN949), JOHAB, SHIFT_JIS_2004. */
    static const char *const heads[] = { "UTF8",   "UTF-8",    "UNICODE",  "SQL_ASCII", "LATIN",
                                         "ISO885", "ISO_8859", "ISO-8859", "EUC_",      "WIN1",
                                         "WIN8",   "WINDOWS1", "WINDOWS8", "KOI8",      "MULE_" };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = strlen(heads[i]);
        if (encoding.len >= n && slice_is_nocase(slice_of(encoding.at, n), heads[i])) return true;
    }
    return false;
}

void params_replay(const struct params *p, struct buf *out)
{
    uint32_t at = 0;
    struct slice name, value;
    while (params_next(p, &at, &name, &value))
        backend_parameter_status(out, name, params_shown(name, value));
}

bool params_copy(struct params *to, const struct params *from)
{
    struct buf pairs = { 0 };
    buf_add_slice(&pairs, buf_slice(&from->pairs));
    if (pairs.failed) return false;
    buf_fini(&to->pairs);
    to->pairs = pairs;
    return true;
}

/* FNV-1a. The values come from servers of our own choosing, so nobody gains by a collision. */
static uint64_t mix(uint64_t hash, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) hash = (hash ^ (uint8_t)bytes.at[i]) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

uint64_t params_kind(const struct params *p)
{
    static const char *const same[] = { "server_protocol_version", "integer_datetimes",
                                        "server_encoding" };
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        hash = mix(hash, params_get(p, same[i]));
    /* Drivers choose their ways by the major version, and by whether it is a Redshift. */
    struct slice version = params_get(p, "server_version");
    const char *dot = version.at ? memchr(version.at, '.', version.len) : NULL;
    if (dot) version.len = (size_t)(dot - version.at);
    hash = mix(hash, version);
    return mix(hash, slice_str(params_get(p, "padb_version").at ? "redshift" : ""));
}
