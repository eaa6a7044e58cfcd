/* http_reply: the shapes of answers over HTTP: text, JSON, an error as JSON.
 *
 * Thread: control's.
 */
#ifndef SLUICE_PROXY_HTTP_REPLY_H
#define SLUICE_PROXY_HTTP_REPLY_H

#include "protocol/err.h"
#include "proxy/io/http_server.h"

/* These free `body`; when it has failed, the answer is 500. `header` as http_answer's. */
void http_answer_buf(struct http_exchange *x, unsigned status, const char *type, const char *header,
                     struct buf *body);
void http_answer_text(struct http_exchange *x, unsigned status, const char *header,
                      struct buf *body);
void http_answer_json(struct http_exchange *x, unsigned status, const char *header,
                      struct buf *body);

/* {"error":{"sqlstate":...,"message":...}} */
void http_answer_err(struct http_exchange *x, unsigned status, const struct err *err);

void http_no_memory(struct http_exchange *x);

#endif
