"""Where figures are kept: a JSON file with the machine, the versions and the commit they belong to."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def keep(name: str, rows: list[dict[str, Any]], command: str) -> None:
    """Print rows as a table and store them as results/<name>.json."""
    columns = list(rows[0])
    print("  ".join(f"{column:>18}" for column in columns))
    for row in rows:
        print("  ".join(f"{row[column]!s:>18}" for column in columns))
    RESULTS.mkdir(exist_ok=True)
    stored = {"command": command, **machine(), "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    git = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": subprocess.run(git, capture_output=True, text=True).stdout.strip(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "ray": version("ray"),
    }
