#include "net/server_conn.h"

#include "net/conn_probe.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

// Idle connections looked at in one hold of the lock: the server's thread waits for no longer than these few system
// calls take.
#define PROBE_BATCH 32
// A connection that is younger is spared when room is needed: its first request may be on the way.
#define SPARED_US (1 * G_USEC_PER_SEC)

static void list_append(ConnList *list, Conn *conn) {
    conn->list = list;
    conn->newer = NULL;
    conn->older = list->newest;
    if (list->newest)
        list->newest->newer = conn;
    else
        list->oldest = conn;
    list->newest = conn;
}

static void list_remove(ConnTable *table, Conn *conn) {
    if (table->probe == conn)
        table->probe = conn->newer;
    if (conn->older)
        conn->older->newer = conn->newer;
    else
        conn->list->oldest = conn->newer;
    if (conn->newer)
        conn->newer->older = conn->older;
    else
        conn->list->newest = conn->older;
    conn->older = conn->newer = NULL;
    conn->list = NULL;
}

const char *conn_reason(unsigned status) {
    switch (status) {
    case 400:
        return "Bad Request";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

void conn_send_text(int fd, unsigned status) {
    const char *reason = conn_reason(status);
    char text[256];
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %u %s\r\nConnection: close\r\n%sContent-Type: text/plain\r\nContent-Length: "
                       "%zu\r\n\r\n%s\n",
                       status, reason, status == 503 ? "Retry-After: 1\r\n" : "", strlen(reason) + 1, reason);
    // A peer that does not even take these few bytes has no use for them.
    ssize_t sent = send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}

// The descriptor stays open until libmicrohttpd, woken by this, takes the connection down.
static void cut_locked(ConnTable *table, Conn *conn, int64_t now_us) {
    shutdown(conn->fd, SHUT_RDWR);
    conn_set_state_locked(table, conn, CONN_CUT, now_us);
}

// Room for newcomers: first who never sent anything, then who was idle longest, then who sends a request slowly.
static void make_room_locked(ConnTable *table, int64_t now_us) {
    Conn *fresh = table->fresh.oldest;
    if (fresh && now_us - fresh->since_us > SPARED_US) {
        cut_locked(table, fresh, now_us);
        return;
    }
    if (table->kept.oldest) {
        cut_locked(table, table->kept.oldest, now_us);
        return;
    }
    for (Conn *conn = table->busy.oldest; conn && now_us - conn->since_us > SPARED_US; conn = conn->newer)
        if (conn->state == CONN_HEADERS || conn->state == CONN_BODY) {
            table->rejected++;
            cut_locked(table, conn, now_us);
            return;
        }
    if (fresh && fresh->newer)
        cut_locked(table, fresh, now_us);
}

void conn_table_add(ConnTable *table, Conn *conn, int fd, int64_t now_us) {
    mutex_lock(&table->mutex);
    conn->fd = fd;
    conn->state = CONN_IDLE;
    conn->since_us = now_us;
    conn->received_known = true; // a new connection starts at 0
    list_append(&table->fresh, conn);
    if (++table->count > table->crowded)
        make_room_locked(table, now_us);
    mutex_unlock(&table->mutex);
}

void conn_table_remove(ConnTable *table, Conn *conn) {
    mutex_lock(&table->mutex);
    list_remove(table, conn);
    table->count--;
    mutex_unlock(&table->mutex);
}

void conn_set_state_locked(ConnTable *table, Conn *conn, ConnState state, int64_t now_us) {
    switch (state) {
    case CONN_IDLE:
        list_remove(table, conn);
        conn->since_us = now_us;
        conn->received_known = false;
        list_append(&table->kept, conn);
        break;
    case CONN_HEADERS:
        list_remove(table, conn);
        conn->since_us = conn->first_byte_us ? conn->first_byte_us : now_us;
        conn->first_byte_us = 0;
        conn->served = true;
        list_append(&table->busy, conn);
        break;
    case CONN_CUT:
        list_remove(table, conn);
        list_append(&table->busy, conn);
        break;
    case CONN_ANSWERING:
    case CONN_LINGERING:
        conn->since_us = now_us;
        break;
    case CONN_BODY:
    case CONN_HANDLING:
        break;
    }
    conn->state = state;
}

static void reap_busy_locked(ConnTable *table, const ConnLimits *limits, int64_t now_us) {
    for (Conn *conn = table->busy.oldest, *next; conn; conn = next) {
        next = conn->newer;
        int64_t age = now_us - conn->since_us;
        switch (conn->state) {
        case CONN_BODY:
            if (age < limits->request_us)
                break;
            conn_send_text(conn->fd, 408);
            table->rejected++;
            cut_locked(table, conn, now_us);
            break;
        case CONN_HEADERS:
            if (age < limits->request_us)
                break;
            table->rejected++;
            cut_locked(table, conn, now_us);
            break;
        case CONN_ANSWERING:
            if (age >= limits->request_us)
                cut_locked(table, conn, now_us);
            break;
        case CONN_LINGERING:
            if (age >= limits->linger_us)
                cut_locked(table, conn, now_us);
            break;
        case CONN_IDLE:
        case CONN_HANDLING:
        case CONN_CUT:
            break;
        }
    }
}

// libmicrohttpd tells of a request when its first line is whole. That one is being dribbled shows only in the kernel's
// count of received bytes.
static void probe_locked(ConnTable *table, Conn *conn, const ConnLimits *limits, int64_t now_us) {
    if (conn->first_byte_us) {
        if (now_us - conn->first_byte_us >= limits->request_us) {
            table->rejected++;
            cut_locked(table, conn, now_us);
        }
        return;
    }
    uint64_t received = 0;
    if (!conn_received_bytes(conn->fd, &received))
        return;
    if (!conn->received_known) {
        conn->received = received;
        conn->received_known = true;
    } else if (received > conn->received) {
        conn->first_byte_us = now_us;
    }
}

static void probe_idle(ConnTable *table, bool fresh, const ConnLimits *limits, int64_t now_us) {
    mutex_lock(&table->mutex);
    ConnList *list = fresh ? &table->fresh : &table->kept;
    table->probe = list->oldest;
    while (table->probe && table->probe->list == list) {
        for (unsigned i = 0; i < PROBE_BATCH && table->probe && table->probe->list == list; i++) {
            Conn *conn = table->probe;
            table->probe = conn->newer;
            probe_locked(table, conn, limits, now_us);
        }
        mutex_unlock(&table->mutex);
        mutex_lock(&table->mutex);
    }
    table->probe = NULL;
    mutex_unlock(&table->mutex);
}

void conn_table_reap(ConnTable *table, const ConnLimits *limits, int64_t now_us) {
    mutex_lock(&table->mutex);
    while (table->fresh.oldest && now_us - table->fresh.oldest->since_us >= limits->idle_us)
        cut_locked(table, table->fresh.oldest, now_us);
    while (table->kept.oldest && now_us - table->kept.oldest->since_us >= limits->idle_us)
        cut_locked(table, table->kept.oldest, now_us);
    reap_busy_locked(table, limits, now_us);
    mutex_unlock(&table->mutex);

    probe_idle(table, true, limits, now_us);
    probe_idle(table, false, limits, now_us);
}
