"""Decode message bytes: CDR, message kinds, pictures, robot descriptions. Entrance: ``kinds.KINDS``."""
