#include "routing/record.h"

#include "protocol/units.h"

/* ---- writing ----------------------------------------------------------------------------------
 */

static void add_name(struct buf *out, const char *name)
{
    if (out->len && out->at[out->len - 1] != '{') buf_add_u8(out, ',');
    buf_addf(out, "\"%s\":", name);
}

static void add_text(struct buf *out, const char *name, struct slice text)
{
    if (text.len == 0) return;
    add_name(out, name);
    json_quote(out, text);
}

static void add_moment(struct buf *out, int64_t at_s)
{
    add_name(out, "at");
    buf_add_u8(out, '"');
    units_add_date(out, at_s > 0 ? (uint64_t)at_s : 0);
    buf_add_u8(out, '"');
}

static void add_list(struct buf *out, const char *name, const struct slice *texts, uint32_t count)
{
    if (count == 0) return;
    add_name(out, name);
    for (uint32_t i = 0; i < count && i < RECORD_LIST; i++) {
        buf_add_u8(out, i ? ',' : '[');
        json_quote(out, texts[i]);
    }
    buf_add_u8(out, ']');
}

void record_write(struct buf *out, const struct route_facts *f, const struct route_statement *s,
                  struct slice fingerprint)
{
    char client[ADDRESS_TEXT_BYTES];
    buf_add_u8(out, '{');
    add_moment(out, f->at_s);
    add_text(out, "user", f->user);
    add_text(out, "role", f->role);
    add_text(out, "database", f->database);
    add_text(out, "application", f->application);
    if (f->client.family != FAMILY_NONE)
        add_text(out, "client", slice_str(match_address_text(&f->client, client)));
    add_name(out, "tls");
    buf_add_str(out, f->tls ? "true" : "false");
    add_text(out, "query_group", f->query_group);
    add_text(out, "db_user", f->db_user);
    add_list(out, "db_users", f->db_users, f->db_user_count);
    if (s) {
        struct slice text = s->text;
        if (text.len > REGEX_TEXT_BYTES) text.len = REGEX_TEXT_BYTES;
        add_name(out, "statement");
        buf_add_u8(out, '{');
        add_moment(out, s->at_s);
        add_text(out, "verb", s->verb);
        add_list(out, "tables", s->tables, s->table_count);
        add_text(out, "query", text);
        add_text(out, "query_group", s->query_group);
        buf_add_u8(out, '}');
    }
    add_text(out, "fingerprint", fingerprint);
    buf_add_str(out, "}\n");
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static struct slice text_of(const struct json_value *v, const char *name)
{
    const struct json_value *m = json_member(v, slice_str(name));
    return m ? json_string(m) : (struct slice){ 0 };
}

static bool moment_of(const struct json_value *v, int64_t *out)
{
    uint64_t at_s;
    if (!units_date(text_of(v, "at"), &at_s)) return false;
    *out = (int64_t)at_s;
    return true;
}

static uint32_t list_of(const struct json_value *v, const char *name, struct slice *out)
{
    const struct json_value *list = json_member(v, slice_str(name));
    uint32_t n = 0;
    for (const struct json_value *m = list ? json_first(list) : NULL; m && n < RECORD_LIST;
         m = json_next(m))
        out[n++] = json_string(m);
    return n;
}

static bool read_root(struct record *r, const struct json_value *root)
{
    struct route_facts *f = &r->facts;
    const struct json_value *tls = json_member(root, slice_str("tls"));
    const struct json_value *s = json_member(root, slice_str("statement"));
    struct slice client = text_of(root, "client");
    if (json_type(root) != JSON_OBJECT || !moment_of(root, &f->at_s)) return false;
    if (client.len && !address_parse(client, &f->client)) return false;
    f->user = text_of(root, "user");
    f->role = text_of(root, "role");
    f->database = text_of(root, "database");
    f->application = text_of(root, "application");
    f->query_group = text_of(root, "query_group");
    f->tls = tls && json_is_true(tls);
    f->db_user = text_of(root, "db_user");
    f->db_user_count = list_of(root, "db_users", r->db_users);
    f->db_users = r->db_users;
    r->fingerprint = text_of(root, "fingerprint");
    r->has_statement = s != NULL;
    if (!s) return true;
    r->statement = (struct route_statement){ .verb = text_of(s, "verb"),
                                             .tables = r->tables,
                                             .table_count = list_of(s, "tables", r->tables),
                                             .text = text_of(s, "query"),
                                             .query_group = text_of(s, "query_group") };
    return json_type(s) == JSON_OBJECT && moment_of(s, &r->statement.at_s);
}

bool record_read(struct record *r, struct slice line)
{
    struct json_error error;
    memset(r, 0, sizeof *r);
    r->doc = json_parse(line, RECORD_LINE_BYTES, &error);
    if (!r->doc) return false;
    if (read_root(r, json_root(r->doc))) return true;
    record_fini(r);
    return false;
}

void record_fini(struct record *r)
{
    json_free(r->doc);
    r->doc = NULL;
}
