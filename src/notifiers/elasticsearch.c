// elasticsearch: the result as a document of an index.
#include "notifiers/notifier.h"

typedef struct {
    char *url, *user, *password, *index, *suffix;
    bool create_index_template;
    int64_t number_of_shards, number_of_replicas;
    GPtrArray *custom_headers;
} ElasticsearchSettings;

static const char *const suffixes[] = {"daily", "monthly", "annually", "none", NULL};

static const ParamRow elasticsearch_rows[] = {
    PARAM_ROW_TEXT(ElasticsearchSettings, url, .required = true, .summary = "URL of the server, without a path."),
    PARAM_ROW_TEXT(ElasticsearchSettings, user, .summary = "User for Basic authentication."),
    PARAM_ROW_TEXT(ElasticsearchSettings, password, .secret = true, .summary = "Password for Basic authentication."),
    PARAM_ROW_TEXT(ElasticsearchSettings, index, .default_value = "falco-talon", .summary = "Name of the index."),
    PARAM_ROW_TEXT(ElasticsearchSettings, suffix, .default_value = "daily", .choices = suffixes,
                   .summary = "Date after the index's name, so that old ones can be dropped."),
    PARAM_ROW_BOOL(ElasticsearchSettings, create_index_template, .summary = "Create an index template at start."),
    PARAM_ROW_INT(ElasticsearchSettings, number_of_shards, .default_value = "3", PARAM_RANGE(1, 1024),
                  .summary = "Shards, for the index template."),
    PARAM_ROW_INT(ElasticsearchSettings, number_of_replicas, .default_value = "3", PARAM_RANGE(0, 1024),
                  .summary = "Replicas, for the index template."),
    PARAM_ROW_MAP(ElasticsearchSettings, custom_headers, .secret = true, .summary = "Further headers, name to value."),
    PARAM_ROW_END,
};

const Notifier notifier_elasticsearch = {
    .info = {.name = "elasticsearch",
             .summary = "Stores the result in Elasticsearch.",
             .description = "One document per result, in the index `index`, followed by a dash and the date where "
                            "`suffix` asks for one.",
             .params = {.size = sizeof(ElasticsearchSettings), .rows = elasticsearch_rows},
             .example = "notifiers:\n"
                        "  elasticsearch:\n"
                        "    url: http://elasticsearch.monitoring:9200\n"
                        "    index: stoop\n"
                        "    suffix: monthly\n",
             .planned = true},
};
