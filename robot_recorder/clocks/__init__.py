"""Source clocks, which stamp messages, and the robot clock, which they are put on. Entrance: ``source_clock.SourceClock``."""
