/* emf: metrics as CloudWatch's embedded metric format, a line of JSON for each report.
 *
 *   {"_aws":{"Timestamp":...,"CloudWatchMetrics":[{"Namespace":"Sluice",
 *    "Dimensions":[["ServerId"]],"Metrics":[{"Name":"ClientConnections","Unit":"Count"},...]}]},
 *    "ServerId":"...","ClientConnections":12,...}
 *
 * One for the proxy, and one for each cluster with its connections. No call to AWS: whoever reads
 * stdout (the awslogs driver, the CloudWatch agent) brings them there.
 * Source: CloudWatch Embedded Metric Format Specification: at most 100 metrics in a line.
 * Never tried against CloudWatch itself.
 */
#ifndef SLUICE_PROXY_EMF_H
#define SLUICE_PROXY_EMF_H

#include "protocol/buf.h"
#include "proxy/ops/metrics.h"
#include "proxy/samples.h"

struct overview_answer;

struct emf {
    uint64_t told_ms;
    uint64_t before[METRIC_COUNT]; /* at the last report */
    struct sample sample;          /* likewise */
};

/* Appends the lines of a report, and begins the next interval. */
void emf_lines(struct emf *e, const struct overview_answer *a, struct buf *out);

#endif
