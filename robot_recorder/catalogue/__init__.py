"""Index of the episodes under a root, rebuilt when needed. Entrance: ``catalogue.Catalogue``."""
