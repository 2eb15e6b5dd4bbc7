// gcp:function: calls a Google Cloud function with the event.
#include "actionners/actionner.h"

typedef struct {
    char *gcp_function_name, *gcp_function_location;
    int64_t gcp_function_timeout;
} GcpFunctionParams;

static const ParamRow gcp_function_rows[] = {
    PARAM_ROW_TEXT(GcpFunctionParams, gcp_function_name, .required = true, .summary = "Name of the function."),
    PARAM_ROW_TEXT(GcpFunctionParams, gcp_function_location, .required = true,
                   .summary = "Location of the function, such as us-central1."),
    PARAM_ROW_INT(GcpFunctionParams, gcp_function_timeout, PARAM_RANGE(0, 3600), .unit = "s",
                  .summary = "How long to wait for the answer; 0 is the action's own deadline."),
    PARAM_ROW_END,
};

static const char *const gcp_function_access[] = {"cloudfunctions.functions.get", "run.routes.invoke", NULL};

const Actionner actionner_gcp_function = {
    .info = {.name = "gcp:function",
             .summary = "Calls a Google Cloud function with the event.",
             .description = "Stoop looks the function's URL up, signs in with an ID token and posts the event with its "
                            "`context`.",
             .params = {.size = sizeof(GcpFunctionParams), .rows = gcp_function_rows},
             .example = "- action: Call a function\n"
                        "  actionner: gcp:function\n"
                        "  parameters:\n"
                        "    gcp_function_name: sample-function\n"
                        "    gcp_function_location: us-central1\n"
                        "    gcp_function_timeout: 10\n",
             .planned = true,
             .access = gcp_function_access,
             .default_continue = true,
             .uses_contexts = true,
             .output = NEEDS_NO_OUTPUT,
             .source = "any",
             .long_running = true,
             .deadline_ms = 60000},
    .run = NULL,
};
