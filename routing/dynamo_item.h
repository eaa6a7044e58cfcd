/* dynamo_item: items of DynamoDB and their attribute values. Internal to routing/. */
#ifndef SLUICE_ROUTING_DYNAMO_ITEM_H
#define SLUICE_ROUTING_DYNAMO_ITEM_H

#include "protocol/json.h"

/* An item keeps the page that it is in alive. */
struct dynamo_item {
    struct dynamo_item *next;
    const struct json_value *value;
    struct json_doc *doc; /* set in the first item of a page, which owns it */
};

/* What an attribute of that name and type holds: the member "S", "N", "M", ... of its one-member
 * object; NULL when there is none. */
const struct json_value *dynamo_attribute(const struct json_value *item, const char *name,
                                          const char *type);

/* Of type S; the empty slice when there is none. */
struct slice dynamo_text(const struct json_value *item, const char *name);

/* Of type N: a whole number from 0 that has at most 16 digits. */
bool dynamo_number(const struct json_value *item, const char *name, uint64_t *out);

/* An attribute value as plain JSON; false for binary, sets of numbers, and what is malformed. */
bool dynamo_write(struct buf *out, const struct json_value *value);

#endif
