"""A study's own figures for a page whose policy forbids style attributes, which matplotlib's pictures have."""

import threading
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from separatrix.study.figures import NoData, inline_svg
from separatrix.study.study import Study

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["drawn", "without_styles"]

LONGEST = 4_000_000  # characters of a picture that a page can bear

_drawing = threading.Lock()  # matplotlib's settings belong to the whole process


def drawn(study: Study, number: int, results: "xr.Dataset") -> dict[str, Any]:
    """Draw one of a study's figures.

    Args:
        study: the study.
        number: of the figure, from 0.
        results: Dataset of a run, lazy or not.

    Returns:
        Its `caption`, and either `svg` or, in one line, what is `missing`.
    """
    caption, draw = list(study.figures.items())[number]
    try:
        with _drawing:
            svg = without_styles(inline_svg(draw, results, f"figure-{number}", caption))
    except (NoData, KeyError) as error:
        return {"caption": caption, "missing": f"not measured in this run ({error.args[0] if error.args else error})"}
    except Exception as error:  # the study's own code; one figure must not cost the page
        return {"caption": caption, "missing": f"could not be drawn ({type(error).__name__}: {error})"}
    if len(svg) > LONGEST:
        return {"caption": caption, "missing": "too large for this page; `separatrix report` draws it"}
    return {"caption": caption, "svg": svg}


def without_styles(svg: str) -> str:
    """Turn the style attributes of a picture into presentation attributes, which say the same.

    Args:
        svg: an element.

    Example:
        >>> without_styles('<svg><path style="fill: none; stroke: red" d="M0 0" /></svg>')
        '<svg><path d="M0 0" fill="none" stroke="red" /></svg>'
    """
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        for rule in element.attrib.pop("style", "").split(";"):
            name, colon, value = rule.partition(":")
            if colon:
                element.set(name.strip(), value.strip())
    return ElementTree.tostring(root, encoding="unicode")
