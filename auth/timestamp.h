/* timestamp: the five ways AWS writes a moment, to and from milliseconds since 1970 (UTC).
 *
 * Pure calendar arithmetic (proleptic Gregorian, no leap seconds, years 1970 to
 * 9999); no locale, no time zone database. Parsers are strict: the whole text
 * must be a date, and a date that exists.
 */
#ifndef SLUICE_AUTH_TIMESTAMP_H
#define SLUICE_AUTH_TIMESTAMP_H

#include "protocol/slice.h"

enum { TIMESTAMP_AMZ_BYTES = 17, TIMESTAMP_ISO_BYTES = 21 };

/* "20150830T123600Z", as in X-Amz-Date. */
bool timestamp_from_amz(struct slice text, int64_t *ms);
void timestamp_to_amz(int64_t ms, char out[TIMESTAMP_AMZ_BYTES]);

/* "2026-11-21T02:02:41Z", with any number of digits after the second, and with "UTC" (old SSO
 * token files) or "+hh:mm" for "Z". */
bool timestamp_from_iso(struct slice text, int64_t *ms);
void timestamp_to_iso(int64_t ms, char out[TIMESTAMP_ISO_BYTES]);

/* "Sat, 21 Nov 2026 02:02:41 GMT": the Date header (RFC 9110 section 5.6.7, the fixed form). */
bool timestamp_from_http(struct slice text, int64_t *ms);

#endif
