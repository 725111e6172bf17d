"""Figures that most studies need, as functions from a Dataset to a matplotlib Figure, and pictures for a web page."""

import html
import io
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

import numpy as np

from .files import storing, write_atomic
from .finding import AtLeast, AtMost, Finding, Verdict

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["PALETTE", "NoData", "curves", "effect_strip", "inline_svg", "measured", "panels", "points", "save"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7F7F7F")
"""Colours that stay apart for colour-blind readers (Okabe and Ito), on light and on dark ground."""

Scale = Literal["linear", "log"]


class NoData(LookupError):
    """A figure has nothing to draw: what it shows was not measured in this run."""


def curves(
    variable: str,
    *,
    arms: Sequence[str] | None = None,
    x: Scale = "linear",
    y: Scale = "linear",
    select: Mapping[str, Any] | None = None,
) -> "Callable[[xr.Dataset], Figure]":
    """Draw a variable over steps: the mean over seeds, its range, and every seed as a thin line.

    Args:
        variable: its name.
        arms: which arms, in the order of their colours; all by default. Arms without data are left out.
        x: scale of the steps.
        y: scale of the variable.
        select: positions along other dimensions; the remaining ones are averaged.

    Returns:
        A function for `Study.figures`; it raises `NoData` if none of the arms was measured.
    """

    def draw(ds: "xr.Dataset") -> "Figure":
        figure, axes = _figure()
        present = _present(ds, variable)
        for i, arm in enumerate(arms if arms is not None else present):
            if arm not in present:
                continue
            curve = ds[variable].sel(arm=arm).isel(dict(select or {}))
            curve = curve.mean([d for d in curve.dims if d not in ("seed", "step")]).dropna("step", how="all")
            if not curve.sizes["step"]:
                continue
            colour, steps = PALETTE[i % len(PALETTE)], curve["step"].values
            values = curve.transpose("seed", "step").values
            values = values[~np.isnan(values).all(axis=1)]
            axes.plot(steps, values.T, color=colour, alpha=0.25, linewidth=0.7)
            if len(values) > 1:
                low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
                axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(steps, np.nanmean(values, axis=0), color=colour, linewidth=2, label=arm)
        axes.set(xscale=x, yscale=y, xlabel="step", ylabel=_label(ds, variable))
        if not axes.lines:
            raise NoData(f"{variable} was not measured in {', '.join(arms) if arms else 'any arm'}")
        axes.legend(frameon=False, fontsize="small")
        return figure

    return draw


def points(variable: str, *, arms: Sequence[str] | None = None) -> "Callable[[xr.Dataset], Figure]":
    """Draw the last value of a variable, or its only one, for every arm and seed.

    Args:
        variable: its name.
        arms: which arms; all by default.

    Returns:
        A function for `Study.figures`; it raises `NoData` if none of the arms was measured.
    """

    def draw(ds: "xr.Dataset") -> "Figure":
        present = _present(ds, variable)
        names = [arm for arm in (present if arms is None else arms) if arm in present]
        if not names:
            raise NoData(f"{variable} was not measured in {', '.join(arms) if arms else 'any arm'}")
        figure, axes = _figure(height=0.9 + 0.32 * len(names))
        for i, arm in enumerate(names):
            curve = ds[variable].sel(arm=arm)
            curve = curve.mean([d for d in curve.dims if d not in ("seed", "step")])
            rows = curve.values.reshape(-1, 1) if "step" not in curve.dims else curve.transpose("seed", "step").values
            last = np.array([row[~np.isnan(row)][-1] for row in rows if not np.isnan(row).all()])
            colour = PALETTE[i % len(PALETTE)]
            axes.plot(last, np.full(len(last), i), "o", color=colour, alpha=0.5, markersize=5, markeredgewidth=0)
            axes.plot([last.mean()], [i], "|", color=colour, markersize=16, markeredgewidth=2.5)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(f"final {_label(ds, variable)}")
        return figure

    return draw


def panels(columns: int = 1, width: float = 6.4, height: float = 3.8, **options: Any) -> "tuple[Figure, Any]":
    """Make a figure with panels side by side.

    Args:
        columns: number of panels.
        width: in inches.
        height: in inches.
        **options: passed to `Figure.subplots`, such as `sharey=True`.

    Returns:
        The figure, and an array of `columns` axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False, **options)[0]


def measured(ds: "xr.Dataset", variable: str, arms: Sequence[str]) -> list[str]:
    """Return the arms in which a variable was measured.

    Raises:
        NoData: if there are none.
    """
    here = [arm for arm in arms if variable in ds and arm in ds.arm and bool(ds[variable].sel(arm=arm).notnull().any())]
    if not here:
        raise NoData(f"{variable} was not measured in {', '.join(arms)}")
    return here


def _present(ds: "xr.Dataset", variable: str) -> list[str]:
    """The arms in which a variable has values."""
    if variable not in ds or "arm" not in ds:
        return []
    data = ds[variable]
    measured = data.notnull().any([d for d in data.dims if d != "arm"])
    return [str(arm) for arm in ds["arm"].values[measured.values]]


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Args:
        figure: the figure.
        path: the file; its folder is made if it is missing.

    Raises:
        StoreError: if it cannot be written.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150, metadata={"Software": None})
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, picture.getvalue())


def _figure(height: float = 3.6) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2, linewidth=0.6)
    return figure, axes


def _label(ds: "xr.Dataset", variable: str) -> str:
    attrs = ds[variable].attrs if variable in ds else {}
    units = attrs.get("units", "1")
    label = attrs.get("long_name", variable) + ("" if units in ("1", "") else f" ({units})")
    return textwrap.fill(label, 34)


_INK = "#010203"  # drawn in the colour of the text around the picture
_INKED = "text.color axes.edgecolor axes.labelcolor xtick.color ytick.color grid.color legend.edgecolor"
_CLEAR = "axes.facecolor figure.facecolor figure.edgecolor savefig.facecolor savefig.edgecolor legend.facecolor"
_FOLLOWS_THE_TEXT = re.compile(rf"{_INK}|#000000")
_FONT = re.compile(r"font-family: [^;]*;?\s*")
_EXCESS_DIGITS = re.compile(r"(\.\d\d)\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline_svg(draw: "Callable[[xr.Dataset], Figure]", results: "xr.Dataset", name: str, label: str) -> str:
    """Draw a figure as an SVG element that lives in an HTML page and follows its text colour, on dark and light ground.

    The ground is transparent; what matplotlib or the figure draws in black takes the colour of the text. Text stays
    text, in the page's font. The same data give the same characters.

    Args:
        draw: of `Study.figures`.
        results: Dataset of a run.
        name: begins every id in the picture; unique on the page.
        label: what a screen reader says.

    Returns:
        An `<svg>` element without a size of its own; it asks for nothing outside it.
    """
    import matplotlib as mpl
    from cycler import cycler

    style: Any = {
        **dict.fromkeys(_INKED.split(), _INK),
        **dict.fromkeys(_CLEAR.split(), "none"),
        "axes.prop_cycle": cycler(color=PALETTE),
        "font.size": 11,
        "svg.fonttype": "none",
        "svg.hashsalt": name,
    }
    file = io.BytesIO()
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a crowded layout is no reason to stop
        draw(results).savefig(file, format="svg", metadata={"Date": None})
    return _embedded(file.getvalue(), name, label)


def _embedded(svg: bytes, name: str, label: str) -> str:
    """Take out of an SVG document what would act on the page around it: namespaces, style sheet, size, common ids."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text = element.text if (element.text or "").strip() else None
        element.tail = element.tail if (element.tail or "").strip() else None
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            key = key.rpartition("}")[2]
            if key == "id" or (key == "href" and value.startswith("#")):
                head = "#" * (key == "href")
                value = f"{head}{name}-{value.removeprefix(head)}"
            elif key == "d":
                value = " ".join(_EXCESS_DIGITS.sub(r"\1", value).split())
            else:
                value = _FONT.sub("", value) if key == "style" else value
                value = _REFERENCE.sub(rf"url(#{name}-\1)", _FOLLOWS_THE_TEXT.sub("currentColor", value))
            element.set(key, value)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": label,
        "fill": "currentColor",
        "style": "stroke-linejoin:round;stroke-linecap:butt",  # as the removed style sheet said
    }
    return ElementTree.tostring(root, encoding="unicode")


