"""Revisions of the centre's tables, in the order of their numbers. Entrance: ``0001_catalogue.upgrade``."""
