#include "proxy/ops/config_table.h"

#include "protocol/nearest.h"

#include <arpa/inet.h>
#include <stdio.h>

/* Reading fills one struct from one JSON object, directive by directive. Whatever is wrong is
 * reported with its line and leaves the default in place, so that reading goes on and all problems
 * come at once; the caller looks at the number of errors in the end. */

enum { PATH_TEXT_MAX = 256, NAME_MAX_BYTES = 127 };

struct spot {
    struct config_reader *reader;
    const struct config_field *field;
    const char *path; /* "clusters.warehouse.endpoint" */
    uint32_t line;
};

#define wrong(spot, ...) problem_error((spot)->reader->problems, (spot)->line, __VA_ARGS__)

/* path.name; what does not fit is cut, since it is only ever shown. */
static void extend_path(char out[PATH_TEXT_MAX], const char *path, struct slice name)
{
    size_t used = strnlen(path, PATH_TEXT_MAX - 2);
    memmove(out, path, used);
    if (used > 0) out[used++] = '.';
    size_t room = PATH_TEXT_MAX - 1 - used;
    size_t n = name.len < room ? name.len : room;
    if (n) memcpy(out + used, name.at, n);
    out[used + n] = '\0';
}

/* path[index] */
static void number_path(char out[PATH_TEXT_MAX], const char *path, size_t index)
{
    enum { NUMBER_MAX = 24 };
    size_t used = strnlen(path, PATH_TEXT_MAX - NUMBER_MAX);
    memmove(out, path, used);
    snprintf(out + used, NUMBER_MAX, "[%zu]", index);
}

/* ---- text of all kinds -----------------------------------------------------------------------*/

/* A path relative to the configuration's directory. */
static char *copy_path(struct config_reader *reader, struct slice text)
{
    struct slice directory = reader->directory;
    if (text.at[0] == '/' || directory.len == 0) return config_copy(reader->arena, text);
    char *path = config_alloc(reader->arena, directory.len + 1 + text.len + 1);
    if (!path) return NULL;
    memcpy(path, directory.at, directory.len);
    path[directory.len] = '/';
    memcpy(path + directory.len + 1, text.at, text.len);
    return path;
}

/* "file:PATH" likewise; anything else as it is. */
static char *copy_place(struct config_reader *reader, struct slice text)
{
    static const char SCHEME[] = "file:";
    size_t n = sizeof SCHEME - 1;
    if (!slice_starts(text, SCHEME) || text.len == n) return config_copy(reader->arena, text);
    const char *path = copy_path(reader, slice_after(text, n));
    char *place = path ? config_alloc(reader->arena, n + strlen(path) + 1) : NULL;
    if (!place) return NULL;
    memcpy(place, SCHEME, n);
    memcpy(place + n, path, strlen(path));
    return place;
}

static bool parse_port(struct slice text, uint16_t *out)
{
    uint64_t port;
    if (!config_scalar(TYPE_INT, text, &port) || port == 0 || port > 65535) return false;
    *out = (uint16_t)port;
    return true;
}

static bool is_ip(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool is_host_name(struct slice host)
{
    if (host.len == 0 || host.len > 253) return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = ascii_lower(host.at[i]);
        bool fits =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
        if (!fits) return false;
    }
    return true;
}

/* "host:port", "[v6]:port" or "host". A bare v6 address falls apart at its first colon, and is
 * refused then: where its port begins would be a guess. */
static bool split_address(struct slice text, struct slice *host, struct slice *port)
{
    *port = (struct slice){ NULL, 0 };
    if (text.len > 0 && text.at[0] == '[') {
        const char *end = memchr(text.at, ']', text.len);
        if (!end) return false;
        *host = slice_of(text.at + 1, (size_t)(end - text.at) - 1);
        struct slice rest = slice_after(text, (size_t)(end - text.at) + 1);
        if (rest.len == 0) return true;
        *port = slice_after(rest, 1);
        return rest.at[0] == ':' && port->len > 0;
    }
    const char *colon = memchr(text.at, ':', text.len);
    *host = text;
    if (!colon) return true;
    *host = slice_of(text.at, (size_t)(colon - text.at));
    *port = slice_after(text, host->len + 1);
    return port->len > 0;
}

