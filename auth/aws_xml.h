/* aws_xml: the few fields that we want of an XML answer, and nothing else.
 *
 * Expat reads; no tree is built. A document that asks for anything beyond
 * elements and text is refused: DOCTYPE (so no entities and no bombs), processing
 * instructions, more than AWS_XML_MAX_DEPTH levels, a field longer than its cap.
 * Pure. Ownership: field values are the caller's bufs, secret ones.
 */
#ifndef SLUICE_AUTH_AWS_XML_H
#define SLUICE_AUTH_AWS_XML_H

#include "protocol/buf.h"

enum { AWS_XML_MAX_DEPTH = 16, AWS_XML_MAX_BYTES = 1 << 20, AWS_XML_MAX_FIELD_BYTES = 16384 };

struct aws_xml_field {
    const char *path; /* local names from below the root: "Error/Code" */
    struct buf value; /* the text of the first one; white space around it is cut */
    uint32_t count;   /* how many there were */
};

/* Reads `body` and fills the fields. `root`: the required local name of the root element, or NULL;
 * `space`: its required namespace, or NULL. False when the document is malformed, not of this kind,
 * or asks for too much; the fields hold what was read before. Fini them in any case. */
bool aws_xml_read(struct slice body, const char *root, const char *space,
                  struct aws_xml_field *fields, size_t field_count);

/* For lists: calls `each` at the end of every element, children first, with its path and its own
 * text (trimmed; of at most AWS_XML_MAX_WALK_BYTES). What it asks of the document is the same. */
enum { AWS_XML_MAX_WALK_BYTES = 512 };
typedef void aws_xml_each(void *context, const char *path, struct slice text);
bool aws_xml_walk(struct slice body, const char *root, aws_xml_each *each, void *context);

void aws_xml_fields_fini(struct aws_xml_field *fields, size_t field_count);

#endif
