#include "proxy/ops/config_settings.h"

#include "protocol/map.h"
#include "protocol/units.h"
#include "proxy/ops/config_table.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- one value -------------------------------------------------------------------------------*/

static void add_list(struct buf *out, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) buf_addf(out, "%s%s", i ? ", " : "", list->items[i]);
}

static void add_set(struct buf *out, const struct config_choices *choices, uint32_t bits)
{
    const char *separator = "";
    for (size_t i = 0; i < choices->count; i++) {
        if (!(bits & 1u << i)) continue;
        buf_addf(out, "%s%s", separator, choices->items[i].text);
        separator = ", ";
    }
}

static void add_secret(struct buf *out, const struct secret_ref *ref)
{
    char text[256];
    if (ref->kind != SECRET_ABSENT) buf_add_str(out, secret_describe(ref, text, sizeof text));
}

static void add_secrets(struct buf *out, const struct config_secrets *secrets)
{
    for (size_t i = 0; i < secrets->count; i++) {
        buf_addf(out, "%s%s: ", i ? ", " : "", secrets->items[i].name);
        add_secret(out, &secrets->items[i].secret);
    }
}

static void add_value(struct buf *out, const struct config_field *field, const void *member)
{
    switch (field->type) {
    case TYPE_BOOL: buf_add_str(out, *(const bool *)member ? "true" : "false"); break;
    case TYPE_INT: buf_addf(out, "%u", *(const uint32_t *)member); break;
    case TYPE_DURATION: units_add_duration(out, *(const uint64_t *)member); break;
    case TYPE_SIZE: units_add_size(out, *(const uint64_t *)member); break;
    case TYPE_DATE:
        if (*(const uint64_t *)member) units_add_date(out, *(const uint64_t *)member);
        break;
    case TYPE_STRING:
    case TYPE_PATH:
    case TYPE_PLACE:
        if (*(char *const *)member) buf_add_str(out, *(char *const *)member);
        break;
    case TYPE_ADDRESS:
    case TYPE_ENDPOINT: {
        const struct config_address *address = member;
        if (address->text) buf_add_str(out, address->text);
        break;
    }
    case TYPE_LIST: add_list(out, member); break;
    case TYPE_ENUM: buf_add_str(out, field->choices->items[*(const unsigned *)member].text); break;
    case TYPE_SET: add_set(out, field->choices, *(const uint32_t *)member); break;
    case TYPE_SECRET:
    case TYPE_SETTING: add_secret(out, member); break;
    case TYPE_SECRETS: add_secrets(out, member); break;
    case TYPE_OBJECT:
    case TYPE_OBJECTS:
    case TYPE_MAP: break;
    }
}

/* The value is told apart by what is shown of it, a secret by what is not shown, too. The seed
 * may be known: nobody gains by two values that look equal here. */
static const struct map_seed FINGERPRINT_SEED = { 0x736c75696365, 1 };

static uint64_t fingerprint(const struct config_field *field, const void *member,
                            struct slice value)
{
    uint64_t sum = map_hash(FINGERPRINT_SEED, value);
    if (field->type == TYPE_SECRET || field->type == TYPE_SETTING) {
        const struct secret_ref *ref = member;
        sum += map_hash(FINGERPRINT_SEED, slice_str(ref->text)) * 31;
    } else if (field->type == TYPE_SECRETS) {
        const struct config_secrets *secrets = member;
        for (size_t i = 0; i < secrets->count; i++)
            sum = sum * 31 + map_hash(FINGERPRINT_SEED, slice_str(secrets->items[i].secret.text));
    }
    return sum;
}

/* ---- the list --------------------------------------------------------------------------------*/

static char *take(struct buf *text)
{
    buf_add_u8(text, '\0');
    if (!text->failed) return text->at;
    buf_fini(text);
    return NULL;
}

