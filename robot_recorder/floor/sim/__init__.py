"""A floor of light robots on one machine, with faults, counted afterwards. Entrance: `floor.SimFloor`."""
