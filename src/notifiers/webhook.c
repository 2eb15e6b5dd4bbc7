// webhook: the result as JSON to any URL.
#include "notifiers/notifier.h"

typedef struct {
    char *url, *http_method, *content_type, *user_agent;
    GPtrArray *custom_headers;
} WebhookSettings;

static const char *const methods[] = {"POST", "PUT", NULL};

static const ParamRow webhook_rows[] = {
    PARAM_ROW_TEXT(WebhookSettings, url, .required = true, .summary = "Where the result is sent."),
    PARAM_ROW_TEXT(WebhookSettings, http_method, .default_value = "POST", .choices = methods,
                   .summary = "Method of the request."),
    PARAM_ROW_TEXT(WebhookSettings, content_type, .default_value = "application/json; charset=utf-8",
                   .summary = "Content-Type of the request."),
    PARAM_ROW_TEXT(WebhookSettings, user_agent, .default_value = "stoop", .summary = "User-Agent of the request."),
    PARAM_ROW_MAP(WebhookSettings, custom_headers, .secret = true, .summary = "Further headers, name to value."),
    PARAM_ROW_END,
};

const Notifier notifier_webhook = {
    .info = {.name = "webhook",
             .summary = "Sends the result as JSON to a URL.",
             .description = "One request per result, whose body has the fields of the log line.",
             .params = {.size = sizeof(WebhookSettings), .rows = webhook_rows},
             .example = "notifiers:\n"
                        "  webhook:\n"
                        "    url: https://example.com/hook\n"
                        "    custom_headers:\n"
                        "      X-Team: security\n",
             .planned = true},
};
