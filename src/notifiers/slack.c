// slack: a message in a channel, through an incoming webhook.
#include "notifiers/notifier.h"

typedef struct {
    char *webhook_url, *icon, *username, *footer, *format;
} SlackSettings;

static const char *const formats[] = {"long", "short", NULL};

static const ParamRow slack_rows[] = {
    PARAM_ROW_TEXT(SlackSettings, webhook_url, .required = true, .secret = true,
                   .summary = "URL of the incoming webhook; it lets anyone write to the channel."),
    PARAM_ROW_TEXT(SlackSettings, icon, .summary = "URL of the picture beside the message."),
    PARAM_ROW_TEXT(SlackSettings, username, .default_value = "Stoop", .summary = "Name that the message is from."),
    PARAM_ROW_TEXT(SlackSettings, footer, .summary = "Text below the message."),
    PARAM_ROW_TEXT(SlackSettings, format, .default_value = "long", .choices = formats,
                   .summary = "How much is told: all fields, or one line."),
    PARAM_ROW_END,
};

const Notifier notifier_slack = {
    .info = {.name = "slack",
             .summary = "Posts to a Slack channel.",
             .description = "Each result of an action or output becomes one message, through an incoming webhook of "
                            "Slack or of what speaks its format.",
             .params = {.size = sizeof(SlackSettings), .rows = slack_rows},
             .example = "notifiers:\n"
                        "  slack:\n"
                        "    webhook_url: https://hooks.slack.com/services/XXXX\n"
                        "    format: short\n",
             .planned = true},
};
