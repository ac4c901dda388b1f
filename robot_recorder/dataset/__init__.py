"""Aligned frames as files that training reads. Entrance: ``table.write_table``."""
