#include "proxy/places.h"

#include "proxy/aws_feed.h"
#include "proxy/ops/log.h"

#include <stdlib.h>

enum {
    GOOD_MS = 10 * 60 * 1000, /* an endpoint is asked for again after this */
    BLOCKED_MS = 5 * 1000,    /* how long a failure is remembered */
    DENIED_MS = 30 * 1000,    /* likewise, a refusal */
};

struct place {
    struct places *places;
    char *key, *cluster, *name; /* ours, and AWS's, which lies in the key */
    enum redshift_api api;
    struct aws_errand errand;
    struct list waiting;
    struct redshift_endpoint found, answer;
    int64_t good_until_ms, blocked_until_ms;
    struct err why; /* while blocked */
    bool for_good;
};

void places_init(struct places *p, struct wheel *wheel, struct log *log, struct map_seed seed)
{
    *p = (struct places){ .wheel = wheel, .log = log };
    map_init(&p->by_key, seed);
}

static void place_free(struct place *place)
{
    aws_errand_stop(&place->errand);
    free(place->cluster);
    free(place->key);
    free(place);
}

void places_fini(struct places *p)
{
    uint32_t at = 0;
    struct place *place;
    while ((place = map_next(&p->by_key, &at))) place_free(place);
    map_fini(&p->by_key);
}

const char *place_host(const struct place *place) { return place->found.host; }

uint16_t place_port(const struct place *place) { return place->found.port; }

/* ---- asking --------------------------------------------------------------------------------- */

static struct place *place_of(struct aws_errand *e) { return list_item(e, struct place, errand); }

static bool build(struct aws_errand *e, const struct aws_signer *signer,
                  struct aws_request *request, struct err *err)
{
    const struct place *place = place_of(e);
    return redshift_endpoint_request(place->api, slice_str(place->name), signer, request) ||
           err_set(err, ERR_OUT_OF_MEMORY, "");
}

static bool read_answer(struct aws_errand *e, const struct aws_response *response,
                        struct aws_error *error)
{
    struct place *place = place_of(e);
    return redshift_endpoint_answer(place->api, response, &place->answer, error);
}

/* Whether one can connect there, and if not, why. */
static bool is_open(const struct place *place, struct err *err)
{
    const struct redshift_endpoint *a = &place->answer;
    switch (a->state) {
    case REDSHIFT_PAUSED:
        err_set(err, ERR_WAREHOUSE_PAUSED, "cluster \"%s\" is paused", place->cluster);
        err_hint(err, "resume it: aws redshift resume-cluster --cluster-identifier %s",
                 place->name);
        return false;
    case REDSHIFT_GONE:
        return err_set(err, ERR_SERVER_REJECTED, "cluster \"%s\" is not there any more: %s",
                       place->cluster, a->status);
    case REDSHIFT_CREATING:
    case REDSHIFT_AVAILABLE:
    case REDSHIFT_BUSY: break;
    }
    if (a->host[0]) return true;
    return err_set(err, ERR_NO_CREDENTIALS, "cluster \"%s\" has no endpoint yet: %s",
                   place->cluster, a->status[0] ? a->status : "status unknown");
}

static void tell(struct place *place, const struct err *err, bool for_good)
{
    struct list waiting, *node;
    list_init(&waiting);
    while ((node = list_pop_front(&place->waiting))) list_push_back(&waiting, node);
    while ((node = list_pop_front(&waiting))) {
        struct place_wait *w = list_item(node, struct place_wait, node);
        w->ready(w, err, for_good);
    }
}

static void log_found(const struct place *place)
{
    log_event(place->places->log, EVENT_cluster_found, LOG_TEXT("cluster", place->cluster),
              LOG_TEXT("host", place->found.host), LOG_U64("port", place->found.port),
              LOG_TEXT("status", place->found.status), LOG_END);
}

static void done(struct aws_errand *e, const struct err *err, bool for_good)
{
    struct place *place = place_of(e);
    int64_t now_ms = aws_feed_now_ms();
    struct err why;
    if (!err && !is_open(place, &why)) {
        err = &why;
        for_good = why.code != ERR_NO_CREDENTIALS;
        place->found.host[0] = 0; /* AWS knows better than we did */
    }
    if (!err) {
        bool is_new = strcmp(place->found.host, place->answer.host) != 0 ||
                      place->found.port != place->answer.port;
        place->found = place->answer;
        place->good_until_ms = now_ms + GOOD_MS;
        if (is_new) log_found(place);
        tell(place, NULL, false);
        return;
    }
    place->why = *err;
    place->for_good = for_good;
    place->blocked_until_ms = now_ms + (for_good ? DENIED_MS : BLOCKED_MS);
    log_event(place->places->log, EVENT_cluster_not_found, LOG_TEXT("cluster", place->cluster),
              LOG_TEXT("why", place->why.message), LOG_TEXT("hint", place->why.hint), LOG_END);
    if (place->found.host[0])
        tell(place, NULL, false);
    else
        tell(place, &place->why, for_good);
}

static const struct aws_errand_kind asking = { .build = build, .read = read_answer, .done = done };

/* ---- using ---------------------------------------------------------------------------------- */

struct place *places_get(struct places *p, const struct config_cluster *cluster,
                         struct aws_identity *identity)
{
    bool serverless = cluster->credentials.source == CONFIG_SOURCE_IAM_SERVERLESS;
    const char *name =
        serverless ? cluster->credentials.workgroup : cluster->credentials.cluster_identifier;
    struct buf key = { 0 };
    buf_addf(&key, "%s%s\n%d\n%s", identity->key, cluster->name, serverless, name ? name : "");
    buf_add_u8(&key, 0);
    struct place *place = key.failed ? NULL : map_get(&p->by_key, slice_str(key.at));
    if (place || key.failed) {
        buf_fini(&key);
        return place;
    }
    place = calloc(1, sizeof *place);
    if (place) {
        place->places = p;
        place->key = key.at;
        place->name = strrchr(key.at, '\n') + 1;
        place->cluster = strdup(cluster->name);
        place->api = serverless ? REDSHIFT_WORKGROUP : REDSHIFT_BY_USER;
        list_init(&place->waiting);
        aws_errand_init(&place->errand, &asking, identity, p->wheel);
        if (place->cluster && map_put(&p->by_key, slice_str(place->key), place)) return place;
        place_free(place);
        return NULL;
    }
    buf_fini(&key);
    return NULL;
}

bool place_use(struct place *place, struct place_wait *w)
{
    int64_t now_ms = aws_feed_now_ms();
    if (place->found.host[0] && now_ms < place->good_until_ms) return true;
    if (now_ms < place->blocked_until_ms) {
        if (place->found.host[0]) return true;
        w->ready(w, &place->why, place->for_good);
        return false;
    }
    list_push_back(&place->waiting, &w->node);
    aws_errand_start(&place->errand, redshift_service(place->api),
                     place->api == REDSHIFT_WORKGROUP ? "redshift-serverless GetWorkgroup"
                                                      : "redshift DescribeClusters");
    return false;
}

void place_explain(const struct place *place, struct err *err)
{
    aws_errand_explain(&place->errand, err);
}

void place_doubt(struct place *place) { place->good_until_ms = 0; }
