/* aws: the AWS side on a command line, for tests that compare it with somebody else's.
 *
 *   aws sign               a request as JSON on stdin -> its Authorization header
 *   aws presign            the same -> its presigned query
 *   aws open ID REGION     a token on stdin -> the request that would go to STS
 *   aws chain              environment and files as they are -> keys, as JSON
 *
 * Its HTTP client speaks plain http to 127.0.0.1 only: the other side is a test's.
 */
#include "auth/iam_token.h"
#include "protocol/json.h"
#include "proxy/aws_feed.h"

#include "auth/uri.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

static void read_stdin(struct buf *out)
{
    char block[4096];
    size_t n;
    while ((n = fread(block, 1, sizeof block, stdin)) > 0) buf_add(out, block, n);
    while (out->len && out->at[out->len - 1] == '\n') out->len--;
}

/* ---- signing ------------------------------------------------------------------------------------
 */

static struct slice member(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_member(object, slice_str(name));
    return v ? json_string(v) : (struct slice){ 0 };
}

static int sign(bool presign)
{
    struct buf text = { 0 };
    struct json_error error;
    struct sigv4_header headers[32];
    size_t count = 0;
    read_stdin(&text);
    struct json_doc *doc = json_parse(buf_slice(&text), 1 << 20, &error);
    if (!doc) return 2;
    const struct json_value *root = json_root(doc),
                            *given = json_member(root, slice_str("headers"));
    for (const struct json_value *v = json_first(given); v && count < 32; v = json_next(v))
        headers[count++] = (struct sigv4_header){ json_key(v), json_string(v) };
    struct sigv4_request request = {
        member(root, "method"), member(root, "path"), member(root, "query"), headers, count,
        member(root, "body")
    };
    struct sigv4_key key = { member(root, "key_id"), member(root, "secret"), member(root, "token"),
                             member(root, "region"), member(root, "service") };
    struct sigv4_options options = { 0 };
    struct sigv4_signed out;
    bool ok = timestamp_from_amz(member(root, "date"), &options.now_ms) &&
              (presign ? sigv4_presign(&request, &key, &options, 900, &out)
                       : sigv4_sign(&request, &key, &options, &out));
    if (ok) printf("%.*s\n", SLICE_ARG(buf_slice(presign ? &out.query : &out.authorization)));
    sigv4_signed_fini(&out);
    json_free(doc);
    buf_fini(&text);
    return ok ? 0 : 1;
}

/* ---- tokens -------------------------------------------------------------------------------------
 */

static int open_token(const char *server_id, const char *region)
{
    struct buf password = { 0 };
    struct slice regions[] = { slice_str(region) };
    struct iam_token_rules rules = { .server_id = slice_str(server_id),
                                     .regions = regions,
                                     .region_count = 1 };
    struct iam_token token;
    struct iam_refusal refusal;
    struct aws_request request;
    read_stdin(&password);
    bool ok = iam_token_open(&rules, buf_slice(&password), aws_feed_now_ms(), &token, &refusal) &&
              iam_token_request(&rules, &token, (struct slice){ 0 }, &request);
    if (ok) {
        printf("GET %.*s\n", SLICE_ARG(buf_slice(&request.url)));
        for (size_t i = 0; i < request.header_count; i++)
            printf("%s: %.*s\n", request.headers[i].name,
                   SLICE_ARG(buf_slice(&request.headers[i].value)));
        aws_request_fini(&request);
    } else {
        printf("refused: %s\n", refusal.reason);
    }
    iam_token_fini(&token);
    buf_fini(&password);
    return ok ? 0 : 1;
}

/* ---- the chain ----------------------------------------------------------------------------------
 */

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static bool exchange(const struct aws_request *r, struct buf *answer)
{
    struct url url;
    struct buf text = { 0 };
    char block[4096];
    ssize_t n;
    if (!url_parse(buf_slice(&r->url), &url) || url.https) return false;
    int fd = connect_to(url.port);
    if (fd < 0) return false;
    buf_addf(&text, "%s %.*s%s%.*s HTTP/1.0\r\n", r->method, SLICE_ARG(url.path),
             url.query.len ? "?" : "", (int)url.query.len, url.query.at ? url.query.at : "");
    for (size_t i = 0; i < r->header_count; i++)
        buf_addf(&text, "%s: %.*s\r\n", r->headers[i].name,
                 SLICE_ARG(buf_slice(&r->headers[i].value)));
    buf_addf(&text, "Content-Length: %u\r\n\r\n", r->body.len);
    buf_add_slice(&text, buf_slice(&r->body));
    bool ok = write(fd, text.at, text.len) == (ssize_t)text.len;
    while (ok && (n = read(fd, block, sizeof block)) > 0) buf_add(answer, block, (size_t)n);
    close(fd);
    buf_fini(&text);
    return ok && answer->len > 12;
}

/* Status line, headers, an empty line, the body to the end. */
static void read_answer(const struct buf *answer, struct aws_response *r,
                        struct sigv4_header headers[16])
{
    struct slice rest = buf_slice(answer), line;
    uri_next_piece(&rest, '\n', &line);
    r->status = atoi(answer->at + 9);
    r->headers = headers;
    while (uri_next_piece(&rest, '\n', &line) && line.len > 1) {
        struct slice value = line, name;
        uri_next_piece(&value, ':', &name);
        if (r->header_count < 16) headers[r->header_count++] = (struct sigv4_header){ name, value };
    }
    if (rest.at) r->body = rest;
}

static void send_plain(void *context, const struct aws_request *request, struct aws_chain *chain)
{
    (void)context;
    struct buf answer = { 0 };
    struct sigv4_header headers[16];
    struct aws_response r = { 0 };
    if (exchange(request, &answer))
        read_answer(&answer, &r, headers);
    else
        r.failure = AWS_HTTP_CANNOT_CONNECT;
    aws_chain_answer_http(chain, &r, aws_feed_now_ms());
    buf_fini(&answer);
}

static int search(void)
{
    struct aws_chain_config config = { .env = { (const char *const *)environ },
                                       .session_name = slice_str("test"),
                                       .quota = AWS_QUOTA_FULL };
    struct aws_chain *chain = aws_chain_new(&config, aws_feed_now_ms(), (struct map_seed){ 1, 2 });
    struct aws_feed feed = { send_plain, NULL };
    struct buf out = { 0 };
    bool found = chain && aws_feed(chain, &feed);
    if (found) {
        const struct aws_credentials *c = aws_chain_credentials(chain);
        buf_add_str(&out, "{\"key_id\":");
        json_quote(&out, buf_slice(&c->key_id));
        buf_add_str(&out, ",\"secret\":");
        json_quote(&out, secret_bytes(c->secret));
        buf_add_str(&out, ",\"token\":");
        json_quote(&out, secret_bytes(c->token));
        buf_add_str(&out, ",\"source\":");
        json_quote(&out, slice_str(c->source));
        buf_add_str(&out, "}");
    } else if (chain) {
        buf_add_str(&out, "{\"error\":");
        json_quote(&out, slice_str(aws_chain_error(chain)->message));
        buf_add_str(&out, "}");
    }
    printf("%.*s\n", SLICE_ARG(buf_slice(&out)));
    buf_fini(&out);
    aws_chain_free(chain);
    return found ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "sign") == 0) return sign(false);
    if (strcmp(what, "presign") == 0) return sign(true);
    if (strcmp(what, "open") == 0 && argc == 4) return open_token(argv[2], argv[3]);
    if (strcmp(what, "chain") == 0) return search();
    fprintf(stderr, "usage: aws sign | presign | open SERVER_ID REGION | chain\n");
    return 2;
}
