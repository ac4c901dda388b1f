"""Export chosen episodes for training, with one exporter per format. Entrance: ``export_run.ExportRun``."""
