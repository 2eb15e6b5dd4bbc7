#include "net/http_client.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "net/client_call.h"
#include "net/client_loop.h"
#include "net/websocket_client.h"

#include <curl/curl.h>
#include <string.h>

#define DEFAULT_FAST 4
#define DEFAULT_IN_FLIGHT 64
#define DEFAULT_CONNECT_US (10 * G_USEC_PER_SEC)
#define CANCEL_LOOK_US (50 * 1000)
#define POLL_MS 60000
// Idle connections of one place of the fast pool. Clients talk to one server, now and then to a second one.
#define SLOT_CONNECTIONS 2L

// A place of the fast pool: a handle with a connection cache of its own, used by one caller at a time.
typedef struct {
    CURLM *multi;
    ClientHandle *handle; // NULL: not made yet
} Slot;

// All streams and all calls beyond the fast pool, over one set of TLS material. Replaced with the material; the old one
// goes when its last call has ended.
typedef struct {
    ClientLoop *loop;
    unsigned users;
} SharedLoop;

typedef struct {
    Cond turn;
    bool has_turn;
} Waiter;

struct HttpClient {
    HttpTransport transport; // first: perform gets it
    ClientSettings settings;
    atomic_uint_fast64_t connections_opened;
    unsigned fast_connections, max_in_flight;
    Mutex mutex;
    // Guarded by the mutex:
    TlsMaterial *tls;
    GPtrArray *idle;  // Slot, the one used last at the end
    GPtrArray *busy;  // Slot
    SharedLoop *loop; // NULL: not needed yet
    GPtrArray *old_loops;
    GQueue waiting; // Waiter, first come, first served
    unsigned in_flight, long_lived, callers;
    bool closing;
    HttpClientStats stats;
    Cond callers_left;
};

// --- The fast pool ---

static void slot_reset(Slot *slot) {
    if (slot->multi)
        curl_multi_cleanup(slot->multi); // closes the connections, which may look at the handle's settings
    client_handle_free(slot->handle);
    *slot = (Slot){0};
}

static void slot_free(void *slot) {
    slot_reset(slot);
    g_free(slot);
}

static PieceResult take_piece_at_once(ClientCall *call, const char *data, size_t len) {
    return call->request->on_data(data, len, call->request->user, &call->error) ? PIECE_TAKEN : PIECE_FAILED;
}

static bool closing(HttpClient *client) {
    mutex_lock(&client->mutex);
    bool is = client->closing;
    mutex_unlock(&client->mutex);
    return is;
}

// How long a caller may wait at most before it looks again; false with an error when it is to wait no longer.
static bool may_wait(HttpClient *client, const HttpRequest *request, int *wait_ms, GError **error) {
    if (cancel_is_set(request->cancel) || closing(client)) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "cancelled");
        return false;
    }
    *wait_ms = request->cancel ? CANCEL_LOOK_US / 1000 : POLL_MS;
    if (request->deadline_us > 0) {
        int64_t left_us = request->deadline_us - clock_monotonic_us(clock_system());
        if (left_us <= 0) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "no answer in time");
            return false;
        }
        *wait_ms = (int)MIN((int64_t)*wait_ms, left_us / 1000 + 1);
    }
    return true;
}

static bool slot_perform(HttpClient *client, Slot *slot, TlsMaterial *tls, const HttpRequest *request,
                         HttpResponse *response, GError **error) {
    if (!slot->handle) {
        slot->handle = client_handle_new(&client->settings, tls);
        curl_multi_setopt(slot->multi, CURLMOPT_MAXCONNECTS, SLOT_CONNECTIONS);
    }
    CURL *easy = client_handle_easy(slot->handle);
    ClientCall call = {.request = request, .take_piece = take_piece_at_once};
    client_handle_prepare(slot->handle, &call, false);
    curl_multi_add_handle(slot->multi, easy);
    int running = 0, wait_ms = 0;
    bool waiting = true;
    curl_multi_perform(slot->multi, &running);
    while (running > 0 && (waiting = may_wait(client, request, &wait_ms, error))) {
        curl_multi_poll(slot->multi, NULL, 0, wait_ms, NULL);
        curl_multi_perform(slot->multi, &running);
    }
    CURLcode code = CURLE_OK;
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(slot->multi, &left);
    if (message && message->msg == CURLMSG_DONE)
        code = message->data.result;
    curl_multi_remove_handle(slot->multi, easy);
    if (!waiting) {
        client_handle_abandon(slot->handle, &call, response);
        return false;
    }
    return client_handle_finish(slot->handle, &call, code, response, error);
}

