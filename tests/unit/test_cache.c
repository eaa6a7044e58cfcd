/* cache: what is believed of what Redis, the disk and the source say. */
#include "unit/unit.h"

#include "routing/cache.h"
#include "unit/routes.h"

static const struct slice old_key = { "0123456789abcdef0123456789abcdef", 32 };
static const struct slice new_key = { "fedcba9876543210fedcba9876543210", 32 };
static const struct cache_trust trust = { { "prod", 4 }, &old_key, 1 };

static struct cache_head head_of(uint64_t generation, const char *document)
{
    struct cache_head h;
    cache_head_of(&h, generation, slice_str(document));
    return h;
}

static enum cache_verdict reread(const struct cache_head *h, const struct cache_trust *writer,
                                 const struct cache_trust *reader)
{
    struct buf line = { 0 };
    struct cache_head got = { 0 };
    cache_head_write(&line, h, writer);
    assert_false(line.failed);
    enum cache_verdict v = cache_head_read(&got, buf_slice(&line), reader);
    if (v == CACHE_BELIEVED) assert_memory_equal(&got, h, sizeof got);
    buf_fini(&line);
    return v;
}

static void a_head_is_read_back(void **state)
{
    (void)state;
    struct cache_head h = head_of(12, "document");
    assert_int_equal(reread(&h, &trust, &trust), CACHE_BELIEVED);
    /* Computed with sha256sum and openssl dgst -hmac. */
    struct buf line = { 0 };
    cache_head_write(&line, &h, &trust);
    buf_add_u8(&line, '\0');
    assert_string_equal(line.at,
                        "sluice-routes 1 12 8 "
                        "43cc23fa52b87b4cc1d02b5b114154151d6adddb17c9fddc06b027fa99e24008 "
                        "660d6ef50d0779734cb39caac0067d42a7319fa3062d8ce48423735764471b49\n");
    buf_fini(&line);
}

static void keys_and_scopes_matter(void **state)
{
    (void)state;
    const struct slice both[] = { new_key, old_key };
    const struct cache_trust renewed = { trust.scope, both, 2 },
                             other = { trust.scope, &new_key, 1 };
    const struct cache_trust test_system = { { "test", 4 }, &old_key, 1 };
    const struct cache_trust keyless = { trust.scope, NULL, 0 };
    struct cache_head h = head_of(1, "x");
    assert_int_equal(reread(&h, &trust, &renewed), CACHE_BELIEVED);
    assert_int_equal(reread(&h, &renewed, &other), CACHE_BELIEVED);
    assert_int_equal(reread(&h, &renewed, &trust), CACHE_FORGED);
    assert_int_equal(reread(&h, &trust, &test_system), CACHE_FORGED);
    assert_int_equal(reread(&h, &keyless, &trust), CACHE_FORGED);
    assert_int_equal(reread(&h, &trust, &keyless), CACHE_FORGED);
    assert_int_equal(reread(&h, &keyless, &keyless), CACHE_BELIEVED);

    struct err e;
    const struct slice weak = { "short", 5 };
    assert_true(cache_trust_check(&trust, &e));
    assert_false(cache_trust_check(&(struct cache_trust){ trust.scope, &weak, 1 }, &e));
    assert_false(cache_trust_check(&(struct cache_trust){ { "a b", 3 }, &old_key, 1 }, &e));
    assert_false(cache_trust_check(&(struct cache_trust){ { "", 0 }, &old_key, 1 }, &e));
}

static void any_changed_byte_is_noticed(void **state)
{
    (void)state;
    struct cache_head h = head_of(123, "document"), got;
    struct buf line = { 0 };
    cache_head_write(&line, &h, &trust);
    struct dice dice = { 3 };
    for (uint32_t i = 0; i < line.len; i++)
        for (int n = 0; n < 20; n++) {
            char before = line.at[i];
            line.at[i] = (char)roll(&dice, 256);
            if (line.at[i] != before)
                assert_int_not_equal(cache_head_read(&got, buf_slice(&line), &trust),
                                     CACHE_BELIEVED);
            line.at[i] = before;
        }
    for (uint32_t cut = 0; cut < line.len; cut++)
        assert_int_not_equal(cache_head_read(&got, slice_of(line.at, cut), &trust), CACHE_BELIEVED);
    buf_fini(&line);
    const char *const garbage[] = { "\n",
                                    "x\n",
                                    "sluice-routes\n",
                                    "sluice-routes 1\n",
                                    "sluice-routes 1 1 1 1 1\n",
                                    "sluice-routes 01 1 1 1 1\n" };
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
        assert_int_equal(cache_head_read(&got, slice_str(garbage[i]), &trust), CACHE_GARBAGE);
    assert_int_equal(cache_head_read(&got, slice_str(""), &trust), CACHE_MISSING);
    assert_int_equal(cache_head_read(&got, slice_str("sluice-routes 2 x\n"), &trust), CACHE_LATER);
}

