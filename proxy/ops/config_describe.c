#include "proxy/ops/config.h"

#include "protocol/json.h"
#include "proxy/ops/config_table.h"

#include <stdio.h>

/* The same section can stand at several places (`aws`, `tls`); it is described once, at the first.
 */
enum { PLACES_MAX = 64, PATH_TEXT_MAX = 96 };

struct place {
    const struct config_section *section;
    char path[PATH_TEXT_MAX];
};

struct places {
    struct place items[PLACES_MAX];
    size_t count;
};

static void add_place(struct places *places, const struct config_section *section, const char *path)
{
    if (places->count == PLACES_MAX) return; /* a unit test counts them */
    struct place *place = &places->items[places->count++];
    place->section = section;
    snprintf(place->path, sizeof place->path, "%s", path);
    for (size_t i = 0; i < section->n_fields; i++) {
        const struct config_field *field = &section->fields[i];
        const char *suffix = field->type == TYPE_MAP       ? ".NAME"
                             : field->type == TYPE_OBJECTS ? "[]"
                                                           : "";
        char inner[PATH_TEXT_MAX];
        if (!field->section) continue;
        snprintf(inner, sizeof inner, "%.*s%s%.32s%s", PATH_TEXT_MAX - 48, path, *path ? "." : "",
                 field->name, suffix);
        add_place(places, field->section, inner);
    }
}

static bool is_first(const struct places *places, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (places->items[i].section == places->items[at].section) return false;
    return true;
}

/* ---- Markdown --------------------------------------------------------------------------------*/

static const char *type_name(enum config_type type)
{
    switch (type) {
    case TYPE_BOOL: return "true, false";
    case TYPE_INT: return "number";
    case TYPE_DURATION: return "duration";
    case TYPE_SIZE: return "size";
    case TYPE_DATE: return "date";
    case TYPE_STRING:
    case TYPE_PLACE: return "text";
    case TYPE_PATH: return "file";
    case TYPE_ADDRESS:
    case TYPE_ENDPOINT: return "address";
    case TYPE_LIST: return "list";
    case TYPE_ENUM: return "word";
    case TYPE_SET: return "words";
    case TYPE_SECRET: return "secret";
    case TYPE_SETTING: return "text or secret";
    case TYPE_SECRETS: return "secrets by name";
    case TYPE_OBJECT: return "object";
    case TYPE_OBJECTS: return "objects";
    case TYPE_MAP: return "objects by name";
    }
    return "";
}

/* The section's sentence, "session: a client ...", range. */
static void describe_field(struct buf *out, const struct config_field *field)
{
    buf_addf(out, "| `%s` | %s | ", field->name, type_name(field->type));
    if (field->is_required)
        buf_add_str(out, "must be given");
    else if (field->default_text)
        buf_addf(out, "`%s`", field->default_text);
    buf_addf(out, " | %s | %s", field->is_live ? "reload" : "restart", field->sentence);
    if (field->low || field->high)
        buf_addf(out, " From %s to %s.", field->low ? field->low : "0",
                 field->high ? field->high : "any");
    for (size_t i = 0; field->choices && i < field->choices->count; i++)
        buf_addf(out, "%s`%s`: %s", i ? "; " : "<br>", field->choices->items[i].text,
                 field->choices->items[i].sentence);
    buf_add_str(out, " |\n");
}

