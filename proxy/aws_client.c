#include "proxy/aws_client.h"

#include "auth/aws_profile.h"
#include "proxy/aws_feed.h"
#include "proxy/io/offload.h"
#include "proxy/ops/file.h"
#include "proxy/random.h"

_Static_assert((int)AWS_REQUEST_MAX_HEADERS <= (int)HTTP_MAX_HEADERS, "every header has a place");

extern char **environ;

/* Reads a file of the shared configuration; one that is not there is empty. */
static void read_shared(void path_of(const struct aws_env *, struct buf *),
                        const struct aws_env *env, struct buf *text)
{
    struct buf path = { 0 };
    struct err err;
    path_of(env, &path);
    buf_add_u8(&path, 0);
    if (!path.failed && path.at[0] && !file_read(path.at, AWS_PROFILE_FILE_MAX_BYTES, text, &err))
        buf_wipe(text);
    buf_fini(&path);
}

/* As in botocore: the variable, else `ca_bundle` of the profile that the environment selects. (One
 * client serves all of a configuration's profiles, so `aws.profile` has no say here.) */
static void add_ca_bundle(struct buf *path)
{
    const struct aws_env env = { (const char *const *)environ };
    struct slice given = aws_env_get(&env, "AWS_CA_BUNDLE");
    struct buf config = { 0 }, credentials = { 0 };
    struct aws_profiles *profiles = NULL;
    struct err err;
    bool named;
    if (given.len == 0) {
        read_shared(aws_profile_config_path, &env, &config);
        read_shared(aws_profile_credentials_path, &env, &credentials);
        profiles = aws_profiles_read(buf_slice(&config), buf_slice(&credentials), &err);
        if (profiles)
            given = aws_profiles_get(profiles, AWS_PROFILE, aws_profile_selected(&env, &named),
                                     "ca_bundle");
    }
    if (given.len && aws_env_add_path(&env, given, path)) buf_add_u8(path, 0);
    aws_profiles_free(profiles);
    buf_wipe(&config);
    buf_wipe(&credentials);
}