static void the_disk_keeps_both(void **state)
{
    (void)state;
    struct cache_head h = head_of(5, "line 1\nline 2"), got;
    struct buf file = { 0 };
    struct slice document;
    cache_save(&file, &h, &trust, slice_str("line 1\nline 2"));
    assert_int_equal(cache_saved(buf_slice(&file), &trust, &got, &document), CACHE_BELIEVED);
    assert_true(slice_is(document, "line 1\nline 2"));
    assert_int_equal(got.generation, 5);
    file.at[file.len - 1] ^= 1;
    assert_int_equal(cache_saved(buf_slice(&file), &trust, &got, &document), CACHE_MISMATCH);
    for (uint32_t cut = 1; cut < file.len; cut++)
        assert_int_not_equal(cache_saved(slice_of(file.at, cut), &trust, &got, &document),
                             CACHE_BELIEVED);
    assert_int_equal(cache_saved(slice_str(""), &trust, &got, &document), CACHE_MISSING);
    buf_fini(&file);
}

static void names_in_redis(void **state)
{
    (void)state;
    struct buf key = { 0 };
    struct cache_head h = head_of(1, "");
    cache_key_document(&key, trust.scope, &h);
    buf_add_u8(&key, '\0');
    assert_string_equal(key.at, "sluice:{prod}:document:"
                                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    buf_fini(&key);
}

/* ---- the choice -------------------------------------------------------------------------------
 */

static void take(struct cache *c, uint64_t generation, const char *document, enum cache_from from,
                 int64_t now_s)
{
    struct cache_head h = head_of(generation, document);
    assert_int_equal(cache_on_head(c, CACHE_BELIEVED, &h, now_s), CACHE_FETCH);
    assert_int_equal(cache_on_document(c, &h, slice_str(document)), CACHE_VALIDATE);
    cache_accept(c, &h, from, now_s);
}

static void newer_is_taken_older_is_not(void **state)
{
    (void)state;
    struct cache c = { 0 };
    struct cache_head twelve = head_of(12, "b"), eleven = head_of(11, "a"),
                      again = head_of(12, "x"), renamed = head_of(13, "b"), next = head_of(14, "c");
    take(&c, 11, "a", CACHE_FROM_DISK, 100);
    take(&c, 12, "b", CACHE_FROM_REDIS, 200);
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &eleven, 300), CACHE_KEEP_OLDER);
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &again, 300), CACHE_KEEP_CONFLICT);
    assert_int_equal(cache_age_s(&c, 300), 100);
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &twelve, 300), CACHE_KEEP_SAME);
    assert_int_equal(cache_age_s(&c, 300), 0);
    /* The number goes up with the same rules; from then on the old number is a replay. */
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &renamed, 400), CACHE_KEEP_SAME);
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &twelve, 400), CACHE_KEEP_OLDER);
    for (int v = CACHE_MISSING; v <= CACHE_MISMATCH; v++)
        assert_int_equal(cache_on_head(&c, (enum cache_verdict)v, NULL, 500), CACHE_KEEP_DOUBTED);
    /* The head was right, the bytes are not. */
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &next, 500), CACHE_FETCH);
    assert_int_equal(cache_on_document(&c, &next, slice_str("d")), CACHE_KEEP_DOUBTED);
    assert_int_equal(cache_on_document(&c, &next, slice_str("")), CACHE_KEEP_DOUBTED);
    assert_int_equal(c.head.generation, 13);
    assert_int_equal(c.counts[CACHE_KEEP_CONFLICT], 1);
}

static void what_failed_is_not_tried_again(void **state)
{
    (void)state;
    struct cache c = { 0 };
    struct cache_head bad = head_of(2, "bad"), fixed = head_of(3, "good"),
                      insists = head_of(4, "bad");
    take(&c, 1, "a", CACHE_FROM_SOURCE, 1);
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &bad, 2), CACHE_FETCH);
    cache_refuse(&c, &bad);
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &bad, 3), CACHE_KEEP_REFUSED);
    assert_int_equal(c.head.generation, 1);
    /* A configuration that changed may make it valid: a new generation is tried. */
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &insists, 3), CACHE_FETCH);
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &fixed, 4), CACHE_FETCH);
}

static void a_slow_answer_does_not_win(void **state)
{
    (void)state;
    struct cache c = { 0 };
    struct cache_head slow = head_of(2, "slow");
    take(&c, 1, "a", CACHE_FROM_SOURCE, 1);
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &slow, 2), CACHE_FETCH);
    take(&c, 3, "fast", CACHE_FROM_SOURCE, 3);
    assert_int_equal(cache_on_document(&c, &slow, slice_str("slow")), CACHE_KEEP_OLDER);
}

