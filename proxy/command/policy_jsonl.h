/* policy_jsonl: cases of a policy, one JSON object a line, judged one by one.
 *
 *     {"id","sql","grants":[{"table","verbs":[]}],"search_path"} ->
 * {"id","decision","sqlstate","reason"}
 *
 * Other fields are left alone. No state between lines; no I/O.
 */
#ifndef SLUICE_PROXY_COMMAND_POLICY_JSONL_H
#define SLUICE_PROXY_COMMAND_POLICY_JSONL_H

#include "protocol/buf.h"
#include "protocol/json.h"

/* The line as a document. JSON can say what no statement may hold, NUL and halves of surrogate
 * pairs: each becomes U+FDD0, which policy_jsonl_sql turns back. NULL and an error for what is no
 * object. */
struct json_doc *policy_jsonl_parse(struct slice line, struct json_error *error);

/* The statement of a case, with a NUL for each U+FDD0, in memory of `out`. */
struct slice policy_jsonl_sql(const struct json_doc *doc, struct buf *out);

/* Judges the case and appends the answer, without a line break. False when the line could not be
 * judged: then the answer is a refusal that says why. */
bool policy_jsonl_judge(struct slice line, struct buf *out);

#endif
