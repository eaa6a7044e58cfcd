/* SCRAM, both roles. Byte 0 chooses: texts for the server, texts for the client, an honest exchange
 * with one byte changed on the way, a stored verifier.
 *
 * Properties: who does not know the password never ends well on either side; one changed byte, in
 * any message, ends the exchange; a verifier that parses prints as the text it was. */
#include "auth/scram.h"

#include <stdlib.h>

static void must(bool holds)
{
    if (!holds) abort();
}

/* Cuts a part off the input: one byte of length (times four), then the bytes. */
static struct slice part(struct slice *input)
{
    if (!input->len) return *input;
    size_t len = (uint8_t)input->at[0] * 4u;
    struct slice rest = slice_after(*input, 1);
    struct slice head = slice_of(rest.at, len < rest.len ? len : rest.len);
    *input = slice_after(rest, head.len);
    return head;
}

static const char hash[32] = "certificate hash of 32 bytes....";

static struct slice binding_if(bool is_bound) { return slice_of(hash, is_bound ? sizeof hash : 0); }

/* One iteration is enough here, and quick. */
static void verifier_and_keys(struct scram_verifier *v, struct scram_keys *k)
{
    struct slice salt = slice_str("16 bytes of salt"), password = slice_str("pencil");
    must(scram_verifier_make(v, password, salt, 1) && scram_keys_derive(k, password, salt, 1));
}

static void as_server(struct slice input, bool is_bound)
{
    struct scram_verifier verifier;
    struct scram_keys keys;
    struct scram_server s;
    struct buf out = { 0 };
    struct err err;
    verifier_and_keys(&verifier, &keys);
    scram_server_begin(&s, &verifier, binding_if(is_bound), slice_str("nonce"));
    struct slice mechanism = slice_str(is_bound ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256");
    struct slice client_first = part(&input);
    enum scram_result result = scram_server_first(&s, mechanism, client_first, &out, &err);
    must(result != SCRAM_FAILED);
    must((result == SCRAM_OK) == (out.len > 0));
    if (result == SCRAM_OK) {
        uint32_t before = out.len;
        must(scram_server_final(&s, part(&input), &out, &err) != SCRAM_OK);
        must(out.len == before);
    }
    buf_fini(&out);
    scram_server_fini(&s);
}

static void as_client(struct slice input, bool is_bound)
{
    struct scram_verifier verifier;
    struct scram_keys keys;
    struct scram_client c;
    struct buf out = { 0 };
    struct err err;
    verifier_and_keys(&verifier, &keys);
    scram_client_begin(&c, is_bound ? 'p' : 'n', binding_if(is_bound), slice_str(""),
                       slice_str("nonce"));
    scram_client_first(&c, &out);
    if (scram_client_challenge(&c, part(&input), &err)) {
        must(c.iterations >= 1 && c.iterations <= SCRAM_ITERATIONS_MAX);
        must(c.salt.len >= 1 && c.salt.len <= SCRAM_SALT_MAX_BYTES);
        /* As if derived, whatever the salt: what the server must prove stays unknown. */
        keys.salt = c.salt;
        keys.iterations = c.iterations;
        must(scram_client_final(&c, &keys, &out, &err));
        must(!scram_client_verify(&c, part(&input), &err));
    }
    buf_fini(&out);
    scram_client_fini(&c);
}

/* The message on its way; byte `at` of message number `which` is changed by `mask`. */
static void pass(struct buf *message, int number, int which, size_t at, uint8_t mask, bool *changed)
{
    if (number != which || !mask || at >= message->len) return;
    message->at[at] = (char)(message->at[at] ^ mask);
    *changed = true;
}

static void between(struct slice input, bool is_bound)
{
    if (input.len < 4) return;
    int which = input.at[0] & 3;
    size_t at = (uint8_t)input.at[1] | (size_t)((uint8_t)input.at[2] & 3) << 8;
    uint8_t mask = (uint8_t)input.at[3];
    bool changed = false, ended_well = false;
    struct scram_verifier verifier;
    struct scram_keys keys;
    struct scram_server s;
    struct scram_client c;
    struct buf first = { 0 }, challenge = { 0 }, final = { 0 }, verdict = { 0 };
    struct err err;
    verifier_and_keys(&verifier, &keys);
    scram_server_begin(&s, &verifier, binding_if(is_bound), slice_str("theirs"));
    scram_client_begin(&c, is_bound ? 'p' : 'n', binding_if(is_bound), slice_str("a=b,c"),
                       slice_str("ours"));
    scram_client_first(&c, &first);
    pass(&first, 0, which, at, mask, &changed);
    struct slice mechanism = slice_str(scram_client_mechanism(&c));
    if (scram_server_first(&s, mechanism, buf_slice(&first), &challenge, &err) == SCRAM_OK) {
        pass(&challenge, 1, which, at, mask, &changed);
        if (scram_client_challenge(&c, buf_slice(&challenge), &err)) {
            keys.salt = c.salt;
            keys.iterations = c.iterations;
            must(scram_client_final(&c, &keys, &final, &err));
            pass(&final, 2, which, at, mask, &changed);
            if (scram_server_final(&s, buf_slice(&final), &verdict, &err) == SCRAM_OK) {
                pass(&verdict, 3, which, at, mask, &changed);
                ended_well = scram_client_verify(&c, buf_slice(&verdict), &err);
            }
        }
    }
    must(ended_well == !changed);
    buf_fini(&first);
    buf_fini(&challenge);
    buf_fini(&final);
    buf_fini(&verdict);
    scram_server_fini(&s);
    scram_client_fini(&c);
}

static void as_verifier(struct slice input)
{
    struct scram_verifier v;
    struct buf text = { 0 };
    struct err err;
    if (scram_verifier_parse(&v, input, &err)) {
        scram_verifier_print(&v, &text);
        must(slice_eq(buf_slice(&text), input));
    }
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    struct slice input = slice_of(data + 1, size - 1);
    bool is_bound = data[0] & 4;
    switch (data[0] & 3) {
    case 0: as_server(input, is_bound); break;
    case 1: as_client(input, is_bound); break;
    case 2: between(input, is_bound); break;
    default: as_verifier(input);
    }
    return 0;
}
