"""Messages as bytes: CDR, the kinds of messages that are understood, pictures, robot descriptions. Entrance: ``kinds.KINDS``."""
