// Where credentials come from, in the order of the AWS SDKs: the configuration's keys, the environment, a web identity,
// the shared profile, the container, the instance. Then the role that the configuration names is assumed with them.
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
#include "aws/aws_client_private.h"
#include "base/error.h"

#include <string.h>

#define MAX_SOURCES 3 // how far profiles may name one another as their source

typedef struct {
    AwsClient *client;
    const AwsCall *call;
    AwsCredentials *found;
    GString *tried; // what was looked at without success, for the error
} Search;

typedef enum { FOUND, NOT_HERE, BROKEN } Outcome;

// --- Keys ---

static bool take_keys(AwsCredentials *into, const char *access, const char *secret, const char *token,
                      const char *source) {
    if (!access || !*access || !secret || !*secret)
        return false;
    *into = (AwsCredentials){
        .access_key = g_strdup(access),
        .secret_key = g_strdup(secret),
        .session_token = token && *token ? g_strdup(token) : NULL,
        .source = source,
    };
    return true;
}

static Outcome from_configuration(Search *search, GError **error) {
    return take_keys(search->found, search->client->access_key, search->client->secret_key, NULL, "configuration")
               ? FOUND
               : NOT_HERE;
}

static Outcome from_environment(Search *search, GError **error) {
    const AwsClient *client = search->client;
    return take_keys(search->found, aws_env(client, "AWS_ACCESS_KEY_ID"), aws_env(client, "AWS_SECRET_ACCESS_KEY"),
                     aws_env(client, "AWS_SESSION_TOKEN"), "environment")
               ? FOUND
               : NOT_HERE;
}

// --- A web identity ---

static bool assume_by_token(Search *search, const char *file, const char *role, GError **error) {
    g_autofree char *token = aws_read_token_file(file, error);
    g_autofree char *region = token ? aws_client_region(search->client, NULL, search->call, error) : NULL;
    if (!region)
        return false;
    AwsAssume assume = {
        .role_arn = role,
        .region = region,
        .web_identity_token = token,
        .session_name = aws_env(search->client, "AWS_ROLE_SESSION_NAME"),
    };
    if (!aws_sts_assume(search->client, &assume, NULL, search->call, search->found, error))
        return false;
    search->found->source = "web identity";
    return true;
}

static Outcome from_web_identity(Search *search, GError **error) {
    const char *file = aws_env(search->client, "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (!file)
        return NOT_HERE;
    const char *role = aws_env(search->client, "AWS_ROLE_ARN");
    if (!role)
        role = search->client->role_arn;
    if (!role) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                            "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
        return BROKEN;
    }
    return assume_by_token(search, file, role, error) ? FOUND : BROKEN;
}

// --- The shared profile ---

AwsProfile *aws_chain_profile(AwsClient *client, const char *name) {
    const char *home = aws_env(client, "HOME");
    g_autofree char *credentials = g_strdup(aws_env(client, "AWS_SHARED_CREDENTIALS_FILE"));
    g_autofree char *config = g_strdup(aws_env(client, "AWS_CONFIG_FILE"));
    if (!credentials && home)
        credentials = g_build_filename(home, ".aws", "credentials", NULL);
    if (!config && home)
        config = g_build_filename(home, ".aws", "config", NULL);
    if (!name)
        name = aws_env(client, "AWS_PROFILE");
    return aws_profile_load(credentials, config, name ? name : "default");
}

static const char *entry(AwsProfile *profile, const char *key) {
    const char *value = g_hash_table_lookup(profile, key);
    return value && *value ? value : NULL;
}

static Outcome from_profile(Search *search, const char *name, unsigned depth, GError **error);

// The credentials that a profile names as the source of its role.
static Outcome from_source(Search *search, AwsProfile *profile, const char *name, unsigned depth, GError **error) {
    const char *source = entry(profile, "source_profile"), *place = entry(profile, "credential_source");
    if (source && depth < MAX_SOURCES) {
        if (strcmp(source, name) == 0)
            return take_keys(search->found, entry(profile, "aws_access_key_id"),
                             entry(profile, "aws_secret_access_key"), entry(profile, "aws_session_token"), "profile")
                       ? FOUND
                       : NOT_HERE;
        return from_profile(search, source, depth + 1, error);
    }
    if (place && strcmp(place, "Environment") == 0)
        return from_environment(search, error);
    if (place && strcmp(place, "Ec2InstanceMetadata") == 0)
        return aws_imds_credentials(search->client, search->call, search->found, error) ? FOUND : BROKEN;
    if (place && strcmp(place, "EcsContainer") == 0 &&
        (aws_env(search->client, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
         aws_env(search->client, "AWS_CONTAINER_CREDENTIALS_FULL_URI")))
        return aws_container_credentials(search->client, search->call, search->found, error) ? FOUND : BROKEN;
    return NOT_HERE;
}

static Outcome role_of_profile(Search *search, AwsProfile *profile, const char *name, unsigned depth, GError **error) {
    const char *role = entry(profile, "role_arn"), *file = entry(profile, "web_identity_token_file");
    if (file)
        return assume_by_token(search, file, role, error) ? FOUND : BROKEN;
    g_autofree char *region = NULL;
    g_auto(AwsCredentials) base = {0};
    Outcome outcome = from_source(search, profile, name, depth, error);
    if (outcome == NOT_HERE)
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                            "it has a role_arn without a source_profile or credential_source that gives credentials");
    if (outcome != FOUND)
        return BROKEN;
    base = *search->found;
    *search->found = (AwsCredentials){0};
    region = aws_client_region(search->client, entry(profile, "region"), search->call, error);
    AwsAssume assume = {
        .role_arn = role,
        .external_id = entry(profile, "external_id"),
        .region = region,
        .session_name = entry(profile, "role_session_name"),
    };
    if (!region || !aws_sts_assume(search->client, &assume, &base, search->call, search->found, error))
        return BROKEN;
    search->found->source = "profile";
    return FOUND;
}