static void describe_place(struct buf *out, const struct places *places, size_t at)
{
    const struct place *place = &places->items[at];
    const struct config_section *section = place->section;
    if (*place->path)
        buf_addf(out, "\n### `%s`\n\n%s", place->path, section->sentence);
    else
        buf_addf(out, "### Top level\n\n%s", section->sentence);
    for (size_t i = at + 1; i < places->count; i++)
        if (places->items[i].section == section)
            buf_addf(out, " The same at `%s`.", places->items[i].path);
    buf_add_str(out, "\n\n| key | value | default | changed by | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < section->n_fields; i++) describe_field(out, &section->fields[i]);
}

static const char INTRODUCTION[] =
    "JSON, with `//` and `/* */` comments. A key that is not listed here is an error; `null` is "
    "the\n"
    "same as leaving a key out. Durations are written `\"250ms\"`, `\"90s\"`, `\"1h30m\"`, "
    "`\"2d\"`;\n"
    "sizes `\"64KiB\"`, `\"16MiB\"`; dates `\"2026-11-21\"` or `\"2026-11-21T08:30:00Z\"` (UTC). A "
    "list of one\n"
    "may be written without brackets. File names start from the configuration's directory. A "
    "secret\n"
    "is never written here, but where to find it: `\"env:NAME\"`, `\"file:/path\"`, "
    "`\"ssm:/name\"`,\n"
    "`\"secretsmanager:id#jsonkey\"`; for a user's password also a stored verifier from\n"
    "`sluice verifier`. *Changed by* says whether a reload (SIGHUP) is enough.\n\n";

void config_describe(struct buf *out)
{
    struct places places = { .count = 0 };
    add_place(&places, config_section_top, "");
    buf_add_str(out, INTRODUCTION);
    for (size_t i = 0; i < places.count; i++)
        if (is_first(&places, i)) describe_place(out, &places, i);
}

/* ---- JSON Schema (draft-07) ------------------------------------------------------------------*/

/* Patterns narrow what a type's text looks like; the reader is stricter still. */
static const char *pattern_of(enum config_type type)
{
    switch (type) {
    case TYPE_DURATION: return "^(0|([0-9]+(d|h|m|s|ms))+)$";
    case TYPE_SIZE: return "^(0|[0-9]+(B|KiB|MiB|GiB))$";
    case TYPE_DATE: return "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$";
    case TYPE_ADDRESS: return "^(unix:/.+|.+:[0-9]+)$";
    case TYPE_SECRET:
    case TYPE_SECRETS:
        return "^(env:|file:|ssm:|secretsmanager:|SCRAM-SHA-256\\$|sha256\\||md5[0-9a-f]{32}$).*";
    default: return NULL;
    }
}

static void schema_string(struct buf *out, enum config_type type)
{
    const char *pattern = pattern_of(type);
    buf_add_str(out, "{\"type\": \"string\", ");
    buf_add_str(out, pattern ? "\"pattern\": " : "\"minLength\": 1");
    if (pattern) json_quote(out, slice_str(pattern));
    buf_add_str(out, "}");
}

static void schema_words(struct buf *out, const struct config_choices *choices)
{
    buf_add_str(out, "{\"enum\": [");
    for (size_t i = 0; i < choices->count; i++) {
        buf_add_str(out, i ? ", " : "");
        json_quote(out, slice_str(choices->items[i].text));
    }
    buf_add_str(out, "]}");
}

/* One, or a list of them. */
static void schema_one_or_more(struct buf *out, const struct config_field *field)
{
    struct buf one = { 0 };
    if (field->choices)
        schema_words(&one, field->choices);
    else
        schema_string(&one, field->type);
    buf_addf(out, "{\"anyOf\": [%.*s, {\"type\": \"array\", \"items\": %.*s}]}",
             SLICE_ARG(buf_slice(&one)), SLICE_ARG(buf_slice(&one)));
    buf_fini(&one);
}

static void schema_integer(struct buf *out, const struct config_field *field)
{
    buf_add_str(out, "{\"type\": \"integer\"");
    if (field->low) buf_addf(out, ", \"minimum\": %s", field->low);
    if (field->high) buf_addf(out, ", \"maximum\": %s", field->high);
    buf_add_str(out, "}");
}

static void schema_value(struct buf *out, const struct config_field *field)
{
    const char *section = field->section ? field->section->name : "";
    switch (field->type) {
    case TYPE_BOOL: buf_add_str(out, "{\"type\": \"boolean\"}"); break;
    case TYPE_INT: schema_integer(out, field); break;
    case TYPE_DURATION:
    case TYPE_SIZE:
    case TYPE_DATE:
    case TYPE_STRING:
    case TYPE_PATH:
    case TYPE_PLACE:
    case TYPE_ADDRESS:
    case TYPE_ENDPOINT:
    case TYPE_SECRET:
    case TYPE_SETTING: schema_string(out, field->type); break;
    case TYPE_LIST:
    case TYPE_SET: schema_one_or_more(out, field); break;
    case TYPE_ENUM: schema_words(out, field->choices); break;
    case TYPE_SECRETS:
        buf_add_str(out, "{\"type\": \"object\", \"additionalProperties\": ");
        schema_string(out, field->type);
        buf_add_str(out, "}");
        break;
    case TYPE_OBJECT: buf_addf(out, "{\"$ref\": \"#/definitions/%s\"}", section); break;
    case TYPE_OBJECTS:
        buf_addf(out, "{\"type\": \"array\", \"items\": {\"$ref\": \"#/definitions/%s\"}}",
                 section);
        break;
    case TYPE_MAP:
        buf_addf(
            out,
            "{\"type\": \"object\", \"additionalProperties\": {\"$ref\": \"#/definitions/%s\"}}",
            section);
        break;
    }
}

static void schema_property(struct buf *out, const struct config_field *field)
{
    buf_addf(out, "        \"%s\": {\"description\": ", field->name);
    json_quote(out, slice_str(field->sentence));
    if (field->default_text) {
        bool is_bare = field->type == TYPE_BOOL || field->type == TYPE_INT;
        buf_addf(out, is_bare ? ", \"default\": %s" : ", \"default\": \"%s\"", field->default_text);
    }
    /* null stands for absent, wherever absence is allowed. */
    buf_add_str(out, ", \"anyOf\": [");
    schema_value(out, field);
    buf_add_str(out, field->is_required ? "]}" : ", {\"type\": \"null\"}]}");
}

static void schema_section(struct buf *out, const struct config_section *section)
{
    buf_add_str(out, "{\n      \"type\": \"object\",\n      \"description\": ");
    json_quote(out, slice_str(section->sentence));
    buf_add_str(out, ",\n      \"additionalProperties\": false,\n      \"required\": [");
    const char *separator = "";
    for (size_t i = 0; i < section->n_fields; i++) {
        if (!section->fields[i].is_required) continue;
        buf_addf(out, "%s\"%s\"", separator, section->fields[i].name);
        separator = ", ";
    }
    buf_add_str(out, "],\n      \"properties\": {\n");
    if (section == config_section_top)
        buf_add_str(out, "        \"$schema\": {\"type\": \"string\"},\n");
    for (size_t i = 0; i < section->n_fields; i++) {
        schema_property(out, &section->fields[i]);
        buf_add_str(out, i + 1 < section->n_fields ? ",\n" : "\n");
    }
    buf_add_str(out, "      }\n    }");
}

void config_schema(struct buf *out)
{
    struct places places = { .count = 0 };
    add_place(&places, config_section_top, "");
    buf_add_str(out, "{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
                     "  \"title\": \"Sluice\",\n"
                     "  \"allOf\": [{\"$ref\": \"#/definitions/top\"}],\n"
                     "  \"definitions\": {\n");
    for (size_t i = 0; i < places.count; i++) {
        if (!is_first(&places, i)) continue;
        buf_addf(out, "%s    \"%s\": ", i ? ",\n" : "", places.items[i].section->name);
        schema_section(out, places.items[i].section);
    }
    buf_add_str(out, "\n  }\n}\n");
}
