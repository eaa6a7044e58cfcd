/* Logging in to a server that sends anything. Byte 0: what is known of the connection; then
 * messages, each two bytes of length and a body.
 *
 * Properties: the password leaves in clear text only where that is private; after SCRAM has begun,
 * nobody who does not know the password hears that the login succeeded; once failed it stays so,
 * and a failure sends nothing. */
#define _GNU_SOURCE /* memmem */

#include "auth/prove.h"
#include "protocol/wire.h"

#include <stdlib.h>

static void must(bool holds)
{
    if (!holds) abort();
}

enum { TLS = 1, BINDING = 2, REQUIRE = 4, UNIX = 8, PASSWORD = 16, TOKEN = 32 };

static const char password[] = "the whole password", token[] = "the whole token";
static const char hash[32] = "certificate hash of 32 bytes....";

static bool contains(struct slice text, const char *what)
{
    return text.len && memmem(text.at, text.len, what, strlen(what)) != NULL;
}

struct login {
    struct prove *prove;
    bool may_show, has_begun_scram, has_failed;
};

static void take(struct login *l, struct slice body)
{
    struct buf out = { 0 };
    struct err err;
    enum prove_result result = prove_message(l->prove, body, &out, &err);
    if (result == PROVE_DERIVE) {
        prove_derive(l->prove);
        result = prove_derived(l->prove, &out, &err);
    }
    struct slice sent = buf_slice(&out);
    must(!l->has_failed || result == PROVE_FAILED);
    must(result != PROVE_FAILED || sent.len == 0);
    must(result != PROVE_OK || (body.len == 4 && wire_be32(body.at) == 0));
    must(result != PROVE_OK || !l->has_begun_scram);
    must(!sent.len || wire_be32(sent.at + 1) == sent.len - 1);
    must(l->may_show || (!contains(sent, password) && !contains(sent, token)));
    l->has_begun_scram |= contains(sent, "SCRAM-SHA-256");
    l->has_failed |= result == PROVE_FAILED;
    buf_wipe(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    uint8_t known = data[0];
    struct secret *p = secret_new(slice_str(known & PASSWORD ? password : ""));
    struct secret *t = secret_new(slice_str(known & TOKEN ? token : ""));
    struct login l = { .may_show = known & (TLS | UNIX) };
    l.prove = prove_new(&(struct prove_setup){
        .user = slice_str("ana"),
        .password = p,
        .token = t,
        .tls = known & TLS,
        .unix_socket = known & UNIX,
        .channel_binding = slice_of(hash, known & BINDING ? sizeof hash : 0),
        .require_channel_binding = known & REQUIRE,
    });
    struct wire w = wire_of(slice_of(data + 1, size - 1));
    while (wire_left(&w) >= 2) {
        size_t len = wire_u16(&w);
        take(&l, wire_bytes(&w, len < wire_left(&w) ? len : wire_left(&w)));
    }
    prove_free(l.prove);
    secret_free(p);
    secret_free(t);
    return 0;
}
