// gcp:function: calls a Google Cloud function with the event.
#include "actionners/actionner.h"
#include "actionners/event_json.h"
#include "base/error.h"
#include "gcp/gcp_function_client.h"

#include <stdlib.h>

typedef struct {
    char *gcp_function_name, *gcp_function_location;
    int64_t gcp_function_timeout;
} GcpFunctionParams;

static char *name_check(const char *text) {
    return gcp_function_name_is_valid(text) ? NULL : g_strdup("is no such name: 1 to 63 letters, digits, '-' and '_'");
}

static const ParamRow gcp_function_rows[] = {
    PARAM_ROW_TEXT(GcpFunctionParams, gcp_function_name, .required = true, .check = name_check,
                   .summary = "Name of the function."),
    PARAM_ROW_TEXT(GcpFunctionParams, gcp_function_location, .required = true, .check = name_check,
                   .summary = "Location of the function, such as us-central1."),
    PARAM_ROW_INT(GcpFunctionParams, gcp_function_timeout, PARAM_RANGE(0, 3600), .unit = "s",
                  .summary = "How long to wait for the answer; 0 is 60."),
    PARAM_ROW_END,
};

static const int64_t TIMEOUT_S = 60;

static bool call_function(const ActionContext *context, const char *url, ActionResult *result, GError **error) {
    const GcpFunctionParams *params = context->params;
    int64_t timeout_s = params->gcp_function_timeout > 0 ? params->gcp_function_timeout : TIMEOUT_S;
    int64_t until_us = clock_monotonic_us(context->clock) + timeout_s * G_USEC_PER_SEC;
    GcpCall call = {MIN(until_us, context->deadline_us), context->cancel};
    size_t len = 0;
    char *json = action_event_json(context, &len, error);
    if (!json)
        return false;
    int status = 0;
    g_autofree char *answer = NULL;
    bool ok = gcp_function_call(context->clients->gcp, url, json, len, &call, &status, &answer, error);
    free(json); // yyjson's
    if (ok)
        action_result_set(result, ACTION_SUCCESS, "the function '%s' answered %d%s%s", params->gcp_function_name,
                          status, *answer ? ": " : "", answer);
    else
        g_prefix_error(error, "the function '%s' in '%s': ", params->gcp_function_name, params->gcp_function_location);
    return ok;
}

static bool gcp_function_run(const ActionContext *context, ActionResult *result, GError **error) {
    const GcpFunctionParams *params = context->params;
    if (!context->clients || !context->clients->gcp) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "there is no client of Google Cloud");
        return false;
    }
    action_result_add_object(result, "function", params->gcp_function_name);
    int64_t until_us = clock_monotonic_us(context->clock) + TIMEOUT_S * G_USEC_PER_SEC;
    GcpCall call = {MIN(until_us, context->deadline_us), context->cancel};
    g_autofree char *url = NULL;
    return gcp_function_url(context->clients->gcp, params->gcp_function_name, params->gcp_function_location, &call,
                            &url, error) &&
           call_function(context, url, result, error);
}

static const char *const gcp_function_access[] = {"cloudfunctions.functions.get", "run.routes.invoke",
                                                  "cloudfunctions.functions.invoke", NULL};

const Actionner actionner_gcp_function = {
    .info = {.name = "gcp:function",
             .summary = "Calls a Google Cloud function with the event.",
             .description =
                 "Stoop looks the function's URL up, of either generation, signs in with an ID token for that URL and "
                 "posts the event with its `context`. Any answer from 200 to 299 is a success; else the action fails "
                 "and tells the end of the answer. A call that may have reached the function is not repeated. "
                 "`run.routes.invoke` is for functions of the second generation, `cloudfunctions.functions.invoke` for "
                 "those of the first.\n"
                 "\n"
                 "Stoop signs in with the key file of `gcp.credentials_path` or GOOGLE_APPLICATION_CREDENTIALS, else "
                 "as the metadata server of the machine or pod says; a user's credentials give no ID token. The "
                 "project is that of GOOGLE_CLOUD_PROJECT, of the key file, or of the machine. "
                 "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDFUNCTIONS names another server that is asked for the URL, which "
                 "may then begin with http:// as well. `limits.action_seconds` bounds how long all of it may take, "
                 "else the deadline below.",
             .params = {.size = sizeof(GcpFunctionParams), .rows = gcp_function_rows},
             .example = "- action: Call a function\n"
                        "  actionner: gcp:function\n"
                        "  parameters:\n"
                        "    gcp_function_name: sample-function\n"
                        "    gcp_function_location: us-central1\n"
                        "    gcp_function_timeout: 10\n",
             .access = gcp_function_access,
             .default_continue = true,
             .uses_contexts = true,
             .output = NEEDS_NO_OUTPUT,
             .source = "any",
             .long_running = true,
             .deadline_ms = 3720000},
    .run = gcp_function_run,
};
