"""Layers of networks."""

from . import misc

__all__ = ["misc"]
