// Lambda functions: check, invocation, what is tried again, what is a failure.
#include "aws/aws_lambda_client.h"
#include "aws/aws_text.h"
#include "fake_aws.h"

#define FUNCTION "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/f-1"

static AwsClient *client_new(FakeAws *fake) {
    AwsClientOptions options = fake_aws_options(fake);
    options.access_key = "AK";
    options.secret_key = "s";
    options.region = "eu-west-1";
    return aws_client_new(&options, NULL);
}

static const AwsFunction latest = {"f-1", "$LATEST"};

static char *invoke(FakeAws *fake, const char *type, int status, const char *answer, const char *function_error) {
    g_autoptr(AwsClient) client = client_new(fake);
    AwsCall call = fake_aws_call(fake, 20);
    g_auto(AwsInvocation) invocation = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *header = g_strconcat("X-Amz-Invocation-Type: ", type, NULL);
    fake_aws_expect(fake, (FakeStep){.method = "POST",
                                     .url = FUNCTION "/invocations?Qualifier=%24LATEST",
                                     .headers = {header, "Content-Type: application/json"},
                                     .body = "{}",
                                     .status = status,
                                     .answer = answer,
                                     .header = {function_error ? "x-amz-function-error" : NULL, function_error}});
    bool ok = aws_lambda_invoke(client, &latest, type, "{}", 2, &call, &invocation, &error);
    g_assert_true(ok == (error == NULL));
    return ok ? g_strdup_printf("%d %s", invocation.status, invocation.payload) : g_strdup(error->message);
}

static void test_types(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    g_autofree char *answered = invoke(fake, "RequestResponse", 200, "{\"ok\":true}\n", NULL);
    g_assert_cmpstr(answered, ==, "200 {\"ok\":true}");
    g_autofree char *handed = invoke(fake, "Event", 202, "", NULL);
    g_assert_cmpstr(handed, ==, "202 ");
    g_autofree char *checked = invoke(fake, "DryRun", 204, "", NULL);
    g_assert_cmpstr(checked, ==, "204 ");
}

static void test_function_error(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    g_autofree char *text =
        invoke(fake, "RequestResponse", 200,
               "{\"errorMessage\":\"no\\nway\",\"errorType\":\"ValueError\",\"stackTrace\":[]}", "Unhandled");
    g_assert_cmpstr(text, ==, "the function 'f-1' failed: ValueError: no way");
    // A payload of the function's own making.
    g_autofree char *own = invoke(fake, "RequestResponse", 200, "[\"odd\"]", "Handled");
    g_assert_cmpstr(own, ==, "the function 'f-1' failed: [\"odd\"]");
    // Only the header tells: a function may give back what it likes.
    g_autofree char *fine = invoke(fake, "RequestResponse", 200, "{\"errorMessage\":\"none\"}", NULL);
    g_assert_cmpstr(fine, ==, "200 {\"errorMessage\":\"none\"}");
    g_assert_null(aws_lambda_function_error("{\"errorType\":\"x\"}", 17));
    g_assert_null(aws_lambda_function_error("[1]", 3));
    g_assert_null(aws_lambda_function_error("", 0));
}

static void test_long_payload(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    g_autofree char *payload = g_strnfill(5000, 'y');
    g_autofree char *text = invoke(fake, "RequestResponse", 200, payload, NULL);
    g_assert_cmpuint(strlen(text), ==, 4 + 1024 + strlen("…"));
}

static void test_refused(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    g_autofree char *text =
        invoke(fake, "Event", 403,
               "{\"Message\":\"User: x is not authorized to perform: lambda:InvokeFunction\",\"Type\":\"User\"}", NULL);
    assert_text_has(text, "Invoke of 'f-1' in eu-west-1: ");
    assert_text_has(text, "not authorized to perform: lambda:InvokeFunction (403)");
    // What may have run is not repeated.
    g_autofree char *broken =
        invoke(fake, "Event", 500, "{\"Message\":\"internal\",\"code\":\"ServiceException\"}", NULL);
    assert_text_has(broken, "ServiceException: internal (500)");
    g_autofree char *down = invoke(fake, "Event", 503, "down", NULL);
    assert_text_has(down, "down (503)");
    g_assert_cmpuint(fake->waits, ==, 0);
}

