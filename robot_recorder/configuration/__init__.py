"""Read robot profiles and task registries from YAML. Entrance: ``find.load_profile``."""
