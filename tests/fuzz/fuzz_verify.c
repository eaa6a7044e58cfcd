/* A client that sends anything while it logs in. Byte 0: method and circumstances; then messages,
 * each a type, two bytes of length and a body.
 *
 * Properties: who does not know the password is never let in, and who does not exist not by any
 * method; whether the user exists shows neither in the verdicts (but of those whom the warehouse
 * judges) nor in the number of bytes sent; after the verdict nothing is taken. */
#include "auth/verify.h"
#include "protocol/wire.h"

#include <stdlib.h>

static void must(bool holds)
{
    if (!holds) abort();
}

static struct users *table(void)
{
    static const char key[USERS_KEY_BYTES] = "key";
    /* Sixteen bytes of salt and 4096 iterations, as the mock for an unknown user. */
    struct slice stored[] = {
        slice_str("SCRAM-SHA-256$4096:2QmXRmBenKf81MsHn7cxlw==$"
                  "Z9EpIhpibJuRhEuzP2sxT6yppTH1Cd7S2TBKT5M+yH0=:"
                  "tfdtlq/yqOhxFMGkE9idCNfrMhmDysVnMlPfusn0HXA="),
        slice_str("sha256|821708135fcc42eb3afda85286dee0ed15c2c461d000291609f77eb113073ec2|"
                  "c721bff5d9042cf541ff7b9d48fa8a6e545c19a763e3710151f9513038b0f6c6"),
        slice_str("md5153c434b4b77c89e6b94f12c5393af5b"),
    };
    struct user_setup ana = {
        .name = slice_str("ana"),
        .methods = AUTH_PASSWORD_BITS,
        .passwords = stored,
        .password_count = 3,
    };
    struct err err;
    struct users *u = users_new((struct map_seed){ 1, 2 }, slice_of(key, sizeof key), NULL);
    must(u && users_add(u, &ana, &err) && users_seal(u));
    return u;
}

static bool is_over(enum verify_result r) { return r != VERIFY_MORE && r != VERIFY_DERIVE; }

/* Without a proof of ours: by nothing, by what TLS has shown, or by the warehouse, later. */
static bool is_unproven(enum auth_method method)
{
    return method == AUTH_TRUST || method == AUTH_CERT || method == AUTH_PASSTHROUGH ||
           method == AUTH_IDP;
}

/* The whole login; what it came to, and how much was sent. */
static enum verify_result login(const struct users *u, const char *user, uint8_t how,
                                struct slice input, uint32_t *sent)
{
    const enum auth_method method = (enum auth_method)((how & 15) % AUTH_METHOD_COUNT);
    struct buf out = { 0 };
    struct err err;
    struct verify *v = verify_new(&(struct verify_setup){
        .method = method,
        .user = users_find(u, slice_str(user)),
        .stranger = users_stranger(u),
        .user_name = slice_str(user),
        .mock_key = users_key(u),
        .channel_binding = how & 16 ? slice_str("hash") : slice_str(""),
        .tls = how & 32,
        .may_derive = true,
    });
    must(v != NULL);
    enum verify_result result = verify_begin(v, &out);
    struct wire w = wire_of(input);
    while (wire_left(&w) >= 3) {
        uint8_t type = wire_u8(&w);
        size_t len = wire_u16(&w);
        struct slice body = wire_bytes(&w, len < wire_left(&w) ? len : wire_left(&w));
        enum verify_result next = verify_message(v, type, body, &out, &err);
        must(!is_over(result) || next == VERIFY_BAD);
        if (!is_over(result)) result = next;
    }
    /* Deriving is left out: it takes a while and can only say no. */
    must(is_unproven(method) || result != VERIFY_OK);
    *sent = out.len;
    verify_free(v);
    buf_wipe(&out);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    struct users *u = table();
    struct slice input = slice_of(data + 1, size - 1);
    uint32_t sent_known, sent_unknown;
    enum verify_result known = login(u, "ana", data[0], input, &sent_known);
    enum verify_result unknown = login(u, "eve", data[0], input, &sent_unknown);
    must(sent_known == sent_unknown && unknown != VERIFY_OK);
    must(known == unknown || is_unproven((enum auth_method)((data[0] & 15) % AUTH_METHOD_COUNT)));
    users_unref(u);
    return 0;
}
