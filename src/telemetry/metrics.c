#include "telemetry/metrics.h"

#include "base/thread.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define MAX_SERIES 1000
#define MAX_LABELS 8
#define MAX_VALUE 256 // bytes of a label's value; longer ones are cut

// Upper bounds of the buckets in microseconds, and as they are printed in seconds.
static const struct {
    int64_t us;
    const char *seconds;
} bounds[] = {
    {50, "5e-05"},    {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},
    {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},
    {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"},
    {5000000, "5"},   {10000000, "10"}, {30000000, "30"}, {60000000, "60"},
};
#define BUCKETS (G_N_ELEMENTS(bounds) + 1)

typedef enum { KIND_COUNTER, KIND_HISTOGRAM, KIND_GAUGE } Kind;

struct Metric {
    atomic_uint_fast64_t count;    // of a counter
    atomic_uint_fast64_t *buckets; // of a histogram: BUCKETS, each counts for itself alone
    atomic_uint_fast64_t sum_us;
    char *labels; // name="value",... escaped; "" for none
};

struct MetricFamily {
    Kind kind;
    const char *name, *help;
    const char *const *labels;
    unsigned label_count;
    double (*read)(void *user);
    void *user;

    Mutex lock;        // guards the two below; series are only ever added
    GHashTable *index; // key to Metric
    GPtrArray *series; // owns
};

struct Metrics {
    GPtrArray *families;
};

static void series_free(gpointer data) {
    Metric *metric = data;
    g_free(metric->buckets);
    g_free(metric->labels);
    g_free(metric);
}

static void family_free(gpointer data) {
    MetricFamily *family = data;
    g_hash_table_unref(family->index);
    g_ptr_array_unref(family->series);
    mutex_destroy(&family->lock);
    g_free(family);
}

Metrics *metrics_new(void) {
    Metrics *metrics = g_new0(Metrics, 1);
    metrics->families = g_ptr_array_new_with_free_func(family_free);
    return metrics;
}

void metrics_free(Metrics *metrics) {
    if (!metrics)
        return;
    g_ptr_array_unref(metrics->families);
    g_free(metrics);
}

static MetricFamily *family_new(Metrics *metrics, Kind kind, const char *name, const char *help,
                                const char *const *labels) {
    MetricFamily *family = g_new0(MetricFamily, 1);
    family->kind = kind;
    family->name = name;
    family->help = help;
    family->labels = labels;
    while (labels && labels[family->label_count])
        family->label_count++;
    g_assert(family->label_count <= MAX_LABELS);
    mutex_init(&family->lock);
    family->index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    family->series = g_ptr_array_new_with_free_func(series_free);
    g_ptr_array_add(metrics->families, family);
    // A series without labels is there from the start, so that it reads 0 before its first event.
    if (kind != KIND_GAUGE && family->label_count == 0)
        metric_series(family, NULL);
    return family;
}

MetricFamily *metrics_counter(Metrics *metrics, const char *name, const char *help, const char *const *labels) {
    return family_new(metrics, KIND_COUNTER, name, help, labels);
}

MetricFamily *metrics_histogram(Metrics *metrics, const char *name, const char *help, const char *const *labels) {
    return family_new(metrics, KIND_HISTOGRAM, name, help, labels);
}

void metrics_gauge(Metrics *metrics, const char *name, const char *help, double (*read)(void *user), void *user) {
    MetricFamily *family = family_new(metrics, KIND_GAUGE, name, help, NULL);
    family->read = read;
    family->user = user;
}

static void append_escaped(GString *out, const char *text, size_t len, bool quotes) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' || (quotes && text[i] == '"'))
            g_string_append_c(out, '\\');
        if (text[i] == '\n')
            g_string_append(out, "\\n");
        else
            g_string_append_c(out, text[i]);
    }
}

