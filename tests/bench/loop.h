/* loop: what the three small programs of the bench share: sockets on 127.0.0.1, big-endian numbers.
 *
 * They are deliberately not built on the product's code: they must stay what they are while it
 * changes.
 */
#ifndef SLUICE_BENCH_LOOP_H
#define SLUICE_BENCH_LOOP_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline uint32_t get_u32(const char *at)
{
    uint32_t v;
    memcpy(&v, at, 4);
    return ntohl(v);
}

static inline void put_u32(char *at, uint32_t v)
{
    v = htonl(v);
    memcpy(at, &v, 4);
}

static inline struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static inline void watch(int ep, int op, int fd, uint32_t events, void *who)
{
    struct epoll_event ev = { .events = events, .data.ptr = who };
    if (epoll_ctl(ep, op, fd, &ev)) die("epoll_ctl");
}

static inline void no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline int listen_on(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = loopback(port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) die("listen");
    return fd;
}

/* As many descriptors as the machine lets us have; a peer that goes away is an error code, no
 * signal. */
static inline void prepare_process(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
}

#endif
