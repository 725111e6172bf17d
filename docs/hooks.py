"""MkDocs hooks: studies find their way into the navigation, and no public name is left out of the reference."""

import zlib
from pathlib import Path

from mkdocs.exceptions import PluginError

DOMAINS = ("training", "continual", "dynamics", "rl", "models", "data", "systems", "envs", "numerics", "study")


def on_config(config):
    """List the pages of the studies, which are made from the studies."""
    pages = sorted((Path(config.docs_dir) / "studies").glob("*.md"))
    for section in config.nav:
        if "Studies" in section and isinstance(section["Studies"], list):
            section["Studies"] = [{page.stem: f"studies/{page.name}"} for page in pages]
    return config


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
