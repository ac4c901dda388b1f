"""What people judge at the centre: queue, decisions, agreement, recalls, film. Entrance: `queue.Reviews`."""
