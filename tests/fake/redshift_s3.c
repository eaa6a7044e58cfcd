#include "fake/redshift_s3.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD_BYTES = 4096 };

struct reader {
    const char *at, *end;
    bool broken;
};

struct options {
    char delimiter[8], null[64];
    bool csv, manifest, gzip, header, overwrite, authorized;
    long skip;
};

/* Options that change nothing here. `arguments`: how many words follow. */
static const struct {
    const char *name;
    int arguments;
} harmless[] = {
    { "FILLRECORD", 0 },
    { "EMPTYASNULL", 0 },
    { "BLANKSASNULL", 0 },
    { "TRUNCATECOLUMNS", 0 },
    { "TRIMBLANKS", 0 },
    { "ACCEPTINVCHARS", 0 },
    { "REMOVEQUOTES", 0 },
    { "COMPUPDATE", 1 },
    { "STATUPDATE", 1 },
    { "REGION", 1 },
    { "DATEFORMAT", 1 },
    { "TIMEFORMAT", 1 },
    { "MAXERROR", 1 },
    { "PARALLEL", 1 },
    { "ACCEPTANYDATE", 0 },
    { "IGNOREBLANKLINES", 0 },
    { "ESCAPE", 0 },
    { "FORMAT", 0 },
    { "AS", 0 },
};

static void skip_blank(struct reader *r)
{
    while (r->at < r->end && isspace((unsigned char)*r->at)) r->at++;
}

/* The next word, or what stands between quotes (`'` only); empty at the end. */
static const char *word(struct reader *r, char to[WORD_BYTES], bool *quoted)
{
    size_t n = 0;
    skip_blank(r);
    bool q = r->at < r->end && *r->at == '\'';
    if (quoted) *quoted = q;
    if (q) r->at++;
    while (r->at < r->end && n + 1 < WORD_BYTES) {
        char c = *r->at;
        if (q && c == '\'' && r->at + 1 < r->end && r->at[1] == '\'')
            r->at++;
        else if (q && c == '\'')
            break;
        else if (q && c == '\\' && r->at + 1 < r->end)
            c = *++r->at == 't' ? '\t' : *r->at;
        else if (!q && (isspace((unsigned char)c) || c == '\''))
            break;
        to[n++] = c;
        r->at++;
    }
    to[n] = '\0';
    if (q && (r->at >= r->end || *r->at++ != '\'')) r->broken = true;
    return to;
}

static bool next_is(struct reader *r, const char *name)
{
    struct reader ahead = *r;
    char to[WORD_BYTES];
    if (strcasecmp(word(&ahead, to, NULL), name) != 0) return false;
    *r = ahead;
    return true;
}

static const char *authorization(struct reader *r, const char *name, struct options *o)
{
    char value[WORD_BYTES];
    if (!strcasecmp(name, "WITH")) return "";
    if (strcasecmp(name, "CREDENTIALS") != 0 && strcasecmp(name, "IAM_ROLE") != 0 &&
        strcasecmp(name, "ACCESS_KEY_ID") != 0 && strcasecmp(name, "SECRET_ACCESS_KEY") != 0 &&
        strcasecmp(name, "SESSION_TOKEN") != 0)
        return NULL;
    next_is(r, "AS");
    word(r, value, NULL);
    o->authorized = o->authorized || strlen(value) > 6;
    return *value ? "" : "syntax error";
}

static const char *option(struct reader *r, const char *name, struct options *o)
{
    char value[WORD_BYTES];
    const char *known = authorization(r, name, o);
    if (known) return *known ? known : NULL;
    if (!strcasecmp(name, "CSV")) {
        o->csv = true;
    } else if (!strcasecmp(name, "MANIFEST")) {
        o->manifest = true;
    } else if (!strcasecmp(name, "GZIP")) {
        o->gzip = true;
    } else if (!strcasecmp(name, "HEADER")) {
        o->header = true;
    } else if (!strcasecmp(name, "ALLOWOVERWRITE")) {
        o->overwrite = true;
    } else if (!strcasecmp(name, "DELIMITER") || !strcasecmp(name, "NULL")) {
        next_is(r, "AS");
        word(r, value, NULL);
        if (strlen(value) > 7 || strchr(value, '$'))
            return "that delimiter or null text is not supported by the fake";
        strcpy(toupper((unsigned char)*name) == 'D' ? o->delimiter : o->null, value);
    } else if (!strcasecmp(name, "IGNOREHEADER")) {
        next_is(r, "AS");
        o->skip = strtol(word(r, value, NULL), NULL, 10);
    } else {
        for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
            if (!strcasecmp(name, harmless[i].name)) {
                for (int n = 0; n < harmless[i].arguments; n++) word(r, value, NULL);
                return NULL;
            }
        return "that option is not supported by the fake";
    }
    return NULL;
}

