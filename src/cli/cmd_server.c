#include "cli/server.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

int command_server(const CommandLine *line) {
    // Two arenas serve two cores; glibc's default of eight per core would keep memory that nobody uses.
    mallopt(M_ARENA_MAX, 2);
    // Not a system call for every event's memory that is given back and taken again.
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);

    // Blocked before any thread starts, so that only the sigwait below ever sees them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);

    Server server = {0};
    g_autoptr(GError) error = NULL;
    if (!server_start(&server, line, &error)) {
        fprintf(stderr, "stoop server: %s\n", error->message);
        return EXIT_FAILED;
    }
    malloc_trim(0); // what loading took
    int signal_number = 0;
    sigwait(&signals, &signal_number);
    log_text(server.log, LOG_INFO, "init", "leaving on %s", signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
    server_stop(&server);
    return EXIT_OK;
}
