#include "cli/clients.h"

#include "aws/aws_client.h"
#include "aws/s3_client.h"
#include "gcp/gcp_client.h"
#include "kube/kube_client.h"

#include <stdlib.h>

static const char *look_up(const char *name, void *user) {
    return getenv(name);
}

static bool make_kube(const Config *config, ActionClients *clients, GError **error) {
    const char *path = config->kubeconfig;
    KubeConfig *kube = path && *path ? kube_config_load(path, error) : kube_config_in_cluster(NULL, error);
    if (!kube)
        return false;
    KubeClientOptions options = {
        .config = kube,
        .clock = clock_system(),
        .max_in_flight = (unsigned)config->limits_api_calls,
    };
    clients->kube = kube_client_new(&options, error);
    return clients->kube != NULL;
}

static bool make_aws(const Config *config, ActionClients *clients, GError **error) {
    AwsClientOptions options = {
        .access_key = config->aws_access_key,
        .secret_key = config->aws_secret_key,
        .role_arn = config->aws_role_arn,
        .external_id = config->aws_external_id,
        .region = config->aws_region,
        .environment = look_up,
        .clock = clock_system(),
    };
    clients->aws = aws_client_new(&options, error);
    if (!clients->aws)
        g_prefix_error(error, "aws: ");
    return clients->aws != NULL;
}

static bool make_minio(const Config *config, ActionClients *clients, GError **error) {
    if (!config->minio_endpoint || !*config->minio_endpoint)
        return true;
    S3ClientOptions options = {
        .endpoint = config->minio_endpoint,
        .use_tls = config->minio_use_ssl,
        .access_key = config->minio_access_key,
        .secret_key = config->minio_secret_key,
        .environment = look_up,
        .clock = clock_system(),
    };
    clients->minio = s3_client_new(&options, error);
    if (!clients->minio)
        g_prefix_error(error, "minio: ");
    return clients->minio != NULL;
}

static bool make_gcp(const Config *config, ActionClients *clients, GError **error) {
    GcpClientOptions options = {
        .credentials_path = config->gcp_credentials_path,
        .environment = look_up,
        .clock = clock_system(),
    };
    clients->gcp = gcp_client_new(&options, error);
    if (!clients->gcp)
        g_prefix_error(error, "gcp: ");
    return clients->gcp != NULL;
}

bool clients_make(const Config *config, ActionClients *clients, GError **error) {
    clients->tcpdump_image = config->images_tcpdump;
    clients->sysdig_image = config->images_sysdig;
    return make_kube(config, clients, error) && make_aws(config, clients, error) &&
           make_minio(config, clients, error) && make_gcp(config, clients, error);
}

void clients_free(ActionClients *clients) {
    gcp_client_free(clients->gcp);
    if (clients->minio)
        s3_client_free(clients->minio);
    if (clients->aws)
        aws_client_free(clients->aws);
    kube_client_free(clients->kube);
    *clients = (ActionClients){0};
}
