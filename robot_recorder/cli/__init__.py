"""The command ``robot-recorder``: one file a command. Entrance: ``main.main``."""
