"""The plotting library's script, found in its Python package without importing that."""

import functools
import importlib.util
import re
from importlib import metadata
from pathlib import Path

from separatrix.study.errors import UsageError

__all__ = ["script_name", "script_path", "style_ids"]

_STYLE = re.compile(rb'getElementById\("([0-9a-f]{64})"\)')


@functools.cache
def script_path() -> Path:
    """Where the script is.

    Raises:
        UsageError: if the package is missing, or has no script.
    """
    found = importlib.util.find_spec("plotly")
    for place in list(found.submodule_search_locations or []) if found is not None else []:
        script = Path(place, "package_data", "plotly.min.js")
        if script.is_file():
            return script
    raise UsageError("the view needs plotly; install it with: pip install 'separatrix[view]'")


def script_name() -> str:
    """The name it is served under, which changes with its version."""
    return f"plotly-{metadata.version('plotly')}.min.js"


@functools.cache
def style_ids() -> tuple[str, ...]:
    """Ids of style sheets that the script would inject for maps of the earth if no element had them.

    Our policy forbids such sheets and we draw no such maps, so each page carries an inert element with each id.
    """
    return tuple(sorted({found.decode() for found in _STYLE.findall(script_path().read_bytes())}))
