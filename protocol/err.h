/* err: what went wrong, in words for whoever can act on it.
 *
 * Doers return bool and fill a `struct err`; one layer above decides who hears
 * of it. The codes, SQLSTATEs and default texts stand in err.def. Never put a
 * secret or the content of a literal into a message.
 */
#ifndef SLUICE_PROTOCOL_ERR_H
#define SLUICE_PROTOCOL_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum err_code {
    ERR_NONE,
#define ERR(name, sqlstate, severity, retriable, text) ERR_##name,
#include "protocol/err.def"
#undef ERR
    ERR_COUNT
};

struct err {
    enum err_code code;
    uint32_t position; /* in the statement, in characters from 1; 0: none */
    char message[256];
    char detail[192];
    char hint[192];
};

/* Sets code and message (printf style; an empty format gives err.def's text) and
 * clears the rest. Too long a message is cut. Returns false, for `return err_set(...)`. */
bool err_set(struct err *e, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a detail or a hint to an error that is set. */
void err_detail(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_hint(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *err_name(enum err_code code);     /* "LOGIN_FAILED" */
const char *err_sqlstate(enum err_code code); /* five characters */
const char *err_severity(enum err_code code); /* "ERROR" or "FATAL" */
const char *err_text(enum err_code code);     /* the default message */
bool err_is_fatal(enum err_code code);
bool err_is_retriable(enum err_code code);

#endif