static void test_throttled(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    g_autoptr(AwsClient) client = client_new(fake);
    AwsCall call = fake_aws_call(fake, 20);
    FakeStep step = {.method = "POST", .url = FUNCTION "/invocations?Qualifier=%24LATEST"};
    step.status = 429;
    step.answer = "{\"Reason\":\"ConcurrentInvocationLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate Exceeded.\"}";
    fake_aws_expect(fake, step);
    step.status = 503;
    step.answer = "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}";
    fake_aws_expect(fake, step);
    step.status = 0;
    step.failure = STOOP_ERROR_UNAVAILABLE;
    fake_aws_expect(fake, step); // refused: not sent
    step.sent = true;
    fake_aws_expect(fake, step); // broken: it may have run
    g_auto(AwsInvocation) invocation = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(aws_lambda_invoke(client, &latest, "Event", "{}", 2, &call, &invocation, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
    assert_text_has(error->message, "after 4 tries");
}

static void test_check(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    g_autoptr(AwsClient) client = client_new(fake);
    AwsCall call = fake_aws_call(fake, 20);
    g_autoptr(GError) error = NULL;
    fake_aws_expect(fake, (FakeStep){.method = "GET",
                                     .url = FUNCTION "?Qualifier=%24LATEST",
                                     .status = 404,
                                     .answer = "{\"Type\":\"User\",\"Message\":\"Function not found: arn\"}"});
    g_assert_false(aws_lambda_check(client, &latest, &call, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND);
    assert_text_has(error->message, "Function not found: arn (404)");
    // An ARN names its region.
    AwsFunction arn = {"arn:aws:lambda:us-east-2:1:function:g", NULL};
    fake_aws_expect(fake, (FakeStep){.method = "GET",
                                     .url = "https://lambda.us-east-2.amazonaws.com/2015-03-31/functions/"
                                            "arn%3Aaws%3Alambda%3Aus-east-2%3A1%3Afunction%3Ag",
                                     .status = 200,
                                     .answer = "{}"});
    g_assert_true(aws_lambda_check(client, &arn, &call, NULL));
    // A name cannot lead anywhere else.
    AwsFunction odd = {"../x?y", "a&b"};
    fake_aws_expect(fake, (FakeStep){.method = "GET",
                                     .url = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/"
                                            "..%2Fx%3Fy?Qualifier=a%26b",
                                     .status = 400});
    g_assert_false(aws_lambda_check(client, &odd, &call, NULL));
}

static void test_problems(void) {
    static const struct {
        const char *body, *code, *message, *region;
    } cases[] = {
        {"<Error><Code>A</Code><Message>b</Message></Error>", "A", "b", NULL},
        {" {\"__type\":\"com.amazon#X\",\"message\":\"m\"}", "X", "m", NULL},
        {"<Error><Endpoint>b.s3.eu-central-1.amazonaws.com</Endpoint><Code>P</Code></Error>", "P", NULL,
         "eu-central-1"},
        {"<Error><Endpoint>s3.amazonaws.com</Endpoint><Code>P</Code></Error>", "P", NULL, NULL},
        {"<R><Errors><Error><Code>C</Code></Error></Errors></R>", "C", NULL, NULL},
        {"<MyError><Code>C</Code></MyError>", NULL, NULL, NULL},
        {"<Error><Code>A</Code>", "A", NULL, NULL}, // cut off
        {"<html>Bad Gateway</html>", NULL, NULL, NULL},
        {"{\"Message\":5}", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(AwsProblem) problem = {0};
        g_assert_true(aws_problem_read(cases[i].body, strlen(cases[i].body), &problem) ==
                      (cases[i].code || cases[i].message));
        g_assert_cmpstr(problem.code, ==, cases[i].code);
        g_assert_cmpstr(problem.message, ==, cases[i].message);
        g_assert_cmpstr(problem.region, ==, cases[i].region);
    }
    g_autoptr(GString) deep = g_string_new(NULL);
    for (int i = 0; i < 100; i++)
        g_string_append(deep, "<a>");
    g_assert_null(aws_xml_text(deep->str, deep->len, "a"));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lambda/types", test_types);
    g_test_add_func("/lambda/function-error", test_function_error);
    g_test_add_func("/lambda/long-payload", test_long_payload);
    g_test_add_func("/lambda/refused", test_refused);
    g_test_add_func("/lambda/throttled", test_throttled);
    g_test_add_func("/lambda/check", test_check);
    g_test_add_func("/lambda/problems", test_problems);
    return g_test_run();
}
