#include "proxy/command/command.h"

#include "proxy/config_origin.h"
#include "proxy/io/socket.h"
#include "proxy/ops/config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_S = 3 };

/* A listener on every address is asked on loopback. */
static void prefer_loopback(union socket_address *at)
{
    if (at->any.sa_family == AF_INET && at->v4.sin_addr.s_addr == htonl(INADDR_ANY))
        at->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (at->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&at->v6.sin6_addr))
        at->v6.sin6_addr = in6addr_loopback;
}

/* Sends the request and reads the answer to its end. False: said in errno's words by the caller. */
static bool ask(const union socket_address *at, const char *path, struct buf *answer)
{
    char request[128];
    struct timeval patience = { .tv_sec = PATIENCE_S };
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    bool ok = connect(fd, &at->any, socket_address_bytes(at)) == 0 && write(fd, request, n) == n;
    while (ok) {
        char part[4096];
        ssize_t got = read(fd, part, sizeof part);
        ok = got >= 0;
        if (got <= 0) break;
        buf_add(answer, part, (size_t)got);
    }
    close(fd);
    return ok;
}

/* "HTTP/1.1 200 OK": what is behind the empty line is printed. */
static int print_answer(struct buf *answer)
{
    struct slice all = buf_slice(answer);
    const char *body = all.len ? memmem(all.at, all.len, "\r\n\r\n", 4) : NULL;
    bool fine = slice_starts(all, "HTTP/1.1 200 ");
    if (body) fwrite(body + 4, 1, all.len - (size_t)(body + 4 - all.at), stdout);
    return fine ? STATUS_FINE : STATUS_NOT_FINE;
}

static int check(const struct config_address *health, const char *path)
{
    union socket_address at;
    struct buf answer = { 0 };
    int status = STATUS_NOT_FINE;
    if (!health->text)
        fprintf(stderr, "sluice health: the configuration has no health.address; add one such as "
                        "\"health\": { \"address\": \"127.0.0.1:8439\" }\n");
    else if (health->is_unix || !socket_address_parse(&at, slice_str(health->host), health->port))
        fprintf(stderr, "sluice health: health.address: \"%s\" is no numeric address\n",
                health->text);
    else {
        prefer_loopback(&at);
        if (ask(&at, path, &answer))
            status = print_answer(&answer);
        else
            fprintf(stderr, "sluice health: %s: no answer: %m\n", health->text);
    }
    buf_fini(&answer);
    return status;
}

/* "127.0.0.1:8439", "[::1]:8439". */
static bool read_address(const char *text, char *host, size_t size, struct config_address *out)
{
    struct slice whole = slice_str(text), name = whole;
    const char *colon = strrchr(text, ':');
    char *end;
    if (!colon) return false;
    unsigned long port = strtoul(colon + 1, &end, 10);
    name.len = (size_t)(colon - text);
    if (name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
        name = slice_of(name.at + 1, name.len - 2);
    if (name.len == 0 || name.len >= size || end == colon + 1 || *end || port == 0 || port > 65535)
        return false;
    snprintf(host, size, "%.*s", SLICE_ARG(name));
    *out = (struct config_address){ .text = host, .host = host, .port = (uint16_t)port };
    return true;
}

int command_health(int argc, char **argv)
{
    struct options_health options;
    struct problems problems = { 0 };
    if (command_parse(argc, argv, &options, 0) < 0) return STATUS_USAGE;
    const char *path = options.ready ? "/readyz" : "/livez";
    if (options.address) {
        struct config_address there;
        char host[256];
        if (!read_address(options.address, host, sizeof host, &there))
            return command_misused(argv[0], "--address wants IP:PORT");
        return check(&there, path);
    }
    if (!options.config) return command_misused(argv[0], "--config is missing");
    struct config *config = config_origin_load(options.config, NULL, &problems);
    int status = STATUS_NOT_FINE;
    if (config)
        status = check(&config->health.address, path);
    else
        fprintf(stderr, "sluice health: %s has errors; see sluice check\n", options.config);
    problems_fini(&problems);
    config_unref(config);
    return status;
}
