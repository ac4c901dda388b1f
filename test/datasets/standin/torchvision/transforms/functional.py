"""Empty: LeRobot imports it and calls nothing of it while it reads or trains on whole pictures."""
