/* doctor_advice: why something could not be reached, and what to do about it.
 *
 * A symptom alone says little: a connect to DynamoDB that is never answered can be a missing VPC
 * endpoint, a missing NAT gateway, or a security group. What else was seen (is the address private,
 * is any public address of AWS reachable) tells them apart.
 * Pure. Causes as in AWS's guides for Lambdas and VPC endpoints; see deploy/README.md.
 */
#ifndef SLUICE_PROXY_COMMAND_DOCTOR_ADVICE_H
#define SLUICE_PROXY_COMMAND_DOCTOR_ADVICE_H

#include "protocol/buf.h"

enum doctor_part {
    DOCTOR_STS,
    DOCTOR_REDSHIFT,
    DOCTOR_SERVERLESS,
    DOCTOR_DYNAMODB,
    DOCTOR_GROUPS, /* EC2: a cluster's security groups */
    DOCTOR_REDIS,
    DOCTOR_CLUSTER,
};

enum doctor_symptom {
    DOCTOR_NO_NAME,  /* DNS has no such name, or does not answer */
    DOCTOR_NO_ROUTE, /* the kernel knows no way there */
    DOCTOR_SILENT,   /* packets leave, nothing comes back */
    DOCTOR_REFUSED,  /* somebody is there and does not listen on that port */
    DOCTOR_NO_TLS,
    DOCTOR_NO_KEYS, /* the call could not be signed */
    DOCTOR_DENIED,  /* it was, and is not allowed */
    DOCTOR_FAILED,  /* anything else; the message says it */
};

enum doctor_internet { DOCTOR_INTERNET_UNKNOWN, DOCTOR_INTERNET_YES, DOCTOR_INTERNET_NO };

struct doctor_case {
    enum doctor_part part;
    enum doctor_symptom symptom;
    bool is_private;               /* the address is one of a VPC */
    enum doctor_internet internet; /* whether other public addresses of AWS answer */
    const char *region;            /* "" where unknown */
    uint16_t port;
};

/* One sentence with the likely cause, and one with what to do, a command where there is one. */
void doctor_advise(const struct doctor_case *c, struct buf *cause, struct buf *todo);

/* Whether an address is private: of a VPC or this machine. `bytes` has 4 or 16. */
bool doctor_is_private(const uint8_t *bytes, bool is_v6);

#endif