/* ADDRESS is where to listen, so an IP; ENDPOINT is where to connect, so perhaps a name. */
static void read_address(const struct spot *spot, struct slice text, struct config_address *out)
{
    enum { REDSHIFT_PORT = 5439, SOCKET_PATH_MAX = 107 /* sun_path, without NUL: unix(7) */ };
    bool is_endpoint = spot->field->type == TYPE_ENDPOINT;
    struct config_arena *arena = spot->reader->arena;
    struct config_address address = { .port = is_endpoint ? REDSHIFT_PORT : 0 };
    struct slice host, port;
    if (slice_starts(text, "unix:")) {
        host = slice_after(text, strlen("unix:"));
        if (host.len == 0 || host.at[0] != '/' || host.len > SOCKET_PATH_MAX) {
            wrong(spot, "%s: a unix socket needs an absolute path of at most %d bytes", spot->path,
                  SOCKET_PATH_MAX);
            return;
        }
        address.is_unix = true;
        address.port = 0;
    } else {
        bool ok =
            split_address(text, &host, &port) && (port.len == 0 || parse_port(port, &address.port));
        if (!ok || address.port == 0) {
            wrong(spot, "%s: \"%.*s\" is not %s", spot->path, SLICE_ARG(text),
                  is_endpoint ? "\"HOST:PORT\"" : "\"IP:PORT\", \"[IP6]:PORT\" or \"unix:/path\"");
            return;
        }
    }
    address.text = config_copy(arena, text);
    address.host = config_copy(arena, host);
    if (!address.host) return;
    if (!address.is_unix && !is_ip(address.host) && !(is_endpoint && is_host_name(host))) {
        wrong(spot, "%s: \"%s\" is not %s", spot->path, address.host,
              is_endpoint ? "a host name or address" : "an IP address");
        return;
    }
    *out = address;
}

/* ---- secrets ---------------------------------------------------------------------------------*/

static bool is_name(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = ascii_lower(text.at[i]);
        bool fits = (c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9');
        if (!fits) return false;
    }
    return text.len > 0;
}

static bool is_verifier(struct slice text)
{
    bool is_md5 = text.len == 35 && slice_starts(text, "md5");
    for (size_t i = 3; is_md5 && i < text.len; i++)
        is_md5 =
            (text.at[i] >= '0' && text.at[i] <= '9') || (text.at[i] >= 'a' && text.at[i] <= 'f');
    return is_md5 || slice_starts(text, "SCRAM-SHA-256$") || slice_starts(text, "sha256|");
}

/* Never quotes the text: it may be a password that somebody put here by mistake. */
static void read_secret(const struct spot *spot, struct slice text, struct secret_ref *out)
{
    static const struct {
        const char *prefix;
        enum secret_kind kind;
    } FORMS[] = {
        { "env:", SECRET_ENV },
        { "file:", SECRET_FILE },
        { "ssm:", SECRET_SSM },
        { "secretsmanager:", SECRET_SECRETSMANAGER },
    };
    struct config_arena *arena = spot->reader->arena;
    struct secret_ref ref = { .line = spot->line };
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        if (!slice_starts(text, FORMS[i].prefix)) continue;
        struct slice rest = slice_after(text, strlen(FORMS[i].prefix));
        if (rest.len == 0 || (FORMS[i].kind == SECRET_ENV && !is_name(rest))) {
            wrong(spot, "%s: \"%s\" needs %s behind it", spot->path, FORMS[i].prefix,
                  FORMS[i].kind == SECRET_ENV ? "the name of a variable" : "a name");
            return;
        }
        ref.kind = FORMS[i].kind;
        ref.text =
            ref.kind == SECRET_FILE ? copy_path(spot->reader, rest) : config_copy(arena, rest);
        *out = ref;
        return;
    }
    if (spot->field->type == TYPE_SETTING)
        ref.kind = SECRET_PLAIN;
    else if (is_verifier(text))
        ref.kind = SECRET_VERIFIER;
    if (ref.kind == SECRET_ABSENT) {
        wrong(spot,
              "%s: a secret never stands in this file; write \"env:NAME\", \"file:/path\", "
              "\"ssm:/name\", \"secretsmanager:id#jsonkey\", or a verifier from `sluice verifier`",
              spot->path);
        return;
    }
    ref.text = config_copy(arena, text);
    *out = ref;
}

/* ---- numbers and words -----------------------------------------------------------------------*/

static const char *scalar_example(enum config_type type)
{
    return type == TYPE_DURATION ? "\"90s\", \"10m\" or \"1h30m\""
           : type == TYPE_SIZE   ? "\"64KiB\" or \"16MiB\""
           : type == TYPE_DATE   ? "\"2026-11-21\" or \"2026-11-21T08:30:00Z\""
                                 : "a whole number";
}

static void store_scalar(const struct config_field *field, uint64_t n, void *out)
{
    if (field->type == TYPE_INT)
        *(uint32_t *)out = (uint32_t)n;
    else
        *(uint64_t *)out = n;
}