static Outcome from_profile(Search *search, const char *name, unsigned depth, GError **error) {
    g_autoptr(GHashTable) profile = aws_chain_profile(search->client, name);
    bool wanted = depth > 0 || aws_env(search->client, "AWS_PROFILE");
    if (!profile && !wanted)
        return NOT_HERE;
    Outcome outcome = NOT_HERE;
    if (!profile)
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "neither of the shared files has it");
    else if (entry(profile, "role_arn"))
        outcome = role_of_profile(search, profile, name, depth, error);
    else if (take_keys(search->found, entry(profile, "aws_access_key_id"), entry(profile, "aws_secret_access_key"),
                       entry(profile, "aws_session_token"), "profile"))
        outcome = FOUND;
    else if (entry(profile, "credential_process") || entry(profile, "sso_session") || entry(profile, "sso_start_url"))
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                            "it uses SSO or credential_process, which a program without a user cannot");
    if (outcome == FOUND)
        return FOUND;
    g_prefix_error(error, "profile '%s': ", name);
    return error && *error ? BROKEN : NOT_HERE;
}

static Outcome from_shared_files(Search *search, GError **error) {
    const char *name = aws_env(search->client, "AWS_PROFILE");
    return from_profile(search, name ? name : "default", 0, error);
}

// --- The machine ---

static Outcome from_container(Search *search, GError **error) {
    if (!aws_env(search->client, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") &&
        !aws_env(search->client, "AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        return NOT_HERE;
    return aws_container_credentials(search->client, search->call, search->found, error) ? FOUND : BROKEN;
}

static Outcome from_instance(Search *search, GError **error) {
    g_autoptr(GError) failure = NULL;
    if (aws_imds_credentials(search->client, search->call, search->found, &failure))
        return FOUND;
    g_string_append_printf(search->tried, ", the instance's metadata service (%s)", failure->message);
    // Nobody there is no wonder outside of AWS.
    return NOT_HERE;
}

// --- The chain ---

static bool find_base(Search *search, GError **error) {
    static const struct {
        const char *name; // of what NOT_HERE looked at; NULL: it says so itself
        Outcome (*find)(Search *search, GError **error);
    } links[] = {
        {"the configuration (aws.access_key)", from_configuration},
        {"the environment (AWS_ACCESS_KEY_ID)", from_environment},
        {"a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", from_web_identity},
        {"the shared profile", from_shared_files},
        {"the container", from_container},
        {NULL, from_instance},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(links); i++) {
        GError *failure = NULL;
        switch (links[i].find(search, &failure)) {
        case FOUND:
            return true;
        case BROKEN:
            // What is set up and does not work is not passed over for somebody else's identity.
            g_propagate_prefixed_error(error, failure,
                                       "no AWS credentials from %s: ", links[i].name ? links[i].name : "the instance");
            return false;
        case NOT_HERE:
        default:
            if (links[i].name)
                g_string_append_printf(search->tried, "%s%s", search->tried->len ? ", " : "", links[i].name);
        }
    }
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAUTHENTICATED, "no AWS credentials in %s", search->tried->str);
    return false;
}

bool aws_chain_find(AwsClient *client, const AwsCall *call, AwsCredentials *credentials, GError **error) {
    g_autoptr(GString) tried = g_string_new(NULL);
    g_auto(AwsCredentials) base = {0};
    Search search = {.client = client, .call = call, .found = &base, .tried = tried};
    if (!find_base(&search, error))
        return false;
    // In a pod with a web identity, AWS_ROLE_ARN is also the configuration's aws.role_arn: that role is ours already.
    bool assume = client->role_arn && g_strcmp0(base.assumed_role, client->role_arn) != 0;
    if (!assume) {
        *credentials = base;
        base = (AwsCredentials){0};
        return true;
    }
    g_autofree char *region = aws_client_region(client, NULL, call, error);
    AwsAssume role = {.role_arn = client->role_arn, .external_id = client->external_id, .region = region};
    if (!region || !aws_sts_assume(client, &role, &base, call, credentials, error))
        return false;
    credentials->source = "role";
    return true;
}
