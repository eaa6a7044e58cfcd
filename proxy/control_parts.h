/* control_parts: what the files of the control thread share; of no interest to anybody else.
 *
 *   control          the loop, signals, orders, beginning and end
 *   control_reload   a configuration on its way: SIGHUP, RELOAD, a poll, secrets that AWS changed
 *
 * Thread: control's.
 */
#ifndef SLUICE_PROXY_CONTROL_PARTS_H
#define SLUICE_PROXY_CONTROL_PARTS_H

#include "proxy/aws_secrets.h"
#include "proxy/config_origin.h"
#include "proxy/control.h"
#include "proxy/control_order.h"
#include "proxy/history.h"
#include "proxy/http_admin.h"
#include "proxy/route_force.h"
#include "proxy/route_keeper.h"
#include "proxy/route_order.h"
#include "proxy/route_show.h"
#include "proxy/shared.h"
#include "proxy/sockets.h"
#include "proxy/succession.h"
#include "proxy/traffic.h"

/* A configuration on its way: read, its secrets fetched from AWS, put in force. */
struct reload {
    char who[72];
    struct config *config;
    struct problems problems;
    struct control_order *order; /* who hears of the end; NULL: nobody */
    bool secrets_only;           /* the same configuration, with the secrets of today */
    bool is_poll;                /* no news are nothing to speak of */
    char version[CONFIG_ORIGIN_VERSION_BYTES];
};

struct control {
    uv_loop_t loop;
    uv_signal_t hup, term, interrupt, usr2;
    uv_timer_t deadline;
    uv_timer_t refresh; /* the next look at the secrets */
    uv_timer_t poll;    /* and at the configuration */
    uv_timer_t watchdog;
    uv_process_t next; /* the binary that takes over */
    int64_t next_pid;  /* 0: there is none */
    struct succession succession;
    struct sockets sockets;
    uv_async_t all_gone;
    uv_async_t secret_refused;
    struct mailbox mailbox; /* orders from the console; answers from workers */
    struct shared *shared;
    struct http *http;
    struct overview overview;
    struct http_admin admin; /* health, metrics, the dashboard */
    struct realm *realm;
    struct route_force *routes, *shadow;
    struct route_keeper *keeper;
    uint64_t route_serial; /* of the last table in force */
    struct route_shadow_counts shadow_began;
    struct route_orders route_orders;
    struct traffic traffic;
    struct log *log;
    struct aws_secrets *secrets;
    struct config_origin *source; /* NULL: the configuration is a file */
    const struct control_start *start;
    uint64_t seen[2];         /* what was found there last, good or bad */
    struct reload *reload;    /* NULL: none under way */
    struct mail *orders;      /* reloads that wait for it to end */
    int64_t secrets_asked_ms; /* when they were looked at last */
    bool reload_again;        /* SIGHUP came meanwhile */
    bool draining;
};

enum reload_kind { RELOAD_ALL, RELOAD_SECRETS, RELOAD_POLL };

/* Begins one, or has it wait for the one under way. `order`: who hears of its end; NULL: nobody. */
void control_reload(struct control *c, const char *who, struct control_order *order,
                    enum reload_kind kind);

/* What is under way at the end comes to nothing. */
void control_drop_reloads(struct control *c);

/* The next looks at the secrets, and at a configuration that is no file. */
void control_schedule_refresh(struct control *c);
void control_schedule_poll(struct control *c);
void control_on_secret_refused(uv_async_t *async);

/* True: it is what it was when we looked last. */
bool control_is_seen(struct control *c, struct slice text);

/* For a start while AWS cannot be reached. It holds references, no secrets. */
void control_save_config(struct control *c);

void control_log_problems(struct control *c, const struct problems *problems, const char *path);
void control_apply_log(struct control *c);
void control_warn_of_the_world(struct control *c);

/* These are in force from now on; takes the reference over, tells no worker. */
void control_force_routes(struct control *c, struct route_force *routes);
void control_force_shadow(struct control *c, struct route_force *shadow);

#endif
