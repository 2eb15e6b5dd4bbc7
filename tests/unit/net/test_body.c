#include "net/server_body.h"

#include <string.h>

static void test_growth(void) {
    BodyBudget budget = {.max = 1000000};
    Body body = {0};
    g_autofree char *bytes = g_strnfill(100000, 'b');
    // A small announced body takes what it needs, and its NUL.
    g_assert_cmpint(body_append(&body, &budget, 1000, 1024 * 1024, bytes, 400), ==, BODY_OK);
    g_assert_cmpint(body_append(&body, &budget, 1000, 1024 * 1024, bytes, 600), ==, BODY_OK);
    g_assert_cmpuint(body.len, ==, 1000);
    g_assert_cmpuint(body.capacity, ==, 1001);
    g_assert_cmpuint(strlen(body.data), ==, 1000);
    g_assert_cmpuint(atomic_load(&budget.used), ==, 1001);
    body_clear(&body, &budget);
    body_clear(&body, &budget);
    g_assert_cmpuint(atomic_load(&budget.used), ==, 0);

    // A big announcement takes little before its bytes are there.
    g_assert_cmpint(body_append(&body, &budget, 900000, 1024 * 1024, bytes, 1), ==, BODY_OK);
    g_assert_cmpuint(body.capacity, <=, 16 * 1024);
    body_clear(&body, &budget);

    // Nothing announced: the limit decides.
    for (int i = 0; i < 10; i++)
        g_assert_cmpint(body_append(&body, &budget, 0, 10, "x", 1), ==, BODY_OK);
    g_assert_cmpint(body_append(&body, &budget, 0, 10, "x", 1), ==, BODY_TOO_LARGE);
    g_assert_cmpstr(body.data, ==, "xxxxxxxxxx");
    g_assert_cmpuint(body.capacity, ==, 11);
    body_clear(&body, &budget);
}

static void test_budget(void) {
    BodyBudget budget = {.max = 40000};
    Body first = {0}, second = {0};
    g_autofree char *bytes = g_strnfill(30000, 'b');
    g_assert_cmpint(body_append(&first, &budget, 30000, 100000, bytes, 30000), ==, BODY_OK);
    g_assert_cmpint(body_append(&second, &budget, 30000, 100000, bytes, 30000), ==, BODY_NO_MEMORY);
    g_assert_cmpuint(second.len, ==, 0);
    g_assert_cmpuint(atomic_load(&budget.used), ==, 30001);
    body_clear(&first, &budget);
    g_assert_cmpint(body_append(&second, &budget, 30000, 100000, bytes, 30000), ==, BODY_OK);
    body_clear(&second, &budget);
    g_assert_cmpuint(atomic_load(&budget.used), ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/body/growth", test_growth);
    g_test_add_func("/net/body/budget", test_budget);
    return g_test_run();
}
