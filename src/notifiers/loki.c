// loki: the result as a line of a Loki stream.
#include "notifiers/notifier.h"

typedef struct {
    char *url, *user, *api_key, *tenant;
    GPtrArray *custom_headers;
} LokiSettings;

static const ParamRow loki_rows[] = {
    PARAM_ROW_TEXT(LokiSettings, url, .required = true, .summary = "URL of the Loki server, without a path."),
    PARAM_ROW_TEXT(LokiSettings, user, .summary = "User for Basic authentication."),
    PARAM_ROW_TEXT(LokiSettings, api_key, .secret = true, .summary = "Password or key for Basic authentication."),
    PARAM_ROW_TEXT(LokiSettings, tenant, .summary = "Tenant, sent as X-Scope-OrgID."),
    PARAM_ROW_MAP(LokiSettings, custom_headers, .secret = true, .summary = "Further headers, name to value."),
    PARAM_ROW_END,
};

const Notifier notifier_loki = {
    .info = {.name = "loki",
             .summary = "Pushes the result to Loki.",
             .description = "One line per result, posted to /loki/api/v1/push; its labels are the fields that take few "
                            "values.",
             .params = {.size = sizeof(LokiSettings), .rows = loki_rows},
             .example = "notifiers:\n"
                        "  loki:\n"
                        "    url: http://loki.monitoring:3100\n"
                        "    tenant: security\n",
             .planned = true},
};
