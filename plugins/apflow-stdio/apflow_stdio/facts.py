"""Facts about this machine, each read anew; to be called in a thread."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Final

import psutil

from apflow_hookspecs import Json

SAMPLE: Final = 0.1
"""Seconds over which the use of the processor is measured."""


def gather(resource: str, path: str) -> dict[str, Json]:
    """The facts of `cpu`, `memory` or `disk` (the one that holds `path`), or of `all` by these names."""
    tellers: dict[str, Callable[[], dict[str, Json]]] = {"cpu": _cpu, "memory": _memory, "disk": lambda: _disk(path)}
    if resource == "all":
        return {name: tell() for name, tell in tellers.items()}
    return tellers[resource]()


def _cpu() -> dict[str, Json]:
    threads = psutil.cpu_count() or 1
    return {
        "system": platform.system(),
        "brand": _brand(),
        "cores": psutil.cpu_count(logical=False) or threads,
        "threads": threads,
        "percent": psutil.cpu_percent(SAMPLE),
        "load": [round(load, 2) for load in psutil.getloadavg()],
    }


def _brand() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as facts:  # noqa: PTH123 - read up to one line
            return next((line.partition(":")[2].strip() for line in facts if line.startswith("model name")), platform.machine())
    except FileNotFoundError:
        return platform.processor() or platform.machine()


def _memory() -> dict[str, Json]:
    memory = psutil.virtual_memory()
    amounts = _amounts(memory.total, memory.used, memory.available, memory.percent)
    return {"system": platform.system(), **amounts, "total_gb": round(memory.total / (1 << 30), 2)}


def _disk(path: str) -> dict[str, Json]:
    disk = psutil.disk_usage(path)
    return {"system": platform.system(), "path": path, **_amounts(disk.total, disk.used, disk.free, disk.percent)}


def _amounts(total: int, used: int, available: int, percent: float) -> dict[str, Json]:
    """Amounts as numbers to reckon with, and as the texts that trees of the earlier system show."""
    return {
        "total": _human(total),
        "used": _human(used),
        "available": _human(available),
        "used_percent": f"{percent:.0f}%",
        "total_bytes": total,
        "used_bytes": used,
        "available_bytes": available,
        "percent": percent,
    }


def _human(amount: float) -> str:
    for unit in ("B", "K", "M", "G", "T"):
        if amount < 1024:  # noqa: PLR2004 - the step between the units
            return f"{amount:.1f}{unit}"
        amount /= 1024
    return f"{amount:.1f}P"
