// The database itself: connections, tables, and what is refused.
#include "store/store_private.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID 0x53746f70   // "Stop"
#define LOG_BYTES (7 * 1024 * 1024) // a little more than it reaches between checkpoints
#define LOG_KEEP_BYTES 67108864     // what it grew beyond this is given back

static const char schema[] =
    "CREATE TABLE events(id INTEGER PRIMARY KEY, accepted_ns INTEGER NOT NULL, trace TEXT NOT NULL, body BLOB NOT "
    "NULL);"
    "CREATE TABLE state(id INTEGER PRIMARY KEY, ns INTEGER NOT NULL);"
    "CREATE TABLE results(id INTEGER PRIMARY KEY, recorded_ns INTEGER NOT NULL, action_index INTEGER NOT NULL,"
    " rule TEXT NOT NULL, action TEXT NOT NULL, actionner TEXT NOT NULL, part TEXT NOT NULL, status INTEGER NOT NULL,"
    " text TEXT NOT NULL, duration_us INTEGER NOT NULL);"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('probe', 0);";

// A result counts only while its event is pending: so none is left behind by an event that could not be kept, whose id
// another event may get after a restart.
static const char *const statements[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_EVENT] = "INSERT INTO events(id, accepted_ns, trace, body) VALUES(?1, ?2, ?3, ?4)",
    [STATEMENT_PENDING] = "INSERT INTO state(id, ns) VALUES(?1, ?2)",
    [STATEMENT_RESULT] =
        "INSERT INTO results SELECT 1 + coalesce((SELECT max(id) FROM results WHERE id BETWEEN ?1 AND ?2), ?1 - 1),"
        " ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE EXISTS(SELECT 1 FROM state WHERE id = ?12 AND ns < 0)"
        " AND NOT EXISTS(SELECT 1 FROM results WHERE id = ?2)",
    [STATEMENT_DONE] = "UPDATE state SET ns = ?2 WHERE id = ?1 AND ns < 0",
    [STATEMENT_OLDEST] = "SELECT id FROM state WHERE id > ?2 AND ns > 0 ORDER BY id LIMIT ?1",
    [STATEMENT_FORGET_EVENT] = "DELETE FROM events WHERE id = ?1",
    [STATEMENT_FORGET_RESULTS] = "DELETE FROM results WHERE id BETWEEN ?1 AND ?2",
    [STATEMENT_FORGET_STATE] = "DELETE FROM state WHERE id = ?1",
    [STATEMENT_PROBE] = "UPDATE meta SET value = value + 1 WHERE name = 'probe'",
};

void store_set_sqlite_error(GError **error, Connection *db, int code, const char *path, const char *what) {
    int primary = code & 0xff;
    if (primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_IO,
                    "the store %s is damaged (%s): move it and its -wal file away and start again; events in it that "
                    "were not finished are not taken up then",
                    path, sqlite3_errstr(primary));
        return;
    }
    // SQLite keeps the error of opening a file, but not that of writing its log.
    int err = db && sqlite3_system_errno(db) != 0 ? sqlite3_system_errno(db) : errno;
    // A limit on the file's size (EFBIG) is one on its disk.
    bool full = primary == SQLITE_FULL || (primary == SQLITE_IOERR && (err == ENOSPC || err == EDQUOT || err == EFBIG));
    if (full)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_NO_SPACE, "%s the store %s: the disk is full", what, path);
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_IO, "%s the store %s: %s%s%s", what, path,
                    db ? sqlite3_errmsg(db) : sqlite3_errstr(code), primary == SQLITE_IOERR && err ? ": " : "",
                    primary == SQLITE_IOERR && err ? g_strerror(err) : "");
}

static bool run(Connection *db, const char *path, const char *sql, const char *what, GError **error) {
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return true;
    store_set_sqlite_error(error, db, code, path, what);
    return false;
}

// One integer, or one text in *text (g_free).
static bool ask(Connection *db, const char *path, const char *sql, int64_t *number, char **text, GError **error) {
    g_autoptr(Statement) statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW) {
        store_set_sqlite_error(error, db, code == SQLITE_DONE ? SQLITE_CORRUPT : code, path, "cannot read");
        return false;
    }
    if (number)
        *number = sqlite3_column_int64(statement, 0);
    if (text)
        *text = g_strdup((const char *)sqlite3_column_text(statement, 0));
    return true;
}

Connection *store_connect(const char *path, bool read_only, int cache_kib, GError **error) {
    Connection *opened = NULL;
    int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &opened, flags, NULL);
    g_autoptr(Connection) db = opened;
    if (code != SQLITE_OK) {
        store_set_sqlite_error(error, db, code, path, "cannot open");
        return NULL;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 2000);
    // secure_delete, which some distributions switch on, would write every page of the history once more.
    g_autofree char *settings = g_strdup_printf("PRAGMA cache_size=-%d; PRAGMA synchronous=FULL;"
                                                "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY;"
                                                "PRAGMA secure_delete=OFF; PRAGMA trusted_schema=OFF;",
                                                cache_kib);
    if (!run(db, path, settings, "cannot open", error))
        return NULL;
    return g_steal_pointer(&db);
}

