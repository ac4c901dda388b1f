"""The station agent: sends a robot's episodes to the centre, and deletes them only on its receipt. Entrance: `agent.StationAgent`."""