static void redis_is_filled_again(void **state)
{
    (void)state;
    struct cache c = { 0 };
    struct cache_head older = head_of(1, "a"), newer = head_of(3, "c");
    assert_false(cache_should_publish(&c, CACHE_MISSING, NULL)); /* nothing to give */
    take(&c, 2, "b", CACHE_FROM_DISK, 1);
    assert_true(cache_should_publish(&c, CACHE_MISSING, NULL));
    assert_true(cache_should_publish(&c, CACHE_GARBAGE, NULL));
    assert_true(cache_should_publish(&c, CACHE_FORGED, NULL));
    assert_false(cache_should_publish(&c, CACHE_LATER, NULL));
    assert_true(cache_should_publish(&c, CACHE_BELIEVED, &older));
    assert_false(cache_should_publish(&c, CACHE_BELIEVED, &c.head));
    assert_false(cache_should_publish(&c, CACHE_BELIEVED, &newer));
}

static void without_versions_the_last_word_counts(void **state)
{
    (void)state;
    struct cache c = { 0 };
    take(&c, 0, "a", CACHE_FROM_SOURCE, 1);
    take(&c, 0, "b", CACHE_FROM_SOURCE, 2);
    take(&c, 1, "c", CACHE_FROM_SOURCE, 3);
    struct cache_head unversioned = head_of(0, "d");
    assert_int_equal(cache_on_head(&c, CACHE_BELIEVED, &unversioned, 4), CACHE_KEEP_OLDER);
}

/* Several proxies, one Redis that anybody may wipe, replay or scribble on, random order: no proxy
 * ever goes back, and once it is quiet all have the newest. */
static void proxies_converge(void **state)
{
    (void)state;
    enum { PROXIES = 4, DOCUMENTS = 30 };
    struct dice dice = { 12 };
    for (int round = 0; round < 200; round++) {
        struct cache c[PROXIES] = { 0 };
        char text[DOCUMENTS + 1][8];
        struct buf redis = { 0 }, stolen = { 0 };
        int newest = 0;
        for (int step = 0; step < 300; step++) {
            bool quiet = step > 250;
            struct cache *p = &c[roll(&dice, PROXIES)];
            uint64_t before = p->head.generation;
            unsigned event = quiet ? 9 : roll(&dice, 12);
            if (step == 0 || (event == 0 && newest < DOCUMENTS)) { /* the source changes */
                newest++;
                snprintf(text[newest], sizeof text[newest], "d%d", newest);
                take(p, (uint64_t)newest, text[newest], CACHE_FROM_SOURCE, step);
            } else if (event == 1) {
                buf_truncate(&redis, 0);
            } else if (event == 2) {
                buf_truncate(&redis, 0);
                buf_add_str(&redis, "FLUSHALL\n");
            } else if (event == 3 && redis.len) {
                buf_truncate(&stolen, 0);
                buf_add_slice(&stolen, buf_slice(&redis));
            } else if (event == 4 && stolen.len) {
                buf_truncate(&redis, 0);
                buf_add_slice(&redis, buf_slice(&stolen));
            } else { /* a proxy polls */
                struct cache_head head;
                enum cache_verdict v = cache_head_read(&head, buf_slice(&redis), &trust);
                if (cache_on_head(p, v, &head, step) == CACHE_FETCH) {
                    assert_int_equal(cache_on_document(p, &head, slice_str(text[head.generation])),
                                     CACHE_VALIDATE);
                    cache_accept(p, &head, CACHE_FROM_REDIS, step);
                }
                if (cache_should_publish(p, v, &head)) {
                    buf_truncate(&redis, 0);
                    cache_head_write(&redis, &p->head, &trust);
                }
            }
            assert_true(p->head.generation >= before);
        }
        for (int i = 0; i < 2 * PROXIES; i++) { /* everybody polls twice */
            struct cache *p = &c[i % PROXIES];
            struct cache_head head;
            enum cache_verdict v = cache_head_read(&head, buf_slice(&redis), &trust);
            if (cache_on_head(p, v, &head, 999) == CACHE_FETCH)
                cache_accept(p, &head, CACHE_FROM_REDIS, 999);
            if (cache_should_publish(p, v, &head)) {
                buf_truncate(&redis, 0);
                cache_head_write(&redis, &p->head, &trust);
            }
        }
        for (int i = 0; i < PROXIES; i++) assert_int_equal(c[i].head.generation, newest);
        buf_fini(&redis);
        buf_fini(&stolen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read_back),
        cmocka_unit_test(keys_and_scopes_matter),
        cmocka_unit_test(any_changed_byte_is_noticed),
        cmocka_unit_test(the_disk_keeps_both),
        cmocka_unit_test(names_in_redis),
        cmocka_unit_test(newer_is_taken_older_is_not),
        cmocka_unit_test(what_failed_is_not_tried_again),
        cmocka_unit_test(a_slow_answer_does_not_win),
        cmocka_unit_test(redis_is_filled_again),
        cmocka_unit_test(without_versions_the_last_word_counts),
        cmocka_unit_test(proxies_converge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