// Values come from events: of any length, and some not even text.
static size_t value_length(const char *value) {
    size_t len = strnlen(value, MAX_VALUE + 1);
    if (len <= MAX_VALUE)
        return len;
    len = MAX_VALUE;
    while (len > MAX_VALUE - 4 && ((unsigned char)value[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static char *labels_text(const MetricFamily *family, const char *const *values) {
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < family->label_count; i++) {
        g_autofree char *valid = g_utf8_make_valid(values[i], (gssize)value_length(values[i]));
        g_string_append_printf(text, "%s%s=\"", i > 0 ? "," : "", family->labels[i]);
        append_escaped(text, valid, strlen(valid), true);
        g_string_append_c(text, '"');
    }
    return g_string_free(text, FALSE);
}

// Lengths go in front, so that no two lists of values give one key.
static void series_key(const MetricFamily *family, const char *const *values, char key[MAX_LABELS * (MAX_VALUE + 8)]) {
    char *to = key;
    for (unsigned i = 0; i < family->label_count; i++) {
        size_t len = value_length(values[i]);
        *to++ = (char)(1 + len % 255);
        *to++ = (char)(1 + len / 255);
        memcpy(to, values[i], len);
        to += len;
    }
    *to = '\0';
}

static Metric *find_or_add(MetricFamily *family, const char *const *values) {
    char key[MAX_LABELS * (MAX_VALUE + 8)];
    series_key(family, values, key);
    Metric *metric = g_hash_table_lookup(family->index, key);
    if (metric)
        return metric;
    static const char *const other[MAX_LABELS] = {"other", "other", "other", "other",
                                                  "other", "other", "other", "other"};
    if (family->series->len >= MAX_SERIES - 1 && values != other)
        return find_or_add(family, other);
    metric = g_new0(Metric, 1);
    metric->labels = labels_text(family, values);
    if (family->kind == KIND_HISTOGRAM)
        metric->buckets = g_new0(atomic_uint_fast64_t, BUCKETS);
    g_hash_table_insert(family->index, g_strdup(key), metric);
    g_ptr_array_add(family->series, metric);
    return metric;
}

Metric *metric_series(MetricFamily *family, const char *const *values) {
    mutex_lock(&family->lock);
    Metric *metric = find_or_add(family, values);
    mutex_unlock(&family->lock);
    return metric;
}

void metric_add(Metric *metric, uint64_t n) {
    atomic_fetch_add_explicit(&metric->count, n, memory_order_relaxed);
}

void metric_observe_us(Metric *metric, int64_t microseconds) {
    if (microseconds < 0)
        microseconds = 0;
    unsigned i = 0;
    while (i < G_N_ELEMENTS(bounds) && microseconds > bounds[i].us)
        i++;
    atomic_fetch_add_explicit(&metric->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&metric->sum_us, (uint64_t)microseconds, memory_order_relaxed);
}

uint64_t metric_value(const Metric *metric) {
    if (!metric->buckets)
        return atomic_load_explicit(&metric->count, memory_order_relaxed);
    uint64_t total = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        total += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
    return total;
}

static void append_sample(GString *out, const char *name, const char *suffix, const char *labels) {
    g_string_append(out, name);
    g_string_append(out, suffix);
    if (labels[0])
        g_string_append_printf(out, "{%s}", labels);
    g_string_append_c(out, ' ');
}

static void append_number(GString *out, double value) {
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    if (isnan(value))
        g_string_append(out, "NaN\n");
    else if (isinf(value))
        g_string_append(out, value > 0 ? "+Inf\n" : "-Inf\n");
    else
        g_string_append_printf(out, "%s\n", g_ascii_dtostr(text, sizeof text, value));
}

static void append_histogram(GString *out, const char *name, Metric *metric) {
    uint64_t below = 0;
    // The sum is read first: an observation in between is then missing from it, and never counted twice.
    uint64_t sum_us = atomic_load_explicit(&metric->sum_us, memory_order_relaxed);
    for (unsigned i = 0; i < BUCKETS; i++) {
        below += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        g_string_append_printf(out, "%s_bucket{%s%sle=\"%s\"} %" G_GUINT64_FORMAT "\n", name, metric->labels,
                               metric->labels[0] ? "," : "", i < G_N_ELEMENTS(bounds) ? bounds[i].seconds : "+Inf",
                               below);
    }
    append_sample(out, name, "_sum", metric->labels);
    g_string_append_printf(out, "%" G_GUINT64_FORMAT ".%06u\n", sum_us / 1000000, (unsigned)(sum_us % 1000000));
    append_sample(out, name, "_count", metric->labels);
    g_string_append_printf(out, "%" G_GUINT64_FORMAT "\n", below);
}

static void append_family(GString *out, MetricFamily *family) {
    static const char *const kinds[] = {"counter", "histogram", "gauge"};
    g_string_append_printf(out, "# HELP %s ", family->name);
    append_escaped(out, family->help, strlen(family->help), false);
    g_string_append_printf(out, "\n# TYPE %s %s\n", family->name, kinds[family->kind]);
    if (family->kind == KIND_GAUGE) {
        append_sample(out, family->name, "", "");
        append_number(out, family->read(family->user));
        return;
    }
    // Series never go away, so a copy of the pointers is all that needs the lock.
    mutex_lock(&family->lock);
    g_autoptr(GPtrArray) series = g_ptr_array_copy(family->series, NULL, NULL);
    mutex_unlock(&family->lock);
    g_ptr_array_set_free_func(series, NULL);
    for (guint i = 0; i < series->len; i++) {
        Metric *metric = g_ptr_array_index(series, i);
        if (family->kind == KIND_HISTOGRAM) {
            append_histogram(out, family->name, metric);
        } else {
            append_sample(out, family->name, "", metric->labels);
            g_string_append_printf(out, "%" G_GUINT64_FORMAT "\n", metric_value(metric));
        }
    }
}

void metrics_text(Metrics *metrics, GString *out) {
    for (guint i = 0; i < metrics->families->len; i++)
        append_family(out, g_ptr_array_index(metrics->families, i));
}
