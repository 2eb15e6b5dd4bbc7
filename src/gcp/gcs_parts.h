// Internal to gcp/: the XML of uploads in parts, and nothing else of XML.
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GCS_MOST_PARTS = 10000 };

typedef struct {
    char etag[80]; // without quotes
    uint64_t size;
} GcsPart;

// The text of the first element `name` in `xml`, its entities replaced; NULL: there is none. g_free.
char *gcs_xml_text(const char *xml, const char *name);

// Adds the parts of one page of a list to `parts` (of GcsPart), which must come in order, numbered from one on. `more`:
// there is another page, from the last part on. False with an error for anything else.
bool gcs_parts_read(const char *xml, GArray *parts, bool *more, GError **error);

// What completes an upload of these parts. g_free.
char *gcs_parts_write(const GArray *parts);
