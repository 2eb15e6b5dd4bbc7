// Who we are: where credentials are looked for, in which order, and how long they are kept.
#include "aws/aws_client.h"
#include "aws/aws_instance.h"
#include "aws/aws_profile.h"
#include "aws/aws_sts.h"
#include "fake_aws.h"

#include <glib/gstdio.h>
#include <stdlib.h>

#define IMDS "http://169.254.169.254/latest/"
#define STS "https://sts.eu-west-1.amazonaws.com/"
#define TOKEN_STEP                                                                                                     \
    (FakeStep) {                                                                                                       \
        .method = "PUT", .url = IMDS "api/token", .headers = {"X-aws-ec2-metadata-token-ttl-seconds: 21600"},          \
        .status = 200, .answer = "t0k"                                                                                 \
    }
#define ROLE_PATH IMDS "meta-data/iam/security-credentials/"
#define JSON_KEYS(key, until)                                                                                          \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" key                                                                     \
    "\",\"SecretAccessKey\":\"sk\",\"Token\":\"st\",\"Expiration\":\"" until "\"}"
#define STS_KEYS(action, key, until)                                                                                   \
    "<" action "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" action "Result><Credentials>"          \
    "<AccessKeyId>" key "</AccessKeyId><SecretAccessKey>s&amp;k</SecretAccessKey><SessionToken>st</SessionToken>"      \
    "<Expiration>" until "</Expiration></Credentials></" action "Result></" action "Response>"

static AwsClient *client_of(FakeAws *fake, const AwsClientOptions *options) {
    g_autoptr(GError) error = NULL;
    AwsClient *client = aws_client_new(options, &error);
    g_assert_no_error(error);
    return client;
}

static void assert_key(FakeAws *fake, AwsClient *client, const char *key, const char *source) {
    g_autoptr(GError) error = NULL;
    g_auto(AwsCredentials) credentials = {0};
    AwsCall call = fake_aws_call(fake, 30);
    bool ok = aws_client_credentials(client, &call, &credentials, &error);
    g_assert_no_error(error);
    g_assert_true(ok);
    g_assert_cmpstr(credentials.access_key, ==, key);
    g_assert_cmpstr(credentials.source, ==, source);
}

static void assert_none(FakeAws *fake, AwsClient *client, const char *part) {
    g_autoptr(GError) error = NULL;
    g_auto(AwsCredentials) credentials = {0};
    AwsCall call = fake_aws_call(fake, 30);
    g_assert_false(aws_client_credentials(client, &call, &credentials, &error));
    g_assert_nonnull(error);
    assert_text_has(error->message, part);
    g_assert_null(credentials.access_key);
}

static void expect_instance(FakeAws *fake, const char *json) {
    fake_aws_expect(fake, TOKEN_STEP);
    fake_aws_expect(fake, (FakeStep){.method = "GET",
                                     .url = ROLE_PATH,
                                     .headers = {"X-aws-ec2-metadata-token: t0k"},
                                     .status = 200,
                                     .answer = "node-role\n"});
    fake_aws_expect(fake, (FakeStep){.method = "GET",
                                     .url = ROLE_PATH "node-role",
                                     .headers = {"X-aws-ec2-metadata-token: t0k"},
                                     .status = 200,
                                     .answer = json});
}

static void test_configuration(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    fake_aws_set(fake, "AWS_ACCESS_KEY_ID", "AKENV");
    fake_aws_set(fake, "AWS_SECRET_ACCESS_KEY", "s");
    AwsClientOptions options = fake_aws_options(fake);
    options.access_key = "AKCONF";
    options.secret_key = "s";
    g_autoptr(AwsClient) client = client_of(fake, &options);
    assert_key(fake, client, "AKCONF", "configuration");
}