static bool make_tables(Connection *db, const char *path, GError **error) {
    g_autofree char *sql =
        g_strdup_printf("BEGIN IMMEDIATE; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;", schema,
                        APPLICATION_ID, STORE_VERSION);
    return run(db, path, sql, "cannot make", error);
}

static bool check_or_make(Connection *db, const char *path, GError **error) {
    int64_t application = 0, version = 0, tables = 0;
    if (!ask(db, path, "PRAGMA application_id", &application, NULL, error) ||
        !ask(db, path, "PRAGMA user_version", &version, NULL, error) ||
        !ask(db, path, "SELECT count(*) FROM sqlite_schema", &tables, NULL, error))
        return false;
    if (tables > 0 && application != APPLICATION_ID) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "%s is a database of another program: give store.path a file of its own", path);
        return false;
    }
    if (version > STORE_VERSION) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "the store %s was written by a newer Stoop (its version is %" G_GINT64_FORMAT
                    ", this Stoop knows up to %d): run that Stoop, or move the file away",
                    path, version, STORE_VERSION);
        return false;
    }
    g_autofree char *mode = NULL;
    if (!ask(db, path, "PRAGMA journal_mode=WAL", NULL, &mode, error))
        return false;
    if (g_strcmp0(mode, "wal") != 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_IO,
                    "the store %s cannot use write-ahead logging here: its folder must be on a local disk", path);
        return false;
    }
    return tables > 0 || make_tables(db, path, error);
}

// The log's blocks are written once when it is made, and the file stays when it is closed: from then on a commit
// overwrites blocks that the file system knows, which costs it no entry in its own journal.
static void lay_out_log(Connection *db, const char *path) {
    int keep = 1;
    sqlite3_file_control(db, NULL, SQLITE_FCNTL_PERSIST_WAL, &keep);
    sqlite3_exec(db, "PRAGMA journal_size_limit=" G_STRINGIFY(LOG_KEEP_BYTES), NULL, NULL, NULL);
    g_autofree char *name = g_strconcat(path, "-wal", NULL);
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    static const char zeros[64 * 1024];
    off_t size = lseek(fd, 0, SEEK_END);
    while (size >= 0 && size < LOG_BYTES) {
        ssize_t n = pwrite(fd, zeros, sizeof zeros, size);
        if (n <= 0)
            break; // the disk is full: the writer will find out
        size += n;
    }
    fdatasync(fd);
    close(fd);
}

static int note_frames(void *user, sqlite3 *db, const char *name, int frames) {
    ((Store *)user)->hook_frames = frames;
    return SQLITE_OK;
}

bool store_prepare(Store *store, GError **error) {
    Connection *db = store->writer_db = store_connect(store->path, false, 1024, error);
    int64_t last_event = 0, events = 0, pending = 0;
    if (!db || !check_or_make(db, store->path, error) ||
        !ask(db, store->path, "SELECT coalesce(max(id), 0) FROM events", &last_event, NULL, error) ||
        !ask(db, store->path, "SELECT count(*) FROM state", &events, NULL, error) ||
        !ask(db, store->path, "SELECT count(*) FROM state WHERE ns < 0", &pending, NULL, error))
        return false;
    store->done_events = events - pending;
    lay_out_log(db, store->path);
    store->last_id = (uint64_t)last_event;
    store->pending = (size_t)pending;
    for (unsigned i = 0; i < STATEMENT_COUNT; i++) {
        int code = sqlite3_prepare_v3(db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
        if (code != SQLITE_OK) {
            store_set_sqlite_error(error, db, code == SQLITE_ERROR ? SQLITE_CORRUPT : code, store->path, "cannot read");
            return false;
        }
    }
    sqlite3_wal_hook(db, note_frames, store);
    return true;
}

void store_disconnect(Store *store) {
    if (store->statements[STATEMENT_PROBE]) {
        // With a limit, SQLite would cut the log to nothing.
        sqlite3_exec(store->writer_db, "PRAGMA journal_size_limit=-1", NULL, NULL, NULL);
        // When all is copied, one small commit starts the log over: the next start then finds a single frame in it and
        // not the last few thousand. Where any of this fails (the disk is full), the next start reads the log.
        int frames = -1, copied = 0;
        sqlite3_wal_checkpoint_v2(store->writer_db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
        if (frames > 1 && frames == copied && sqlite3_step(store->statements[STATEMENT_PROBE]) == SQLITE_DONE)
            sqlite3_wal_checkpoint_v2(store->writer_db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
    for (unsigned i = 0; i < STATEMENT_COUNT; i++)
        g_clear_pointer(&store->statements[i], sqlite3_finalize);
    g_clear_pointer(&store->writer_db, sqlite3_close);
}
