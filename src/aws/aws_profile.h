// The files that the AWS command line shares with programs: ~/.aws/credentials and ~/.aws/config.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
#pragma once

#include <glib.h>

// Keys and values of one profile; both char *.
typedef GHashTable AwsProfile;

// Adds what `text` says of the profile `name` to `profile`; keys that are there already stay. `config`: sections are
// named "profile NAME" (except "default"). True when the text has such a section.
gboolean aws_profile_parse(const char *text, gsize len, const char *name, gboolean config, AwsProfile *profile);

// Reads both files (a missing one is empty; beyond 1 MiB it is cut). NULL when neither knows the profile.
AwsProfile *aws_profile_load(const char *credentials_file, const char *config_file, const char *name);
