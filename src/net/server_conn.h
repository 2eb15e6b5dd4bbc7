// The connections of one server thread, in lists by what they are doing, so that whoever is too slow or idle for too
// long is found without a search. Inside of the HTTP server only.
#pragma once

#include "base/thread.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    CONN_IDLE,      // no request line seen since the last answer; perhaps a part of one
    CONN_HEADERS,   // request line seen
    CONN_BODY,      // headers are fine, the body is coming
    CONN_HANDLING,  // the request is whole and the handler has it
    CONN_ANSWERING, // an answer is being sent
    CONN_LINGERING, // refused by a text of our own; what still comes is thrown away, so that the peer can read it
    CONN_CUT,       // shut down by us; libmicrohttpd will notice
} ConnState;

typedef struct ConnList ConnList;
typedef struct ConnTable ConnTable;
typedef struct Conn Conn;

struct ConnList {
    Conn *oldest, *newest;
};

// Embedded at the start of the server's own connection.
struct Conn {
    Conn *older, *newer;
    ConnList *list;
    int fd;
    ConnState state;
    bool served;           // has had a request
    bool received_known;   // `received` is set
    uint64_t received;     // bytes that the kernel had received when the connection became idle
    int64_t since_us;      // start of the state's clock: of being idle, of the request, of the answer, of lingering
    int64_t first_byte_us; // 0: none of the next request seen yet
};

struct ConnTable {
    Mutex mutex;       // guards everything here and in the connections
    ConnList fresh;    // idle, never had a request
    ConnList kept;     // idle between requests
    ConnList busy;     // all others, oldest request first
    Conn *probe;       // where the next look at idle connections goes on
    unsigned count;    // connections, those being cut included
    unsigned crowded;  // above so many, each new connection costs an old idle one
    uint64_t rejected; // requests refused or cut off by the server itself
};

typedef struct {
    int64_t request_us, idle_us, linger_us;
} ConnLimits;

// All of these take the table's mutex themselves, apart from those named _locked.
void conn_table_add(ConnTable *table, Conn *conn, int fd, int64_t now_us);
void conn_table_remove(ConnTable *table, Conn *conn);
void conn_set_state_locked(ConnTable *table, Conn *conn, ConnState state, int64_t now_us);

// Cuts off who is over its time. Returns when nothing is left to do at `now_us`.
void conn_table_reap(ConnTable *table, const ConnLimits *limits, int64_t now_us);

// Sends a whole short answer past libmicrohttpd, which has none of its own under way, as far as the kernel takes it.
void conn_send_text(int fd, unsigned status);

// The reason phrase and short text of the answers that the server gives itself.
const char *conn_reason(unsigned status);
