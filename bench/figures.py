"""What every bench does with its figures."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SCRATCH = HERE.parent / ".cache"  # on the disk that is measured, and never committed


def write_results(path: Path, command: str, figures: dict[str, float], **more: Any) -> None:
    """Keep what was measured, with the command and the machine.

    Args:
        more: where the figures come from.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded = {name: round(value, 3) for name, value in figures.items()}
    result = {"command": command, "machine": machine(), "figures": rounded, **more}
    path.write_text(json.dumps(result, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = subprocess.run(["lscpu"], capture_output=True, text=True).stdout
    model = next((x.split(":")[1].strip() for x in cpu.splitlines() if "Model name" in x), "")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
