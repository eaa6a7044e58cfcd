#include "auth/aws_profile.h"

#include <stdlib.h>

enum file { CONFIG_FILE, CREDENTIALS_FILE };

/* One line of a file that counts: a heading (key_len 0) or a property. Text is kept as offsets
 * into one buffer, because that grows while the files are read. */
struct entry {
    uint8_t kind, file;
    bool prefixed; /* under [profile NAME], not under [NAME] */
    uint32_t name, name_len, key, key_len, value, value_len;
};

struct aws_profiles {
    struct buf text;       /* secret: it holds keys */
    struct buf entries;    /* of struct entry */
    bool prefixed_default; /* the config file has [profile default]: its [default] is void */
};

static const struct entry *entries_of(const struct aws_profiles *p, size_t *count)
{
    *count = p->entries.len / sizeof(struct entry);
    return (const struct entry *)(const void *)p->entries.at;
}

/* ---- reading ------------------------------------------------------------------------------- */

struct parser {
    struct aws_profiles *profiles;
    enum file file;
    uint32_t line;
    struct entry section; /* the heading that we are under; kind beyond the enum: ignored */
    bool in_section;
    struct entry *property; /* the property that a continuation line continues */
    bool nested;            /* its value was empty: continuation lines are key = value */
    struct err *err;
};

enum { SECTION_IGNORED = 255 };

static bool parse_fail(struct parser *p, const char *what)
{
    const char *file = p->file == CONFIG_FILE ? "AWS config file" : "AWS credentials file";
    return err_set(p->err, ERR_CONFIG, "%s, line %u: %s", file, p->line, what);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.at[0])) s = slice_after(s, 1);
    while (s.len > 0 && is_blank(s.at[s.len - 1])) s.len--;
    return s;
}

/* Cuts a comment off. In values a comment needs white space before it ("a;b" is a value). */
static struct slice strip_comment(struct slice line, bool needs_blank)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.at[i] != '#' && line.at[i] != ';') continue;
        if (needs_blank && (i == 0 || !is_blank(line.at[i - 1]))) continue;
        line.len = i;
        break;
    }
    return trim(line);
}

static bool is_identifier(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !(c && strchr("_./%@:+-", c))) return false;
    }
    return name.len > 0;
}

static uint32_t keep(struct parser *p, struct slice text, bool lower)
{
    struct buf *store = &p->profiles->text;
    uint32_t at = store->len;
    for (size_t i = 0; i < text.len; i++)
        buf_add_u8(store, (uint8_t)(lower ? ascii_lower(text.at[i]) : text.at[i]));
    return at;
}

static struct entry *add_entry(struct parser *p, const struct entry *entry)
{
    struct entry *room = buf_extend(&p->profiles->entries, sizeof *entry);
    if (room) *room = *entry;
    return room;
}

/* "profile foo" with prefix "profile": true and "foo". The prefix needs white space after it. */
static bool has_prefix(struct slice heading, const char *prefix, struct slice *name)
{
    size_t n = strlen(prefix);
    if (!slice_starts(heading, prefix) || heading.len <= n || !is_blank(heading.at[n]))
        return false;
    *name = trim(slice_after(heading, n));
    return true;
}

static void classify_heading(struct parser *p, struct slice heading, struct slice *name)
{
    struct entry *section = &p->section;
    *section = (struct entry){ .kind = AWS_PROFILE, .file = (uint8_t)p->file };
    *name = heading;
    if (p->file == CONFIG_FILE) {
        if (has_prefix(heading, "profile", name)) {
            section->prefixed = true;
        } else if (has_prefix(heading, "sso-session", name)) {
            section->kind = AWS_SSO_SESSION;
        } else if (has_prefix(heading, "services", name)) {
            section->kind = AWS_SERVICES;
        } else if (!slice_is(heading, "default")) {
            section->kind = SECTION_IGNORED;
        }
    }
    if (!is_identifier(*name)) section->kind = SECTION_IGNORED;
}

