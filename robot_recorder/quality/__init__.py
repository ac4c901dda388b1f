"""Checks, the inspector that runs them, and their report. Entrance: ``inspector.Inspector``."""
