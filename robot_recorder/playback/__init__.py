"""Bags played: messages in time, the playhead, what is selected. Entrance: ``performance.Performance``."""
