"""Episodes in the Rerun viewer. Entrance: ``episode.log_episode``."""
