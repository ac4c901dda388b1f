"""Any bag, later: aligned, checked, its profile guessed, its latency estimated. Entrance: ``align.align_episode``."""
