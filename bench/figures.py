"""Writes the figures of all benches."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SCRATCH = HERE.parent / ".cache"  # on the measured disk, never committed


def write_results(
    path: Path, command: str, figures: Mapping[str, float | None], **more: Any
) -> None:
    """Write figures with the command and the machine they come from.

    Args:
        path: of the file.
        command: that measured them.
        figures: the figures; None: not measured.
        more: the data behind them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded = {n: value if value is None else round(value, 3) for n, value in figures.items()}
    result = {"command": command, "machine": machine(), "figures": rounded, **more}
    path.write_text(json.dumps(result, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Return a description of this machine."""
    cpu = subprocess.run(["lscpu"], capture_output=True, text=True).stdout
    model = next((x.split(":")[1].strip() for x in cpu.splitlines() if "Model name" in x), "")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