// --- Turns ---

// With the mutex held: waits until fewer than max_in_flight calls are under way, in order of arrival.
static bool take_turn(HttpClient *client, const HttpRequest *request, GError **error) {
    if (client->in_flight < client->max_in_flight && g_queue_is_empty(&client->waiting)) {
        client->in_flight++;
        return true;
    }
    Waiter waiter = {0};
    cond_init(&waiter.turn);
    g_queue_push_tail(&client->waiting, &waiter);
    bool expired = false;
    while (!waiter.has_turn && !expired && !client->closing && !cancel_is_set(request->cancel)) {
        int64_t now = clock_monotonic_us(clock_system());
        int64_t until = request->cancel ? now + CANCEL_LOOK_US : 0;
        if (request->deadline_us > 0)
            until = until > 0 ? MIN(until, request->deadline_us) : request->deadline_us;
        if (until == 0)
            cond_wait(&waiter.turn, &client->mutex);
        else
            cond_wait_until(&waiter.turn, &client->mutex, until);
        expired = request->deadline_us > 0 && clock_monotonic_us(clock_system()) >= request->deadline_us;
    }
    cond_destroy(&waiter.turn);
    if (waiter.has_turn)
        return true;
    g_queue_remove(&client->waiting, &waiter);
    if (expired)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "no turn in time: %u calls are under way",
                    client->in_flight);
    else
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "cancelled");
    return false;
}

// With the mutex held: whoever waits longest takes over the place.
static void give_turn_back(HttpClient *client) {
    Waiter *next = g_queue_pop_head(&client->waiting);
    if (!next) {
        client->in_flight--;
        return;
    }
    next->has_turn = true;
    cond_signal(&next->turn);
}

// --- Calls ---

static void shared_loop_free(void *data) {
    SharedLoop *loop = data;
    client_loop_free(loop->loop);
    g_free(loop);
}

// With the mutex held.
static SharedLoop *acquire_loop(HttpClient *client, GError **error) {
    if (client->closing) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "cancelled");
        return NULL;
    }
    if (!client->loop) {
        ClientLoop *loop = client_loop_new(&client->settings, client->tls, error);
        if (!loop)
            return NULL;
        client->loop = g_new0(SharedLoop, 1);
        client->loop->loop = loop;
    }
    client->loop->users++;
    return client->loop;
}

static bool perform_over_loop(HttpClient *client, const HttpRequest *request, HttpResponse *response, GError **error) {
    mutex_lock(&client->mutex);
    SharedLoop *loop = acquire_loop(client, error);
    client->stats.multiplexed++;
    mutex_unlock(&client->mutex);

    bool ok = loop && client_loop_perform(loop->loop, request, response, error);

    mutex_lock(&client->mutex);
    client->stats.multiplexed--;
    bool last = loop && --loop->users == 0 && loop != client->loop;
    if (last)
        g_ptr_array_remove_fast(client->old_loops, loop);
    mutex_unlock(&client->mutex);
    if (last)
        shared_loop_free(loop);
    return ok;
}

