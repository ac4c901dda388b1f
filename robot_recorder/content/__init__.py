"""Decode bags into series, groups of curves and pictures. Entrance: ``read_values``, ``read_pictures``, ``contents.Contents``."""

from robot_recorder.content.read import read_pictures, read_values

__all__ = ["read_pictures", "read_values"]
