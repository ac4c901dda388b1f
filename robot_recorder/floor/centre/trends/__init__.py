"""Quality over weeks: rates, drifts, alarms. Entrance: `trends.on_episode`."""
