#include "routing/dynamo.h"

#include "routing/dynamo_item.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- requests ---------------------------------------------------------------------------------
 */

static void add_member(struct buf *out, const char *name, struct slice text)
{
    buf_addf(out, "\"%s\":", name);
    json_quote(out, text);
}

/* `"name":{"S":"text"}`, with a comma before it. */
static void add_string(struct buf *out, const char *name, struct slice text)
{
    buf_addf(out, ",\"%s\":{\"S\":", name);
    json_quote(out, text);
    buf_add_u8(out, '}');
}

static void add_number(struct buf *out, const char *name, uint64_t number)
{
    buf_addf(out, ",\"%s\":{\"N\":\"%llu\"}", name, (unsigned long long)number);
}

static void add_key(struct buf *out, struct slice pk, struct slice sk)
{
    buf_add_str(out, "\"pk\":{\"S\":");
    json_quote(out, pk);
    buf_add_str(out, "},\"sk\":{\"S\":");
    json_quote(out, sk);
    buf_add_u8(out, '}');
}

static void begin(struct buf *body, struct slice table)
{
    buf_add_u8(body, '{');
    add_member(body, "TableName", table);
}

void dynamo_describe(struct buf *body, struct slice table)
{
    begin(body, table);
    buf_add_u8(body, '}');
}

static void get_table(struct buf *body, struct slice table, const char *pk)
{
    begin(body, table);
    buf_add_str(body, ",\"ConsistentRead\":true,\"Key\":{");
    add_key(body, slice_str(pk), slice_str("table"));
    buf_add_str(body, "}}");
}

void dynamo_get_active(struct buf *body, struct slice table) { get_table(body, table, "active"); }

void dynamo_get_candidate(struct buf *body, struct slice table)
{
    get_table(body, table, "candidate");
}

/* The key is JSON already: what LastEvaluatedKey was. */
static void add_start_key(struct buf *body, struct slice start_key)
{
    if (start_key.len == 0) return;
    buf_add_str(body, ",\"ExclusiveStartKey\":");
    buf_add_slice(body, start_key);
}

void dynamo_query(struct buf *body, struct slice table, struct slice pk, struct slice start_key,
                  bool newest_first, uint32_t limit)
{
    begin(body, table);
    buf_add_str(body, ",\"ConsistentRead\":true,\"KeyConditionExpression\":\"pk = :pk\","
                      "\"ExpressionAttributeValues\":{\":pk\":{\"S\":");
    json_quote(body, pk);
    buf_add_str(body, "}}");
    if (newest_first) buf_add_str(body, ",\"ScanIndexForward\":false");
    if (limit) buf_addf(body, ",\"Limit\":%u", limit);
    add_start_key(body, start_key);
    buf_add_u8(body, '}');
}

void dynamo_scan(struct buf *body, struct slice table, struct slice start_key)
{
    begin(body, table);
    buf_add_str(body, ",\"ConsistentRead\":true");
    add_start_key(body, start_key);
    buf_add_u8(body, '}');
}

void dynamo_document_pk(struct buf *out, const char *hash) { buf_addf(out, "document#%s", hash); }

/* Where a piece that starts at `from` ends: not within a character. */
static size_t part_end(struct slice document, size_t from)
{
    size_t end = from;
    if (document.len - from <= DYNAMO_PART_BYTES) return document.len;
    end = from + DYNAMO_PART_BYTES;
    while (end > from + 1 && ((unsigned char)document.at[end] & 0xc0) == 0x80) end--;
    return end;
}

uint32_t dynamo_part_count(struct slice document)
{
    uint32_t n = 0;
    for (size_t at = 0; at < document.len && n <= DYNAMO_PARTS_MAX; at = part_end(document, at))
        n++;
    return n;
}

void dynamo_put_part(struct buf *body, struct slice table, const char *hash, struct slice document,
                     uint32_t part)
{
    size_t from = 0;
    for (uint32_t i = 0; i < part; i++) from = part_end(document, from);
    struct buf pk = { 0 }, sk = { 0 };
    dynamo_document_pk(&pk, hash);
    buf_addf(&sk, "%04u", part);
    begin(body, table);
    buf_add_str(body, ",\"ConditionExpression\":\"attribute_not_exists(pk)\",\"Item\":{");
    add_key(body, buf_slice(&pk), buf_slice(&sk));
    add_string(body, "text", slice_of(document.at + from, part_end(document, from) - from));
    buf_add_str(body, "}}");
    body->failed = body->failed || pk.failed || sk.failed;
    buf_fini(&pk);
    buf_fini(&sk);
}

static void add_facts(struct buf *body, const struct dynamo_active *a)
{
    if (a->hash[0]) add_string(body, "hash", slice_str(a->hash));
    add_number(body, "parts", a->parts);
    add_string(body, "author", slice_str(a->author));
    add_string(body, "time", slice_str(a->time));
    add_string(body, "action", slice_str(a->action));
    if (a->note[0]) add_string(body, "note", slice_str(a->note));
}