/* Nothing that a shell or a dollar quote could mistake. */
static bool url_is_plain(const char *url)
{
    for (const char *c = url; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("/.:_-=+@ ,", *c)) return false;
    return !strncmp(url, "s3://", 5) && strlen(url) > 6;
}

static const char *options_read(struct reader *r, struct options *o)
{
    char name[WORD_BYTES];
    bool quoted;
    while (*word(r, name, &quoted)) {
        const char *wrong = quoted ? "syntax error" : option(r, name, o);
        if (wrong) return wrong;
    }
    if (r->broken) return "unterminated quoted string";
    return o->authorized ? NULL : "Must specify authorization";
}

static void write_form(char *to, size_t cap, const struct options *o)
{
    const char *delimiter = *o->delimiter ? o->delimiter : o->csv ? "," : "|";
    snprintf(to, cap, "(FORMAT %s, DELIMITER $d$%s$d$%s%s%s)", o->csv ? "csv" : "text", delimiter,
             *o->null ? ", NULL $d$" : "", o->null,
             *o->null                  ? "$d$"
             : *o->delimiter || o->csv ? ""
                                       : ", NULL ''");
}

static const char *copy(char *sql, size_t cap, struct reader *r, const char *table,
                        size_t table_len, const char *program)
{
    struct options o = { .skip = 0 };
    char url[WORD_BYTES], form[256];
    word(r, url, NULL);
    const char *wrong = options_read(r, &o);
    if (wrong) return wrong;
    if (!url_is_plain(url)) return "that name of an object is not supported by the fake";
    if (!program) return "the fake has no S3";
    write_form(form, sizeof form, &o);
    int n = snprintf(sql, cap, "COPY %.*s FROM PROGRAM $s3$%s get '%s' %s %s %ld$s3$ WITH %s",
                     (int)table_len, table, program, url, o.manifest ? "manifest" : "prefix",
                     o.gzip ? "gzip" : "plain", o.skip, form);
    return n > 0 && (size_t)n < cap ? NULL : "statement too long for the fake";
}

static const char *unload(char *sql, size_t cap, struct reader *r, const char *program)
{
    struct options o = { .skip = 0 };
    char query[WORD_BYTES], url[WORD_BYTES], form[256];
    skip_blank(r);
    if (r->at >= r->end || *r->at++ != '(') return "syntax error";
    word(r, query, NULL);
    skip_blank(r);
    if (r->at >= r->end || *r->at++ != ')' || !next_is(r, "TO")) return "syntax error";
    word(r, url, NULL);
    const char *wrong = options_read(r, &o);
    if (wrong) return wrong;
    if (!url_is_plain(url)) return "that name of an object is not supported by the fake";
    if (!program) return "the fake has no S3";
    write_form(form, sizeof form, &o);
    if (o.header) {
        form[strlen(form) - 1] = '\0';
        strcat(form, ", HEADER)");
    }
    int n = snprintf(sql, cap, "COPY (%s) TO PROGRAM $s3$%s put '%s' %s %s %s$s3$ WITH %s", query,
                     program, url, o.manifest ? "manifest" : "files", o.gzip ? "gzip" : "plain",
                     o.overwrite ? "overwrite" : "new", form);
    return n > 0 && (size_t)n < cap ? NULL : "statement too long for the fake";
}

bool s3_statement(char *sql, size_t cap, const char *p, const char *end, const char *program,
                  const char **refusal)
{
    struct reader r = { .at = p, .end = end };
    char text[WORD_BYTES];
    *refusal = NULL;
    if (next_is(&r, "UNLOAD") || (end - p > 6 && !strncasecmp(p, "UNLOAD(", 7) && (r.at = p + 6))) {
        *refusal = unload(sql, cap, &r, program);
        return true;
    }
    if (!next_is(&r, "COPY")) return false;
    const char *table = r.at;
    /* The table and its columns reach up to FROM. */
    for (; *word(&r, text, NULL);) {
        const char *from = r.at - 4;
        if (strcasecmp(text, "FROM") != 0) continue;
        struct reader ahead = r;
        bool quoted;
        word(&ahead, text, &quoted);
        if (!quoted || strncmp(text, "s3://", 5) != 0) return false;
        *refusal = copy(sql, cap, &r, table, (size_t)(from - table), program);
        return true;
    }
    return false;
}

const char *s3_message(const char *detail)
{
    return strstr(detail, "code 5")
               ? "Specified unload destination on S3 is not empty. Consider using a different "
                 "bucket / prefix, manually removing the target files in S3, or using the "
                 "ALLOWOVERWRITE option."
               : "S3ServiceException";
}

const char *s3_detail(const char *detail)
{
    return strstr(detail, "code 4") ? "\n  error:  S3ServiceException:The specified key does not "
                                      "exist.,Status 404,Error "
                                      "NoSuchKey\n  code:      8001\n"
                                    : "\n  error:  S3ServiceException\n  code:      8001\n";
}
