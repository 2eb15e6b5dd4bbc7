#include "kube/kube_discover.h"

#include "yaml/diag.h"

#include <string.h>

enum { ENTRIES_MAX = 20000, SHORT_MAX = 8, NAME_MAX_BYTES = 253, POOL_MAX = 8 << 20, GROUP_VERSIONS_MAX = 500 };

typedef struct {
    KubeResource resource;
    const char *singular; // "" when the server names none
    const char *short_names[SHORT_MAX];
} Entry;

struct KubeTable {
    KubePool *pool;
    GArray *entries;
};

void kube_pool_init(KubePool *pool) {
    *pool = (KubePool){.strings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
}

void kube_pool_clear(KubePool *pool) {
    g_hash_table_unref(pool->strings);
    *pool = (KubePool){0};
}

// The pool's copy of a string, or NULL when it is no string, too long or the pool is full.
static const char *keep(KubePool *pool, yyjson_val *value) {
    const char *text = yyjson_get_str(value);
    if (!text || yyjson_get_len(value) > NAME_MAX_BYTES || strlen(text) != yyjson_get_len(value))
        return NULL;
    const char *kept = g_hash_table_lookup(pool->strings, text);
    if (kept)
        return kept;
    if (pool->bytes + yyjson_get_len(value) > POOL_MAX)
        return NULL;
    pool->bytes += yyjson_get_len(value) + 1;
    char *copy = g_strdup(text);
    g_hash_table_add(pool->strings, copy);
    return copy;
}

KubeTable *kube_table_new(KubePool *pool) {
    KubeTable *table = g_new0(KubeTable, 1);
    table->pool = pool;
    table->entries = g_array_new(FALSE, TRUE, sizeof(Entry));
    return table;
}

void kube_table_free(KubeTable *table) {
    if (!table)
        return;
    g_array_unref(table->entries);
    g_free(table);
}

size_t kube_table_size(const KubeTable *table) {
    return table->entries->len;
}

// `group` and `version` are the pool's.
static void add(KubeTable *table, const char *group, const char *version, yyjson_val *plural, yyjson_val *kind,
                yyjson_val *singular, yyjson_val *short_names, bool namespaced) {
    Entry entry = {.resource = {.group = group, .version = version, .namespaced = namespaced}};
    const char *name = yyjson_get_str(plural);
    // pods/log and the like are no resources of their own.
    if (!group || !version || !name || !*name || strchr(name, '/') || table->entries->len >= ENTRIES_MAX)
        return;
    entry.resource.plural = keep(table->pool, plural);
    entry.resource.kind = keep(table->pool, kind);
    if (!entry.resource.plural || !entry.resource.kind || !*entry.resource.kind)
        return;
    entry.singular = keep(table->pool, singular);
    if (!entry.singular)
        entry.singular = "";
    size_t index, count, used = 0;
    yyjson_val *item;
    yyjson_arr_foreach(short_names, index, count, item) {
        const char *kept = used < SHORT_MAX ? keep(table->pool, item) : NULL;
        if (kept)
            entry.short_names[used++] = kept;
    }
    g_array_append_val(table->entries, entry);
}

static void add_version(KubeTable *table, const char *group, yyjson_val *version) {
    const char *version_name = keep(table->pool, yyjson_obj_get(version, "version"));
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(yyjson_obj_get(version, "resources"), index, count, item) {
        const char *scope = yyjson_get_str(yyjson_obj_get(item, "scope"));
        add(table, group, version_name, yyjson_obj_get(item, "resource"),
            kube_object_get(item, "responseKind", "kind", NULL), yyjson_obj_get(item, "singularResource"),
            yyjson_obj_get(item, "shortNames"), g_strcmp0(scope, "Namespaced") == 0);
    }
}

bool kube_table_add_aggregated(KubeTable *table, yyjson_val *root) {
    if (!yyjson_equals_str(yyjson_obj_get(root, "kind"), "APIGroupDiscoveryList"))
        return false;
    size_t index, count, v, versions;
    yyjson_val *group, *version;
    // The versions of a group come with the preferred one first.
    yyjson_arr_foreach(yyjson_obj_get(root, "items"), index, count, group) {
        yyjson_val *name = kube_object_get(group, "metadata", "name", NULL);
        const char *group_name = name ? keep(table->pool, name) : "";
        yyjson_arr_foreach(yyjson_obj_get(group, "versions"), v, versions, version) {
            add_version(table, group_name, version);
        }
    }
    return true;
}

bool kube_table_add_resources(KubeTable *table, yyjson_val *root) {
    yyjson_val *both = yyjson_obj_get(root, "groupVersion");
    if (!yyjson_equals_str(yyjson_obj_get(root, "kind"), "APIResourceList") || !yyjson_is_str(both))
        return false;
    g_autofree char *group = g_strdup(yyjson_get_str(both));
    char *slash = strchr(group, '/');
    const char *version = slash ? slash + 1 : group;
    if (slash)
        *slash = '\0';
    yyjson_val group_value = {0}, version_value = {0};
    yyjson_set_str(&group_value, slash ? group : "");
    yyjson_set_str(&version_value, version);
    const char *kept_group = keep(table->pool, &group_value), *kept_version = keep(table->pool, &version_value);
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(yyjson_obj_get(root, "resources"), index, count, item) {
        add(table, kept_group, kept_version, yyjson_obj_get(item, "name"), yyjson_obj_get(item, "kind"),
            yyjson_obj_get(item, "singularName"), yyjson_obj_get(item, "shortNames"),
            yyjson_get_bool(yyjson_obj_get(item, "namespaced")));
    }
    return true;
}

bool kube_group_versions(yyjson_val *root, GPtrArray *group_versions) {
    if (!yyjson_equals_str(yyjson_obj_get(root, "kind"), "APIGroupList"))
        return false;
    size_t index, count, v, versions;
    yyjson_val *group, *version;
    for (int preferred = 1; preferred >= 0; preferred--) {
        yyjson_arr_foreach(yyjson_obj_get(root, "groups"), index, count, group) {
            const char *first = kube_object_text(group, "preferredVersion", "groupVersion", NULL);
            if (preferred && first && group_versions->len < GROUP_VERSIONS_MAX)
                g_ptr_array_add(group_versions, g_strdup(first));
            yyjson_arr_foreach(yyjson_obj_get(group, "versions"), v, versions, version) {
                const char *other = yyjson_get_str(yyjson_obj_get(version, "groupVersion"));
                if (!preferred && other && g_strcmp0(other, first) != 0 && group_versions->len < GROUP_VERSIONS_MAX)
                    g_ptr_array_add(group_versions, g_strdup(other));
            }
        }
    }
    return true;
}

static bool same(const char *a, const char *b) {
    return g_ascii_strcasecmp(a, b) == 0;
}

// How well an entry is called by `name`: 0 by its plural, then singular, kind, a short name; -1: not at all.
static int rank_of(const Entry *entry, const char *name) {
    if (same(entry->resource.plural, name))
        return 0;
    if (*entry->singular && same(entry->singular, name))
        return 1;
    if (same(entry->resource.kind, name))
        return 2;
    for (size_t i = 0; i < SHORT_MAX && entry->short_names[i]; i++)
        if (same(entry->short_names[i], name))
            return 3;
    return -1;
}

// The first of the best. NULL group or version: any.
static bool find(const KubeTable *table, const char *name, const char *group, const char *version,
                 KubeResource *resource) {
    int best = -1;
    for (guint i = 0; i < table->entries->len; i++) {
        const Entry *entry = &g_array_index(table->entries, Entry, i);
        if ((group && !same(group, entry->resource.group)) || (version && !same(version, entry->resource.version)))
            continue;
        int rank = rank_of(entry, name);
        if (rank < 0 || (best >= 0 && rank >= best))
            continue;
        best = rank;
        *resource = entry->resource;
        if (rank == 0)
            break;
    }
    return best >= 0;
}

bool kube_table_find(const KubeTable *table, const char *name, KubeResource *resource) {
    if (find(table, name, NULL, NULL, resource))
        return true;
    const char *dot = strchr(name, '.');
    if (!dot)
        return false;
    g_autofree char *plural = g_strndup(name, (size_t)(dot - name));
    if (find(table, plural, dot + 1, NULL, resource))
        return true;
    const char *second = strchr(dot + 1, '.');
    if (!second)
        return false;
    g_autofree char *version = g_strndup(dot + 1, (size_t)(second - dot - 1));
    return find(table, plural, second + 1, version, resource);
}

const char *kube_table_nearest(const KubeTable *table, const char *name) {
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < table->entries->len; i++)
        g_ptr_array_add(names, (char *)g_array_index(table->entries, Entry, i).resource.plural);
    g_ptr_array_add(names, NULL);
    return diag_nearest(name, (const char *const *)names->pdata);
}
