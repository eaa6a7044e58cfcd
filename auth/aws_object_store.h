/* aws_object_store: one object from S3.
 *
 * By the path (https://s3.REGION.../BUCKET/KEY), so that names with dots need no certificate of
 * their own. Pure: requests out, answers in. Keys are those that need no escaping: letters, digits
 * and "-_.~/", with no "." or ".." among the parts of the path.
 */
#ifndef SLUICE_AUTH_AWS_OBJECT_STORE_H
#define SLUICE_AUTH_AWS_OBJECT_STORE_H

#include "auth/redshift_credentials.h"

enum { S3_VERSION_BYTES = 128 };

struct s3_object {
    struct slice bucket, key;
};

/* "BUCKET/KEY". False: it is not of that form. */
bool s3_object_parse(struct slice text, struct s3_object *out);

/* GetObject. */
bool s3_object_request(const struct s3_object *object, const struct aws_signer *signer,
                       struct aws_request *request);

/* Appends the object to `value`; `version` becomes its version id, or else its ETag. */
bool s3_object_answer(const struct aws_response *response, struct buf *value,
                      char version[S3_VERSION_BYTES], struct aws_error *error);

#endif
