#include "proxy/ops/metrics.h"

const struct metric_info metric_infos[METRIC_COUNT] = {
#define METRIC(name, kind, help) { #name, #kind, help },
#include "proxy/ops/metrics.def"
#undef METRIC
};
