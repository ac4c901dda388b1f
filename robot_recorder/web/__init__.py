"""What the pages of the console and of the centre share: users, guard, connections. Entrance: `guard.Guard`."""
