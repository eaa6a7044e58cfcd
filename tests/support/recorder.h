/* recorder: a server that writes down every byte it is sent, and answers by a few rules.
 *
 * For tests of what must never reach a server. It logs everybody in, and knows
 * transactions, prepared statements as far as order goes, and skipping to a Sync. A
 * statement's text decides what it does:
 *
 *   boom   fails (42601)           slow   is answered after a while
 *   sjis   changes client_encoding before it is answered
 *
 * What the proxy asks about privileges is answered with nothing, and not written down.
 * A thread per connection; ends with the program. The functions may be called from one
 * thread of the test.
 */
#ifndef SLUICE_TESTS_RECORDER_H
#define SLUICE_TESTS_RECORDER_H

#include <stdbool.h>
#include <stddef.h>

struct recorder;

/* Listens on 127.0.0.1:port. */
struct recorder *recorder_start(int port);

/* Forgets what was written down. */
void recorder_forget(struct recorder *r);

/* All that came since, behind the startup packets; of all connections, in the order of arrival.
 * The caller frees. */
char *recorder_bytes(struct recorder *r, size_t *len);

/* Does it hold these bytes, anywhere? And the startup packets of all connections so far? */
bool recorder_has(struct recorder *r, const void *bytes, size_t len);
bool recorder_startups_have(struct recorder *r, const char *text);

/* The types of the messages, in order: "QPBES". Valid until the next call. */
const char *recorder_types(struct recorder *r);

/* Fails the test, with the messages' types, when a single byte came since recorder_forget. */
size_t recorder_count(struct recorder *r);
#define recorder_got_nothing(r)                                                                    \
    do {                                                                                           \
        size_t bytes_ = recorder_count(r);                                                         \
        if (bytes_) fail_msg("the server was sent %zu bytes: %s", bytes_, recorder_types(r));      \
    } while (0)

/* The connection that a message with this text came by, from 1; 0: none did. */
int recorder_connection(struct recorder *r, const char *text);

#endif
