// What AWS answers: XML of S3 and STS, JSON of Lambda, errors of both kinds. All of it comes from outside.
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

// Reads XML; `element` is called at the end of each element with its path ("Error/Code") and its own text, trimmed (""
// for one that only holds others). Returning false ends the reading; that is no error. INVALID when it is no XML, or is
// nested deeper than 16.
bool aws_xml_read(const char *xml, size_t len, bool (*element)(const char *path, const char *text, void *user),
                  void *user, GError **error);
// The text of the first element at `path`, NULL when there is none or when it is no XML. Caller frees.
char *aws_xml_text(const char *xml, size_t len, const char *path);
// Appends text as XML's character data.
void aws_xml_append_escaped(GString *out, const char *text);

// What a service says is wrong. Each NULL when it does not say.
typedef struct {
    char *code;    // "NoSuchBucket"
    char *message; // one line of valid UTF-8, at most 512 bytes
    char *region;  // where the bucket is, when that is what is wrong
} AwsProblem;
void aws_problem_clear(AwsProblem *problem);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AwsProblem, aws_problem_clear)

// Reads the body of an answer. True when it told a code or a message.
bool aws_problem_read(const char *body, size_t len, AwsProblem *problem);

// Nanoseconds since 1970 of "2026-01-02T03:04:05Z"; -1 when it is no such time.
gint64 aws_time_ns(const char *text);
