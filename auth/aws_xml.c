#include "auth/aws_xml.h"

#include <expat.h>

/* Expat glues namespace and local name with this; no URI has a line feed in it. */
enum { SEPARATOR = '\n' };

struct reader {
    XML_Parser parser;
    const char *root, *space;
    struct aws_xml_field *fields;
    size_t field_count;
    char path[512];                       /* of the element we are in, the root left out */
    uint16_t path_len[AWS_XML_MAX_DEPTH]; /* its length at each depth */
    uint32_t depth;
    struct buf *target; /* where text goes now; NULL: nowhere */
    aws_xml_each *each; /* walking: told of every end */
    void *context;
    struct buf walked; /* the text of the element we are in */
    bool refused;
};

static void refuse(struct reader *r)
{
    r->refused = true;
    XML_StopParser(r->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
    const char *cut = strrchr(name, SEPARATOR);
    return cut ? cut + 1 : name;
}

static bool is_wanted_root(const struct reader *r, const char *name)
{
    if (r->root && strcmp(local_name(name), r->root) != 0) return false;
    if (!r->space) return true;
    size_t n = strlen(r->space);
    return strncmp(name, r->space, n) == 0 && name[n] == SEPARATOR;
}

static void on_start(void *context, const char *name, const char **attributes)
{
    (void)attributes;
    struct reader *r = context;
    r->target = NULL;
    if (r->depth == AWS_XML_MAX_DEPTH) {
        refuse(r);
        return;
    }
    if (r->depth == 0) {
        if (!is_wanted_root(r, name)) refuse(r);
        r->path_len[r->depth++] = 0;
        return;
    }
    const char *local = local_name(name);
    size_t at = r->path_len[r->depth - 1], n = strlen(local);
    if (n + 2 > sizeof r->path - at) {
        refuse(r);
        return;
    }
    if (at > 0) r->path[at++] = '/';
    memcpy(r->path + at, local, n + 1);
    r->path_len[r->depth++] = (uint16_t)(at + n);
    if (r->each) {
        buf_truncate(&r->walked, 0);
        r->target = &r->walked;
    }
    for (size_t i = 0; i < r->field_count; i++) {
        if (strcmp(r->fields[i].path, r->path) != 0) continue;
        if (r->fields[i].count++ == 0) r->target = &r->fields[i].value;
    }
}

static void trim(struct buf *value)
{
    while (value->len > 0 && (uint8_t)value->at[value->len - 1] <= ' ')
        buf_truncate(value, value->len - 1);
    uint32_t start = 0;
    while (start < value->len && (uint8_t)value->at[start] <= ' ') start++;
    if (start) buf_drop(value, start);
}

static void on_end(void *context, const char *name)
{
    (void)name;
    struct reader *r = context;
    r->target = NULL;
    if (r->each && r->depth > 1) {
        trim(&r->walked);
        r->each(r->context, r->path, buf_slice(&r->walked));
        buf_truncate(&r->walked, 0);
    }
    r->depth--;
    if (r->depth > 0) r->path[r->path_len[r->depth - 1]] = 0;
}

static void on_text(void *context, const char *text, int len)
{
    struct reader *r = context;
    if (!r->target) return;
    size_t most = r->each ? AWS_XML_MAX_WALK_BYTES : AWS_XML_MAX_FIELD_BYTES;
    if ((size_t)len > most - r->target->len) {
        refuse(r);
        return;
    }
    buf_add(r->target, text, (size_t)len);
}

static void on_doctype(void *context, const char *name, const char *system, const char *public_id,
                       int has_subset)
{
    (void)name, (void)system, (void)public_id, (void)has_subset;
    refuse(context);
}

static void on_instruction(void *context, const char *target, const char *data)
{
    (void)target, (void)data;
    refuse(context);
}

static bool parse(struct reader *r, struct slice body)
{
    if (body.len == 0 || body.len > AWS_XML_MAX_BYTES || body.at[0] != '<') return false;
    r->parser = XML_ParserCreateNS("UTF-8", SEPARATOR);
    if (!r->parser) return false;
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    XML_SetProcessingInstructionHandler(r->parser, on_instruction);
    bool ok =
        XML_Parse(r->parser, body.at, (int)body.len, XML_TRUE) == XML_STATUS_OK && !r->refused;
    XML_ParserFree(r->parser);
    return ok;
}

bool aws_xml_walk(struct slice body, const char *root, aws_xml_each *each, void *context)
{
    struct reader r = { .root = root, .each = each, .context = context };
    bool ok = parse(&r, body) && !r.walked.failed;
    buf_fini(&r.walked);
    return ok;
}

bool aws_xml_read(struct slice body, const char *root, const char *space,
                  struct aws_xml_field *fields, size_t field_count)
{
    struct reader r = {
        .root = root, .space = space, .fields = fields, .field_count = field_count
    };
    for (size_t i = 0; i < field_count; i++) fields[i].value.secret = true;
    bool ok = parse(&r, body);
    for (size_t i = 0; i < field_count; i++) {
        trim(&fields[i].value);
        ok = ok && !fields[i].value.failed;
    }
    return ok;
}

void aws_xml_fields_fini(struct aws_xml_field *fields, size_t field_count)
{
    for (size_t i = 0; i < field_count; i++) buf_fini(&fields[i].value);
}
