// Prometheus metrics. https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4). Counting is an
// atomic add; finding a series by its labels takes a short lock of its own. A family keeps at most 1,000 series;
// further label values are counted under "other".
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Metrics Metrics;
typedef struct MetricFamily MetricFamily;
typedef struct Metric Metric; // one series; lives as long as its registry

Metrics *metrics_new(void);
void metrics_free(Metrics *metrics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Metrics, metrics_free)

// Names and help texts are static strings. `labels`: names, NULL-terminated, or NULL. Make families before threads
// start.
MetricFamily *metrics_counter(Metrics *metrics, const char *name, const char *help, const char *const *labels);
// Seconds, with buckets from 50 µs to 60 s.
MetricFamily *metrics_histogram(Metrics *metrics, const char *name, const char *help, const char *const *labels);
// Read when asked for.
void metrics_gauge(Metrics *metrics, const char *name, const char *help, double (*read)(void *user), void *user);

// The series of these label values (as many as the family has labels; NULL for none). Thread-safe; keep it where it is
// hot.
Metric *metric_series(MetricFamily *family, const char *const *values);
void metric_add(Metric *metric, uint64_t n);
void metric_observe_us(Metric *metric, int64_t microseconds);
uint64_t metric_value(const Metric *metric); // of a counter; of a histogram its count

// The whole page.
void metrics_text(Metrics *metrics, GString *out);
