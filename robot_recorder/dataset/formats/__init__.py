"""One exporter per dataset format. Entrance: ``table.formats``."""
