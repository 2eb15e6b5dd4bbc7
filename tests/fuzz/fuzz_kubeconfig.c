// A kubeconfig: any bytes give a configuration or an error, never both, and what comes out is usable.
#include "kube/kube_config_internal.h"
#include "kube/kube_config_parse.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    g_autoptr(GError) error = NULL;
    g_autoptr(KubeConfig) config = kube_config_parse((const char *)data, size, "/nonexistent/kubeconfig", &error);
    if ((config == NULL) != (error != NULL))
        abort();
    if (!config)
        return 0;
    const char *server = kube_config_server(config);
    if (!g_str_has_prefix(server, "http") || server[strlen(server) - 1] == '/' || !*kube_config_namespace(config))
        abort();
    if (config->exec) {
        // Plug-ins read this: it must be JSON, whatever the kubeconfig held.
        yyjson_doc *info = yyjson_read(config->exec->info, strlen(config->exec->info), 0);
        if (!info || !config->exec->command)
            abort();
        yyjson_doc_free(info);
        return 0; // not run
    }
    if (!config->token_file.path) {
        g_autofree char *header = NULL;
        if (kube_config_authorization(config, false, &header, NULL) && header && strpbrk(header, "\r\n"))
            abort();
    }
    return 0;
}
