/* The DynamoDB kind of route_store: each operation is a row of calls, one errand after the other.
 */
#include "proxy/route_store.h"

#include "proxy/aws_errand.h"
#include "routing/table.h"

#include <stdlib.h>

struct dynamo_store {
    struct route_store store;
    struct config *config;
    struct aws_identity *identity;
    struct aws_errand errand;
    const char *table;
    bool is_loader;
    const char *operation; /* of the call under way: "GetItem" */
    struct buf body, answer, pk;
    void (*next)(struct dynamo_store *d); /* with its answer */
    void (*failed)(struct dynamo_store *d, const struct err *err);
    struct dynamo_pages pages;
    struct dynamo_active which; /* being fetched or put */
    struct buf put;             /* the document */
    uint32_t part, parts;
    bool as_candidate;
};

static struct dynamo_store *dynamo_of(struct route_store *s)
{
    return list_item(s, struct dynamo_store, store);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static bool build(struct aws_errand *e, const struct aws_signer *signer,
                  struct aws_request *request, struct err *err)
{
    struct dynamo_store *d = list_item(e, struct dynamo_store, errand);
    aws_json_begin(request, signer->endpoint, d->operation);
    buf_add_slice(&request->body, buf_slice(&d->body));
    request->answer_cap_bytes = DYNAMO_ANSWER_BYTES;
    if (!d->body.failed && aws_request_sign(request, signer->credentials, signer->endpoint,
                                            signer->now_ms, signer->skew_ms))
        return true;
    return err_set(err, ERR_OUT_OF_MEMORY, "");
}

static bool read_answer(struct aws_errand *e, const struct aws_response *response,
                        struct aws_error *error)
{
    struct dynamo_store *d = list_item(e, struct dynamo_store, errand);
    if (aws_error_read(AWS_JSON_1_0, response, error)) return false;
    buf_fini(&d->answer);
    buf_add_slice(&d->answer, response->body);
    return true;
}

static void on_done(struct aws_errand *e, const struct err *err, bool for_good)
{
    struct dynamo_store *d = list_item(e, struct dynamo_store, errand);
    struct err no_memory;
    (void)for_good;
    if (!err && d->answer.failed) {
        err_set(&no_memory, ERR_OUT_OF_MEMORY, "");
        err = &no_memory;
    }
    if (!err)
        d->next(d);
    else if (d->failed)
        d->failed(d, err);
    else
        route_store_end(&d->store, err);
}

static const struct aws_errand_kind errand_kind = { build, read_answer, on_done, NULL };

/* Sends d->body; `failed` NULL: a failure ends the operation. */
static void call(struct dynamo_store *d, const char *target, void (*next)(struct dynamo_store *d),
                 void (*failed)(struct dynamo_store *d, const struct err *err))
{
    static const struct {
        const char *target, *what;
    } names[] = {
        { DYNAMO_GET_ITEM, "dynamodb GetItem" },
        { DYNAMO_PUT_ITEM, "dynamodb PutItem" },
        { DYNAMO_QUERY, "dynamodb Query" },
        { DYNAMO_SCAN, "dynamodb Scan" },
        { DYNAMO_TRANSACT, "dynamodb TransactWriteItems" },
    };
    const char *what = "dynamodb";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].target, target) == 0) what = names[i].what;
    d->operation = strchr(target, '.') + 1;
    d->next = next;
    d->failed = failed;
    aws_errand_start(&d->errand, AWS_DYNAMODB, what);
}

static struct buf *new_body(struct dynamo_store *d)
{
    buf_fini(&d->body);
    return &d->body;
}

static struct slice table_of(const struct dynamo_store *d) { return slice_str(d->table); }

/* Pages: the same question until there is no start key. */
static void ask_page(struct dynamo_store *d, void (*on_page)(struct dynamo_store *d))
{
    struct slice start = buf_slice(&d->pages.start_key);
    if (d->pk.len)
        dynamo_query(new_body(d), table_of(d), buf_slice(&d->pk), start, false, 0);
    else
        dynamo_scan(new_body(d), table_of(d), start);
    call(d, d->pk.len ? DYNAMO_QUERY : DYNAMO_SCAN, on_page, NULL);
}

static void start_pages(struct dynamo_store *d, void (*on_page)(struct dynamo_store *d))
{
    dynamo_pages_fini(&d->pages);
    buf_fini(&d->store.document);
    ask_page(d, on_page);
}

/* True: that was the last page. */
static bool take_page(struct dynamo_store *d, void (*on_page)(struct dynamo_store *d))
{
    struct err err;
    if (!dynamo_add_page(&d->pages, buf_slice(&d->answer), &err)) {
        route_store_end(&d->store, &err);
        return false;
    }
    if (d->pages.start_key.len == 0) return true;
    ask_page(d, on_page);
    return false;
}