void dynamo_put_candidate(struct buf *body, struct slice table, const struct dynamo_active *next)
{
    begin(body, table);
    buf_add_str(body, ",\"Item\":{");
    add_key(body, slice_str("candidate"), slice_str("table"));
    add_number(body, "generation", next->generation);
    add_facts(body, next);
    buf_add_str(body, "}}");
}

void dynamo_activate(struct buf *body, struct slice table, uint64_t before,
                     const struct dynamo_active *next)
{
    char sk[24];
    snprintf(sk, sizeof sk, "%020llu", (unsigned long long)next->generation);
    buf_add_str(body, "{\"TransactItems\":[{\"Put\":");
    begin(body, table);
    /* `generation` is no reserved word today; the alias keeps it that way. */
    if (before)
        buf_addf(
            body,
            ",\"ConditionExpression\":\"#g = :before\",\"ExpressionAttributeNames\":"
            "{\"#g\":\"generation\"},\"ExpressionAttributeValues\":{\":before\":{\"N\":\"%llu\"}}",
            (unsigned long long)before);
    else
        buf_add_str(body, ",\"ConditionExpression\":\"attribute_not_exists(pk)\"");
    buf_add_str(body, ",\"Item\":{");
    add_key(body, slice_str("active"), slice_str("table"));
    add_number(body, "generation", next->generation);
    add_facts(body, next);
    buf_add_str(body, "}}},{\"Put\":");
    begin(body, table);
    buf_add_str(body, ",\"ConditionExpression\":\"attribute_not_exists(pk)\",\"Item\":{");
    add_key(body, slice_str("history"), slice_str(sk));
    add_number(body, "generation", next->generation);
    add_facts(body, next);
    buf_add_str(body, "}}}]}");
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static struct json_doc *parse(struct slice answer, struct err *e)
{
    struct json_error error;
    struct json_doc *doc = json_parse(answer, DYNAMO_ANSWER_BYTES, &error);
    if (doc && json_type(json_root(doc)) == JSON_OBJECT) return doc;
    if (doc)
        err_set(e, ERR_INVALID_VALUE, "DynamoDB's answer is not an object");
    else
        err_set(e, ERR_INVALID_VALUE, "DynamoDB's answer: %s", error.text);
    json_free(doc);
    return NULL;
}

static void copy_text(char *out, size_t size, struct slice text)
{
    snprintf(out, size, "%.*s", (int)(text.len < size ? text.len : size - 1),
             text.at ? text.at : "");
}

static bool is_hash(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.at[i] >= '0' && s.at[i] <= '9') || (s.at[i] >= 'a' && s.at[i] <= 'f')))
            return false;
    return s.len == 64 || s.len == 0;
}

static bool read_facts(const struct json_value *item, struct dynamo_active *out)
{
    uint64_t parts = 0;
    struct slice hash = dynamo_text(item, "hash");
    *out = (struct dynamo_active){ 0 };
    if (!dynamo_number(item, "generation", &out->generation) || out->generation == 0) return false;
    if (!is_hash(hash)) return false;
    if (hash.len && (!dynamo_number(item, "parts", &parts) || parts > DYNAMO_PARTS_MAX))
        return false;
    out->parts = (uint32_t)parts;
    copy_text(out->hash, sizeof out->hash, hash);
    copy_text(out->author, sizeof out->author, dynamo_text(item, "author"));
    copy_text(out->time, sizeof out->time, dynamo_text(item, "time"));
    copy_text(out->action, sizeof out->action, dynamo_text(item, "action"));
    copy_text(out->note, sizeof out->note, dynamo_text(item, "note"));
    return true;
}

bool dynamo_read_active(struct slice answer, struct dynamo_active *out, struct err *e)
{
    struct json_doc *doc = parse(answer, e);
    if (!doc) return false;
    const struct json_value *item = json_member(json_root(doc), slice_str("Item"));
    bool ok = true;
    *out = (struct dynamo_active){ 0 };
    if (item) ok = read_facts(item, out);
    json_free(doc);
    return ok || err_set(e, ERR_INVALID_VALUE,
                         "the item \"active\" has no generation, or a hash that is none");
}

void dynamo_pages_fini(struct dynamo_pages *p)
{
    for (struct dynamo_item *i = p->first; i; i = i->next) json_free(i->doc);
    arena_fini(&p->arena);
    buf_fini(&p->start_key);
    *p = (struct dynamo_pages){ 0 };
}

static bool add_item(struct dynamo_pages *p, const struct json_value *value, struct json_doc *owned)
{
    struct dynamo_item *item = arena_alloc(&p->arena, sizeof *item);
    if (!item) return false;
    *item = (struct dynamo_item){ .value = value, .doc = owned };
    if (p->last)
        p->last->next = item;
    else
        p->first = item;
    p->last = item;
    p->count++;
    return true;
}

/* A key of strings, numbers or binary: given back as it came. */
static void write_key(struct buf *out, const struct json_value *key)
{
    buf_truncate(out, 0);
    buf_add_u8(out, '{');
    for (const struct json_value *m = json_first(key); m; m = json_next(m)) {
        const struct json_value *v = json_first(m);
        if (m != json_first(key)) buf_add_u8(out, ',');
        json_quote(out, json_key(m));
        buf_add_str(out, ":{");
        if (v) {
            json_quote(out, json_key(v));
            buf_add_u8(out, ':');
            json_quote(out, json_string(v));
        }
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, '}');
}

