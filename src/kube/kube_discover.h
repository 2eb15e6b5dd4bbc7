// Internal to kube/: the table of what a server serves, and reading it from discovery documents.
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
#pragma once

#include "kube/kube_client.h"

// Entries in the order of preference. Strings live in the pool that the table was made with.
typedef struct KubeTable KubeTable;

// Keeps each string once, for as long as the client lives; bounded.
typedef struct {
    GHashTable *strings;
    size_t bytes;
} KubePool;
void kube_pool_init(KubePool *pool);
void kube_pool_clear(KubePool *pool);

KubeTable *kube_table_new(KubePool *pool);
void kube_table_free(KubeTable *table); // NULL is fine
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KubeTable, kube_table_free)
size_t kube_table_size(const KubeTable *table);

// An APIGroupDiscoveryList (v2 or v2beta1); false when it is none.
bool kube_table_add_aggregated(KubeTable *table, yyjson_val *root);
// An APIResourceList, whose groupVersion says which; false when it is none.
bool kube_table_add_resources(KubeTable *table, yyjson_val *root);
// An APIGroupList: the group versions to ask, preferred ones of all groups in the server's order, then the others.
bool kube_group_versions(yyjson_val *root, GPtrArray *group_versions);

bool kube_table_find(const KubeTable *table, const char *name, KubeResource *resource);
// A name near to `name`, or NULL.
const char *kube_table_nearest(const KubeTable *table, const char *name);
