"""Bags decoded for eyes and datasets: series, groups of curves, pictures. Entrance: ``contents.Contents``."""
