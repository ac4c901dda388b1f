"""Basic types of the package: streams, topics, labels, losses, text, ids, errors. Entrance: ``streams.RobotProfile``."""