// With the mutex held: the idle place used last, whose connection is the most likely to be still open.
static Slot *take_slot(HttpClient *client) {
    Slot *slot = NULL;
    if (client->idle->len > 0)
        slot = g_ptr_array_steal_index(client->idle, client->idle->len - 1);
    else if (client->busy->len < client->fast_connections)
        slot = g_new0(Slot, 1);
    if (!slot)
        return NULL;
    if (!slot->multi)
        slot->multi = curl_multi_init();
    g_ptr_array_add(client->busy, slot);
    return slot;
}

static bool perform_short(HttpClient *client, const HttpRequest *request, HttpResponse *response, GError **error) {
    mutex_lock(&client->mutex);
    if (!take_turn(client, request, error)) {
        mutex_unlock(&client->mutex);
        return false;
    }
    Slot *slot = take_slot(client);
    g_autoptr(TlsMaterial) tls = tls_material_ref(client->tls);
    mutex_unlock(&client->mutex);

    bool ok = slot ? slot_perform(client, slot, tls, request, response, error)
                   : perform_over_loop(client, request, response, error);

    mutex_lock(&client->mutex);
    bool outdated = slot && tls != client->tls;
    if (slot)
        g_ptr_array_remove_fast(client->busy, slot);
    if (slot && !outdated)
        g_ptr_array_add(client->idle, slot);
    give_turn_back(client);
    mutex_unlock(&client->mutex);
    if (outdated)
        slot_free(slot);
    return ok;
}

static bool perform(HttpTransport *transport, const HttpRequest *request, HttpResponse *response, GError **error) {
    HttpClient *client = (HttpClient *)transport;
    response->sent = false;
    int wait_ms = 0;
    if (!may_wait(client, request, &wait_ms, error))
        return false;
    mutex_lock(&client->mutex);
    client->callers++;
    client->stats.calls++;
    client->long_lived += request->long_lived ? 1 : 0;
    mutex_unlock(&client->mutex);

    bool ok = request->long_lived ? perform_over_loop(client, request, response, error)
                                  : perform_short(client, request, response, error);

    mutex_lock(&client->mutex);
    client->long_lived -= request->long_lived ? 1 : 0;
    if (--client->callers == 0)
        cond_broadcast(&client->callers_left);
    mutex_unlock(&client->mutex);
    return ok;
}

// --- WebSockets ---

static bool websocket_stopped(void *client) {
    return closing(client);
}

static void websocket_released(void *user) {
    HttpClient *client = user;
    mutex_lock(&client->mutex);
    client->long_lived--;
    if (--client->callers == 0)
        cond_broadcast(&client->callers_left);
    mutex_unlock(&client->mutex);
}

// An open socket counts as a caller until it is closed: the client does not go before.
static bool open_websocket(HttpTransport *transport, const HttpRequest *request, const char *const *protocols,
                           WebSocket **socket, HttpResponse *response, GError **error) {
    HttpClient *client = (HttpClient *)transport;
    *socket = NULL;
    response->sent = false;
    int wait_ms = 0;
    if (!may_wait(client, request, &wait_ms, error))
        return false;
    mutex_lock(&client->mutex);
    client->callers++;
    client->stats.calls++;
    client->long_lived++;
    g_autoptr(TlsMaterial) tls = tls_material_ref(client->tls);
    mutex_unlock(&client->mutex);
    WebSocketOwner owner = {.settings = &client->settings,
                            .tls = tls,
                            .stopped = websocket_stopped,
                            .released = websocket_released,
                            .owner = client};
    bool ok = websocket_connect(&owner, request, protocols, socket, response, error);
    if (!*socket)
        websocket_released(client);
    return ok;
}

// --- The client ---

static void init_libcurl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

