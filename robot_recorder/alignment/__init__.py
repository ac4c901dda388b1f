"""Align streams to frames, and certify how well they fit. Entrance: ``aligner.Aligner``."""