bool dynamo_add_page(struct dynamo_pages *p, struct slice answer, struct err *e)
{
    struct json_doc *doc = parse(answer, e);
    if (!doc) return false;
    const struct json_value *items = json_member(json_root(doc), slice_str("Items"));
    const struct json_value *key = json_member(json_root(doc), slice_str("LastEvaluatedKey"));
    struct json_doc *owned = doc;
    bool ok = items && json_type(items) == JSON_ARRAY;
    for (const struct json_value *v = ok ? json_first(items) : NULL; v && ok; v = json_next(v)) {
        ok = add_item(p, v, owned);
        if (ok) owned = NULL;
    }
    buf_truncate(&p->start_key, 0);
    if (key && json_type(key) == JSON_OBJECT && json_count(key)) write_key(&p->start_key, key);
    ok = ok && !p->start_key.failed;
    json_free(owned);
    return ok || err_set(e, ERR_INVALID_VALUE, "DynamoDB's answer has no Items");
}

bool dynamo_read_document(const struct dynamo_pages *p, uint32_t parts, struct buf *out,
                          struct err *e)
{
    uint32_t n = 0;
    for (const struct dynamo_item *i = p->first; i; i = i->next, n++) {
        char sk[8];
        snprintf(sk, sizeof sk, "%04u", n);
        if (n >= parts || !slice_is(dynamo_text(i->value, "sk"), sk)) break;
        buf_add_slice(out, dynamo_text(i->value, "text"));
    }
    if (out->failed) return err_set(e, ERR_OUT_OF_MEMORY, "out of memory");
    if (n != parts || p->count != parts)
        return err_set(e, ERR_INVALID_VALUE, "a piece of the document is missing: %u of %u", n,
                       parts);
    return true;
}

/* ---- rules as items ---------------------------------------------------------------------------
 */

struct placed {
    uint64_t position;
    const struct json_value *item;
};

static int place_order(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->position != y->position) return x->position < y->position ? -1 : 1;
    struct slice s = dynamo_text(x->item, "sk"), t = dynamo_text(y->item, "sk");
    int order = memcmp(s.at ? s.at : "", t.at ? t.at : "", s.len < t.len ? s.len : t.len);
    return order ? order : s.len < t.len ? -1 : s.len > t.len;
}

/* The rule's members, with the item's sort key as its id. */
static bool write_rule(struct buf *out, const struct json_value *item)
{
    const struct json_value *rule = dynamo_attribute(item, "rule", "M");
    if (!rule || json_type(rule) != JSON_OBJECT || dynamo_text(item, "sk").len == 0) return false;
    buf_add_str(out, "{\"id\":");
    json_quote(out, dynamo_text(item, "sk"));
    for (const struct json_value *m = json_first(rule); m; m = json_next(m)) {
        if (slice_is(json_key(m), "id")) continue;
        buf_add_u8(out, ',');
        json_quote(out, json_key(m));
        buf_add_u8(out, ':');
        if (!dynamo_write(out, m)) return false;
    }
    buf_add_u8(out, '}');
    return true;
}

bool dynamo_read_rules(const struct dynamo_pages *p, uint64_t generation, struct buf *out,
                       struct err *e)
{
    struct placed *order = calloc(p->count ? p->count : 1, sizeof *order);
    if (!order) return err_set(e, ERR_OUT_OF_MEMORY, "out of memory");
    uint32_t n = 0;
    bool ok = true;
    for (const struct dynamo_item *i = p->first; i && ok; i = i->next) {
        order[n].item = i->value;
        ok = dynamo_number(i->value, "position", &order[n++].position);
        struct slice id = dynamo_text(i->value, "sk");
        if (!ok)
            err_set(e, ERR_INVALID_VALUE, "rule item \"%.*s\" has no whole position",
                    SLICE_ARG(id));
    }
    if (n) qsort(order, n, sizeof *order, place_order);
    buf_addf(out, "{\"version\":%llu,\"rules\":[", (unsigned long long)generation);
    for (uint32_t i = 0; i < n && ok; i++) {
        struct slice id = dynamo_text(order[i].item, "sk");
        buf_add_str(out, i ? ",\n" : "\n");
        ok = write_rule(out, order[i].item);
        if (!ok) err_set(e, ERR_INVALID_VALUE, "rule item \"%.*s\" is malformed", SLICE_ARG(id));
    }
    buf_add_str(out, "]}\n");
    free(order);
    if (ok && out->failed) return err_set(e, ERR_OUT_OF_MEMORY, "out of memory");
    return ok;
}

bool dynamo_read_history(const struct dynamo_pages *p, uint32_t number, struct dynamo_active *out)
{
    const struct dynamo_item *i = p->first;
    while (i && number--) i = i->next;
    return i && read_facts(i->value, out);
}
