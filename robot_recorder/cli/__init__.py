"""The program ``robot-recorder``: a file per command, named after it, listed in ``commands.py``. Entrance: ``main.main``."""
