#include "proxy/ops/metrics.h"

#define METRIC_IS_COUNTER true
#define METRIC_IS_GAUGE   false

const struct metric_info metric_infos[METRIC_COUNT] = {
#define METRIC(name, kind, help) { #name, help, METRIC_IS_##kind },
#include "proxy/ops/metrics.def"
#undef METRIC
};
