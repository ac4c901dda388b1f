"""The simulated humanoid, for the demo and the tests. Entrance: ``node``."""
