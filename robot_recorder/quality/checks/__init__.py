"""Checks: one class per defect, pure; inherited from ``check.Check``. Entrance: ``registry.value_checks``, ``check.Check``."""
