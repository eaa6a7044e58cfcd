/* vectors: reading the published test vectors that stand beside the checkout.
 *
 * ../shared/vectors, or where SLUICE_VECTORS points. They are not part of the
 * project: where they are absent the test says so loudly and is skipped, and the
 * project's own vectors in the same file still count.
 */
#ifndef SLUICE_TESTS_VECTORS_H
#define SLUICE_TESTS_VECTORS_H

#include "unit/unit.h"

#include "protocol/buf.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

static inline const char *vectors_folder(void)
{
    const char *named = getenv("SLUICE_VECTORS");
    return named ? named : "../shared/vectors";
}

/* The whole file with a NUL behind it (not counted); false when it cannot be read. */
static inline bool vectors_read(struct buf *out, const char *path)
{
    char full[512], block[4096];
    snprintf(full, sizeof full, "%s/%s", vectors_folder(), path);
    FILE *file = fopen(full, "rb");
    if (!file) return false;
    size_t n;
    while ((n = fread(block, 1, sizeof block, file)) > 0) buf_add(out, block, n);
    fclose(file);
    buf_add_u8(out, 0);
    buf_truncate(out, out->len - 1);
    return !out->failed;
}

/* The parsed file; skips the test when it is not there. */
static inline cJSON *vectors_json(const char *path)
{
    struct buf text = { 0 };
    if (!vectors_read(&text, path)) {
        print_message("SKIP: NO VECTORS: %s/%s is not there\n", vectors_folder(), path);
        skip();
    }
    cJSON *json = cJSON_Parse(text.at);
    assert_non_null(json);
    buf_fini(&text);
    return json;
}

/* The text of a member; NULL when it is absent. */
static inline const char *vectors_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

#endif
