#include "proxy/io/offload.h"

#include "protocol/list.h"

static void on_work(uv_work_t *request)
{
    struct offload *o = list_item(request, struct offload, request);
    o->work(o);
}

static void on_done(uv_work_t *request, int status)
{
    (void)status; /* only uv_cancel fails a request, and nobody calls that */
    struct offload *o = list_item(request, struct offload, request);
    o->done(o);
}

void offload_run(uv_loop_t *uv, struct offload *o, void (*work)(struct offload *o),
                 void (*done)(struct offload *o))
{
    o->work = work;
    o->done = done;
    uv_queue_work(uv, &o->request, on_work, on_done);
}
