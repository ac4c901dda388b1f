"""Work on many episodes, in the centre's database, by any number of workers. Entrance: `queue.Jobs`."""
