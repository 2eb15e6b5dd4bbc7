#include "aws/aws_instance.h"

#include "aws/aws_client_private.h"
#include "base/error.h"

#include <string.h>
#include <yyjson.h>

void aws_instance_clear(AwsInstance *instance) {
    g_clear_pointer(&instance->profile_arn, g_free);
    g_clear_pointer(&instance->profile_id, g_free);
    g_clear_pointer(&instance->region, g_free);
}

static bool read_profile(const char *json, AwsInstance *instance, GError **error) {
    yyjson_doc *doc = *json ? yyjson_read(json, strlen(json), 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool ok = yyjson_is_obj(root);
    instance->profile_arn = g_strdup(yyjson_get_str(yyjson_obj_get(root, "InstanceProfileArn")));
    instance->profile_id = g_strdup(yyjson_get_str(yyjson_obj_get(root, "InstanceProfileId")));
    yyjson_doc_free(doc);
    if (!ok)
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the instance's profile is no JSON object");
    return ok;
}

bool aws_instance_read(AwsClient *client, const AwsCall *call, AwsInstance *instance, GError **error) {
    g_auto(AwsInstance) found = {0};
    g_autoptr(GError) failure = NULL;
    g_autofree char *json = aws_imds_get(client, "/latest/meta-data/iam/info", call, &failure);
    // An instance without a profile has no such page.
    if (!json && !stoop_error_is(failure, STOOP_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (json && !read_profile(json, &found, error))
        return false;
    found.region = aws_imds_get(client, "/latest/meta-data/placement/region", call, error);
    if (!found.region)
        return false;
    *instance = found;
    found = (AwsInstance){0};
    return true;
}
