/* json_write: a JSON value back to text, on one line. */
#ifndef SLUICE_ROUTING_JSON_WRITE_H
#define SLUICE_ROUTING_JSON_WRITE_H

#include "protocol/json.h"

/* Appends the value; members keep their order, so the same document gives the same text. */
void json_write(struct buf *out, const struct json_value *v);

#endif
