#include "proxy/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct address address_v4(const void *bytes, uint16_t port)
{
    struct address a = { .family = ADDRESS_V4, .port = port };
    memcpy(a.bytes, bytes, 4);
    return a;
}

struct address address_v6(const void *bytes, uint16_t port)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct address a = { .family = ADDRESS_V6, .port = port };
    if (memcmp(bytes, mapped, sizeof mapped) == 0)
        return address_v4((const char *)bytes + 12, port);
    memcpy(a.bytes, bytes, 16);
    return a;
}

struct address address_of(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        return address_v4(&in.sin_addr, ntohs(in.sin_port));
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        return address_v6(&in6.sin6_addr, ntohs(in6.sin6_port));
    }
    return (struct address){ .family = ADDRESS_UNIX };
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
