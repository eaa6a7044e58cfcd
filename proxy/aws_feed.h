/* aws_feed: answers the questions of an AWS credential search, blocking.
 *
 * For commands, which have nothing else to do meanwhile; the proxy itself answers
 * from its loop (aws_client). Files, programs and waiting are done here; HTTP is done by whoever
 * has a client, and is refused as "offline" where nobody has.
 */
#ifndef SLUICE_PROXY_AWS_FEED_H
#define SLUICE_PROXY_AWS_FEED_H

#include "auth/aws_chain.h"

struct aws_feed {
    /* Sends the request and hands its answer to aws_chain_answer_http, before it returns.
     * NULL: no network. */
    void (*send)(void *context, const struct aws_request *request, struct aws_chain *chain);
    void *context;
};

/* Runs the search to its end; true when it found credentials. */
bool aws_feed(struct aws_chain *chain, const struct aws_feed *feed);

/* Does what one question asks, HTTP apart; what was read or printed is appended to `text`. Any
 * thread.
 */
enum aws_outcome aws_feed_do(const struct aws_ask *ask, struct buf *text);

/* The wall clock, which AWS signatures go by. */
int64_t aws_feed_now_ms(void);

#endif