_WIDTH, _LEFT, _RIGHT = 320, 10, 310
_TOP, _FLOOR = 8, 44
_LOG_RATIO = 100.0  # a positive range this wide is drawn on a logarithmic axis


def effect_strip(finding: Finding, verdict: Verdict, name: str) -> str:
    """Draw the effects of a finding against the region that it accepts.

    The region is shaded and bounded by its threshold, each seed is a dot, the mean a stroke on the bar of its interval,
    and a published number a triangle (pointing outwards at the rim if it lies far off). Colours come from `report.css`.

    Args:
        finding: the finding.
        verdict: what came of it.
        name: begins every id in the picture; unique on the page.

    Returns:
        An `<svg>` element.
    """
    floor, ceiling = _region(finding)
    thresholds = [v for v in (floor, ceiling) if math.isfinite(v)]
    effects = [v for v in verdict.effects if math.isfinite(v)]
    published = verdict.published if isinstance(verdict.published, int | float) else math.nan
    ends = [v for v in (verdict.low, verdict.high) if math.isfinite(v)]
    at, ticks, is_log = _axis([*thresholds, *effects, *ends], published)
    inside = lambda value: min(max(at(value), _LEFT), _RIGHT)  # noqa: E731

    start, end = (inside(v) for v in (floor, ceiling))
    parts = [f'<rect class="region" x="{start:.1f}" y="{_TOP}" width="{end - start:.1f}" height="{_FLOOR - _TOP}"/>']
    parts += [_vertical("threshold", at(v), _TOP, _FLOOR) for v in thresholds]
    parts.append(f'<path class="axis" d="M{_LEFT} {_FLOOR}H{_RIGHT}"/>')
    for tick in ticks:
        parts.append(_vertical("axis", at(tick), _FLOOR, _FLOOR + 4))
        parts.append(f'<text x="{at(tick):.1f}" y="{_FLOOR + 15}" text-anchor="middle">{tick + 0.0:g}</text>')
    if math.isfinite(published):
        parts.append(_published(at(published)))
    for i, value in enumerate(effects):
        parts.append(f'<circle class="seed" cx="{at(value):.1f}" cy="{14 + 12 * (i + 0.5) / len(effects):.1f}" r="3"/>')
    if effects:
        if not math.isnan(verdict.low):
            parts.append(f'<path class="interval" d="M{inside(verdict.low):.1f} 35H{inside(verdict.high):.1f}"/>')
        if math.isfinite(verdict.effect):
            parts.append(_vertical("mean", at(verdict.effect), 30, 40))
    said = f"{finding.id}: {_spoken(verdict)}{', logarithmic axis' if is_log else ''}"
    return (
        f'<svg class="strip" viewBox="0 0 {_WIDTH} 64" role="img" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{html.escape(said)}</title>{"".join(parts)}</svg>'
    )


