"""Plays bags: messages in time, playhead, selection. Entrance: ``performance.Performance``."""
