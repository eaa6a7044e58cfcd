/* The policy corpora: every case judged, both tiers counted apart.
 *
 * tests/policy/corpus.jsonl is our own; ../shared/examples/policy.jsonl is somebody else's and may
 * be absent. A case: {"id","sql","grants","search_path"?,"expect","class","tier","why"}.
 */
#include "unit/unit.h"

#include "policy/readers.h"
#include "proxy/command/policy_jsonl.h"

#include <stdio.h>
#include <stdlib.h>

struct tally {
    unsigned right[2], total[2]; /* core, convention */
    unsigned wrongly_allowed, wrongly_denied, differing, lines;
};

static struct slice member(const struct json_doc *doc, const char *key)
{
    const struct json_value *value = json_member(json_root(doc), slice_str(key));
    return value ? json_string(value) : slice_str("");
}

static void judge_line(const char *file, struct slice line, struct tally *tally)
{
    struct json_error error;
    struct buf out = { 0 };
    struct json_doc *doc = policy_jsonl_parse(line, &error);
    if (!doc) fail_msg("%s:%u: %s", file, tally->lines, error.text);
    const bool judged = policy_jsonl_judge(line, &out);
    buf_add_u8(&out, 0);
    const bool allow = strstr(out.at, "\"decision\":\"allow\"") != NULL;
    const bool expected = slice_is(member(doc, "expect"), "allow");
    const int tier = slice_is(member(doc, "tier"), "core") ? 0 : 1;
    tally->total[tier]++;
    if (judged && allow == expected) {
        tally->right[tier]++;
    } else {
        printf("%s:%u: %.*s (%.*s): expected %.*s: %.*s\n    %.*s\n", file, tally->lines,
               SLICE_ARG(member(doc, "id")), SLICE_ARG(member(doc, "class")),
               SLICE_ARG(member(doc, "expect")), SLICE_ARG(member(doc, "why")), (int)out.len,
               out.at);
        if (allow)
            tally->wrongly_allowed++;
        else
            tally->wrongly_denied++;
    }
    struct buf text = { 0 };
    const char *differ = readers_differ(policy_jsonl_sql(doc, &text));
    if (differ) {
        printf("%s:%u: the two readers differ in %s\n", file, tally->lines, differ);
        tally->differing++;
    }
    buf_fini(&text);
    buf_fini(&out);
    json_free(doc);
}

/* Every line of the file. False when there is no such file. */
static bool judge_file(const char *path, struct tally *tally)
{
    FILE *file = fopen(path, "r");
    if (!file) return false;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, file)) > 0) {
        tally->lines++;
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) len--;
        if (len > 0) judge_line(path, slice_of(line, (size_t)len), tally);
    }
    free(line);
    fclose(file);
    printf("%s: core %u of %u right, convention %u of %u; wrongly allowed %u, wrongly denied %u\n",
           path, tally->right[0], tally->total[0], tally->right[1], tally->total[1],
           tally->wrongly_allowed, tally->wrongly_denied);
    return true;
}

/* Beside the source tree, wherever the program was built. */
static const char *in_tree(const char *path, char out[4096])
{
    const char *root = getenv("SLUICE_ROOT");
    snprintf(out, 4096, "%s/%s", root ? root : ".", path);
    return out;
}

static void our_corpus(void **state)
{
    (void)state;
    char path[4096];
    struct tally tally = { 0 };
    assert_true(judge_file(in_tree("tests/policy/corpus.jsonl", path), &tally));
    assert_true(tally.lines >= 3000);
    assert_int_equal(tally.wrongly_allowed, 0);
    assert_int_equal(tally.wrongly_denied, 0);
    assert_int_equal(tally.differing, 0);
}

static void the_examples(void **state)
{
    (void)state;
    char path[4096];
    struct tally tally = { 0 };
    if (!judge_file(in_tree("../shared/examples/policy.jsonl", path), &tally)) {
        printf("SKIP: there is no %s\n", path);
        skip();
    }
    assert_int_equal(tally.wrongly_allowed, 0);
    assert_int_equal(tally.wrongly_denied, 0);
}

/* Of lines that are no cases, too; what cannot be judged is refused. */
static void every_line_has_its_answer(void **state)
{
    (void)state;
    static const struct {
        const char *line, *answer;
        bool judged;
    } cases[] = {
        { "{\"id\":\"a\",\"sql\":\"select 1\",\"grants\":[],\"more\":{\"a\":[1]}}",
          "{\"id\":\"a\",\"decision\":\"allow\",\"sqlstate\":\"00000\",", true },
        { "{\"id\":5,\"sql\":\"drop table t\"}",
          "{\"id\":5,\"decision\":\"deny\",\"sqlstate\":\"42501\",", true },
        { "{\"id\":\"b\",\"sql\":null,\"grants\":[]}",
          "{\"id\":\"b\",\"decision\":\"deny\",\"sqlstate\":\"42601\",", false },
        { "{\"id\":\"c\",\"grants\":[]}", "{\"id\":\"c\",\"decision\":\"deny\",", false },
        { "{\"id\":\"d\",\"sql\":\"select 1\",\"grants\":[{\"table\":\"t\",\"verbs\":[\"NO\"]}]}",
          "{\"id\":\"d\",\"decision\":\"deny\",", false },
        { "[]", "{\"id\":\"\",\"decision\":\"deny\",", false },
        { "select 1", "{\"id\":\"\",\"decision\":\"deny\",", false },
        { "", "{\"id\":\"\",\"decision\":\"deny\",", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = { 0 };
        assert_int_equal(policy_jsonl_judge(slice_str(cases[i].line), &out), cases[i].judged);
        if (!slice_starts(buf_slice(&out), cases[i].answer))
            fail_msg("%s: %.*s", cases[i].line, SLICE_ARG(buf_slice(&out)));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_corpus),
        cmocka_unit_test(the_examples),
        cmocka_unit_test(every_line_has_its_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
