#include "proxy/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct address address_of(const struct sockaddr *sa)
{
    struct address a = { .family = ADDRESS_UNIX };
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        a.family = ADDRESS_V4;
        a.port = ntohs(in.sin_port);
        memcpy(a.bytes, &in.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        a.port = ntohs(in6.sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
            a.family = ADDRESS_V4;
            memcpy(a.bytes, (const char *)&in6.sin6_addr + 12, 4);
        } else {
            a.family = ADDRESS_V6;
            memcpy(a.bytes, &in6.sin6_addr, 16);
        }
    }
    return a;
}

const char *address_text(const struct address *a, char text[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN];
    switch (a->family) {
    case ADDRESS_V4:
        inet_ntop(AF_INET, a->bytes, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, a->port);
        break;
    case ADDRESS_V6:
        inet_ntop(AF_INET6, a->bytes, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, a->port);
        break;
    default: snprintf(text, ADDRESS_TEXT_MAX, "unix");
    }
    return text;
}

bool address_is_loopback(const struct address *a)
{
    static const uint8_t v6[16] = { [15] = 1 };
    switch (a->family) {
    case ADDRESS_V4: return a->bytes[0] == 127;
    case ADDRESS_V6: return memcmp(a->bytes, v6, sizeof v6) == 0;
    default: return true;
    }
}
