/* judge_record: what was judged, for the log, the audit record, the metrics and SHOW DENIED.
 *
 * Of a message the audit record has every statement (protocol/sql_trail). Only the judge asks.
 */
#ifndef SLUICE_PROXY_JUDGE_RECORD_H
#define SLUICE_PROXY_JUDGE_RECORD_H

#include "auth/grants.h"
#include "proxy/session.h"

/* Statements of the session's role that are allowed are recorded, too. */
bool judge_records_all(struct session *s);

/* An allowed message, where all are recorded; once, however often it is looked at. False: it cannot
 * be recorded and must not go, as `err` says then; so below. */
bool judge_record_allowed(struct session *s, const struct verdict *v, struct err *err);

/* What would be refused, but for the trial. */
bool judge_record_observed(struct session *s, const struct realm_role *role,
                           const struct verdict *v, struct err *err);

/* `err` says what was refused; it gets the decision's id. */
void judge_record_refused(struct session *s, const struct verdict *v, struct err *err);

#endif
