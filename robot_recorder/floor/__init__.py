"""Episodes from robots to the centre: what both sides share. Entrance: `manifest.Manifest`, `receipts.Receipt`."""
