"""Episodes given to other sites and taken from them. Entrance: `exchange.push`."""
