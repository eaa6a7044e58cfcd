/* aws_error: what an AWS service said when it did not do what we asked.
 *
 * Reads the error forms of the three protocols, and sorts them by what can be
 * done. Pure; a plain value. The service's message is kept to its first line:
 * a signature error goes on to quote the request, session token included.
 */
#ifndef SLUICE_AUTH_AWS_ERROR_H
#define SLUICE_AUTH_AWS_ERROR_H

#include "auth/aws_http.h"

enum aws_fault {
    AWS_FAULT_NONE,
    AWS_FAULT_THROTTLED, /* retry later, and slower */
    AWS_FAULT_TRANSIENT, /* retry */
    AWS_FAULT_CLOCK,     /* correct the clock offset, retry once */
    AWS_FAULT_EXPIRED,   /* get new credentials, retry once */
    AWS_FAULT_DENIED,    /* retrying does not help */
};

struct aws_error {
    enum aws_fault fault;
    int status;
    char code[80];     /* "AccessDenied"; "HTTP 502"; "no answer in time" */
    char message[256]; /* one line; may be empty */
    char request_id[64];
};

/* False when the response is a success (2xx) and `out` is NONE; true and the error otherwise. */
bool aws_error_read(enum aws_protocol protocol, const struct aws_response *response,
                    struct aws_error *out);

bool aws_fault_is_retriable(enum aws_fault fault);

/* What somebody can do about it; NULL when there is nothing to say. */
const char *aws_error_hint(const struct aws_error *e);

/* "redshift GetClusterCredentials: AccessDenied: ... (request 1234)", with the hint. `code` of
 * the err is NO_CREDENTIALS. Returns false. */
bool aws_error_to_err(const struct aws_error *e, const char *what, struct err *err);

#endif
