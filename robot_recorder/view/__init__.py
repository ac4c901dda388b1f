"""Shows episodes in the Rerun viewer. Entrance: ``episode.log_episode``."""
