"""Plays bags: messages in time, playhead, selection. Entrance: ``play_loop.Performance``."""
