/* io/listen: accepting, sharing a port, unix files, and running out of descriptors. */
#include "unit/unit.h"

#include "proxy/io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct door {
    struct listen listen;
    int accepted[256];
    unsigned count, troubles, closed;
    uint64_t refused;
    struct err trouble;
    union socket_address peer;
    bool close_at_once;
};

static void on_accept(struct listen *l, int fd, const union socket_address *peer)
{
    struct door *d = (struct door *)l;
    assert_in_range(d->count, 0, 255);
    d->accepted[d->count++] = fd;
    d->peer = *peer;
    if (d->close_at_once) listen_close(l);
}

static void on_trouble(struct listen *l, uint64_t refused, const struct err *err)
{
    struct door *d = (struct door *)l;
    d->troubles++;
    d->refused += refused;
    d->trouble = *err;
}

static void on_closed(struct listen *l) { ((struct door *)l)->closed++; }

static const struct listen_events events = { on_accept, on_trouble, on_closed };

static union socket_address address_of(const char *text)
{
    union socket_address address;
    assert_true(socket_address_parse(&address, slice_str(text), 0));
    return address;
}

static void door_open(struct door *d, uv_loop_t *uv, const char *where)
{
    struct listen_options options = { .keepalive = { 61, 7, 3 } };
    union socket_address address = address_of(where);
    struct err err = { 0 };
    memset(d, 0, sizeof *d);
    if (!listen_open(&d->listen, uv, &address, &options, &events, &err))
        fail_msg("%s", err.message);
}

static void door_close(struct door *d, uv_loop_t *uv)
{
    listen_close(&d->listen);
    listen_close(&d->listen);
    while (!d->closed) uv_run(uv, UV_RUN_ONCE);
    assert_int_equal(d->closed, 1);
    for (unsigned i = 0; i < d->count; i++) close(d->accepted[i]);
}

static int knock(const struct door *d)
{
    const union socket_address *to = &d->listen.address;
    int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &to->any, socket_address_bytes(to)), 0);
    return fd;
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t bytes = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &bytes), 0);
    return value;
}

static void accepted_sockets_have_everything_set(void **state)
{
    (void)state;
    uv_loop_t uv;
    struct door d;
    char text[SOCKET_TEXT_BYTES];
    uv_loop_init(&uv);
    door_open(&d, &uv, "127.0.0.1");
    int client = knock(&d);
    while (!d.count) uv_run(&uv, UV_RUN_ONCE);
    int fd = d.accepted[0];
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 61);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    /* The peer is the client's own address. */
    union socket_address own = { 0 };
    socklen_t bytes = sizeof own;
    getsockname(client, &own.any, &bytes);
    assert_int_equal(d.peer.v4.sin_port, own.v4.sin_port);
    assert_memory_equal(socket_address_text(&d.peer, text), "127.0.0.1:", 10);
    close(client);
    door_close(&d, &uv);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void two_loops_share_a_port(void **state)
{
    (void)state;
    uv_loop_t uv;
    struct door a, b;
    struct listen_options options = { 0 }, exclusive = { .exclusive = true };
    struct err err = { 0 };
    int clients[40];
    uv_loop_init(&uv);
    door_open(&a, &uv, "127.0.0.1");
    memset(&b, 0, sizeof b);
    assert_true(listen_open(&b.listen, &uv, &a.listen.address, &options, &events, &err));
    for (int i = 0; i < 40; i++) clients[i] = knock(&a);
    while (a.count + b.count < 40) uv_run(&uv, UV_RUN_ONCE);
    assert_true(a.count && b.count);
    struct door c = { 0 };
    assert_false(listen_open(&c.listen, &uv, &a.listen.address, &exclusive, &events, &err));
    assert_non_null(strstr(err.message, "Address already in use"));
    for (int i = 0; i < 40; i++) close(clients[i]);
    door_close(&a, &uv);
    door_close(&b, &uv);
    assert_int_equal(uv_loop_close(&uv), 0);
}

