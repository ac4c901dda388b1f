"""Convert stamps of source clocks to robot time. Entrance: ``source_clock.SourceClock``."""
