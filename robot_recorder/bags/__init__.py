"""Bag directories and files: reading, writing and repairing MCAP and ``metadata.yaml``. Entrance: ``columns.read_columns``."""