struct http *aws_client_open(uv_loop_t *uv)
{
    struct buf path = { 0 };
    add_ca_bundle(&path);
    struct http *http = http_open(uv, path.failed ? NULL : path.at);
    buf_fini(&path);
    return http;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static enum aws_http_failure failure_of(enum http_failure failure)
{
    static const enum aws_http_failure same[] = {
        [HTTP_OK] = AWS_HTTP_OK,
        [HTTP_CANNOT_RESOLVE] = AWS_HTTP_CANNOT_RESOLVE,
        [HTTP_CANNOT_CONNECT] = AWS_HTTP_CANNOT_CONNECT,
        [HTTP_TIMEOUT] = AWS_HTTP_TIMEOUT,
        [HTTP_TLS] = AWS_HTTP_TLS,
        [HTTP_BROKEN] = AWS_HTTP_BROKEN,
        [HTTP_TOO_LARGE] = AWS_HTTP_TOO_LARGE,
    };
    return same[failure];
}

static void on_answer(void *owner, const struct http_answer *answer)
{
    struct aws_call *c = owner;
    struct sigv4_header headers[HTTP_MAX_HEADERS];
    struct aws_response response = { .failure = failure_of(answer->failure),
                                     .status = answer->status,
                                     .headers = headers,
                                     .header_count = answer->header_count,
                                     .body = answer->body };
    for (size_t i = 0; i < answer->header_count; i++)
        headers[i] = (struct sigv4_header){ answer->headers[i].name, answer->headers[i].value };
    c->call = NULL;
    c->done(c->owner, &response);
}

bool aws_call_send(struct aws_call *c, struct http *http, const struct aws_request *request,
                   aws_call_done *done, void *owner)
{
    struct http_request r = {
        .method = request->method,
        .url = buf_slice(&request->url),
        .body = buf_slice(&request->body),
        .header_count = request->header_count,
        .connect_timeout_ms = request->connect_timeout_ms,
        .timeout_ms = request->timeout_ms,
        .answer_cap_bytes = request->answer_cap_bytes,
        .direct = request->direct,
    };
    for (size_t i = 0; i < request->header_count; i++)
        r.headers[i] = (struct http_header){ slice_str(request->headers[i].name),
                                             buf_slice(&request->headers[i].value) };
    *c = (struct aws_call){ .done = done, .owner = owner };
    c->call = http_send(http, &r, on_answer, c);
    return c->call != NULL;
}

void aws_call_cancel(struct aws_call *c)
{
    if (c->call) http_cancel(c->call);
    c->call = NULL;
}

/* ---- searches ------------------------------------------------------------------------------- */

struct aws_search {
    uv_loop_t *uv;
    struct http *http;
    struct aws_chain *chain;
    const struct aws_ask *ask;
    struct aws_call call;
    struct offload offload;
    struct buf text; /* the offload's */
    enum aws_outcome outcome;
    uv_timer_t timer;
    bool working, over; /* a thread is at it; nobody wants it any more */
    aws_search_done *done;
    void *owner;
};

static void advance(struct aws_search *s);

static void on_timer_closed(uv_handle_t *handle) { free(handle->data); }

static void end(struct aws_search *s)
{
    s->over = true;
    aws_call_cancel(&s->call);
    if (s->working) return; /* what a thread is at cannot be stopped; it comes back here */
    aws_chain_free(s->chain);
    uv_timer_stop(&s->timer);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void work(struct offload *o)
{
    struct aws_search *s = o->context;
    s->outcome = aws_feed_do(s->ask, &s->text);
}

static void on_worked(struct offload *o)
{
    struct aws_search *s = o->context;
    s->working = false;
    if (!s->over)
        aws_chain_answer_outcome(s->chain, s->outcome, buf_slice(&s->text), aws_feed_now_ms());
    buf_fini(&s->text);
    if (s->over)
        end(s);
    else
        advance(s);
}

static void on_response(void *owner, const struct aws_response *response)
{
    struct aws_search *s = owner;
    aws_chain_answer_http(s->chain, response, aws_feed_now_ms());
    advance(s);
}

static void on_waited(uv_timer_t *timer)
{
    struct aws_search *s = timer->data;
    aws_chain_answer_outcome(s->chain, AWS_DONE_WELL, (struct slice){ 0 }, aws_feed_now_ms());
    advance(s);
}

static void start_waiting(struct aws_search *s)
{
    int64_t left_ms = s->ask->until_ms - aws_feed_now_ms();
    uv_timer_start(&s->timer, on_waited, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

static void start_working(struct aws_search *s)
{
    s->working = true;
    s->text = (struct buf){ .secret = true };
    s->offload = (struct offload){ .owner = s, .context = s };
    offload_run(s->uv, &s->offload, work, on_worked);
}

/* Puts the next question to whoever answers it; he calls back. */
static void advance(struct aws_search *s)
{
    while ((s->ask = aws_chain_step(s->chain))) {
        if (s->ask->kind == AWS_ASK_WAIT) {
            start_waiting(s);
            return;
        }
        if (s->ask->kind != AWS_ASK_HTTP) {
            start_working(s);
            return;
        }
        if (aws_call_send(&s->call, s->http, &s->ask->request, on_response, s)) return;
        struct aws_response none = { .failure = AWS_HTTP_BROKEN };
        aws_chain_answer_http(s->chain, &none, aws_feed_now_ms());
    }
    s->done(s->owner, s->chain);
    end(s);
}

static void on_start(uv_timer_t *timer) { advance(timer->data); }

struct aws_search *aws_search_start(uv_loop_t *uv, struct http *http,
                                    const struct aws_chain_config *config, aws_search_done *done,
                                    void *owner)
{
    struct aws_search *s = calloc(1, sizeof *s);
    struct map_seed seed = { random_u64(), random_u64() };
    if (!s) return NULL;
    s->chain = aws_chain_new(config, aws_feed_now_ms(), seed);
    if (!s->chain) {
        free(s);
        return NULL;
    }
    s->uv = uv;
    s->http = http;
    s->done = done;
    s->owner = owner;
    uv_timer_init(uv, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_start, 0, 0);
    return s;
}

void aws_search_cancel(struct aws_search *s) { end(s); }
