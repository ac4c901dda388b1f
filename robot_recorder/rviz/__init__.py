"""What RViz shows of an episode or a live robot: shapes, layout, the programs it takes. Entrance: ``scene.SensorScene``."""
