"""The machine that timings were taken on, for the report."""

import os
import pathlib
import platform

INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_tile")
"""CPU flags that decide which precisions are fast."""


def describe():
    """The processor, its cores and instruction sets, memory and GPUs.

    Returns:
        Dict of JSON values; "instructions" lists those of `INSTRUCTIONS` that
        are there, or is None where the system does not tell.
    """
    import tensorflow as tf

    name, flags = _cpu()
    return {
        "cpu": name,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "instructions": None
        if flags is None
        else [flag for flag in INSTRUCTIONS if flag in flags],
        "gpus": [
            tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
            for gpu in tf.config.list_physical_devices("GPU")
        ],
        "system": platform.platform(),
    }


def load():
    """Processes that want a core, averaged over a minute, or None."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def in_words(described):
    """One line for people, of `describe`."""
    instructions = described["instructions"]
    parts = [described["cpu"], f"{described['cores']} cores"]
    if instructions is not None:
        parts.append(" ".join(instructions) or "no AVX2")
    return ", ".join([*parts, *described["gpus"]])


def _cpu():
    """The CPU's name, and its flags as a set or None."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # no Linux
        return platform.processor() or platform.machine(), None
    fields = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags", fields.get("Features"))
    numbers = [
        f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields
    ]
    name = fields.get("model name", platform.machine())
    if numbers:
        name += f" ({', '.join(numbers)})"
    return name, None if flags is None else set(flags.split())
