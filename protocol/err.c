#include "protocol/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct row {
    const char *name, *sqlstate, *severity, *text;
    bool retriable;
} rows[ERR_COUNT] = {
    [ERR_NONE] = { "NONE", "00000", "LOG", "no error", false },
#define ERR(name, sqlstate, severity, retriable, text)                                             \
    [ERR_##name] = { #name, sqlstate, #severity, text, retriable },
#include "protocol/err.def"
#undef ERR
};

static const struct row *row_of(enum err_code code)
{
    return &rows[(unsigned)code < ERR_COUNT ? code : ERR_INTERNAL];
}

bool err_set(struct err *e, enum err_code code, const char *format, ...)
{
    e->code = code;
    e->position = 0;
    e->detail[0] = e->hint[0] = '\0';
    if (format && format[0]) {
        va_list args;
        va_start(args, format);
        vsnprintf(e->message, sizeof e->message, format, args);
        va_end(args);
    } else {
        snprintf(e->message, sizeof e->message, "%s", err_text(code));
    }
    return false;
}

void err_detail(struct err *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->detail, sizeof e->detail, format, args);
    va_end(args);
}

void err_hint(struct err *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->hint, sizeof e->hint, format, args);
    va_end(args);
}

const char *err_name(enum err_code code) { return row_of(code)->name; }
const char *err_sqlstate(enum err_code code) { return row_of(code)->sqlstate; }
const char *err_severity(enum err_code code) { return row_of(code)->severity; }
const char *err_text(enum err_code code) { return row_of(code)->text; }
bool err_is_fatal(enum err_code code) { return strcmp(row_of(code)->severity, "FATAL") == 0; }
bool err_is_retriable(enum err_code code) { return row_of(code)->retriable; }
