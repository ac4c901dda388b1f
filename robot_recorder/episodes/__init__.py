"""Episodes under a root: one episode, the store of all, labels, trash, locks, recovery. Entrance: ``store.EpisodeStore``, ``episode.Episode``."""
