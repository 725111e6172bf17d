"""MkDocs hook: the build fails when a public name has no entry in the API reference."""

import zlib
from pathlib import Path

from mkdocs.exceptions import PluginError

DOMAINS = ("training", "models", "data", "systems", "numerics", "study")


def on_post_build(config):
    """Compare the inventory of documented objects with every `__all__`."""
    import importlib

    import separatrix

    raw = (Path(config.site_dir) / "objects.inv").read_bytes()
    lines = zlib.decompress(raw.split(b"\n", 4)[4]).decode().splitlines()
    documented = {line.split(" ", 1)[0] for line in lines}
    wanted = {f"separatrix.{name}" for name in separatrix.__all__ if name not in DOMAINS}
    for domain in DOMAINS:
        wanted |= {f"separatrix.{domain}.{name}" for name in importlib.import_module(f"separatrix.{domain}").__all__}
    missing = sorted(wanted - documented)
    if missing:
        raise PluginError(f"public names without a page in docs/api: {', '.join(missing)}")
