// Signing in, and functions.
#include "base/error.h"
#include "fake_google.h"
#include "gcp/gcp_function_client.h"

#include <glib/gstdio.h>
#include <string.h>

#define END                                                                                                            \
    { NULL, NULL, NULL, 0, NULL }
#define TOKEN_URI "https://oauth2.test/token"
#define META "http://metadata.google.internal/computeMetadata/v1/"
#define FUNCTIONS "https://cloudfunctions.googleapis.com/"

static char *folder;

static void write_file(const char *name, const char *text, char **path) {
    *path = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_set_contents(*path, text, -1, NULL));
}

static void assert_access(FakeGoogle *fake, const char *wanted) {
    g_autoptr(GError) error = NULL;
    g_autofree char *token = NULL;
    gcp_access_token(fake_google_client(fake), &(GcpCall){0}, &token, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(token, ==, wanted);
}

static void test_service_account(void) {
    g_autofree char *path = make_key_file(folder, TOKEN_URI);
    const Exchange exchanges[] = {
        {"POST " TOKEN_URI, "Content-Type: application/x-www-form-urlencoded",
         "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=*", 200,
         "{\"access_token\":\"ya29.a\",\"expires_in\":3600,\"token_type\":\"Bearer\"}"},
        {"POST " TOKEN_URI, NULL, NULL, 200, "{\"access_token\":\"ya29.b\",\"expires_in\":3600}"},
        {"POST " TOKEN_URI, NULL, NULL, 200, "{\"id_token\":\"aa.bb.cc\"}"},
        END};
    FakeGoogle *fake = fake_google_new(exchanges, path, NULL);
    assert_access(fake, "ya29.a");
    g_autofree char *claims = check_jwt(path, strstr(fake_google_last_body(fake), "assertion=") + strlen("assertion="));
    g_assert_cmpstr(
        claims, ==,
        "{\"iss\":\"stoop@proj.iam\",\"sub\":\"stoop@proj.iam\",\"scope\":\"https://www.googleapis.com/auth/"
        "cloud-platform\",\"aud\":\"" TOKEN_URI "\",\"iat\":1699999990,\"exp\":1700003590}");
    assert_access(fake, "ya29.a"); // kept
    fake_google_pass(fake, 3500);
    assert_access(fake, "ya29.b");
    g_autoptr(GError) error = NULL;
    for (int i = 0; i < 2; i++) {
        g_autofree char *token = NULL;
        gcp_id_token(fake_google_client(fake), "https://f.test/x", &(GcpCall){0}, &token, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(token, ==, "aa.bb.cc");
    }
    g_autofree char *id_claims =
        check_jwt(path, strstr(fake_google_last_body(fake), "assertion=") + strlen("assertion="));
    g_assert_nonnull(strstr(id_claims, "\"target_audience\":\"https://f.test/x\""));
    g_assert_null(strstr(id_claims, "scope"));
    fake_google_free(fake);
}

static void test_metadata(void) {
    const Exchange exchanges[] = {
        {"GET " META "instance/service-accounts/default/token", "Metadata-Flavor: Google", NULL, 503, "later"},
        {"GET " META "instance/service-accounts/default/token", "Metadata-Flavor: Google", NULL, 200,
         "{\"access_token\":\"m\",\"expires_in\":3599}"},
        {"GET " META "instance/service-accounts/default/identity?format=full&audience=https%3A%2F%2Ff.test", NULL, NULL,
         200, "aa.bb.cc\n"},
        {"GET " META "project/project-id", NULL, NULL, 200, "proj"},
        END};
    FakeGoogle *fake = fake_google_new(exchanges, NULL, NULL);
    assert_access(fake, "m");
    g_autofree char *token = NULL, *project = NULL;
    g_autoptr(GError) error = NULL;
    gcp_id_token(fake_google_client(fake), "https://f.test", &(GcpCall){0}, &token, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(token, ==, "aa.bb.cc");
    gcp_project(fake_google_client(fake), &(GcpCall){0}, &project, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(project, ==, "proj");
    fake_google_free(fake);
    const Exchange elsewhere[] = {{"GET http://10.0.0.1:80/computeMetadata/v1/instance/service-accounts/default/token",
                                   NULL, NULL, 200, "{\"access_token\":\"m\"}"},
                                  END};
    fake = fake_google_new(elsewhere, NULL, (const char *const[]){"GCE_METADATA_HOST=10.0.0.1:80", NULL});
    assert_access(fake, "m");
    fake_google_free(fake);
}

static void test_user(void) {
    g_autofree char *path = NULL;
    write_file("user.json",
               "{\"type\":\"authorized_user\",\"client_id\":\"c&\",\"client_secret\":\"s\","
               "\"refresh_token\":\"r\"}",
               &path);
    const Exchange exchanges[] = {{"POST https://oauth2.googleapis.com/token", NULL,
                                   "grant_type=refresh_token&client_id=c%26&client_secret=s&refresh_token=r", 200,
                                   "{\"access_token\":\"u\",\"expires_in\":3599}"},
                                  END};
    g_autofree char *variable = g_strconcat("GOOGLE_APPLICATION_CREDENTIALS=", path, NULL);
    FakeGoogle *fake = fake_google_new(exchanges, "", (const char *const[]){variable, NULL});
    assert_access(fake, "u");
    g_autofree char *token = NULL;
    g_autoptr(GError) error = NULL;
    g_assert_false(gcp_id_token(fake_google_client(fake), "https://f.test", &(GcpCall){0}, &token, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    fake_google_free(fake);
}

static void test_bad_keys(void) {
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "is no JSON object"},
        {"[]", "is no JSON object"},
        {"{}", "'(none)' are not supported"},
        {"{\"type\":\"external_account\"}", "'external_account' are not supported"},
        {"{\"type\":\"service_account\"}", "has no 'client_email'"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"x\"}", "has no 'token_uri'"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"x\",\"token_uri\":\"file:///x\"}",
         "token_uri is no URL"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"SECRET\",\"token_uri\":\"https://x\"}",
         "private key of the service account cannot be read"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"c\"}", "has no 'client_secret'"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = NULL, *token = NULL;
        write_file("bad.json", cases[i].text, &path);
        const Exchange exchanges[] = {END};
        FakeGoogle *fake = fake_google_new(exchanges, path, NULL);
        g_autoptr(GError) error = NULL;
        g_assert_false(gcp_access_token(fake_google_client(fake), &(GcpCall){0}, &token, &error));
        if (!strstr(error->message, cases[i].part))
            g_error("'%s' does not contain '%s'", error->message, cases[i].part);
        g_assert_null(strstr(error->message, "SECRET"));
        fake_google_free(fake);
    }
}

static void test_refused(void) {
    g_autofree char *path = make_key_file(folder, TOKEN_URI), *token = NULL;
    const Exchange exchanges[] = {
        {"POST " TOKEN_URI, NULL, NULL, 400, "{\"error\":\"invalid_grant\",\"error_description\":\"account is gone\"}"},
        END};
    FakeGoogle *fake = fake_google_new(exchanges, path, NULL);
    g_autoptr(GError) error = NULL;
    g_assert_false(gcp_access_token(fake_google_client(fake), &(GcpCall){0}, &token, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "invalid_grant: account is gone"));
    g_assert_null(strstr(error->message, "assertion"));
    fake_google_free(fake);
}

#define TOKEN                                                                                                          \
    {                                                                                                                  \
        "GET " META "instance/service-accounts/default/token", NULL, NULL, 200,                                        \
            "{\"access_token\":\"m\",\"expires_in\":3599}"                                                             \
    }
static const char *const project[] = {"GOOGLE_CLOUD_PROJECT=proj", NULL};

static void test_function_url(void) {
    static const struct {
        int status;
        const char *answer, *second, *url;
    } cases[] = {
        {200, "{\"serviceConfig\":{\"uri\":\"https://f.run.app\"},\"url\":\"https://x\"}", NULL, "https://f.run.app"},
        {200, "{\"environment\":\"GEN_1\",\"url\":\"https://x\"}", NULL, "https://x"},
        {404, "{}", "{\"httpsTrigger\":{\"url\":\"https://one\"}}", "https://one"},
        {200, "{\"serviceConfig\":{\"uri\":\"http://f\"}}", NULL, NULL},
        {200, "{}", NULL, NULL},
        {404, "{\"error\":{\"message\":\"no such\"}}", "{}", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange exchanges[] = {
            TOKEN,
            {"GET " FUNCTIONS "v2/projects/proj/locations/eu-1/functions/fn", "Authorization: Bearer m", NULL,
             cases[i].status, cases[i].answer},
            {cases[i].second ? "GET " FUNCTIONS "v1/projects/proj/locations/eu-1/functions/fn" : NULL, NULL, NULL, 200,
             cases[i].second},
            END};
        FakeGoogle *fake = fake_google_new(exchanges, NULL, project);
        g_autofree char *url = NULL;
        g_autoptr(GError) error = NULL;
        bool ok = gcp_function_url(fake_google_client(fake), "fn", "eu-1", &(GcpCall){0}, &url, &error);
        g_assert_cmpstr(url, ==, cases[i].url);
        g_assert_true(ok == (cases[i].url != NULL) && ok == (error == NULL));
        fake_google_free(fake);
    }
}

#define IDENTITY                                                                                                       \
    { "GET " META "instance/service-accounts/default/identity?*", NULL, NULL, 200, "aa.bb.cc" }

static const char call_body[] = "{\"a\":1}";

static char *call_function(FakeGoogle *fake) {
    g_autofree char *answer = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;
    bool ok = gcp_function_call(fake_google_client(fake), "https://f.run.app", call_body, strlen(call_body),
                                &(GcpCall){0}, &status, &answer, &error);
    g_assert_true(ok == (error == NULL));
    return ok ? g_strdup_printf("%d %s", status, answer) : g_strdup(error->message);
}

// Whatever the answer: the function may have run, and may say 429 and 401 itself. It is called once.
static void test_function_call(void) {
    static const struct {
        int status;
        const char *answer, *part;
    } cases[] = {
        {200, "done\n", "200 done"},
        {204, "", "204 "},
        {500, "boom", "the function answered 500: boom"},
        {503, "", "the function answered 503"},
        {403, "", "the function answered 403"},
        {408, "", "the function answered 408"},
        {429, "slow", "the function answered 429: slow"},
        {401, "no", "the function answered 401: no"},
        {0, "", "the connection broke"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange exchanges[] = {
            IDENTITY,
            {"POST https://f.run.app", "Authorization: Bearer aa.bb.cc", call_body, cases[i].status, cases[i].answer},
            END};
        FakeGoogle *fake = fake_google_new(exchanges, NULL, NULL);
        g_autofree char *text = call_function(fake);
        if (!strstr(text, cases[i].part))
            g_error("'%s' does not contain '%s'", text, cases[i].part);
        fake_google_free(fake);
    }
}

#define CALL(status)                                                                                                   \
    { "POST https://f.run.app", NULL, NULL, status, "" }

static void test_function_again(void) {
    // Who was refused connects again.
    const Exchange refused[] = {IDENTITY, CALL(EXCHANGE_REFUSED), CALL(EXCHANGE_REFUSED), CALL(200), END};
    FakeGoogle *fake = fake_google_new(refused, NULL, NULL);
    g_autofree char *connected = call_function(fake);
    g_assert_cmpstr(connected, ==, "200 ");
    fake_google_free(fake);
    // A token that was not taken is not used for the next call.
    const Exchange anew[] = {IDENTITY, CALL(401), IDENTITY, CALL(200), CALL(200), END};
    fake = fake_google_new(anew, NULL, NULL);
    g_autofree char *denied = call_function(fake);
    g_assert_nonnull(strstr(denied, "answered 401"));
    for (int i = 0; i < 2; i++) {
        g_autofree char *taken = call_function(fake);
        g_assert_cmpstr(taken, ==, "200 ");
    }
    fake_google_free(fake);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("stoop-gcp-XXXXXX", NULL);
    g_test_add_func("/gcp/auth/service-account", test_service_account);
    g_test_add_func("/gcp/auth/metadata", test_metadata);
    g_test_add_func("/gcp/auth/user", test_user);
    g_test_add_func("/gcp/auth/bad-keys", test_bad_keys);
    g_test_add_func("/gcp/auth/refused", test_refused);
    g_test_add_func("/gcp/function/url", test_function_url);
    g_test_add_func("/gcp/function/call", test_function_call);
    g_test_add_func("/gcp/function/again", test_function_again);
    int status = g_test_run();
    static const char *const files[] = {"key.json", "user.json", "bad.json"};
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(folder, files[i], NULL);
        g_unlink(path);
    }
    g_rmdir(folder);
    g_free(folder);
    return status;
}
