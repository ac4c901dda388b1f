"""Robot profiles and task registries, read from YAML with line numbers. Entrance: ``find.load_profile``."""
