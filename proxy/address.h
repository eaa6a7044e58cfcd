/* address: where a client comes from, in 20 bytes.
 *
 * A sockaddr_storage is 128; ten thousand idle clients need not pay for that.
 */
#ifndef SLUICE_PROXY_ADDRESS_H
#define SLUICE_PROXY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum address_family { ADDRESS_UNIX, ADDRESS_V4, ADDRESS_V6 };

struct address {
    uint8_t family;    /* enum address_family */
    uint8_t bytes[16]; /* v4: the first four */
    uint16_t port;
};

enum { ADDRESS_TEXT_MAX = 64 };

/* From 4 and 16 bytes in network order. An IPv4-mapped IPv6 address becomes IPv4. */
struct address address_v4(const void *bytes, uint16_t port);
struct address address_v6(const void *bytes, uint16_t port);
struct address address_of(const struct sockaddr *sa);

/* "10.0.0.1:5000", "[::1]:5000", "unix"; returns `text`. */
const char *address_text(const struct address *a, char text[ADDRESS_TEXT_MAX]);

bool address_is_loopback(const struct address *a);

#endif
