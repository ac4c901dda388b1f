"""The ROS 2 nodes, thin, and the ingest that feeds them. Entrance: ``record``."""