static void set_pk(struct dynamo_store *d, const char *pk)
{
    buf_fini(&d->pk);
    if (pk) buf_add_str(&d->pk, pk);
}

/* The end of an operation that has read a document. */
static void end_document(struct dynamo_store *d, bool ok, const struct err *err)
{
    struct err e = *err;
    dynamo_pages_fini(&d->pages);
    if (ok && d->store.document.len > TABLE_CAP_BYTES)
        ok = err_set(&e, ERR_INVALID_VALUE, "the document is too long");
    route_store_end(&d->store, ok ? NULL : &e);
}

/* ---- the loader's table --------------------------------------------------------------------- */

static void on_loader_page(struct dynamo_store *d)
{
    const struct config *config = d->config;
    struct err err = { 0 };
    if (!take_page(d, on_loader_page)) return;
    struct dynamo_cluster *clusters = calloc(config->n_clusters + 1, sizeof *clusters);
    bool ok = clusters != NULL;
    for (size_t i = 0; ok && i < config->n_clusters; i++) {
        const struct config_cluster *c = &config->clusters[i];
        clusters[i] = (struct dynamo_cluster){ slice_str(c->name), slice_str(c->endpoint.host),
                                               c->endpoint.port };
    }
    ok = ok && dynamo_read_loader(&d->pages, clusters, (uint32_t)config->n_clusters,
                                  &d->store.document, &d->store.problems);
    free(clusters);
    if (!ok) err_set(&err, ERR_OUT_OF_MEMORY, "");
    d->store.verdict = CACHE_BELIEVED;
    d->store.has_document = ok;
    end_document(d, ok, &err);
}

/* ---- looking and fetching ------------------------------------------------------------------- */

static void on_active(struct dynamo_store *d)
{
    struct err err;
    if (!dynamo_read_active(buf_slice(&d->answer), &d->store.active, &err)) {
        route_store_end(&d->store, &err);
        return;
    }
    d->store.verdict = d->store.active.generation ? CACHE_BELIEVED : CACHE_MISSING;
    route_store_end(&d->store, NULL);
}

static void look(struct route_store *s)
{
    struct dynamo_store *d = dynamo_of(s);
    if (d->is_loader) {
        set_pk(d, NULL);
        start_pages(d, on_loader_page);
        return;
    }
    dynamo_get_active(new_body(d), table_of(d));
    call(d, DYNAMO_GET_ITEM, on_active, NULL);
}

static void on_document_page(struct dynamo_store *d)
{
    struct err err;
    char hash[65];
    if (!take_page(d, on_document_page)) return;
    bool ok = dynamo_read_document(&d->pages, d->which.parts, &d->store.document, &err);
    if (ok) {
        route_store_hash(hash, buf_slice(&d->store.document));
        ok = strcmp(hash, d->which.hash) == 0 ||
             err_set(&err, ERR_INVALID_VALUE, "the document is not the one that its hash names");
    }
    end_document(d, ok, &err);
}

static void on_rules_page(struct dynamo_store *d)
{
    struct err err;
    if (!take_page(d, on_rules_page)) return;
    bool ok = dynamo_read_rules(&d->pages, d->which.generation, &d->store.document, &err);
    end_document(d, ok, &err);
}

static void fetch(struct route_store *s, const struct dynamo_active *which)
{
    struct dynamo_store *d = dynamo_of(s);
    d->which = *which;
    if (!which->hash[0]) {
        set_pk(d, "rule");
        start_pages(d, on_rules_page);
        return;
    }
    set_pk(d, NULL);
    dynamo_document_pk(&d->pk, which->hash);
    start_pages(d, on_document_page);
}

/* ---- putting -------------------------------------------------------------------------------- */

static void on_put(struct dynamo_store *d)
{
    buf_fini(&d->put);
    route_store_end(&d->store, NULL);
}

static void on_put_failed(struct dynamo_store *d, const struct err *err)
{
    struct err e = *err;
    if (strcmp(d->errand.last.code, "TransactionCanceledException") == 0) {
        err_set(&e, ERR_INVALID_VALUE, "somebody else has changed the table in force meanwhile");
        err_hint(&e, "Look at it (sluice route history) and try again.");
    }
    buf_fini(&d->put);
    route_store_end(&d->store, &e);
}

static void put_parts(struct dynamo_store *d);

static void on_part_failed(struct dynamo_store *d, const struct err *err)
{
    /* It is there already, and its name says that it is the same. */
    if (strcmp(d->errand.last.code, "ConditionalCheckFailedException") == 0)
        put_parts(d);
    else
        on_put_failed(d, err);
}

