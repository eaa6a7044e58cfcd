/* secret: bytes that must not outlive their use.
 *
 * Owned, wiped when freed, and without a printer: there is no function that
 * turns a secret into text, and nothing here puts one into an error. Whoever
 * needs the bytes borrows them for the length of a call.
 *
 * Owner: whoever called secret_new. Thread: immutable, so any number may read.
 */
#ifndef SLUICE_AUTH_SECRET_H
#define SLUICE_AUTH_SECRET_H

#include "protocol/slice.h"

struct secret;

/* A copy of `bytes` (the caller's own stay where they are); NULL when memory ran out. */
struct secret *secret_new(struct slice bytes);

/* Wipes and frees; NULL is fine. */
void secret_free(struct secret *s);

/* The bytes, borrowed: valid until secret_free. NULL gives the empty slice. */
struct slice secret_bytes(const struct secret *s);

/* Whether `bytes` are the secret's. The time taken depends on the length of `bytes`, not on
 * where they differ, nor on how long the secret is. */
bool secret_equals(const struct secret *s, struct slice bytes);

#endif
