// inotify on every folder that leads to some files: their own folders, those above, and those that symbolic links on
// the way pass through, so that any rename, swap or edit that changes what a path leads to is seen.
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct WatchFolders WatchFolders;

// `paths` are absolute. NULL with an error where the kernel has no watches left. What does not exist yet is found
// through the folder that it would stand in.
WatchFolders *watch_folders_new(const char *const *paths, GError **error);
void watch_folders_free(WatchFolders *folders);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WatchFolders, watch_folders_free)

int watch_folders_fd(const WatchFolders *folders);

// Reads what happened; true when a name on the way to a file was touched. Never waits.
bool watch_folders_read(WatchFolders *folders);