/* Sharing would be allowed, and is not what a second proxy should do. */
static void a_port_is_free_or_says_why_not(void **state)
{
    (void)state;
    uv_loop_t uv;
    struct door d;
    struct err err = { 0 };
    union socket_address taken, absent = address_of("192.0.2.1");
    uv_loop_init(&uv);
    door_open(&d, &uv, "127.0.0.1");
    taken = d.listen.address;
    assert_false(listen_is_free(&taken, &err));
    assert_non_null(strstr(err.message, strerror(EADDRINUSE)));
    assert_non_null(strstr(err.hint, "SIGUSR2"));
    int client = knock(&d);
    while (!d.count) uv_run(&uv, UV_RUN_ONCE);
    door_close(&d, &uv);
    /* Its connection, which we closed first, is still remembered: that takes nobody's port. */
    assert_true(listen_is_free(&taken, &err));
    assert_true(listen_is_free(&taken, &err)); /* the question keeps nothing */
    close(client);
    /* (For documentation, RFC 5737: nobody's.) */
    assert_false(listen_is_free(&absent, &err));
    assert_non_null(strstr(err.message, strerror(EADDRNOTAVAIL)));
    assert_null(strstr(err.hint, "process"));
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void closing_from_within_accept(void **state)
{
    (void)state;
    uv_loop_t uv;
    struct door d;
    uv_loop_init(&uv);
    door_open(&d, &uv, "[::1]");
    d.close_at_once = true;
    int first = knock(&d), second = knock(&d);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(d.count, 1);
    assert_int_equal(d.closed, 1);
    close(d.accepted[0]);
    close(first);
    close(second);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void unix_files(void **state)
{
    (void)state;
    char directory[] = "/tmp/sluice-listen-XXXXXX", path[64], where[80];
    struct listen_options options = { 0 };
    struct err err = { 0 };
    struct stat file;
    uv_loop_t uv;
    struct door d, other = { 0 };
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
    snprintf(where, sizeof where, "unix:%s", path);
    union socket_address address = address_of(where);
    uv_loop_init(&uv);

    /* Nobody but us may connect; the process's umask is not touched. */
    mode_t mask = umask(0);
    door_open(&d, &uv, where);
    assert_int_equal(umask(mask), 0);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0700);

    /* While it is alive nobody takes it away. */
    assert_false(listen_open(&other.listen, &uv, &address, &options, &events, &err));
    assert_non_null(strstr(err.message, "somebody listens there"));
    int client = knock(&d);
    while (!d.count) uv_run(&uv, UV_RUN_ONCE);
    assert_true(socket_is_local(&d.peer));
    close(client);

    /* What a crashed process left behind is replaced. */
    int crashed = socket(AF_UNIX, SOCK_STREAM, 0);
    door_close(&d, &uv);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(bind(crashed, &address.any, sizeof address.local), 0);
    close(crashed);
    assert_int_equal(access(path, F_OK), 0);
    door_open(&d, &uv, where);

    /* A file that was put in our place is not ours to remove. */
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    door_close(&d, &uv);
    assert_int_equal(access(path, F_OK), 0);
    assert_false(listen_open(&other.listen, &uv, &address, &options, &events, &err));
    assert_non_null(strstr(err.message, "no socket"));
    unlink(path);
    rmdir(directory);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static unsigned cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (unsigned)((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
}

static void out_of_descriptors(void **state)
{
    (void)state;
    enum { CLIENTS = 20 };
    uv_loop_t uv;
    struct door d;
    struct rlimit limit, tight;
    int clients[CLIENTS], eof = 0;
    char byte;
    uv_loop_init(&uv);
    door_open(&d, &uv, "127.0.0.1");
    for (int i = 0; i < CLIENTS; i++) clients[i] = knock(&d);
    getrlimit(RLIMIT_NOFILE, &limit);
    tight = limit;
    tight.rlim_cur = (rlim_t)dup(0);
    close((int)tight.rlim_cur); /* the lowest free one: no more than that */
    setrlimit(RLIMIT_NOFILE, &tight);
    unsigned before_ms = cpu_ms();
    for (uint64_t start = uv_now(&uv); uv_now(&uv) < start + 300;) {
        uv_run(&uv, UV_RUN_NOWAIT);
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
    unsigned spent_ms = cpu_ms() - before_ms;
    setrlimit(RLIMIT_NOFILE, &limit);
    /* All were told, by being closed; one report; no spinning. */
    for (int i = 0; i < CLIENTS; i++) {
        eof += recv(clients[i], &byte, 1, MSG_DONTWAIT) == 0;
        close(clients[i]);
    }
    assert_int_equal(eof, CLIENTS);
    assert_int_equal(d.count, 0);
    assert_int_equal(d.troubles, 1);
    assert_true(d.refused >= 1);
    assert_non_null(strstr(d.trouble.message, "Too many open files"));
    assert_in_range(spent_ms, 0, 150);
    /* And it is over when it is over. */
    int client = knock(&d);
    while (!d.count) uv_run(&uv, UV_RUN_ONCE);
    close(client);
    door_close(&d, &uv);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void addresses_in_words(void **state)
{
    (void)state;
    union socket_address a;
    char text[SOCKET_TEXT_BYTES];
    static const char *const good[][2] = {
        { "192.0.2.1", "192.0.2.1:5439" },
        { "::1", "[::1]:5439" },
        { "[2001:db8::1]", "[2001:db8::1]:5439" },
        { "unix:/run/x", "unix:/run/x" },
    };
    static const char *const bad[] = { "",           "0x7f000001", "127.1",     "2130706433",
                                       "0177.0.0.1", "1.2.3.4 ",   "unix:",     "unix:x",
                                       "[::1",       "localhost",  "fe80::1%lo" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(socket_address_parse(&a, slice_str(good[i][0]), 5439));
        assert_string_equal(socket_address_text(&a, text), good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(socket_address_parse(&a, slice_str(bad[i]), 5439));
    assert_false(socket_address_parse(&a, slice_of("unix:/a\0b", 9), 1));
    assert_false(socket_address_parse(&a, slice_of("1.2.3.4\0x", 9), 1));
    char path[200] = "unix:/";
    memset(path + 6, 'a', sizeof path - 7);
    assert_false(socket_address_parse(&a, slice_of(path, 5 + 108), 1));
    assert_true(socket_address_parse(&a, slice_of(path, 5 + 107), 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_sockets_have_everything_set),
        cmocka_unit_test(two_loops_share_a_port),
        cmocka_unit_test(a_port_is_free_or_says_why_not),
        cmocka_unit_test(closing_from_within_accept),
        cmocka_unit_test(unix_files),
        cmocka_unit_test(out_of_descriptors),
        cmocka_unit_test(addresses_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
