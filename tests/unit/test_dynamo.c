/* dynamo: requests as DynamoDB wants them, answers as it gives them. */
#include "unit/unit.h"

#include "routing/dynamo.h"
#include "routing/table.h"

#include <stdlib.h>

static const struct slice table = { "sluice-routes", 13 };

static const char *text(struct buf *b)
{
    static char copy[8192];
    assert_false(b->failed);
    assert_true(b->len < sizeof copy);
    memcpy(copy, b->at, b->len);
    copy[b->len] = '\0';
    buf_fini(b);
    return copy;
}

static void requests(void **state)
{
    (void)state;
    struct buf b = { 0 };
    dynamo_get_active(&b, table);
    assert_string_equal(text(&b), "{\"TableName\":\"sluice-routes\",\"ConsistentRead\":true,"
                                  "\"Key\":{\"pk\":{\"S\":\"active\"},\"sk\":{\"S\":\"table\"}}}");
    dynamo_query(&b, table, slice_str("history"), slice_str("{\"pk\":{\"S\":\"history\"}}"), true,
                 5);
    assert_string_equal(text(&b), "{\"TableName\":\"sluice-routes\",\"ConsistentRead\":true,"
                                  "\"KeyConditionExpression\":\"pk = :pk\","
                                  "\"ExpressionAttributeValues\":{\":pk\":{\"S\":\"history\"}},"
                                  "\"ScanIndexForward\":false,\"Limit\":5,"
                                  "\"ExclusiveStartKey\":{\"pk\":{\"S\":\"history\"}}}");
    dynamo_scan(&b, slice_str("Lambda\"Table"), slice_str(""));
    assert_string_equal(text(&b), "{\"TableName\":\"Lambda\\\"Table\",\"ConsistentRead\":true}");
    dynamo_describe(&b, table);
    assert_string_equal(text(&b), "{\"TableName\":\"sluice-routes\"}");
}

static void activation_is_conditional(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct dynamo_active next = {
        .generation = 8, .parts = 1, .author = "ana", .time = "2026-11-23", .action = "activate"
    };
    memset(next.hash, 'a', 64);
    dynamo_activate(&b, table, 7, &next);
    const char *body = text(&b);
    assert_non_null(strstr(body, "\"ConditionExpression\":\"#g = :before\""));
    assert_non_null(strstr(body, "\":before\":{\"N\":\"7\"}"));
    assert_non_null(
        strstr(body, "\"pk\":{\"S\":\"history\"},\"sk\":{\"S\":\"00000000000000000008\"}"));
    dynamo_activate(&b, table, 0, &next);
    body = text(&b);
    assert_null(strstr(body, ":before"));
    assert_non_null(strstr(body, "\"ConditionExpression\":\"attribute_not_exists(pk)\""));
}

