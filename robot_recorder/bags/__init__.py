"""Read, write and repair bags: MCAP and ``metadata.yaml``. Entrance: ``columns.read_columns``."""
