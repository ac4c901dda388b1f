"""Aligned frames as files that training reads, an exporter a format. Entrance: ``export.export``."""
