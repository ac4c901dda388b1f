"""The ROS 2 nodes and the ingest that feeds them. Entrance: ``record``."""
