#include "proxy/guide.h"

#include "protocol/startup.h"
#include "proxy/judge.h"
#include "proxy/realm.h"
#include "proxy/route_force.h"

#include <time.h>

enum { DB_USERS_MAX = 64 };

static struct match_address match_address_of(const struct address *a)
{
    static const enum match_family families[] = {
        [ADDRESS_UNIX] = FAMILY_NONE, [ADDRESS_V4] = FAMILY_V4, [ADDRESS_V6] = FAMILY_V6
    };
    struct match_address m = { .family = families[a->family] };
    memcpy(m.at, a->bytes, sizeof m.at);
    return m;
}

/* The database users that a rule may choose for this role; `slices` has room for them all. */
static uint32_t db_users_of(const struct realm_role *role, struct slice *slices, uint32_t room)
{
    uint32_t n = 0;
    for (; role && n < role->config->db_users.count && n < room; n++)
        slices[n] = slice_str(role->config->db_users.items[n]);
    return n;
}

static bool no_route(struct err *err, const struct route_decision *d)
{
    if (d->outcome == ROUTE_DENY)
        return err_set(err, ERR_ACCESS_DENIED, "%.*s", (int)(d->deny.len < 200 ? d->deny.len : 200),
                       d->deny.at);
    err_set(err, ERR_NO_ROUTE, "");
    err_hint(err, "ask your administrator: `sluice route explain` tells why");
    return false;
}

static void hold_routes(struct session *s)
{
    guide_end(s);
    s->routes = route_force_ref(s->client.env->routes);
}

bool guide_login(struct session *s, struct guide_route *route, struct err *err)
{
    struct client *c = &s->client;
    const struct realm *realm = c->env->realm;
    struct slice database = startup_get(client_startup(c), "database"), db_users[DB_USERS_MAX];
    struct route_facts facts = {
        .user = c->user->name,
        .role = c->user->role,
        .database = database.len ? database : startup_get(client_startup(c), "user"),
        .application = startup_get(client_startup(c), "application_name"),
        .query_group = startup_get(client_startup(c), "query_group"),
        .client = match_address_of(&c->address),
        .tls = stream_is_tls(&c->stream),
        .at_s = time(NULL),
        .db_user = client_db_user(c),
        .db_users = db_users,
        .db_user_count = db_users_of(judge_role(s), db_users, DB_USERS_MAX),
    };
    struct route_decision d;
    hold_routes(s);
    *route = (struct guide_route){
        .cluster = &realm->clusters[0],
        .db_user = facts.db_user,
        .database = facts.database,
        .pool = &realm->config->pool,
    };
    if (!s->routes->table) return true;
    if (!route_decide(s->routes->table, &facts, NULL, &d)) return no_route(err, &d);
    for (size_t i = 0; i < realm->config->n_clusters; i++)
        if (slice_is(d.clusters[0], realm->clusters[i].config->name))
            route->cluster = &realm->clusters[i];
    route->db_user = d.db_user;
    route->database = d.database;
    route->pool = route_force_pool(s->routes, d.login_rule);
    s->rule = d.id;
    s->query_group = d.query_group;
    return true;
}

void guide_end(struct session *s)
{
    route_force_unref(s->routes);
    s->routes = NULL;
}
