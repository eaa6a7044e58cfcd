#include "proxy/fronted.h"

#include "proxy/io/proxy_header.h"

static unsigned kinds_wanted(const struct realm *r, uint16_t listen)
{
    switch (r->config->listen[listen].proxy_protocol) {
    case CONFIG_PROXY_V1: return PROXY_HEADER_V1;
    case CONFIG_PROXY_V2: return PROXY_HEADER_V2;
    case CONFIG_PROXY_ANY: return PROXY_HEADER_V1 | PROXY_HEADER_V2;
    default: return 0;
    }
}

bool fronted_is_wanted(const struct realm *r, uint16_t listen)
{
    return kinds_wanted(r, listen) != 0;
}

enum fronted_result fronted_take(const struct realm *r, uint16_t listen, struct slice *in,
                                 struct address *address)
{
    struct proxy_header header = proxy_header_read(*in, kinds_wanted(r, listen));
    switch (header.result) {
    case PROXY_HEADER_MORE: return FRONTED_MORE;
    case PROXY_HEADER_BAD: return FRONTED_BAD;
    case PROXY_HEADER_LOCAL:
    case PROXY_HEADER_CLIENT: break;
    }
    *in = slice_after(*in, header.size);
    /* The load balancer itself may not log in unless a rule says so, and that is asked later. */
    if (header.result == PROXY_HEADER_LOCAL) return FRONTED_DONE;
    *address = header.is_v6 ? address_v6(header.address, header.port)
                            : address_v4(header.address, header.port);
    return realm_lets_in(r, address) ? FRONTED_DONE : FRONTED_SHUT;
}
