"""The quality checks, one subject a file. Entrance: ``check.Check``."""
