/* fuzz_route_bytes: the small readers of routing/: networks, hours, weekdays, shares, regular
 * expressions, time zones, heads of the cache, answers of DynamoDB. The first byte chooses. */
#include "routing/cache.h"
#include "routing/dynamo.h"
#include "routing/match.h"
#include "routing/regex.h"
#include "routing/zone.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) abort();
}

static void on_words(struct slice s)
{
    struct err e;
    struct match_cidr cidr;
    struct match_address address;
    struct match_hours hours;
    uint8_t days;
    uint32_t ppm;
    if (cidr_parse(s, &cidr, &e)) require(cidr_has(&cidr, &cidr.base) && cidr_covers(&cidr, &cidr));
    if (address_parse(s, &address)) {
        char text[ADDRESS_TEXT_BYTES];
        struct match_address again;
        require(address_parse(slice_str(match_address_text(&address, text)), &again));
        require(memcmp(&address, &again, sizeof again) == 0);
    }
    if (hours_parse(s, &hours, &e)) require(hours_has(hours, hours.from_min));
    if (weekdays_parse(s, &days, &e)) require(days != 0 && days < 0x80);
    if (share_parse(s, &ppm, &e)) require(ppm <= SHARE_WHOLE_PPM);
}

static void on_expression(struct slice s)
{
    struct err e;
    struct regex *r = regex_new(s, &e);
    struct regex_scratch *scratch = regex_scratch_new();
    if (r && scratch) regex_run(r, scratch, s);
    regex_free(r);
    regex_scratch_free(scratch);
}

static void on_zone(struct slice s)
{
    struct arena a = { 0 };
    struct err e;
    const struct zone *z = zone_from_tzif(&a, s, &e);
    if (!z) z = zone_fixed(&a, s);
    static const int64_t moments[] = { INT64_MIN, -1, 0, 1767614400, 4102444800, INT64_MAX };
    for (size_t i = 0; z && i < sizeof moments / sizeof *moments; i++)
        require(zone_minute_of_week(z, moments[i]) < WEEK_MINUTES);
    zone_is_name(s);
    arena_fini(&a);
}

static void on_head(struct slice s)
{
    static const struct slice key = { "0123456789abcdef", 16 };
    const struct cache_trust signing = { { "s", 1 }, &key, 1 }, keyless = { { "s", 1 }, NULL, 0 };
    struct cache_head head;
    struct slice document;
    struct buf again = { 0 };
    require(cache_saved(s, &signing, &head, &document) != CACHE_BELIEVED);
    if (cache_head_read(&head, s, &keyless) == CACHE_BELIEVED) {
        cache_head_write(&again, &head, &keyless);
        require(slice_eq(buf_slice(&again), s)); /* there is one way to write it */
    }
    buf_fini(&again);
}

static void on_answer(struct slice s)
{
    static const struct dynamo_cluster clusters[] = { { { "c", 1 }, { "h", 1 }, 5439 } };
    struct dynamo_active active;
    struct dynamo_pages pages = { 0 };
    struct problems problems = { 0 };
    struct buf out = { 0 };
    struct err e;
    dynamo_read_active(s, &active, &e);
    if (dynamo_add_page(&pages, s, &e)) {
        dynamo_read_rules(&pages, 1, &out, &e);
        dynamo_read_document(&pages, 1, &out, &e);
        dynamo_read_loader(&pages, clusters, 1, &out, &problems);
        dynamo_read_history(&pages, 0, &active);
    }
    problems_fini(&problems);
    buf_fini(&out);
    dynamo_pages_fini(&pages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct slice) = { on_words, on_expression, on_zone, on_head,
                                                     on_answer };
    if (size == 0) return 0;
    readers[data[0] % 5](slice_of(data + 1, size - 1));
    return 0;
}
