#include "net/client_loop.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"

#include <string.h>

// So much of a stream waits for its reader; then the transfer is paused and the peer's sending stops.
#define STREAM_BUFFER ((size_t)256 * 1024)
// How often a waiting caller looks whether it was cancelled.
#define CANCEL_LOOK_US (50 * 1000)
#define POLL_MS 60000
#define SPARE_HANDLES 24
#define MAX_CONNECTIONS 32L

typedef struct {
    ClientCall call; // first: take_piece gets it
    ClientLoop *loop;
    ClientHandle *handle; // of the loop's thread
    Cond changed;
    // Guarded by the loop's mutex:
    Buf pending; // streamed bytes that the caller has not taken yet
    bool paused, resume, abort;
    bool noted; // in the loop's `orders`
    bool done;
    CURLcode code;
} LoopCall;

struct ClientLoop {
    const ClientSettings *settings;
    TlsMaterial *tls;
    CURLM *multi;
    pthread_t thread;
    bool started;
    Mutex mutex;
    // Guarded by the mutex:
    GPtrArray *spare;    // ClientHandle, for the next calls
    GPtrArray *calls;    // LoopCall, all that a caller waits for
    GPtrArray *incoming; // LoopCall not started yet
    GPtrArray *orders;   // LoopCall with `resume` or `abort` set
    bool cancelled, stop;
};

// --- The loop's thread ---

static PieceResult take_piece(ClientCall *call, const char *data, size_t len) {
    LoopCall *self = (LoopCall *)call;
    mutex_lock(&self->loop->mutex);
    bool room = buf_append(&self->pending, data, len);
    self->paused = !room;
    cond_signal(&self->changed);
    mutex_unlock(&self->loop->mutex);
    return room ? PIECE_TAKEN : PIECE_LATER;
}

static void begin(ClientLoop *loop, LoopCall *call) {
    mutex_lock(&loop->mutex);
    if (loop->spare->len > 0)
        call->handle = g_ptr_array_steal_index(loop->spare, loop->spare->len - 1);
    mutex_unlock(&loop->mutex);
    if (!call->handle)
        call->handle = client_handle_new(loop->settings, loop->tls);
    client_handle_prepare(call->handle, &call->call, true);
    curl_multi_add_handle(loop->multi, client_handle_easy(call->handle));
}

// The last touch of a call: its caller may be gone as soon as it sees `done`.
static void end(ClientLoop *loop, LoopCall *call, CURLcode code) {
    curl_multi_remove_handle(loop->multi, client_handle_easy(call->handle));
    mutex_lock(&loop->mutex);
    if (call->noted)
        g_ptr_array_remove_fast(loop->orders, call);
    call->noted = false;
    call->code = code;
    call->done = true;
    cond_signal(&call->changed);
    mutex_unlock(&loop->mutex);
}

static void end_finished(ClientLoop *loop) {
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(loop->multi, &left)))
        if (message->msg == CURLMSG_DONE) {
            CURLcode code = message->data.result;
            end(loop, (LoopCall *)client_handle_call(client_handle_of(message->easy_handle)), code);
        }
}

// Takes what callers asked for since the last round; false when the loop shall end.
static bool take_orders(ClientLoop *loop) {
    g_autoptr(GPtrArray) incoming = g_ptr_array_new();
    g_autoptr(GPtrArray) aborted = g_ptr_array_new();
    g_autoptr(GPtrArray) resumed = g_ptr_array_new();
    mutex_lock(&loop->mutex);
    for (guint i = 0; i < loop->incoming->len; i++)
        g_ptr_array_add(incoming, loop->incoming->pdata[i]);
    g_ptr_array_set_size(loop->incoming, 0);
    for (guint i = 0; i < loop->orders->len; i++) {
        LoopCall *call = loop->orders->pdata[i];
        call->noted = false;
        g_ptr_array_add(call->abort ? aborted : resumed, call);
        call->resume = false;
    }
    g_ptr_array_set_size(loop->orders, 0);
    bool stop = loop->stop;
    mutex_unlock(&loop->mutex);

    for (guint i = 0; i < incoming->len; i++)
        begin(loop, incoming->pdata[i]);
    for (guint i = 0; i < resumed->len; i++)
        curl_easy_pause(client_handle_easy(((LoopCall *)resumed->pdata[i])->handle), CURLPAUSE_CONT);
    for (guint i = 0; i < aborted->len; i++)
        end(loop, aborted->pdata[i], CURLE_ABORTED_BY_CALLBACK);
    return !stop;
}

static void *run(void *argument) {
    ClientLoop *loop = argument;
    while (take_orders(loop)) {
        int running = 0;
        curl_multi_perform(loop->multi, &running);
        end_finished(loop);
        curl_multi_poll(loop->multi, NULL, 0, POLL_MS, NULL);
    }
    return NULL;
}

// --- The callers' side ---

// With the mutex held. A call that has not begun yet is found by the loop in `incoming` first.
static void order(LoopCall *call) {
    if (!call->noted && !call->done) {
        call->noted = true;
        g_ptr_array_add(call->loop->orders, call);
    }
    curl_multi_wakeup(call->loop->multi);
}

static bool deadline_passed(const HttpRequest *request) {
    return request->deadline_us > 0 && clock_monotonic_us(clock_system()) >= request->deadline_us;
}

