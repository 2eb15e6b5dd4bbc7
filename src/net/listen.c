#include "net/listen.h"

#include "base/error.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

// A socket bound to the place, or -1 with errno set.
static int bound_socket(const struct sockaddr *place, socklen_t len, bool shared) {
    int fd = socket(place->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    // After a restart, connections of the former process still in TIME_WAIT must not block the port.
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (place->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    bool ok = !shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    ok = ok && bind(fd, place, len) == 0;
    if (ok)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static void set_port(struct sockaddr_storage *place, uint16_t port) {
    if (place->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)place)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)place)->sin_port = htons(port);
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage place = {0};
    socklen_t len = sizeof place;
    if (getsockname(fd, (struct sockaddr *)&place, &len) < 0)
        return 0;
    return ntohs(place.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&place)->sin6_port
                                             : ((struct sockaddr_in *)&place)->sin_port);
}

// All sockets on one place, or false with errno set and nothing left open.
static bool open_all(const struct addrinfo *where, unsigned count, int *fds, uint16_t *bound_port) {
    struct sockaddr_storage place = {0};
    memcpy(&place, where->ai_addr, where->ai_addrlen);

    // SO_REUSEPORT would also let a second Stoop of the same user in and give it half of the events. A socket without
    // it is refused while anybody listens, so one is tried first.
    int probe = bound_socket((struct sockaddr *)&place, where->ai_addrlen, false);
    if (probe < 0)
        return false;
    int refused = listen(probe, 1) < 0 ? errno : 0;
    close(probe);
    if (refused) {
        errno = refused;
        return false;
    }

    for (unsigned i = 0; i < count; i++) {
        fds[i] = bound_socket((struct sockaddr *)&place, where->ai_addrlen, true);
        if (fds[i] >= 0 && listen(fds[i], BACKLOG) == 0) {
            if (i == 0)
                set_port(&place, port_of(fds[0]));
            continue;
        }
        int saved = errno;
        for (unsigned k = 0; k <= i; k++)
            if (fds[k] >= 0)
                close(fds[k]);
        errno = saved;
        return false;
    }
    *bound_port = port_of(fds[0]);
    return true;
}

bool listen_sockets(const char *address, uint16_t port, unsigned count, int *fds, uint16_t *bound_port,
                    GError **error) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int status = getaddrinfo(address && *address ? address : NULL, service, &hints, &found);
    if (status != 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "cannot listen on %s port %u: %s", address ? address : "",
                    port, status == EAI_SYSTEM ? g_strerror(errno) : gai_strerror(status));
        return false;
    }
    bool ok = false;
    int last = 0;
    for (const struct addrinfo *where = found; where && !ok; where = where->ai_next) {
        ok = open_all(where, count, fds, bound_port);
        if (!ok)
            last = errno;
    }
    freeaddrinfo(found);
    if (!ok)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "cannot listen on %s port %u: %s", address ? address : "",
                    port, g_strerror(last));
    return ok;
}
