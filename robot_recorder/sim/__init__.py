"""The simulated humanoid of the demo and the tests. Entrance: ``node``."""
