// The text that Prometheus reads, and counting from several threads.
#include "telemetry/metrics.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

static char *page(Metrics *metrics) {
    GString *out = g_string_new(NULL);
    metrics_text(metrics, out);
    return g_string_free(out, FALSE);
}

static double seven(void *user) {
    return *(double *)user;
}

static void test_page(void) {
    g_autoptr(Metrics) metrics = metrics_new();
    static const char *const labels[] = {"rule", "status", NULL};
    MetricFamily *events = metrics_counter(metrics, "stoop_events_total", "Events.\nAll \\ of them.", labels);
    MetricFamily *plain = metrics_counter(metrics, "stoop_plain_total", "Plain.", NULL);
    double value = 7;
    metrics_gauge(metrics, "stoop_depth", "Depth.", seven, &value);
    Metric *one = metric_series(events, (const char *const[]){"a \"b\"\n\\", "ok"});
    g_assert_true(one == metric_series(events, (const char *const[]){"a \"b\"\n\\", "ok"}));
    metric_add(one, 3);
    metric_add(one, 2);
    metric_add(metric_series(events, (const char *const[]){"", "ok"}), 1);
    g_assert_cmpuint(metric_value(one), ==, 5);
    g_assert_true(metric_series(plain, NULL) == metric_series(plain, NULL));
    g_autofree char *text = page(metrics);
    g_assert_cmpstr(text, ==,
                    "# HELP stoop_events_total Events.\\nAll \\\\ of them.\n"
                    "# TYPE stoop_events_total counter\n"
                    "stoop_events_total{rule=\"a \\\"b\\\"\\n\\\\\",status=\"ok\"} 5\n"
                    "stoop_events_total{rule=\"\",status=\"ok\"} 1\n"
                    "# HELP stoop_plain_total Plain.\n"
                    "# TYPE stoop_plain_total counter\n"
                    "stoop_plain_total 0\n"
                    "# HELP stoop_depth Depth.\n"
                    "# TYPE stoop_depth gauge\n"
                    "stoop_depth 7\n");
    value = NAN;
    g_autofree char *again = page(metrics);
    g_assert_true(g_str_has_suffix(again, "stoop_depth NaN\n"));
}

static void test_histogram(void) {
    g_autoptr(Metrics) metrics = metrics_new();
    static const char *const labels[] = {"actionner", NULL};
    MetricFamily *family = metrics_histogram(metrics, "stoop_action_seconds", "Time.", labels);
    Metric *metric = metric_series(family, (const char *const[]){"k:t"});
    metric_observe_us(metric, -5);
    metric_observe_us(metric, 50);
    metric_observe_us(metric, 51);
    metric_observe_us(metric, 60000000);
    metric_observe_us(metric, 60000001);
    g_assert_cmpuint(metric_value(metric), ==, 5);
    g_autofree char *text = page(metrics);
    g_assert_nonnull(strstr(text, "stoop_action_seconds_bucket{actionner=\"k:t\",le=\"5e-05\"} 2\n"));
    g_assert_nonnull(strstr(text, "stoop_action_seconds_bucket{actionner=\"k:t\",le=\"0.0001\"} 3\n"));
    g_assert_nonnull(strstr(text, "stoop_action_seconds_bucket{actionner=\"k:t\",le=\"30\"} 3\n"));
    g_assert_nonnull(strstr(text, "stoop_action_seconds_bucket{actionner=\"k:t\",le=\"60\"} 4\n"));
    g_assert_nonnull(strstr(text, "stoop_action_seconds_bucket{actionner=\"k:t\",le=\"+Inf\"} 5\n"));
    g_assert_nonnull(strstr(text, "stoop_action_seconds_sum{actionner=\"k:t\"} 120.000102\n"));
    g_assert_nonnull(strstr(text, "stoop_action_seconds_count{actionner=\"k:t\"} 5\n"));
}

// Rule names come from outside: their number, length and bytes are bounded here.
static void test_bounds(void) {
    g_autoptr(Metrics) metrics = metrics_new();
    static const char *const labels[] = {"rule", NULL};
    MetricFamily *family = metrics_counter(metrics, "stoop_events_total", "Events.", labels);
    char name[32];
    for (int i = 0; i < 5000; i++) {
        g_snprintf(name, sizeof name, "rule %d", i);
        metric_add(metric_series(family, (const char *const[]){name}), 1);
    }
    g_autofree char *text = page(metrics);
    g_auto(GStrv) rows = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(rows), ==, 1000 + 3);
    g_assert_nonnull(strstr(text, "{rule=\"other\"} 4001\n"));
    g_assert_nonnull(strstr(text, "{rule=\"rule 998\"} 1\n"));

    MetricFamily *more = metrics_counter(metrics, "stoop_more_total", "More.", labels);
    g_autofree char *huge = g_strnfill(1 << 20, 'x');
    metric_add(metric_series(more, (const char *const[]){huge}), 1);
    metric_add(metric_series(more, (const char *const[]){"\xff bad"}), 1);
    g_autofree char *other = page(metrics);
    g_assert_true(g_utf8_validate(other, -1, NULL));
    g_assert_cmpuint(strlen(other), <, strlen(text) + 1024);
}

static void test_no_mixing(void) {
    g_autoptr(Metrics) metrics = metrics_new();
    static const char *const labels[] = {"a", "b", NULL};
    MetricFamily *family = metrics_counter(metrics, "x_total", "X.", labels);
    g_assert_true(metric_series(family, (const char *const[]){"ab", "c"}) !=
                  metric_series(family, (const char *const[]){"a", "bc"}));
    g_assert_true(metric_series(family, (const char *const[]){"", "x"}) !=
                  metric_series(family, (const char *const[]){"x", ""}));
}

static void *count(void *family) {
    char name[16];
    for (int i = 0; i < 20000; i++) {
        g_snprintf(name, sizeof name, "%d", i % 7);
        Metric *metric = metric_series(family, (const char *const[]){name});
        metric_observe_us(metric, i);
    }
    return NULL;
}

static void test_threads(void) {
    g_autoptr(Metrics) metrics = metrics_new();
    static const char *const labels[] = {"n", NULL};
    MetricFamily *family = metrics_histogram(metrics, "x_seconds", "X.", labels);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        g_assert_cmpint(pthread_create(&threads[i], NULL, count, family), ==, 0);
    for (int i = 0; i < 20; i++)
        g_free(page(metrics));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    uint64_t total = 0;
    char name[16];
    for (int i = 0; i < 7; i++) {
        g_snprintf(name, sizeof name, "%d", i);
        total += metric_value(metric_series(family, (const char *const[]){name}));
    }
    g_assert_cmpuint(total, ==, 80000);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/metrics/page", test_page);
    g_test_add_func("/metrics/histogram", test_histogram);
    g_test_add_func("/metrics/bounds", test_bounds);
    g_test_add_func("/metrics/no-mixing", test_no_mixing);
    g_test_add_func("/metrics/threads", test_threads);
    return g_test_run();
}
