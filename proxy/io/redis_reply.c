#include "proxy/io/redis_reply.h"

#include <hiredis/read.h>
#include <stdlib.h>

struct redis_reader {
    redisReader *reader;
    uint32_t cap_bytes;
    uint32_t elements_left; /* of the reply under way */
    size_t bytes_left;
};

/* ---- building ------------------------------------------------------------------------------- */

/* Where hiredis puts an object: a place in its array, or memory of its own. */
static struct redis_reply *place(const redisReadTask *task)
{
    struct redis_reader *r = task->privdata;
    if (r->elements_left == 0) return NULL;
    r->elements_left--;
    if (!task->parent) return calloc(1, sizeof(struct redis_reply));
    struct redis_reply *array = task->parent->obj;
    return &array->elements[task->idx];
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
    static const enum redis_type types[] = {
        [REDIS_REPLY_STRING] = REDIS_TEXT,
        [REDIS_REPLY_STATUS] = REDIS_STATUS,
        [REDIS_REPLY_ERROR] = REDIS_ERROR,
    };
    struct redis_reader *r = task->privdata;
    struct redis_reply *reply = NULL;
    if (len > r->bytes_left) return NULL;
    char *copy = malloc(len + 1);
    if (copy) reply = place(task);
    if (!reply) {
        free(copy);
        return NULL;
    }
    r->bytes_left -= len;
    memcpy(copy, text, len);
    copy[len] = 0;
    reply->type = types[task->type];
    reply->text = slice_of(copy, len);
    return reply;
}

static void *create_array(const redisReadTask *task, int count)
{
    struct redis_reader *r = task->privdata;
    if (count < 0 || (uint32_t)count > r->elements_left) return NULL;
    struct redis_reply *elements = calloc((size_t)count + 1, sizeof *elements), *reply = NULL;
    if (elements) reply = place(task);
    if (!reply) {
        free(elements);
        return NULL;
    }
    reply->type = REDIS_ARRAY;
    reply->elements = elements;
    reply->count = (size_t)count;
    return reply;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct redis_reply *reply = place(task);
    if (!reply) return NULL;
    reply->type = REDIS_INTEGER;
    reply->integer = value;
    return reply;
}

static void *create_nil(const redisReadTask *task) { return place(task); }

static void free_content(struct redis_reply *reply)
{
    for (size_t i = 0; i < reply->count; i++) free_content(&reply->elements[i]);
    free(reply->elements);
    free((void *)(uintptr_t)reply->text.at);
}

static void free_reply(void *reply) { redis_reply_free(reply); }

void redis_reply_free(struct redis_reply *r)
{
    if (!r) return;
    free_content(r);
    free(r);
}

/* hiredis takes a pointer that may be written through, and only reads. */
static const redisReplyObjectFunctions functions = {
    create_string, create_array, create_integer, create_nil, free_reply,
};

/* ---- reading -------------------------------------------------------------------------------- */

static void begin_reply(struct redis_reader *r)
{
    r->elements_left = REDIS_ELEMENTS_MAX;
    r->bytes_left = r->cap_bytes;
}

struct redis_reader *redis_reader_new(uint32_t cap_bytes)
{
    struct redis_reader *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->reader = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)(uintptr_t)&functions);
    if (!r->reader) {
        free(r);
        return NULL;
    }
    r->reader->privdata = r;
    r->cap_bytes = cap_bytes;
    begin_reply(r);
    return r;
}

void redis_reader_free(struct redis_reader *r)
{
    if (!r) return;
    redisReaderFree(r->reader);
    free(r);
}

bool redis_reader_feed(struct redis_reader *r, struct slice bytes, struct err *err)
{
    size_t held = r->reader->len - r->reader->pos;
    if (held + bytes.len > (size_t)r->cap_bytes + 4096)
        return err_set(err, ERR_CACHE_AWAY, "the answer is longer than %u bytes", r->cap_bytes);
    if (redisReaderFeed(r->reader, bytes.at, bytes.len) != REDIS_OK)
        return err_set(err, ERR_CACHE_AWAY, "not a Redis, or too much of it");
    return true;
}

bool redis_reader_next(struct redis_reader *r, struct redis_reply **out, struct err *err)
{
    void *reply = NULL;
    *out = NULL;
    if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
        return err_set(err, ERR_CACHE_AWAY, "not an answer of a Redis, or too long");
    if (!reply) return true;
    begin_reply(r);
    *out = reply;
    return true;
}
