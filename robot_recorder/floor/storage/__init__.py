"""Where the centre keeps episodes: a port, a bucket, a directory. Entrance: `open.open_storage`."""