static void put_parts(struct dynamo_store *d)
{
    struct slice document = buf_slice(&d->put);
    if (d->part < d->parts) {
        dynamo_put_part(new_body(d), table_of(d), d->which.hash, document, d->part++);
        call(d, DYNAMO_PUT_ITEM, put_parts, on_part_failed);
    } else if (d->as_candidate) {
        dynamo_put_candidate(new_body(d), table_of(d), &d->which);
        call(d, DYNAMO_PUT_ITEM, on_put, on_put_failed);
    } else {
        dynamo_activate(new_body(d), table_of(d), d->store.active.generation, &d->which);
        call(d, DYNAMO_TRANSACT, on_put, on_put_failed);
    }
}

static void put(struct route_store *s, struct slice document, const struct dynamo_active *next,
                bool as_candidate)
{
    struct dynamo_store *d = dynamo_of(s);
    struct err err;
    d->which = *next;
    d->as_candidate = as_candidate;
    d->part = 0;
    d->which.parts = d->parts = dynamo_part_count(document);
    route_store_hash(d->which.hash, document);
    buf_fini(&d->put);
    buf_add_slice(&d->put, document);
    if (d->is_loader)
        err_set(&err, ERR_INVALID_VALUE, "the loader's table can only be read");
    else if (d->parts > DYNAMO_PARTS_MAX || d->put.failed)
        err_set(&err, ERR_INVALID_VALUE, "the document is too long");
    else
        err.code = ERR_NONE;
    if (err.code == ERR_NONE)
        put_parts(d);
    else
        on_put_failed(d, &err);
}

/* ---- candidate and history ------------------------------------------------------------------ */

static void on_candidate(struct dynamo_store *d)
{
    struct err err;
    bool ok = dynamo_read_active(buf_slice(&d->answer), &d->store.candidate, &err);
    route_store_end(&d->store, ok ? NULL : &err);
}

static void candidate(struct route_store *s)
{
    struct dynamo_store *d = dynamo_of(s);
    dynamo_get_candidate(new_body(d), table_of(d));
    call(d, DYNAMO_GET_ITEM, on_candidate, NULL);
}

static void on_history(struct dynamo_store *d)
{
    struct err err;
    struct dynamo_active line, *to;
    dynamo_pages_fini(&d->pages);
    bool ok = dynamo_add_page(&d->pages, buf_slice(&d->answer), &err);
    for (uint32_t i = 0; ok && dynamo_read_history(&d->pages, i, &line); i++)
        if ((to = route_store_add_history(&d->store))) *to = line;
    dynamo_pages_fini(&d->pages);
    route_store_end(&d->store, ok ? NULL : &err);
}

static void history(struct route_store *s)
{
    struct dynamo_store *d = dynamo_of(s);
    dynamo_query(new_body(d), table_of(d), slice_str("history"), (struct slice){ 0 }, true,
                 ROUTE_STORE_HISTORY);
    call(d, DYNAMO_QUERY, on_history, NULL);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void close_store(struct route_store *s)
{
    struct dynamo_store *d = dynamo_of(s);
    if (d->identity) {
        aws_errand_stop(&d->errand);
        aws_identity_free(d->identity);
    }
    config_unref(d->config);
    dynamo_pages_fini(&d->pages);
    buf_fini(&d->body);
    buf_fini(&d->answer);
    buf_fini(&d->pk);
    buf_fini(&d->put);
    route_store_fini(s);
    free(d);
}

static const struct route_store_kind kind = {
    look, fetch, put, candidate, history, close_store,
};

struct route_store *route_store_dynamo(const struct route_store_setup *setup, struct err *err)
{
    struct dynamo_store *d = calloc(1, sizeof *d);
    struct buf key = { 0 }, region = { 0 };
    if (!d) {
        err_set(err, ERR_OUT_OF_MEMORY, "");
        return NULL;
    }
    route_store_init(&d->store, &kind);
    d->config = config_ref(setup->config);
    d->table = d->config->routes.source + strlen("dynamodb:");
    d->is_loader = slice_starts(slice_str(d->table), "LambdaRedshiftBatchLoadConfig");
    d->store.has_order = !d->is_loader;
    struct config_aws settings = aws_identity_settings(d->config, NULL, &region);
    aws_identity_key(&settings, &key);
    d->identity =
        aws_identity_new(setup->uv, setup->http, d->config, &settings, buf_slice(&key), err);
    buf_fini(&key);
    buf_fini(&region);
    if (!d->identity) {
        close_store(&d->store);
        return NULL;
    }
    aws_errand_init(&d->errand, &errand_kind, d->identity, &setup->streams->wheel);
    return &d->store;
}
