"""The catalogue: an index of the episodes under a root, which can be rebuilt at any time. Entrance: ``catalogue.Catalogue``."""
