/* backend: reading and writing what servers say.
 *
 * Writers append whole messages to a buf; readers take a message's body.
 * Source: PostgreSQL 15, 55.7 Message Formats, 55.8 Error and Notice Fields.
 */
#ifndef SLUICE_PROTOCOL_BACKEND_H
#define SLUICE_PROTOCOL_BACKEND_H

#include "protocol/buf.h"
#include "protocol/err.h"
#include "protocol/slice.h"

/* ErrorResponse with severity, SQLSTATE, message, and detail, hint, position where set. Always
 * below 1 KiB (Amazon's ODBC driver gives up above 30,000 bytes before login). */
void backend_error(struct buf *out, const struct err *e);

/* NoticeResponse of severity NOTICE. */
void backend_notice(struct buf *out, const char *sqlstate, const char *message);

/* What an Authentication message (R) asks for, or says. 13 and 14 are Redshift's. */
enum authentication {
    AUTHENTICATION_OK = 0,
    AUTHENTICATION_CLEARTEXT = 3,
    AUTHENTICATION_MD5 = 5,
    AUTHENTICATION_SASL = 10,
    AUTHENTICATION_SASL_CONTINUE = 11,
    AUTHENTICATION_SASL_FINAL = 12,
    AUTHENTICATION_DIGEST = 13, /* auth/digest.h */
    AUTHENTICATION_TOKEN = 14,  /* of an identity provider */
};

void backend_auth_ok(struct buf *out);
void backend_ready(struct buf *out, uint8_t status);
void backend_key_data(struct buf *out, uint32_t pid, struct slice key);
void backend_parameter_status(struct buf *out, struct slice name, struct slice value);
void backend_command_complete(struct buf *out, const char *tag);
void backend_parse_complete(struct buf *out);
void backend_close_complete(struct buf *out);
void backend_empty_query(struct buf *out);

/* NegotiateProtocolVersion: the newest minor version we speak, and the options we do not
 * know. Only for clients that asked for a minor version above 0. */
void backend_negotiate(struct buf *out, uint32_t minor, const struct slice *options, size_t count);

void backend_bind_complete(struct buf *out);
void backend_no_data(struct buf *out);
void backend_parameter_description(struct buf *out); /* of no parameters */

/* A row set, for the console. A cell of a row is its length and its bytes. */
struct backend_column {
    const char *name;
    uint32_t type;  /* OID in pg_type */
    uint16_t bytes; /* of a value; 0xffff: it varies */
    bool binary;
};
void backend_row_description(struct buf *out, const struct backend_column *columns, size_t count);
void backend_row_begin(struct buf *out, size_t columns, uint32_t *begun);
void backend_row_text(struct buf *out, struct slice value); /* at == NULL: SQL NULL */
void backend_row_end(struct buf *out, uint32_t begun);

/* A field of an ErrorResponse or NoticeResponse ('S', 'C', 'M', ...); at == NULL when absent
 * or when the body is cut before it. Never assumes a field is there (CVE-2026-6666). */
struct slice backend_field(struct slice body, char field);

/* ParameterStatus: false when malformed. */
bool backend_read_parameter(struct slice body, struct slice *name, struct slice *value);

/* BackendKeyData. */
bool backend_read_key_data(struct slice body, uint32_t *pid, struct slice *key);

#endif
