"""What a corpus lists, before any video is opened: folders, globs and manifests, streamed into an index on disk."""
