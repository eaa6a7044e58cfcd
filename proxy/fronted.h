/* fronted: whom a connection is from when a load balancer stands in front of us.
 *
 * A listener with proxy_protocol wants a PROXY header before the client's first byte
 * (io/proxy_header reads it). That the sender may be believed (proxy_from) was asked when the
 * connection was accepted. Pure: no state of its own. Thread: any.
 */
#ifndef SLUICE_PROXY_FRONTED_H
#define SLUICE_PROXY_FRONTED_H

#include "proxy/realm.h"

enum fronted_result {
    FRONTED_MORE, /* not all there yet */
    FRONTED_BAD,  /* no header, or not of the version wanted */
    FRONTED_SHUT, /* the client's address is known now, and nobody from there may come in */
    FRONTED_DONE, /* likewise, and it may go on */
};

/* Whether a listener wants a header. */
bool fronted_is_wanted(const struct realm *r, uint16_t listen);

/* Takes the header off *in and puts the client's address into *address; the load balancer itself,
 * when it looks whether we are well, keeps its own. */
enum fronted_result fronted_take(const struct realm *r, uint16_t listen, struct slice *in,
                                 struct address *address);

#endif
