"""Export aligned frames for training, with one exporter per format. Entrance: ``export.export``."""