static void what_is_active(void **state)
{
    (void)state;
    struct dynamo_active a;
    struct err e;
    assert_true(dynamo_read_active(slice_str("{}"), &a, &e));
    assert_int_equal(a.generation, 0);
    assert_true(dynamo_read_active(
        slice_str(
            "{\"Item\":{\"pk\":{\"S\":\"active\"},\"generation\":{\"N\":\"12\"},\"parts\":{\"N\":"
            "\"2\"},"
            "\"hash\":{\"S\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
            "\"author\":{\"S\":\"ana\"}},\"ConsumedCapacity\":null}"),
        &a, &e));
    assert_int_equal(a.generation, 12);
    assert_int_equal(a.parts, 2);
    assert_string_equal(a.author, "ana");
    assert_true(dynamo_read_active(slice_str("{\"Item\":{\"generation\":{\"N\":\"3\"}}}"), &a, &e));
    assert_string_equal(a.hash, "");
    static const char *const bad[] = {
        "",
        "[]",
        "{\"Item\":{}}",
        "{\"Item\":{\"generation\":{\"S\":\"1\"}}}",
        "{\"Item\":{\"generation\":{\"N\":\"1.5\"}}}",
        "{\"Item\":{\"generation\":{\"N\":\"-1\"}}}",
        "{\"Item\":{\"generation\":{\"N\":\"99999999999999999999999999999999999999\"}}}",
        "{\"Item\":{\"generation\":{\"N\":\"1\"},\"hash\":{\"S\":\"../../"
        "x\"},\"parts\":{\"N\":\"1\"}}}",
        "{\"Item\":{\"generation\":{\"N\":\"1\",\"S\":\"1\"}}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (dynamo_read_active(slice_str(bad[i]), &a, &e)) fail_msg("%s was taken", bad[i]);
}

static void a_document_in_pieces(void **state)
{
    (void)state;
    /* A character of two bytes across the border of two pieces. */
    size_t len = 2 * DYNAMO_PART_BYTES + 100;
    char *document = malloc(len);
    assert_non_null(document);
    for (size_t i = 0; i < len; i++) document[i] = "ab\"\\\n"[i % 5];
    memcpy(document + DYNAMO_PART_BYTES - 1, "\xc3\xa4", 2);
    struct slice whole = slice_of(document, len);
    assert_int_equal(dynamo_part_count(whole), 3);
    assert_int_equal(dynamo_part_count(slice_str("")), 0);

    struct dynamo_pages pages = { 0 };
    struct err e;
    for (uint32_t part = 0; part < 3; part++) {
        struct buf body = { 0 }, page = { 0 };
        dynamo_put_part(&body, table, "HASH", whole, part);
        buf_add_u8(&body, '\0');
        /* The item as it was put comes back on a page of its own. */
        const char *item = strstr(body.at, "\"Item\":");
        assert_non_null(item);
        buf_addf(&page, "{\"Items\":[%.*s]%s}", (int)(strlen(item) - 8), item + 7,
                 part < 2 ? ",\"LastEvaluatedKey\":{\"pk\":{\"S\":\"a\\\"b\"},\"n\":{\"N\":\"1\"}}"
                          : "");
        if (!dynamo_add_page(&pages, buf_slice(&page), &e)) fail_msg("%s", e.message);
        if (part < 2) {
            buf_add_u8(&pages.start_key, '\0');
            assert_string_equal(pages.start_key.at,
                                "{\"pk\":{\"S\":\"a\\\"b\"},\"n\":{\"N\":\"1\"}}");
        }
        buf_fini(&body);
        buf_fini(&page);
    }
    assert_int_equal(pages.start_key.len, 0);
    struct buf out = { 0 };
    assert_true(dynamo_read_document(&pages, 3, &out, &e));
    assert_int_equal(out.len, len);
    assert_memory_equal(out.at, document, len);
    assert_false(dynamo_read_document(&pages, 2, &out, &e));
    assert_false(dynamo_read_document(&pages, 4, &out, &e));
    buf_fini(&out);
    dynamo_pages_fini(&pages);
    free(document);
}

static void add_page(struct dynamo_pages *p, const char *answer)
{
    struct err e;
    if (!dynamo_add_page(p, slice_str(answer), &e)) fail_msg("%s", e.message);
}

static void rules_as_items(void **state)
{
    (void)state;
    struct dynamo_pages p = { 0 };
    struct err e;
    struct buf out = { 0 };
    add_page(&p, "{\"Items\":[{\"pk\":{\"S\":\"rule\"},\"sk\":{\"S\":\"default\"},\"position\":{"
                 "\"N\":\"20\"},"
                 "\"rule\":{\"M\":{\"to\":{\"L\":[{\"S\":\"a\"},{\"S\":\"b\"}]}}}}],"
                 "\"LastEvaluatedKey\":{\"pk\":{\"S\":\"rule\"},\"sk\":{\"S\":\"default\"}}}");
    add_page(
        &p,
        "{\"Items\":[],\"LastEvaluatedKey\":{\"pk\":{\"S\":\"rule\"},\"sk\":{\"S\":\"default\"}}}");
    add_page(&p,
             "{\"Items\":[{\"sk\":{\"S\":\"loads\"},\"position\":{\"N\":\"10\"},\"rule\":{\"M\":{"
             "\"id\":{\"S\":\"other\"},\"when\":{\"M\":{\"role\":{\"SS\":[\"loader\"]},\"percent\":"
             "{\"N\":\"12.5\"},"
             "\"tls\":{\"BOOL\":true}}},\"to\":{\"S\":\"a\"}}}}]}");
    assert_true(dynamo_read_rules(&p, 4, &out, &e));
    struct problems problems = { 0 };
    struct route_table *t = table_load(buf_slice(&out), NULL, &problems);
    if (!t) fail_msg("%s", problems.items[0].text);
    assert_int_equal(route_table_version(t), 4);
    assert_true(slice_is(route_rule_id(t, 0), "loads"));
    assert_true(slice_is(route_rule_id(t, 1), "default"));
    assert_string_equal(text(&out), "{\"version\":4,\"rules\":[\n"
                                    "{\"id\":\"loads\",\"when\":{\"role\":[\"loader\"],\"percent\":"
                                    "12.5,\"tls\":true},\"to\":\"a\"},\n"
                                    "{\"id\":\"default\",\"to\":[\"a\",\"b\"]}]}\n");
    route_table_unref(t);
    problems_fini(&problems);
    dynamo_pages_fini(&p);

    static const char *const bad[] = {
        "{\"Items\":[{\"sk\":{\"S\":\"x\"},\"rule\":{\"M\":{}}}]}",
        "{\"Items\":[{\"sk\":{\"S\":\"x\"},\"position\":{\"N\":\"1\"}}]}",
        "{\"Items\":[{\"sk\":{\"S\":\"x\"},\"position\":{\"N\":\"1\"},\"rule\":{\"M\":{\"a\":{"
        "\"B\":\"AA==\"}}}}]}",
        "{\"Items\":[{\"sk\":{\"S\":\"x\"},\"position\":{\"N\":\"1\"},\"rule\":{\"M\":{\"a\":{"
        "\"N\":\"1,\\\"b\\\":2\"}}}}]}",
        "{\"Items\":[3]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        add_page(&p, bad[i]);
        if (dynamo_read_rules(&p, 1, &out, &e)) fail_msg("%s was taken", bad[i]);
        buf_fini(&out);
        dynamo_pages_fini(&p);
    }
    assert_false(dynamo_add_page(&p, slice_str("{}"), &e));
    assert_false(dynamo_add_page(&p, slice_str("{\"Items\":"), &e));
    dynamo_pages_fini(&p);
}

static void history(void **state)
{
    (void)state;
    struct dynamo_pages p = { 0 };
    struct dynamo_active a;
    add_page(&p, "{\"Items\":[{\"generation\":{\"N\":\"2\"},\"author\":{\"S\":\"bob\"},\"action\":{"
                 "\"S\":\"rollback\"}},"
                 "{\"generation\":{\"N\":\"1\"},\"author\":{\"S\":\"ana\"}}]}");
    assert_true(dynamo_read_history(&p, 1, &a));
    assert_string_equal(a.author, "ana");
    assert_true(dynamo_read_history(&p, 0, &a));
    assert_string_equal(a.action, "rollback");
    assert_false(dynamo_read_history(&p, 2, &a));
    dynamo_pages_fini(&p);
}

static void the_loaders_table(void **state)
{
    (void)state;
    const struct dynamo_cluster clusters[] = {
        { slice_str("warehouse"), slice_str("wh.example"), 5439 },
        { slice_str("other"), slice_str("other.example"), 5440 }
    };
    struct dynamo_pages p = { 0 };
    struct problems problems = { 0 };
    struct buf out = { 0 };
    add_page(&p,
             "{\"Items\":["
             "{\"s3Prefix\":{\"S\":\"b/one\"},\"loadClusters\":{\"L\":["
             "{\"M\":{\"clusterEndpoint\":{\"S\":\"WH.example\"},\"clusterPort\":{\"N\":\"5439\"},"
             "\"clusterDB\":{\"S\":\"dev\"},"
             "\"connectUser\":{\"S\":\"loader\"},\"connectPassword\":{\"S\":\"SECRET\"},"
             "\"targetTable\":{\"S\":\"t1\"}}},"
             "{\"M\":{\"clusterEndpoint\":{\"S\":\"other.example\"},\"clusterPort\":{\"N\":"
             "\"5440\"},\"clusterDB\":{\"S\":\"dev\"},"
             "\"connectUser\":{\"S\":\"both\"}}}]}},"
             "{\"s3Prefix\":{\"S\":\"b/two\"},\"loadClusters\":{\"L\":["
             "{\"M\":{\"clusterEndpoint\":{\"S\":\"wh.example\"},\"clusterDB\":{\"S\":\"dev\"},"
             "\"connectUser\":{\"S\":\"both\"}}},"
             "{\"M\":{\"clusterEndpoint\":{\"S\":\"wh.example\"},\"clusterDB\":{\"S\":\"dev\"},"
             "\"connectUser\":{\"S\":\"loader\"}}}]}},"
             "{\"s3Prefix\":{\"S\":\"b/"
             "old\"},\"clusterEndpoint\":{\"S\":\"wh.example\"},\"clusterPort\":{\"N\":\"5439\"},"
             "\"clusterDB\":{\"S\":\"old\"},\"connectUser\":{\"S\":\"loader\"}},"
             "{\"s3Prefix\":{\"S\":\"b/"
             "gone\"},\"clusterEndpoint\":{\"S\":\"gone.example\"},\"clusterDB\":{\"S\":\"x\"},"
             "\"connectUser\":{\"S\":\"x\"}},"
             "{\"s3Prefix\":{\"S\":\"b/"
             "star\"},\"clusterEndpoint\":{\"S\":\"wh.example\"},\"clusterDB\":{\"S\":\"x\"},"
             "\"connectUser\":{\"S\":\"*\"}},"
             "{\"s3Prefix\":{\"S\":\"b/empty\"}}]}");
    assert_true(dynamo_read_loader(&p, clusters, 2, &out, &problems));
    assert_int_equal(problems.warnings, 4);
    assert_string_equal(
        text(&out),
        "{\"rules\":[\n"
        "{\"id\":\"loader loader in "
        "dev\",\"when\":{\"user\":\"loader\",\"database\":\"dev\"},\"to\":\"warehouse\"},\n"
        "{\"id\":\"loader loader in "
        "old\",\"when\":{\"user\":\"loader\",\"database\":\"old\"},\"to\":\"warehouse\"}]}\n");
    problems_fini(&problems);
    dynamo_pages_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),          cmocka_unit_test(activation_is_conditional),
        cmocka_unit_test(what_is_active),    cmocka_unit_test(a_document_in_pieces),
        cmocka_unit_test(rules_as_items),    cmocka_unit_test(history),
        cmocka_unit_test(the_loaders_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