static bool parse_heading(struct parser *p, struct slice line)
{
    line = strip_comment(line, false);
    if (line.len < 2 || line.at[line.len - 1] != ']')
        return parse_fail(p, "Profile definition must end with ']'");
    struct slice heading = trim(slice_of(line.at + 1, line.len - 2)), name;
    p->in_section = true;
    p->property = NULL;
    classify_heading(p, heading, &name);
    if (p->section.kind == SECTION_IGNORED) return true;
    p->section.name = keep(p, name, false);
    p->section.name_len = (uint32_t)name.len;
    if (p->section.prefixed && slice_is(name, "default")) p->profiles->prefixed_default = true;
    return add_entry(p, &p->section) != NULL;
}

/* Splits at the first '='; the value may hold further ones. */
static bool split_property(struct slice line, struct slice *key, struct slice *value)
{
    const char *equals = memchr(line.at, '=', line.len);
    if (!equals) return false;
    size_t n = (size_t)(equals - line.at);
    *key = trim(slice_of(line.at, n));
    *value = trim(slice_after(line, n + 1));
    return true;
}

static bool parse_property(struct parser *p, struct slice line)
{
    struct slice key, value;
    if (!p->in_section) return parse_fail(p, "Expected a profile definition");
    line = strip_comment(line, true);
    if (!split_property(line, &key, &value))
        return parse_fail(p, "Expected an '=' sign defining a property");
    if (key.len == 0) return parse_fail(p, "Property did not have a name");
    struct entry entry = p->section;
    if (!is_identifier(key)) entry.kind = SECTION_IGNORED;
    entry.key = keep(p, key, true);
    entry.key_len = (uint32_t)key.len;
    entry.value = keep(p, value, false);
    entry.value_len = (uint32_t)value.len;
    p->nested = value.len == 0;
    p->property = add_entry(p, &entry);
    return p->property != NULL;
}

/* The value being continued is the last thing in the text, so it grows in place. */
static bool parse_continuation(struct parser *p, struct slice line)
{
    struct slice key, value;
    if (!p->in_section) return parse_fail(p, "Expected a profile definition");
    if (!p->property) return parse_fail(p, "Expected a property definition, found continuation");
    line = trim(line);
    if (p->nested) {
        if (!split_property(line, &key, &value))
            return parse_fail(p, "Expected an '=' sign defining a sub-property");
        if (key.len == 0) return parse_fail(p, "Sub-property did not have a name");
    }
    keep(p, slice_str("\n"), false);
    keep(p, line, false);
    p->property->value_len += (uint32_t)line.len + 1;
    return true;
}

static bool parse_line(struct parser *p, struct slice line)
{
    if (trim(line).len == 0 || line.at[0] == '#' || line.at[0] == ';') return true;
    if (line.at[0] == '[') return parse_heading(p, line);
    if (is_blank(line.at[0])) return parse_continuation(p, line);
    return parse_property(p, line);
}

static bool parse_file(struct aws_profiles *profiles, enum file file, struct slice text,
                       struct err *err)
{
    struct parser p = { .profiles = profiles, .file = file, .err = err };
    if (text.len > AWS_PROFILE_FILE_MAX_BYTES) return parse_fail(&p, "the file is too large");
    while (text.len > 0) {
        const char *newline = memchr(text.at, '\n', text.len);
        struct slice line = slice_of(text.at, newline ? (size_t)(newline - text.at) : text.len);
        p.line++;
        if (!parse_line(&p, line)) return false;
        text = slice_after(text, line.len + 1);
    }
    if (profiles->text.failed || profiles->entries.failed)
        return err_set(err, ERR_OUT_OF_MEMORY, "%s", err_text(ERR_OUT_OF_MEMORY));
    return true;
}

struct aws_profiles *aws_profiles_read(struct slice config, struct slice credentials,
                                       struct err *err)
{
    struct aws_profiles *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(err, ERR_OUT_OF_MEMORY, "%s", err_text(ERR_OUT_OF_MEMORY));
        return NULL;
    }
    p->text.secret = true;
    if (parse_file(p, CONFIG_FILE, config, err) &&
        parse_file(p, CREDENTIALS_FILE, credentials, err))
        return p;
    aws_profiles_free(p);
    return NULL;
}