def _region(finding: Finding) -> tuple[float, float]:
    expect = finding.expect
    if isinstance(expect, AtLeast):
        return expect.value, math.inf
    if isinstance(expect, AtMost):
        return -math.inf, expect.value
    return expect.low, expect.high


def _axis(values: list[float], published: float) -> tuple[Callable[[float], float], list[float], bool]:
    """Map values to horizontal positions; also ticks, and whether the axis is logarithmic."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    is_log = min(values) > 0 and max(values) / min(values) >= _LOG_RATIO
    scale = (lambda v: math.log10(v) if v > 0 else -math.inf) if is_log else float
    low, high = scale(min(values)), scale(max(values))
    if high == low:
        low, high = low - max(abs(low), 1.0) / 2, high + max(abs(high), 1.0) / 2
    span = high - low
    if math.isfinite(published) and low - 2 * span <= scale(published) <= high + 2 * span:
        low, high = min(low, scale(published)), max(high, scale(published))
    low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
    locator = LogLocator(numticks=5) if is_log else MaxNLocator(4)
    ticks = locator.tick_values(10**low, 10**high) if is_log else locator.tick_values(low, high)
    rim = 0.04 * (high - low)  # a label at the very rim would be cut off
    shown = [float(t) for t in ticks if low + rim <= scale(t) <= high - rim]
    return (lambda v: _LEFT + (_RIGHT - _LEFT) * (scale(v) - low) / (high - low)), shown, is_log


def _vertical(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<path class="{kind}" d="M{x:.1f} {top}V{bottom}"/>'


def _published(x: float) -> str:
    if x < _LEFT:
        return f'<path class="published" d="M{_LEFT - 8} 6l8 -5v10z"/>'
    if x > _RIGHT:
        return f'<path class="published" d="M{_RIGHT + 8} 6l-8 -5v10z"/>'
    return (
        f'<path class="published-line" d="M{x:.1f} {_TOP}V{_FLOOR}"/><path class="published" d="M{x:.1f} 9l-5 -8h10z"/>'
    )


def _spoken(verdict: Verdict) -> str:
    published = "" if verdict.published is None else f", published {verdict.published}"
    if not verdict.effects:
        return f"no effect was measured, expected {verdict.expect}{published}"
    seeds = ", ".join(f"{value:.3g}" for value in verdict.effects)
    return (
        f"mean effect {verdict.effect:.3g}, 95 % interval {verdict.low:.3g} to {verdict.high:.3g}, "
        f"expected {verdict.expect}{published}, seeds {seeds}"
    )
