// smtp: the result as a mail.
#include "notifiers/notifier.h"

typedef struct {
    char *host_port, *from, *to, *user, *password, *format;
    bool tls;
} SmtpSettings;

static const char *const formats[] = {"html", "text", NULL};

static const ParamRow smtp_rows[] = {
    PARAM_ROW_TEXT(SmtpSettings, host_port, .required = true, .summary = "Mail server, as host:port."),
    PARAM_ROW_TEXT(SmtpSettings, from, .required = true, .summary = "Address that the mail is from."),
    PARAM_ROW_TEXT(SmtpSettings, to, .required = true, .summary = "Addresses that get the mail, comma-separated."),
    PARAM_ROW_TEXT(SmtpSettings, user, .summary = "User for the mail server; absent: no authentication."),
    PARAM_ROW_TEXT(SmtpSettings, password, .secret = true, .summary = "Password for the mail server."),
    PARAM_ROW_TEXT(SmtpSettings, format, .default_value = "html", .choices = formats, .summary = "Form of the mail."),
    PARAM_ROW_BOOL(SmtpSettings, tls, .summary = "Speak TLS to the mail server."),
    PARAM_ROW_END,
};

const Notifier notifier_smtp = {
    .info = {.name = "smtp",
             .summary = "Sends the result as a mail.",
             .description = "One mail per result.",
             .params = {.size = sizeof(SmtpSettings), .rows = smtp_rows},
             .example = "notifiers:\n"
                        "  smtp:\n"
                        "    host_port: mail.example.com:587\n"
                        "    from: stoop@example.com\n"
                        "    to: soc@example.com\n"
                        "    format: text\n"
                        "    tls: true\n",
             .planned = true},
};
