"""Checks: one class per defect, pure; inherited from ``check.Check``."""
