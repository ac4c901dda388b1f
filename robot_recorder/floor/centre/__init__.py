"""The centre: takes episodes in, signs receipts, keeps catalogue and reviews. Entrance: `app.application`."""
