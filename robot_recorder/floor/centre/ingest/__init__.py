"""From an offer to a receipt, and labels on their way. Entrance: `ingest.FloorIngest`."""