static void add_setting(struct config_settings *out, const char *path,
                        const struct config_field *field, const void *member)
{
    if (out->count == out->cap) {
        size_t cap = out->cap ? out->cap * 2 : 128;
        struct config_setting *items = realloc(out->items, cap * sizeof *items);
        out->failed |= !items;
        if (!items) return;
        out->items = items;
        out->cap = cap;
    }
    struct buf name = { 0 }, value = { 0 };
    buf_addf(&name, "%s", path);
    add_value(&value, field, member);
    struct config_setting setting = {
        .fingerprint = fingerprint(field, member, buf_slice(&value)),
        .default_value = field->default_text ? field->default_text : "",
        .sentence = field->sentence,
        .is_live = field->is_live,
    };
    setting.path = take(&name);
    setting.value = take(&value);
    out->failed |= !setting.path || !setting.value;
    if (setting.path && setting.value) {
        out->items[out->count++] = setting;
    } else {
        free(setting.path);
        free(setting.value);
    }
}

/* Sections nest three deep at most: config.def is the only source of depth. */
static void walk(struct config_settings *out, const struct config_section *section,
                 const char *path, const void *values)
{
    for (size_t i = 0; i < section->n_fields && !out->failed; i++) {
        const struct config_field *field = &section->fields[i];
        const void *member = config_member(field, values);
        struct buf name = { 0 };
        buf_addf(&name, "%s%s%s", path, *path ? "." : "", field->name);
        char *here = take(&name);
        out->failed |= !here;
        if (!here) return;
        if (field->type == TYPE_OBJECT) {
            walk(out, field->section, here, member);
        } else if (field->type == TYPE_OBJECTS || field->type == TYPE_MAP) {
            const char *items = *(char *const *)member;
            for (size_t j = 0; j < *config_member_count(field, values); j++) {
                const void *item = items + j * field->section->size;
                const struct config_head *head = item;
                struct buf item_name = { 0 };
                if (head->name)
                    buf_addf(&item_name, "%s.%s", here, head->name);
                else
                    buf_addf(&item_name, "%s[%zu]", here, j);
                char *item_path = take(&item_name);
                out->failed |= !item_path;
                if (item_path) walk(out, field->section, item_path, item);
                free(item_path);
            }
        } else {
            add_setting(out, here, field, member);
        }
        free(here);
    }
}

void config_settings_init(struct config_settings *out, const struct config *config)
{
    *out = (struct config_settings){ 0 };
    walk(out, config_section_top, "", config);
}

void config_settings_fini(struct config_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->items[i].path);
        free(settings->items[i].value);
    }
    free(settings->items);
    *settings = (struct config_settings){ 0 };
}

/* ---- what changed ----------------------------------------------------------------------------*/

static bool index_by_path(struct map *map, const struct config_settings *settings)
{
    map_init(map, FINGERPRINT_SEED);
    for (size_t i = 0; i < settings->count; i++)
        if (!map_put(map, slice_str(settings->items[i].path), &settings->items[i])) return false;
    return true;
}

bool config_change_needs_restart(const struct config_change *change)
{
    return !(change->after ? change->after : change->before)->is_live;
}

static void add_change(struct config_changes *out, const struct config_setting *before,
                       const struct config_setting *after)
{
    struct config_change change = { before, after };
    out->items[out->count++] = change;
    out->need_restart += config_change_needs_restart(&change);
}

void config_changes_init(struct config_changes *out, const struct config *before,
                         const struct config *after)
{
    *out = (struct config_changes){ 0 };
    config_settings_init(&out->before, before);
    config_settings_init(&out->after, after);
    struct map old, new;
    bool ok = index_by_path(&old, &out->before);
    ok = index_by_path(&new, &out->after) && ok;
    out->items = calloc(out->before.count + out->after.count + 1, sizeof *out->items);
    out->failed = !ok || !out->items || out->before.failed || out->after.failed;
    for (size_t i = 0; !out->failed && i < out->before.count; i++) {
        const struct config_setting *was = &out->before.items[i];
        const struct config_setting *is = map_get(&new, slice_str(was->path));
        if (!is || is->fingerprint != was->fingerprint) add_change(out, was, is);
    }
    for (size_t i = 0; !out->failed && i < out->after.count; i++) {
        const struct config_setting *is = &out->after.items[i];
        if (!map_get(&old, slice_str(is->path))) add_change(out, NULL, is);
    }
    map_fini(&old);
    map_fini(&new);
}

void config_changes_fini(struct config_changes *changes)
{
    config_settings_fini(&changes->before);
    config_settings_fini(&changes->after);
    free(changes->items);
    *changes = (struct config_changes){ 0 };
}
