"""The recorder without its node: from batches of samples to episodes on disk. Entrance: ``recorder.Recorder``."""