static bool in_range(const struct spot *spot, uint64_t n, const char *written)
{
    const struct config_field *field = spot->field;
    uint64_t bound;
    if (field->low && config_scalar(field->type, slice_str(field->low), &bound) && n < bound) {
        wrong(spot, "%s: %s is below the least, %s", spot->path, written, field->low);
        return false;
    }
    if (field->high && config_scalar(field->type, slice_str(field->high), &bound) && n > bound) {
        wrong(spot, "%s: %s is above the most, %s", spot->path, written, field->high);
        return false;
    }
    return true;
}

static void read_integer(const struct spot *spot, const struct json_value *value, void *out)
{
    int64_t n;
    if (json_type(value) != JSON_NUMBER) {
        wrong(spot, "%s: a whole number is needed, without quotes", spot->path);
    } else if (!json_integer(value, &n) || n < 0 || n > UINT32_MAX) {
        wrong(spot, "%s: not a whole number from 0 to %u", spot->path, UINT32_MAX);
    } else {
        char written[24];
        snprintf(written, sizeof written, "%lld", (long long)n);
        if (in_range(spot, (uint64_t)n, written)) store_scalar(spot->field, (uint64_t)n, out);
    }
}

/* DURATION, SIZE, DATE: strings with a unit, since a bare number says nothing about seconds. */
static void read_measure(const struct spot *spot, const struct json_value *value, void *out)
{
    enum config_type type = spot->field->type;
    struct slice text = json_string(value);
    uint64_t n;
    if (json_type(value) == JSON_NUMBER)
        wrong(spot, "%s: a number has no unit; write %s", spot->path, scalar_example(type));
    else if (json_type(value) != JSON_STRING || !config_scalar(type, text, &n))
        wrong(spot, "%s: write %s", spot->path, scalar_example(type));
    else if (in_range(spot, n, text.at))
        store_scalar(spot->field, n, out);
}

/* The index of the word, or -1 after saying which there are. */
static int read_word(const struct spot *spot, const struct json_value *value)
{
    const struct config_choices *choices = spot->field->choices;
    struct slice word = json_string(value);
    if (json_type(value) == JSON_STRING) {
        int choice = config_choice(choices, word);
        if (choice >= 0) return choice;
    }
    struct buf known = { 0 };
    for (size_t i = 0; i < choices->count; i++) {
        if (i > 0) buf_add_str(&known, i + 1 == choices->count ? " or " : ", ");
        buf_add_str(&known, choices->items[i].text);
    }
    struct spot here = *spot;
    here.line = json_line(value);
    if (json_type(value) == JSON_STRING)
        wrong(&here, "%s: \"%.*s\" is unknown; %.*s", spot->path, SLICE_ARG(word), (int)known.len,
              known.at);
    else
        wrong(&here, "%s: needs one of %.*s", spot->path, (int)known.len, known.at);
    buf_fini(&known);
    return -1;
}

static void read_set(const struct spot *spot, const struct json_value *value, uint32_t *out)
{
    uint32_t bits = 0;
    if (json_type(value) != JSON_ARRAY) {
        int choice = read_word(spot, value);
        if (choice >= 0) *out = 1u << choice;
        return;
    }
    if (json_count(value) == 0) wrong(spot, "%s: an empty list", spot->path);
    for (const struct json_value *v = json_first(value); v; v = json_next(v)) {
        int choice = read_word(spot, v);
        if (choice >= 0) bits |= 1u << choice;
    }
    *out = bits;
}

/* A string that is there and says something; the empty slice after reporting otherwise. */
static struct slice read_text(const struct spot *spot, const struct json_value *value)
{
    struct slice text = json_string(value);
    struct spot here = *spot;
    here.line = json_line(value);
    if (json_type(value) != JSON_STRING)
        wrong(&here, "%s: needs a string, not %s", spot->path, json_type_name(json_type(value)));
    else if (text.len == 0)
        wrong(&here, "%s: is empty; leave it out", spot->path);
    return text;
}

static void read_list(const struct spot *spot, const struct json_value *value,
                      struct config_list *out)
{
    bool is_array = json_type(value) == JSON_ARRAY;
    size_t n = is_array ? json_count(value) : 1;
    struct config_list list = { config_alloc(spot->reader->arena, (n + 1) * sizeof(char *)), 0 };
    if (!list.items) return;
    if (n == 0 && spot->field->is_required) wrong(spot, "%s: an empty list", spot->path);
    for (const struct json_value *v = is_array ? json_first(value) : value; v;
         v = is_array ? json_next(v) : NULL) {
        struct slice text = read_text(spot, v);
        if (text.len > 0) list.items[list.count++] = config_copy(spot->reader->arena, text);
    }
    *out = list;
}