HttpClient *http_client_new(const HttpClientOptions *options, GError **error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_libcurl);
    TlsMaterial *tls = tls_material_new(options->ca_pem, options->client_cert_pem, options->client_key_pem, error);
    if (!tls)
        return NULL;
    HttpClient *client = g_new0(HttpClient, 1);
    client->transport = (HttpTransport){.perform = perform, .open_websocket = open_websocket};
    client->settings = (ClientSettings){
        .insecure = options->insecure,
        .http1 = options->http1,
        .server_name = g_strdup(options->server_name),
        .proxy = g_strdup(options->proxy),
        .connect_timeout_us = options->connect_timeout_us ? options->connect_timeout_us : DEFAULT_CONNECT_US,
        .connections_opened = &client->connections_opened,
    };
    client->fast_connections = options->fast_connections ? options->fast_connections : DEFAULT_FAST;
    client->max_in_flight = options->max_in_flight ? options->max_in_flight : DEFAULT_IN_FLIGHT;
    client->tls = tls;
    client->idle = g_ptr_array_new();
    client->busy = g_ptr_array_new();
    client->old_loops = g_ptr_array_new();
    g_queue_init(&client->waiting);
    mutex_init(&client->mutex);
    cond_init(&client->callers_left);
    return client;
}

HttpTransport *http_client_transport(HttpClient *client) {
    return &client->transport;
}

bool http_client_set_tls(HttpClient *client, const char *ca_pem, const char *client_cert_pem,
                         const char *client_key_pem, GError **error) {
    TlsMaterial *fresh = tls_material_new(ca_pem, client_cert_pem, client_key_pem, error);
    if (!fresh)
        return false;
    // Handles and loops belong to their material: libcurl would otherwise resume sessions and reuse connections that
    // were verified by the former. Busy ones go when their call has ended.
    g_autoptr(GPtrArray) outdated = g_ptr_array_new_with_free_func(slot_free);
    SharedLoop *unused = NULL;
    mutex_lock(&client->mutex);
    TlsMaterial *former = client->tls;
    client->tls = fresh;
    for (guint i = 0; i < client->idle->len; i++)
        g_ptr_array_add(outdated, client->idle->pdata[i]);
    g_ptr_array_set_size(client->idle, 0);
    SharedLoop *loop = g_steal_pointer(&client->loop);
    if (loop && loop->users > 0)
        g_ptr_array_add(client->old_loops, loop);
    else
        unused = loop;
    mutex_unlock(&client->mutex);
    if (unused)
        shared_loop_free(unused);
    tls_material_unref(former);
    return true;
}

void http_client_free(HttpClient *client) {
    if (!client)
        return;
    mutex_lock(&client->mutex);
    client->closing = true;
    for (const GList *link = client->waiting.head; link; link = link->next)
        cond_signal(&((Waiter *)link->data)->turn);
    for (guint i = 0; i < client->busy->len; i++)
        curl_multi_wakeup(((Slot *)client->busy->pdata[i])->multi);
    for (guint i = 0; i < client->old_loops->len; i++)
        client_loop_cancel(((SharedLoop *)client->old_loops->pdata[i])->loop);
    if (client->loop)
        client_loop_cancel(client->loop->loop);
    while (client->callers > 0)
        cond_wait(&client->callers_left, &client->mutex);
    mutex_unlock(&client->mutex);

    for (guint i = 0; i < client->idle->len; i++)
        slot_free(client->idle->pdata[i]);
    g_ptr_array_unref(client->idle);
    g_ptr_array_unref(client->busy);
    if (client->loop)
        shared_loop_free(client->loop);
    g_ptr_array_unref(client->old_loops);
    tls_material_unref(client->tls);
    g_free(client->settings.server_name);
    g_free(client->settings.proxy);
    mutex_destroy(&client->mutex);
    cond_destroy(&client->callers_left);
    g_free(client);
}

void http_client_stats(HttpClient *client, HttpClientStats *stats) {
    mutex_lock(&client->mutex);
    *stats = client->stats;
    stats->connections_opened = atomic_load(&client->connections_opened);
    stats->fast_in_use = client->busy->len;
    stats->long_lived = client->long_lived;
    stats->waiting = g_queue_get_length(&client->waiting);
    mutex_unlock(&client->mutex);
}