void aws_profiles_free(struct aws_profiles *p)
{
    if (!p) return;
    buf_fini(&p->text);
    buf_fini(&p->entries);
    free(p);
}

/* ---- asking -------------------------------------------------------------------------------- */

static struct slice entry_name(const struct aws_profiles *p, const struct entry *e)
{
    return slice_of(p->text.at + e->name, e->name_len);
}

/* [profile default] makes an unprefixed [default] of the config file void, wherever it stands. */
static bool is_void(const struct aws_profiles *p, const struct entry *e)
{
    return e->kind == AWS_PROFILE && e->file == CONFIG_FILE && !e->prefixed && p->prefixed_default;
}

static bool is_under(const struct aws_profiles *p, const struct entry *e, enum aws_section kind,
                     struct slice name)
{
    return e->kind == kind && !is_void(p, e) && slice_eq(entry_name(p, e), name);
}

static const struct entry *find(const struct aws_profiles *p, enum aws_section kind,
                                struct slice name, const char *key)
{
    size_t count;
    const struct entry *entries = entries_of(p, &count);
    while (count-- > 0) {
        const struct entry *e = &entries[count];
        if (!is_under(p, e, kind, name)) continue;
        if (!key || (e->key_len && slice_is(slice_of(p->text.at + e->key, e->key_len), key)))
            return e;
    }
    return NULL;
}

bool aws_profiles_has(const struct aws_profiles *p, enum aws_section kind, struct slice name)
{
    return find(p, kind, name, NULL) != NULL;
}

struct slice aws_profiles_get(const struct aws_profiles *p, enum aws_section kind,
                              struct slice name, const char *key)
{
    const struct entry *e = find(p, kind, name, key);
    return e ? slice_of(p->text.at + e->value, e->value_len) : (struct slice){ 0 };
}

bool aws_profiles_in_credentials(const struct aws_profiles *p, struct slice name, const char *key)
{
    const struct entry *e = find(p, AWS_PROFILE, name, key);
    return e && e->file == CREDENTIALS_FILE;
}

struct slice aws_profiles_get_nested(const struct aws_profiles *p, enum aws_section kind,
                                     struct slice name, const char *parent, const char *key)
{
    struct slice block = aws_profiles_get(p, kind, name, parent), found = { 0 };
    if (block.len == 0 || block.at[0] != '\n') return found;
    while (block.len > 0) {
        block = slice_after(block, 1);
        const char *newline = block.len ? memchr(block.at, '\n', block.len) : NULL;
        struct slice line = slice_of(block.at, newline ? (size_t)(newline - block.at) : block.len);
        struct slice name_of_line, value;
        if (split_property(line, &name_of_line, &value) && slice_is_nocase(name_of_line, key))
            found = value;
        block = slice_after(block, line.len);
    }
    return found;
}

struct slice aws_profiles_name(const struct aws_profiles *p, enum aws_section kind, size_t n)
{
    size_t count;
    const struct entry *entries = entries_of(p, &count);
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = &entries[i];
        if (e->kind == kind && e->key_len == 0 && !is_void(p, e) && n-- == 0)
            return entry_name(p, e);
    }
    return (struct slice){ 0 };
}

/* ---- where they are ------------------------------------------------------------------------ */

static void add_path(const struct aws_env *env, const char *variable, const char *fallback,
                     struct buf *path)
{
    struct slice named = aws_env_get(env, variable);
    aws_env_add_path(env, named.len ? named : slice_str(fallback), path);
}

void aws_profile_config_path(const struct aws_env *env, struct buf *path)
{
    add_path(env, "AWS_CONFIG_FILE", "~/.aws/config", path);
}

void aws_profile_credentials_path(const struct aws_env *env, struct buf *path)
{
    add_path(env, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", path);
}

struct slice aws_profile_selected(const struct aws_env *env, bool *named)
{
    struct slice name = aws_env_get(env, "AWS_DEFAULT_PROFILE");
    if (name.len == 0) name = aws_env_get(env, "AWS_PROFILE");
    *named = name.len > 0;
    return *named ? name : slice_str("default");
}