/* ---- what holds more of them -----------------------------------------------------------------*/

/* Names go into logs, metrics and messages: printable ASCII and what UTF-8 has beyond it. */
static bool is_good_name(const struct spot *spot, const struct json_value *member)
{
    struct slice name = json_key(member);
    bool ok = name.len > 0 && name.len <= NAME_MAX_BYTES;
    for (size_t i = 0; ok && i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        ok = c > 0x20 && c != 0x7f;
    }
    if (!ok)
        problem_error(spot->reader->problems, json_key_line(member),
                      "%s: \"%.*s\" is no name: 1 to %d bytes, no spaces", spot->path,
                      SLICE_ARG(name), NAME_MAX_BYTES);
    return ok;
}

static bool needs(const struct spot *spot, const struct json_value *value, enum json_type type)
{
    if (json_type(value) == type) return true;
    wrong(spot, "%s: needs %s, not %s", spot->path, json_type_name(type),
          json_type_name(json_type(value)));
    return false;
}

static void read_secrets(const struct spot *spot, const struct json_value *value,
                         struct config_secrets *out)
{
    if (!needs(spot, value, JSON_OBJECT)) return;
    struct config_arena *arena = spot->reader->arena;
    struct config_secrets secrets = {
        config_alloc(arena, (json_count(value) + 1) * sizeof *secrets.items), 0
    };
    if (!secrets.items) return;
    for (const struct json_value *v = json_first(value); v; v = json_next(v)) {
        struct spot here = *spot;
        here.line = json_line(v);
        if (!is_good_name(&here, v)) continue;
        struct slice text = read_text(&here, v);
        if (text.len == 0) continue;
        struct config_secret *one = &secrets.items[secrets.count++];
        one->name = config_copy(arena, json_key(v));
        read_secret(&here, text, &one->secret);
    }
    *out = secrets;
}

/* OBJECTS from a list, MAP from an object. */
static void read_sections(const struct spot *spot, const struct json_value *value, void *section)
{
    const struct config_field *field = spot->field;
    bool is_map = field->type == TYPE_MAP;
    if (!needs(spot, value, is_map ? JSON_OBJECT : JSON_ARRAY)) return;
    size_t n = json_count(value), i = 0;
    if (n == 0 && field->is_required) wrong(spot, "%s: there must be one at least", spot->path);
    char *items = config_alloc(spot->reader->arena, (n + 1) * field->section->size);
    if (!items) return;
    for (const struct json_value *v = json_first(value); v; v = json_next(v)) {
        char path[PATH_TEXT_MAX];
        if (is_map)
            extend_path(path, spot->path, json_key(v));
        else
            number_path(path, spot->path, i);
        struct spot here = *spot;
        here.path = path;
        here.line = json_line(v);
        if (is_map && !is_good_name(spot, v)) continue;
        if (!needs(&here, v, JSON_OBJECT)) continue;
        char *item = items + i++ * field->section->size;
        config_read_section(spot->reader, field->section, path, v, false, item);
        struct config_head *head = (struct config_head *)(void *)item;
        if (is_map) {
            head->name = config_copy(spot->reader->arena, json_key(v));
            head->line = json_key_line(v);
        }
    }
    *(void **)config_member(field, section) = items;
    *config_member_count(field, section) = i;
}

/* ---- one directive ---------------------------------------------------------------------------*/

static void read_string(const struct spot *spot, const struct json_value *value, void *out)
{
    struct slice text = read_text(spot, value);
    if (text.len == 0) return;
    switch (spot->field->type) {
    case TYPE_STRING: *(char **)out = config_copy(spot->reader->arena, text); break;
    case TYPE_PATH: *(char **)out = copy_path(spot->reader, text); break;
    case TYPE_PLACE: *(char **)out = copy_place(spot->reader, text); break;
    case TYPE_ADDRESS:
    case TYPE_ENDPOINT: read_address(spot, text, out); break;
    default: read_secret(spot, text, out);
    }
}

