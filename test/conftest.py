"""One private ROS domain for the whole run, and no traffic beyond this machine."""

import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # test/support is importable as `support`

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 100))
