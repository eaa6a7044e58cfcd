#include "proxy/ops/env_file.h"

#include "protocol/buf.h"
#include "proxy/ops/file.h"

#include <stdlib.h>

/* The pairs stand one after the other in `text`: name, NUL, value, NUL. Some ten variables, asked
 * at start and at reload: a walk is fast enough. */
struct env_file {
    struct buf text;
};

struct line {
    struct slice rest;
    uint32_t number;
    struct problems *problems;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.at[0])) s = slice_after(s, 1);
    while (s.len > 0 && is_blank(s.at[s.len - 1])) s.len--;
    return s;
}

static size_t name_length(struct slice s)
{
    size_t n = 0;
    for (; n < s.len; n++) {
        char c = ascii_lower(s.at[n]);
        bool fits = (c >= 'a' && c <= 'z') || c == '_' || (n > 0 && c >= '0' && c <= '9');
        if (!fits) break;
    }
    return n;
}

static bool refuse(const struct line *line, const char *text)
{
    problem_error(line->problems, line->number, "%s", text);
    return false;
}

/* Behind a closing quote there may be a comment only. */
static bool ends_well(const struct line *line, struct slice after)
{
    after = trim(after);
    if (after.len == 0 || after.at[0] == '#') return true;
    return refuse(line, "something stands behind the closing quote");
}

static bool add_quoted(struct line *line, struct buf *out)
{
    char quote = line->rest.at[0];
    struct slice s = slice_after(line->rest, 1);
    for (; s.len > 0 && s.at[0] != quote; s = slice_after(s, 1)) {
        char c = s.at[0];
        if (quote == '"' && c == '\\' && s.len > 1) {
            static const char NAMES[] = "nrt\\\"$", BYTES[] = "\n\r\t\\\"$";
            const char *name = s.at[1] ? strchr(NAMES, s.at[1]) : NULL;
            if (!name)
                return refuse(
                    line, "unknown escape; in double quotes there are \\n \\r \\t \\\\ \\\" \\$");
            c = BYTES[name - NAMES];
            s = slice_after(s, 1);
        }
        buf_add_u8(out, (uint8_t)c);
    }
    if (s.len == 0) return refuse(line, "the quote is not closed on its line");
    return ends_well(line, slice_after(s, 1));
}

static void add_bare(const struct line *line, struct buf *out)
{
    struct slice value = line->rest;
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] == '#' && (i == 0 || is_blank(value.at[i - 1]))) value.len = i;
    buf_add_slice(out, trim(value));
}

static bool add_line(struct line *line, struct buf *out)
{
    line->rest = trim(line->rest);
    if (line->rest.len == 0 || line->rest.at[0] == '#') return true;
    if (slice_starts(line->rest, "export "))
        line->rest = trim(slice_after(line->rest, strlen("export ")));
    if (memchr(line->rest.at, '\0', line->rest.len)) return refuse(line, "a NUL byte");
    struct slice name = slice_of(line->rest.at, name_length(line->rest));
    line->rest = trim(slice_after(line->rest, name.len));
    if (name.len == 0 || line->rest.len == 0 || line->rest.at[0] != '=')
        return refuse(line, "not NAME=value");
    buf_add_slice(out, name);
    buf_add_u8(out, '\0');
    line->rest = trim(slice_after(line->rest, 1));
    bool is_quoted = line->rest.len > 0 && (line->rest.at[0] == '"' || line->rest.at[0] == '\'');
    if (!is_quoted)
        add_bare(line, out);
    else if (!add_quoted(line, out))
        return false;
    buf_add_u8(out, '\0');
    return true;
}

struct env_file *env_file_parse(struct slice text, struct problems *problems)
{
    struct env_file *file = calloc(1, sizeof *file);
    struct line line = { .problems = problems };
    /* A value never grows, and each line pays for its two NULs with `=` and the newline: taken at
     * once, nothing is ever copied and left behind. */
    if (!file || !buf_reserve(&file->text, text.len + 2)) {
        env_file_free(file);
        return NULL;
    }
    if (slice_starts(text, "\xef\xbb\xbf")) text = slice_after(text, 3);
    while (text.len > 0) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t n = end ? (size_t)(end - text.at) : text.len;
        uint32_t before = file->text.len;
        line.rest = slice_of(text.at, n);
        line.number++;
        if (!add_line(&line, &file->text)) buf_truncate(&file->text, before);
        text = slice_after(text, end ? n + 1 : n);
    }
    return file;
}

struct env_file *env_file_load(const char *path, struct problems *problems)
{
    struct buf text = { 0 };
    struct env_file *file = NULL;
    struct err err;
    if (file_read(path, ENV_FILE_CAP_BYTES, &text, &err))
        file = env_file_parse(buf_slice(&text), problems);
    else
        problem_error(problems, 0, "cannot read: %s", err.message);
    if (file && file_is_exposed(path))
        problem_warning(problems, 0, "everybody may read it; chmod 600 %s", path);
    buf_wipe(&text);
    return file;
}

const char *env_file_get(const struct env_file *file, const char *name)
{
    const char *value = getenv(name);
    if (value || !file) return value;
    const char *end = file->text.at + file->text.len;
    for (const char *at = file->text.at; at < end;) {
        const char *here = at + strlen(at) + 1;
        if (strcmp(at, name) == 0) value = here; /* the last one counts */
        at = here + strlen(here) + 1;
    }
    return value;
}

static bool is_for_others(const char *name)
{
    static const char *const names[] = { "https_proxy", "http_proxy", "no_proxy" };
    if (strncmp(name, "AWS_", 4) == 0) return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_is_nocase(slice_str(name), names[i])) return true;
    return false;
}

void env_file_export(const struct env_file *file)
{
    const char *end = file ? file->text.at + file->text.len : NULL;
    for (const char *at = file ? file->text.at : NULL; at < end;) {
        const char *value = at + strlen(at) + 1;
        /* A name that stands twice has its last value. */
        if (is_for_others(at) && !getenv(at)) setenv(at, env_file_get(file, at), 1);
        at = value + strlen(value) + 1;
    }
}

void env_file_export_from(const char *path)
{
    struct problems ignored = { 0 };
    struct env_file *file = path ? env_file_load(path, &ignored) : NULL;
    env_file_export(file);
    env_file_free(file);
    problems_fini(&ignored);
}

void env_file_free(struct env_file *file)
{
    if (!file) return;
    buf_wipe(&file->text);
    free(file);
}