static void wait_a_while(LoopCall *call, const HttpRequest *request) {
    int64_t until = request->cancel ? clock_monotonic_us(clock_system()) + CANCEL_LOOK_US : 0;
    if (request->deadline_us > 0)
        until = until > 0 ? MIN(until, request->deadline_us) : request->deadline_us;
    if (until > 0)
        cond_wait_until(&call->changed, &call->loop->mutex, until);
    else
        cond_wait(&call->changed, &call->loop->mutex);
}

// Hands what came to the reader, without the mutex. False when the reader wants no more.
static bool hand_over(LoopCall *call, const HttpRequest *request, GError **error) {
    ClientLoop *loop = call->loop;
    g_auto(Buf) taken = call->pending;
    call->pending = (Buf)BUF_INIT(STREAM_BUFFER);
    if (call->paused && !call->done) {
        call->paused = false;
        call->resume = true;
        order(call);
    }
    mutex_unlock(&loop->mutex);
    bool more = request->on_data(taken.data, taken.len, request->user, error);
    mutex_lock(&loop->mutex);
    return more;
}

// Waits with the mutex held until the loop is done with the call. Where the end is ours, says why in `error`.
static void wait_for_end(LoopCall *call, const HttpRequest *request, GError **error) {
    ClientLoop *loop = call->loop;
    while (!call->done || (call->pending.len > 0 && !call->abort)) {
        if (call->abort) {
            cond_wait(&call->changed, &loop->mutex);
        } else if (loop->cancelled || cancel_is_set(request->cancel)) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "cancelled");
            call->abort = true;
        } else if (deadline_passed(request)) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "no answer in time");
            call->abort = true;
        } else if (call->pending.len > 0) {
            call->abort = !hand_over(call, request, error);
        } else {
            wait_a_while(call, request);
            continue;
        }
        if (call->abort && !call->done)
            order(call);
    }
}

bool client_loop_perform(ClientLoop *loop, const HttpRequest *request, HttpResponse *response, GError **error) {
    LoopCall call = {
        .call = {.request = request, .take_piece = take_piece},
        .loop = loop,
        .pending = BUF_INIT(STREAM_BUFFER),
    };
    cond_init(&call.changed);
    mutex_lock(&loop->mutex);
    g_ptr_array_add(loop->calls, &call);
    g_ptr_array_add(loop->incoming, &call);
    curl_multi_wakeup(loop->multi);
    wait_for_end(&call, request, error);
    mutex_unlock(&loop->mutex);

    // The handle is out of the multi now, and ours until it goes back.
    bool ok = false;
    if (call.abort)
        client_handle_abandon(call.handle, &call.call, response);
    else
        ok = client_handle_finish(call.handle, &call.call, call.code, response, error);
    mutex_lock(&loop->mutex);
    g_ptr_array_remove_fast(loop->calls, &call);
    bool keep = loop->spare->len < SPARE_HANDLES;
    if (keep)
        g_ptr_array_add(loop->spare, call.handle);
    mutex_unlock(&loop->mutex);
    if (!keep)
        client_handle_free(call.handle);
    buf_clear(&call.pending);
    cond_destroy(&call.changed);
    return ok;
}

ClientLoop *client_loop_new(const ClientSettings *settings, TlsMaterial *tls, GError **error) {
    ClientLoop *loop = g_new0(ClientLoop, 1);
    loop->settings = settings;
    loop->tls = tls_material_ref(tls);
    loop->multi = curl_multi_init();
    if (!loop->multi)
        g_error("curl_multi_init: out of memory"); // lint: glib-log ok: as g_malloc does
    curl_multi_setopt(loop->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, MAX_CONNECTIONS);
    loop->spare = g_ptr_array_new();
    loop->calls = g_ptr_array_new();
    loop->incoming = g_ptr_array_new();
    loop->orders = g_ptr_array_new();
    mutex_init(&loop->mutex);
    loop->started = thread_start(&loop->thread, "http-client", 512, run, loop, error);
    if (loop->started)
        return loop;
    client_loop_free(loop);
    return NULL;
}

void client_loop_cancel(ClientLoop *loop) {
    mutex_lock(&loop->mutex);
    loop->cancelled = true;
    for (guint i = 0; i < loop->calls->len; i++)
        cond_signal(&((LoopCall *)loop->calls->pdata[i])->changed);
    mutex_unlock(&loop->mutex);
}

void client_loop_free(ClientLoop *loop) {
    if (!loop)
        return;
    if (loop->started) {
        mutex_lock(&loop->mutex);
        loop->stop = true;
        mutex_unlock(&loop->mutex);
        curl_multi_wakeup(loop->multi);
        pthread_join(loop->thread, NULL);
    }
    curl_multi_cleanup(loop->multi);
    for (guint i = 0; i < loop->spare->len; i++)
        client_handle_free(loop->spare->pdata[i]);
    g_ptr_array_unref(loop->spare);
    g_ptr_array_unref(loop->calls);
    g_ptr_array_unref(loop->incoming);
    g_ptr_array_unref(loop->orders);
    mutex_destroy(&loop->mutex);
    tls_material_unref(loop->tls);
    g_free(loop);
}
