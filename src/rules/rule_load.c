#include "base/buf.h"
#include "rules/rule_build.h"
#include "rules/rule_set.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 16 * 1024 * 1024 };

// The errno of what failed; 0 when all was read; EFBIG for a file beyond FILE_MAX.
static int read_whole(const char *path, Buf *buf) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failure = buf_read_fd(buf, fd);
    close(fd);
    return failure;
}

static void hash_file(GChecksum *checksum, int failure, const Buf *buf) {
    guint64 head[2] = {(guint64)failure, buf->len};
    g_checksum_update(checksum, (const guchar *)head, sizeof head);
    if (buf->len > 0)
        g_checksum_update(checksum, (const guchar *)buf->data, (gssize)buf->len);
}

char *rules_fingerprint(const char *const *files) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    for (size_t i = 0; files[i]; i++) {
        g_auto(Buf) buf = BUF_INIT(FILE_MAX);
        int failure = read_whole(files[i], &buf);
        hash_file(checksum, failure, &buf);
    }
    return g_strdup(g_checksum_get_string(checksum));
}

static void say_no_rules(const RuleText *texts, size_t count, const Blocks *blocks, DiagList *diags) {
    g_autoptr(GString) names = g_string_new(NULL);
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", texts[i].name);
    diag_add(diags, DIAG_ERROR, count > 0 ? texts[0].name : "", 0, 0,
             blocks->actions.order->len > 0 ? "no rule in %s: only actions, which no rule uses"
                                            : "no rule in %s: a rule starts with '- rule: NAME'",
             names->str);
}

static void rule_clear_item(void *data) {
    rule_clear(data);
}

RuleSet *rule_set_parse(const RuleText *texts, size_t count, const char *fingerprint, const Catalogue *catalogue,
                        DiagList *diags) {
    unsigned errors = diags->errors;
    Blocks blocks;
    blocks_init(&blocks);
    for (size_t i = 0; i < count; i++)
        blocks_add_text(&blocks, (unsigned)i, texts[i].name, texts[i].text, texts[i].len, diags);

    g_autoptr(GArray) rules = g_array_new(FALSE, TRUE, sizeof(Rule));
    g_array_set_clear_func(rules, rule_clear_item);
    rules_build(&blocks, catalogue, rules, diags);
    if (diags->errors == errors && rules->len == 0)
        say_no_rules(texts, count, &blocks, diags);
    blocks_clear(&blocks);
    return diags->errors == errors ? rule_set_new(rules, fingerprint) : NULL;
}

static void buf_free(void *data) {
    buf_clear(data);
    g_free(data);
}

RuleSet *rule_set_load(const char *const *files, const Catalogue *catalogue, DiagList *diags) {
    unsigned errors = diags->errors;
    g_autoptr(GArray) texts = g_array_new(FALSE, TRUE, sizeof(RuleText));
    g_autoptr(GPtrArray) buffers = g_ptr_array_new_with_free_func(buf_free);
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    for (size_t i = 0; files[i]; i++) {
        Buf *buf = g_new(Buf, 1);
        *buf = (Buf)BUF_INIT(FILE_MAX);
        g_ptr_array_add(buffers, buf);
        int failure = read_whole(files[i], buf);
        hash_file(checksum, failure, buf);
        if (failure == EFBIG)
            diag_add(diags, DIAG_ERROR, files[i], 0, 0, "the file is longer than %d bytes", FILE_MAX);
        else if (failure)
            diag_add(diags, DIAG_ERROR, files[i], 0, 0, "cannot be read: %s", g_strerror(failure));
        RuleText text = {.name = files[i], .text = buf_text(buf), .len = buf->len};
        if (!failure)
            g_array_append_val(texts, text);
    }
    // What the others seem to lack may stand in the one that is missing: their findings would mislead.
    if (diags->errors > errors)
        return NULL;
    return rule_set_parse((const RuleText *)texts->data, texts->len, g_checksum_get_string(checksum), catalogue, diags);
}
