"""Quality: the inspector feeds checks, the report says what they found. Entrance: ``inspector.Inspector``."""
