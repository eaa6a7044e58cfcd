/* aws_client: calls to AWS and searches for credentials, on a loop.
 *
 * The shell around auth/'s pure machines: a request of theirs becomes one of io/http,
 * an answer one of theirs; a search's questions about files and programs are
 * answered on libuv's threads, its waits by a timer.
 *
 * Ownership: a request is copied; an answer is valid during `done`.
 * Thread: the loop's.
 */
#ifndef SLUICE_PROXY_AWS_CLIENT_H
#define SLUICE_PROXY_AWS_CLIENT_H

#include "auth/aws_chain.h"
#include "proxy/io/http.h"

struct aws_search;

typedef void aws_call_done(void *owner, const struct aws_response *response);

/* An HTTP client that trusts what AWS_CA_BUNDLE names, or `ca_bundle` of the selected profile;
 * reads files, so only at a start. */
struct http *aws_client_open(uv_loop_t *uv);

/* A call under way; embedded in its owner. */
struct aws_call {
    struct http_call *call; /* NULL: none */
    aws_call_done *done;
    void *owner;
};

/* False when memory ran out; `done` does not come then. */
bool aws_call_send(struct aws_call *c, struct http *http, const struct aws_request *request,
                   aws_call_done *done, void *owner);
void aws_call_cancel(struct aws_call *c); /* harmless when none is under way */

/* The end of a search: its credentials or its error, and what it learnt on the way. `chain` is
 * freed after the call. */
typedef void aws_search_done(void *owner, const struct aws_chain *chain);

/* `done` comes once, never from within aws_search_start, unless aws_search_cancel comes first. What
 * `config` points to must live until then (after a cancel: as long as the process does a question
 * that is being answered). NULL when memory ran out. */
struct aws_search *aws_search_start(uv_loop_t *uv, struct http *http,
                                    const struct aws_chain_config *config, aws_search_done *done,
                                    void *owner);
void aws_search_cancel(struct aws_search *s);

#endif