static void test_half_a_pair(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    AwsClientOptions options = fake_aws_options(fake);
    options.access_key = "AKCONF";
    options.secret_key = "";
    g_autoptr(GError) error = NULL;
    g_assert_null(aws_client_new(&options, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
}

static void test_environment(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    fake_aws_set(fake, "AWS_ACCESS_KEY_ID", "AKENV");
    fake_aws_set(fake, "AWS_SECRET_ACCESS_KEY", "s");
    fake_aws_set(fake, "AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent");
    AwsClientOptions options = fake_aws_options(fake);
    options.access_key = options.secret_key = "";
    g_autoptr(AwsClient) client = client_of(fake, &options);
    assert_key(fake, client, "AKENV", "environment");
}

// As in a pod of EKS: the variables are set, and the environment is also the configuration's aws.role_arn.
static void test_web_identity(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    g_autofree char *folder = g_dir_make_tmp("stoop-aws-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "token", NULL);
    g_assert_true(g_file_set_contents(file, "ey.J.x\n", -1, NULL));
    fake_aws_set(fake, "AWS_WEB_IDENTITY_TOKEN_FILE", file);
    fake_aws_set(fake, "AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
    fake_aws_set(fake, "AWS_REGION", "eu-west-1");
    AwsClientOptions options = fake_aws_options(fake);
    options.role_arn = "arn:aws:iam::1:role/r";
    g_autoptr(AwsClient) client = client_of(fake, &options);
    fake_aws_expect(fake,
                    (FakeStep){.method = "POST",
                               .url = STS,
                               .headers = {"!Authorization:"},
                               .body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%"
                                       "3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=stoop&WebIdentityToken=ey.J.x",
                               .status = 200,
                               .answer = STS_KEYS("AssumeRoleWithWebIdentity", "ASIAWEB", "2026-01-01T01:00:00Z")});
    assert_key(fake, client, "ASIAWEB", "web identity");
    // Another role is assumed with them.
    options.role_arn = "arn:aws:iam::2:role/q";
    options.external_id = "x";
    g_autoptr(AwsClient) second = client_of(fake, &options);
    fake_aws_expect(fake, fake->steps[0]);
    fake_aws_expect(fake, (FakeStep){.method = "POST",
                                     .url = STS,
                                     .headers = {"X-Amz-Security-Token: st", "Authorization: AWS4-HMAC-SHA256 "
                                                                             "Credential=ASIAWEB/20260101/eu-west-1/"
                                                                             "sts/aws4_request, *"},
                                     .body = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A2%"
                                             "3Arole%2Fq&RoleSessionName=stoop&ExternalId=x",
                                     .status = 200,
                                     .answer = STS_KEYS("AssumeRole", "ASIAROLE", "2026-01-01T01:00:00Z")});
    assert_key(fake, second, "ASIAROLE", "role");
    // A token that is gone is told, and nobody else's credentials are taken.
    g_unlink(file);
    g_autoptr(AwsClient) third = client_of(fake, &options);
    assert_none(fake, third, "web identity");
    g_rmdir(folder);
}

static void test_profile(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    g_autofree char *folder = g_dir_make_tmp("stoop-aws-XXXXXX", NULL);
    g_autofree char *aws = g_build_filename(folder, ".aws", NULL);
    g_mkdir(aws, 0700);
    g_autofree char *keys = g_build_filename(aws, "credentials", NULL);
    g_autofree char *config = g_build_filename(aws, "config", NULL);
    g_assert_true(g_file_set_contents(
        keys,
        "# mine\n[default]\naws_access_key_id = AKDEF\naws_secret_access_key=s\n[ other ]\naws_access_key_id=AKO\n"
        "aws_secret_access_key=a=b\n",
        -1, NULL));
    g_assert_true(g_file_set_contents(config,
                                      "[default]\nregion=us-west-2\n[profile role]\nrole_arn=arn:aws:iam::1:role/p\n"
                                      "source_profile=other\nregion=eu-west-1\ns3 =\n  region = nested\n"
                                      "[profile sso]\nsso_session=x\n",
                                      -1, NULL));
    fake_aws_set(fake, "HOME", folder);
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    assert_key(fake, client, "AKDEF", "profile");
    AwsCall call = fake_aws_call(fake, 5);
    g_autofree char *region = aws_client_region(client, NULL, &call, NULL);
    g_assert_cmpstr(region, ==, "us-west-2");

    fake_aws_set(fake, "AWS_PROFILE", "role");
    g_autoptr(AwsClient) with_role = client_of(fake, &options);
    fake_aws_expect(fake, (FakeStep){.method = "POST",
                                     .url = STS,
                                     .headers = {"Authorization: AWS4-HMAC-SHA256 Credential=AKO/*"},
                                     .status = 200,
                                     .answer = STS_KEYS("AssumeRole", "ASIAP", "2026-01-01T01:00:00Z")});
    assert_key(fake, with_role, "ASIAP", "profile");

    fake_aws_set(fake, "AWS_PROFILE", "sso");
    g_autoptr(AwsClient) sso = client_of(fake, &options);
    assert_none(fake, sso, "SSO");
    fake_aws_set(fake, "AWS_PROFILE", "nobody");
    g_autoptr(AwsClient) nobody = client_of(fake, &options);
    assert_none(fake, nobody, "profile 'nobody'");
    g_unlink(keys);
    g_unlink(config);
    g_rmdir(aws);
    g_rmdir(folder);
}

// A shared file of configuration in a folder of its own; the profile "default" unless AWS_PROFILE says otherwise.
typedef struct {
    FakeAws *fake;
    char *folder, *config, *token;
} Profiles;

static Profiles profiles_new(const char *text) {
    Profiles files = {.fake = fake_aws_new(), .folder = g_dir_make_tmp("stoop-aws-XXXXXX", NULL)};
    files.config = g_build_filename(files.folder, "config", NULL);
    files.token = g_build_filename(files.folder, "token", NULL);
    g_assert_true(g_file_set_contents(files.token, "tok.e.n\n", -1, NULL));
    g_autoptr(GString) whole = g_string_new(text);
    g_string_replace(whole, "$TOKEN", files.token, 0);
    g_assert_true(g_file_set_contents(files.config, whole->str, -1, NULL));
    fake_aws_set(files.fake, "AWS_CONFIG_FILE", files.config);
    fake_aws_set(files.fake, "AWS_REGION", "eu-west-1");
    return files;
}

static void profiles_clear(Profiles *files) {
    g_unlink(files->config);
    g_unlink(files->token);
    g_rmdir(files->folder);
    g_free(files->config);
    g_free(files->token);
    g_free(files->folder);
    fake_aws_free(files->fake);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Profiles, profiles_clear)

static void expect_assumed(Profiles *files, const char *header, const char *body) {
    fake_aws_expect(files->fake, (FakeStep){.method = "POST",
                                            .url = STS,
                                            .headers = {header},
                                            .body = body,
                                            .status = 200,
                                            .answer = STS_KEYS("AssumeRole", "ASIAP", "2026-01-01T01:00:00Z")});
}

static void assert_profile_key(Profiles *files, const char *key) {
    AwsClientOptions options = fake_aws_options(files->fake);
    g_autoptr(AwsClient) client = client_of(files->fake, &options);
    assert_key(files->fake, client, key, "profile");
}

// A profile that is its own source has keys and a role, which is assumed once.
static void test_own_source(void) {
    g_auto(Profiles) files = profiles_new("[default]\nrole_arn=R\nsource_profile=default\naws_access_key_id=AKD\n"
                                          "aws_secret_access_key=s\n[profile foo]\nrole_arn=F\nsource_profile=foo\n"
                                          "aws_access_key_id=AKF\naws_secret_access_key=s\n");
    expect_assumed(&files, "Authorization: AWS4-HMAC-SHA256 Credential=AKD/*", NULL);
    assert_profile_key(&files, "ASIAP");
    fake_aws_set(files.fake, "AWS_PROFILE", "foo");
    expect_assumed(&files, "Authorization: AWS4-HMAC-SHA256 Credential=AKF/*", NULL);
    assert_profile_key(&files, "ASIAP");
}

#define ASSUME "Action=AssumeRole&Version=2011-06-15&RoleArn=R&RoleSessionName="

static void test_credential_source(void) {
    g_auto(Profiles) files =
        profiles_new("[default]\nrole_arn=R\ncredential_source=Ec2InstanceMetadata\nexternal_id=e&x\n"
                     "role_session_name=mine\n[profile pod]\nrole_arn=R\ncredential_source=EcsContainer\n"
                     "[profile odd]\nrole_arn=R\ncredential_source=Elsewhere\n");
    expect_instance(files.fake, JSON_KEYS("ASIA1", "2026-01-01T01:00:00Z"));
    expect_assumed(&files, "Authorization: AWS4-HMAC-SHA256 Credential=ASIA1/*", ASSUME "mine&ExternalId=e%26x");
    assert_profile_key(&files, "ASIAP");
    fake_aws_set(files.fake, "AWS_PROFILE", "pod");
    fake_aws_set(files.fake, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
    fake_aws_expect(files.fake, (FakeStep){.method = "GET",
                                           .url = "http://169.254.170.2/v2/x",
                                           .status = 200,
                                           .answer = JSON_KEYS("ASIAPOD", "2026-01-01T06:00:00Z")});
    expect_assumed(&files, "Authorization: AWS4-HMAC-SHA256 Credential=ASIAPOD/*", ASSUME "stoop");
    assert_profile_key(&files, "ASIAP");
    fake_aws_set(files.fake, "AWS_PROFILE", "odd");
    AwsClientOptions options = fake_aws_options(files.fake);
    g_autoptr(AwsClient) odd = client_of(files.fake, &options);
    assert_none(files.fake, odd, "without a source_profile or credential_source");
}

static void test_profile_token(void) {
    g_auto(Profiles) files = profiles_new("[default]\nrole_arn=R\nweb_identity_token_file=$TOKEN\n");
    fake_aws_expect(files.fake,
                    (FakeStep){.method = "POST",
                               .url = STS,
                               .headers = {"!Authorization:"},
                               .body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=R&"
                                       "RoleSessionName=stoop&WebIdentityToken=tok.e.n",
                               .status = 200,
                               .answer = STS_KEYS("AssumeRoleWithWebIdentity", "ASIAWEB", "2026-01-01T01:00:00Z")});
    AwsClientOptions options = fake_aws_options(files.fake);
    g_autoptr(AwsClient) client = client_of(files.fake, &options);
    assert_key(files.fake, client, "ASIAWEB", "web identity");
}

// As in EKS Pod Identity: the token is a file, read anew each time.
static void test_container_token_file(void) {
    g_auto(Profiles) files = profiles_new("");
    fake_aws_set(files.fake, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    fake_aws_set(files.fake, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", files.token);
    fake_aws_expect(files.fake, (FakeStep){.method = "GET",
                                           .url = "http://169.254.170.23/v1/credentials",
                                           .headers = {"Authorization: tok.e.n"},
                                           .status = 200,
                                           .answer = JSON_KEYS("ASIAPOD", "2026-01-01T06:00:00Z")});
    AwsClientOptions options = fake_aws_options(files.fake);
    g_autoptr(AwsClient) client = client_of(files.fake, &options);
    assert_key(files.fake, client, "ASIAPOD", "container");
    g_unlink(files.token);
    g_autoptr(AwsClient) without = client_of(files.fake, &options);
    assert_none(files.fake, without, "cannot read");
}

static void test_container(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    fake_aws_set(fake, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    fake_aws_set(fake, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "tok en");
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    fake_aws_expect(fake, (FakeStep){.method = "GET",
                                     .url = "http://169.254.170.23/v1/credentials",
                                     .headers = {"Authorization: tok en"},
                                     .status = 200,
                                     .answer = JSON_KEYS("ASIAPOD", "2026-01-01T06:00:00Z")});
    assert_key(fake, client, "ASIAPOD", "container");
    // The token goes nowhere else in the clear.
    static const char *const elsewhere[] = {"http://evil.test/x", "http://127.0.0.1.evil.test/", "http://localhost@x/",
                                            "ftp://127.0.0.1/"};
    for (size_t i = 0; i < G_N_ELEMENTS(elsewhere); i++) {
        fake_aws_set(fake, "AWS_CONTAINER_CREDENTIALS_FULL_URI", elsewhere[i]);
        g_autoptr(AwsClient) other = client_of(fake, &options);
        assert_none(fake, other, "neither https nor of this machine");
    }
}

static void test_instance(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    expect_instance(fake, JSON_KEYS("ASIA1", "2026-01-01T01:00:00Z"));
    assert_key(fake, client, "ASIA1", "instance");
    // Kept until 5 minutes before the end.
    fake->now_us += 54 * 60 * (int64_t)G_USEC_PER_SEC;
    assert_key(fake, client, "ASIA1", "instance");
    fake->now_us += 2 * 60 * (int64_t)G_USEC_PER_SEC;
    expect_instance(fake, JSON_KEYS("ASIA2", "2026-01-01T02:00:00Z"));
    assert_key(fake, client, "ASIA2", "instance");
}

// While the old ones last, a refresh that fails is no failure, and is not tried with every call.
static void test_refresh_fails(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    expect_instance(fake, JSON_KEYS("ASIA1", "2026-01-01T01:00:00Z"));
    assert_key(fake, client, "ASIA1", "instance");
    fake->now_us += 57 * 60 * (int64_t)G_USEC_PER_SEC;
    FakeStep down = TOKEN_STEP;
    down.status = 0;
    down.failure = STOOP_ERROR_UNAVAILABLE;
    fake_aws_expect(fake, down);
    fake_aws_expect(fake, down); // two tries
    assert_key(fake, client, "ASIA1", "instance");
    assert_key(fake, client, "ASIA1", "instance"); // asks nobody
    fake->now_us += 5 * 60 * (int64_t)G_USEC_PER_SEC;
    fake_aws_expect(fake, down);
    fake_aws_expect(fake, down);
    assert_none(fake, client, "no AWS credentials in");
    assert_none(fake, client, "metadata service"); // asks nobody
}

typedef struct {
    FakeAws *fake;
    AwsClient *client;
    unsigned served;
} Meanwhile;

// What others get while one is reading them anew.
static void others_go_on(void *user) {
    Meanwhile *meanwhile = user;
    assert_key(meanwhile->fake, meanwhile->client, "ASIA1", "instance");
    meanwhile->served++;
}

static void test_others_go_on(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    expect_instance(fake, JSON_KEYS("ASIA1", "2026-01-01T01:00:00Z"));
    assert_key(fake, client, "ASIA1", "instance");
    fake->now_us += 57 * 60 * (int64_t)G_USEC_PER_SEC;
    Meanwhile meanwhile = {fake, client, 0};
    expect_instance(fake, JSON_KEYS("ASIA2", "2026-01-01T02:00:00Z"));
    fake->steps[fake->count - 1].then = others_go_on;
    fake->steps[fake->count - 1].user = &meanwhile;
    assert_key(fake, client, "ASIA2", "instance");
    g_assert_cmpuint(meanwhile.served, ==, 1);
}

typedef struct {
    FakeAws *fake;
    AwsClient *client;
} Caller;

static void *call_in_thread(void *user) {
    Caller *caller = user;
    assert_key(caller->fake, caller->client, "ASIA1", "instance");
    return NULL;
}

// Many at once at the start: one asks.
static void test_one_asks(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    expect_instance(fake, JSON_KEYS("ASIA1", "2026-01-01T01:00:00Z"));
    Caller caller = {fake, client};
    pthread_t threads[8];
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_true(thread_start(&threads[i], "caller", 0, call_in_thread, &caller, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
}

static void test_nowhere(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    fake_aws_set(fake, "AWS_EC2_METADATA_DISABLED", "TRUE");
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    assert_none(fake, client, "AWS_EC2_METADATA_DISABLED");
    g_autoptr(GError) error = NULL;
    AwsCall call = fake_aws_call(fake, 5);
    g_assert_null(aws_client_region(client, NULL, &call, &error));
    assert_text_has(error->message, "aws.region");
    g_clear_error(&error);
    g_assert_null(aws_client_region(client, "evil.test/#", &call, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
}

static void test_endpoints(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    bool own = true;
    g_autofree char *china = aws_client_endpoint(client, "s3", "cn-north-1", &own);
    g_assert_cmpstr(china, ==, "https://s3.cn-north-1.amazonaws.com.cn");
    g_assert_false(own);
    fake_aws_set(fake, "AWS_ENDPOINT_URL", "http://all:1/");
    fake_aws_set(fake, "AWS_ENDPOINT_URL_S3", "http://s3:2");
    g_autofree char *s3 = aws_client_endpoint(client, "s3", "r", &own);
    g_autofree char *sts = aws_client_endpoint(client, "sts", "r", NULL);
    g_assert_cmpstr(s3, ==, "http://s3:2");
    g_assert_cmpstr(sts, ==, "http://all:1");
    g_assert_true(own);
    fake_aws_set(fake, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    g_autofree char *ignored = aws_client_endpoint(client, "s3", "r", &own);
    g_assert_cmpstr(ignored, ==, "https://s3.r.amazonaws.com");
}

static void test_identity(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    AwsClientOptions options = fake_aws_options(fake);
    options.access_key = "AK";
    options.secret_key = "s";
    options.region = "eu-west-1";
    g_autoptr(AwsClient) client = client_of(fake, &options);
    AwsCall call = fake_aws_call(fake, 5);
    g_autoptr(GError) error = NULL;
    fake_aws_expect(fake,
                    (FakeStep){.method = "POST",
                               .url = STS,
                               .body = "Action=GetCallerIdentity&Version=2011-06-15",
                               .status = 403,
                               .answer = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>"
                                         "<Message>The security token is invalid.</Message></Error></ErrorResponse>"});
    g_assert_null(aws_sts_identity(client, &call, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAUTHENTICATED);
    g_assert_cmpstr(error->message, ==,
                    "GetCallerIdentity: InvalidClientTokenId: The security token is invalid. (403)");
    fake_aws_expect(fake, (FakeStep){.method = "POST",
                                     .url = STS,
                                     .status = 200,
                                     .answer = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:x"
                                               "</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"});
    for (int i = 0; i < 2; i++) {
        g_autofree char *arn = aws_sts_identity(client, &call, NULL);
        g_assert_cmpstr(arn, ==, "arn:aws:x");
    }
}

static void test_instance_facts(void) {
    g_autoptr(FakeAws) fake = fake_aws_new();
    AwsClientOptions options = fake_aws_options(fake);
    g_autoptr(AwsClient) client = client_of(fake, &options);
    AwsCall call = fake_aws_call(fake, 5);
    for (int with_profile = 0; with_profile < 2; with_profile++) {
        fake_aws_expect(fake, TOKEN_STEP);
        fake_aws_expect(fake, (FakeStep){.method = "GET",
                                         .url = IMDS "meta-data/iam/info",
                                         .status = with_profile ? 200 : 404,
                                         .answer = "{\"Code\":\"Success\",\"InstanceProfileArn\":\"arn:p\","
                                                   "\"InstanceProfileId\":\"AIPA\"}"});
        fake_aws_expect(fake, TOKEN_STEP);
        fake_aws_expect(fake, (FakeStep){.method = "GET",
                                         .url = IMDS "meta-data/placement/region",
                                         .headers = {"X-aws-ec2-metadata-token: t0k"},
                                         .status = 200,
                                         .answer = "eu-west-1"});
        g_auto(AwsInstance) instance = {0};
        g_assert_true(aws_instance_read(client, &call, &instance, NULL));
        g_assert_cmpstr(instance.profile_arn, ==, with_profile ? "arn:p" : NULL);
        g_assert_cmpstr(instance.profile_id, ==, with_profile ? "AIPA" : NULL);
        g_assert_cmpstr(instance.region, ==, "eu-west-1");
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chain/configuration", test_configuration);
    g_test_add_func("/chain/half-a-pair", test_half_a_pair);
    g_test_add_func("/chain/environment", test_environment);
    g_test_add_func("/chain/web-identity", test_web_identity);
    g_test_add_func("/chain/profile", test_profile);
    g_test_add_func("/chain/own-source", test_own_source);
    g_test_add_func("/chain/credential-source", test_credential_source);
    g_test_add_func("/chain/profile-token", test_profile_token);
    g_test_add_func("/chain/container", test_container);
    g_test_add_func("/chain/container-token-file", test_container_token_file);
    g_test_add_func("/chain/instance", test_instance);
    g_test_add_func("/chain/refresh-fails", test_refresh_fails);
    g_test_add_func("/chain/others-go-on", test_others_go_on);
    g_test_add_func("/chain/one-asks", test_one_asks);
    g_test_add_func("/chain/nowhere", test_nowhere);
    g_test_add_func("/chain/endpoints", test_endpoints);
    g_test_add_func("/chain/identity", test_identity);
    g_test_add_func("/chain/instance-facts", test_instance_facts);
    return g_test_run();
}
