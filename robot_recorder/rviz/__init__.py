"""What RViz shows of an episode or a live robot. Entrance: ``scene.SensorScene``."""
