// The clients of the outside world that plug-ins of every kind are given. Only names here: who uses a client includes
// its header.
#pragma once

struct KubeClient;
struct AwsClient;
struct S3Client;
struct GcpClient;

// Each may be NULL: Stoop was not told how to reach that part of the world.
typedef struct {
    struct KubeClient *kube;
    struct AwsClient *aws;
    struct S3Client *minio;
    struct GcpClient *gcp;
    const char *tcpdump_image, *sysdig_image; // the configuration's; an action's own parameter goes first
} ActionClients;
