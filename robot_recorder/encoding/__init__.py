"""Encode raw pictures in processes of their own, before they are recorded. Entrance: ``encoders.Encoders``."""