static void read_value(const struct spot *spot, const struct json_value *value, void *section)
{
    const struct config_field *field = spot->field;
    void *out = config_member(field, section);
    int choice;
    switch (field->type) {
    case TYPE_BOOL:
        if (needs(spot, value, JSON_BOOL)) *(bool *)out = json_is_true(value);
        break;
    case TYPE_INT: read_integer(spot, value, out); break;
    case TYPE_DURATION:
    case TYPE_SIZE:
    case TYPE_DATE: read_measure(spot, value, out); break;
    case TYPE_STRING:
    case TYPE_PATH:
    case TYPE_PLACE:
    case TYPE_ADDRESS:
    case TYPE_ENDPOINT:
    case TYPE_SECRET:
    case TYPE_SETTING: read_string(spot, value, out); break;
    case TYPE_LIST: read_list(spot, value, out); break;
    case TYPE_ENUM:
        choice = read_word(spot, value);
        if (choice >= 0) *(unsigned *)out = (unsigned)choice;
        break;
    case TYPE_SET: read_set(spot, value, out); break;
    case TYPE_SECRETS: read_secrets(spot, value, out); break;
    case TYPE_OBJECT:
        if (needs(spot, value, JSON_OBJECT))
            config_read_section(spot->reader, field->section, spot->path, value, false, out);
        break;
    case TYPE_OBJECTS:
    case TYPE_MAP: read_sections(spot, value, section); break;
    }
}

/* What is not written. A default in config.def is written as in the file and always right, which
 * a unit test proves. */
static void set_default(struct config_reader *reader, const struct config_field *field,
                        void *section)
{
    void *out = config_member(field, section);
    struct slice text = slice_str(field->default_text);
    uint64_t n = 0;
    if (field->type == TYPE_OBJECT) {
        config_read_section(reader, field->section, "", NULL, false, out);
        return;
    }
    if (!field->default_text) return;
    switch (field->type) {
    case TYPE_BOOL: *(bool *)out = slice_is(text, "true"); break;
    case TYPE_INT:
    case TYPE_DURATION:
    case TYPE_SIZE:
    case TYPE_DATE:
        if (config_scalar(field->type, text, &n)) store_scalar(field, n, out);
        break;
    case TYPE_ENUM: *(unsigned *)out = (unsigned)config_choice(field->choices, text); break;
    case TYPE_LIST: {
        struct config_list *list = out;
        list->items = config_alloc(reader->arena, sizeof(char *));
        if (list->items) list->items[list->count++] = config_copy(reader->arena, text);
        break;
    }
    default: *(char **)out = config_copy(reader->arena, text);
    }
}

/* ---- one section -----------------------------------------------------------------------------*/

/* Reports members that are no directives, with the likeliest one. */
static void refuse_unknown(struct config_reader *reader, const struct config_section *section,
                           const char *path, const struct json_value *object)
{
    for (const struct json_value *v = json_first(object); v; v = json_next(v)) {
        struct nearest nearest = { .word = json_key(v) };
        bool known = false;
        for (size_t i = 0; i < section->n_fields && !known; i++) {
            known = slice_is(nearest.word, section->fields[i].name);
            nearest_offer(&nearest, slice_str(section->fields[i].name));
        }
        /* Editors find the schema by it. */
        if (section == config_section_top && slice_is(nearest.word, "$schema")) known = true;
        if (known) continue;
        struct buf where = { 0 };
        buf_addf(&where, "%s%s%.*s", path, *path ? "." : "", SLICE_ARG(nearest.word));
        if (nearest.best.len > 0)
            problem_error(reader->problems, json_key_line(v),
                          "%.*s: unknown key; did you mean \"%.*s\"?", (int)where.len, where.at,
                          SLICE_ARG(nearest.best));
        else
            problem_error(reader->problems, json_key_line(v), "%.*s: unknown key", (int)where.len,
                          where.at);
        buf_fini(&where);
    }
}

void config_read_section(struct config_reader *reader, const struct config_section *section,
                         const char *path, const struct json_value *object, bool keep, void *out)
{
    struct config_head *head = out;
    if (object) {
        head->line = json_line(object);
        head->node = reader->doc ? json_number_of(reader->doc, object) : 0;
        refuse_unknown(reader, section, path, object);
    }
    for (size_t i = 0; i < section->n_fields; i++) {
        const struct config_field *field = &section->fields[i];
        const struct json_value *value =
            object ? json_member(object, slice_str(field->name)) : NULL;
        char name[PATH_TEXT_MAX];
        extend_path(name, path, slice_str(field->name));
        if (value && json_type(value) == JSON_NULL) value = NULL; /* null: as if absent */
        if (!keep) set_default(reader, field, out);
        if (value) {
            struct spot spot = { reader, field, name, json_line(value) };
            read_value(&spot, value, out);
        } else if (object && field->is_required && !keep) {
            problem_error(reader->problems, head->line, "%s is missing: %s", name, field->sentence);
        }
    }
}
