#include "proxy/ops/metrics.h"

#define METRIC_IS_COUNTER true
#define METRIC_IS_GAUGE   false

const struct metric_info metric_infos[METRIC_COUNT] = {
#define METRIC(name, kind, help) { #name, help, METRIC_IS_##kind },
#include "proxy/ops/metrics.def"
#undef METRIC
};

const struct metric_info histogram_infos[HISTOGRAM_COUNT] = {
#define HISTOGRAM(name, help) { #name, help, false },
#include "proxy/ops/metrics.def"
};

const struct read_gauge_info read_gauge_infos[READ_COUNT] = {
#define READ_GAUGE(name, labels, help) { #name, labels, help },
#include "proxy/ops/metrics.def"
};

const uint32_t histogram_bounds_ms[HISTOGRAM_BOUNDS] = {
    1,    2,    5,    10,    20,    50,    100,    200,    500,
    1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000,
};
