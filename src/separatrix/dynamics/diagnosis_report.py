"""A diagnosis as one self-contained page of HTML: verdict, tables, figures, notes."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from separatrix.study.figures import PALETTE, NoData, inline_svg
from separatrix.study.files import write_atomic

if TYPE_CHECKING:
    from separatrix.dynamics.diagnosis import Diagnosis

__all__ = ["write_report"]

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; text-align: left; border-bottom: 1px solid #8886; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.verdict { font-size: 1.4rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figure svg { max-width: 100%; height: auto; }
figcaption { font-size: .9rem; }
"""


def write_report(diagnosis: "Diagnosis", path: str | Path) -> Path:
    """Write a diagnosis as HTML without anything to load from elsewhere.

    Args:
        diagnosis: of `diagnose`.
        path: where to.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = []
    for i, (caption, draw) in enumerate(_FIGURES.items()):
        try:
            picture = inline_svg(lambda _, draw=draw: draw(diagnosis), xr.Dataset(), f"figure-{i}", caption)
        except NoData:
            continue
        figures.append(f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>")
    found: Any = diagnosis.spectrum.to_dataframe().sort_values("residual").head(12)
    found["eigenvalue"] = [f"{a:.4f}{b:+.4f}i" for a, b in zip(found["real"], found["imaginary"], strict=True)]
    spectrum: Any = found.set_index("eigenvalue")[["residual", "growth", "frequency"]]
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in diagnosis.notes) or "<li>nothing was changed</li>"
    series = diagnosis.series
    what = f"{len(series.values)} samples of {', '.join(series.names)}, every {series.dt:.4g} {series.unit}"
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Diagnosis</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>
<h1>Diagnosis</h1><p>{html.escape(what)}.</p>
<p class="verdict">The series is <strong>{html.escape(diagnosis.verdict)}</strong>; the best model on the held-out part
is <strong>{html.escape(diagnosis.best_model)}</strong>.</p>
<h2>Quantities</h2>{_table(diagnosis.summary)}
<h2>Models on the held-out part</h2>{_table(diagnosis.models)}
<h2>Koopman eigenvalues, most trustworthy first</h2>{_table(spectrum)}
<h2>Figures</h2><div class="figures">{"".join(figures)}</div>
<h2>Notes</h2><ul>{notes}</ul></html>
"""
    write_atomic(path, page.encode())
    return path


def _table(frame: pd.DataFrame) -> str:
    head = "".join(f"<th>{html.escape(str(c))}</th>" for c in [frame.index.name or "", *frame.columns])
    body = []
    for index, row in zip(frame.index, frame.itertuples(index=False), strict=True):
        cells = "".join(_cell(value) for value in row)
        body.append(f"<tr><td>{html.escape(str(index))}</td>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"<td>{html.escape(value)}</td>"
    text = "" if pd.isna(value) else f"{value:.4g}"
    return f'<td class="number">{text}</td>'


def _figure() -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _shown(d: "Diagnosis") -> Figure:
    figure, axes = _figure()
    values = d.series.values[:2_000]
    for i, name in enumerate(d.series.names[:4]):
        axes.plot(d.series.dt * np.arange(len(values)), values[:, i], color=PALETTE[i], linewidth=0.8, label=name)
    axes.set(xlabel=f"time ({d.series.unit})", ylabel="value")
    axes.legend(frameon=False, fontsize="small")
    return figure


def _portrait(d: "Diagnosis") -> Figure:
    figure, axes = _figure()
    values = d.series.values[:5_000]
    if values.shape[1] > 1:
        axes.plot(values[:, 0], values[:, 1], color=PALETTE[0], linewidth=0.4)
        axes.set(xlabel=d.series.names[0], ylabel=d.series.names[1])
        return figure
    lag = max(1, round(d.summary.value["dominant period"] / d.series.dt / 8))
    axes.plot(values[:-lag, 0], values[lag:, 0], color=PALETTE[0], linewidth=0.4)
    axes.set(xlabel=f"{d.series.names[0]}(t)", ylabel=f"{d.series.names[0]}(t + {lag * d.series.dt:.3g})")
    return figure


def _separation(d: "Diagnosis") -> Figure:
    if "separation" not in d.separation:
        raise NoData("no exponent")
    figure, axes = _figure()
    time, curve, fitted = d.separation.time.values, d.separation.separation.values, d.separation.fitted.values
    axes.plot(time, curve, ".", color=PALETTE[0], markersize=3)
    slope = d.summary.value["largest exponent"]
    level = np.mean(curve[fitted]) - slope * np.mean(time[fitted])
    axes.plot(time[fitted], level + slope * time[fitted], color=PALETTE[1])
    axes.set(xlabel=f"time ({d.series.unit})", ylabel="mean log distance")
    return figure


def _forecast(d: "Diagnosis") -> Figure:
    figure, axes = _figure()
    part = d.forecasts.isel(origin=d.forecasts.sizes["origin"] // 2, coord=0)
    axes.plot(part.ahead, part.truth, color=PALETTE[7], linewidth=2.5, label="what came")
    low, high = part.truth.values.min(), part.truth.values.max()
    room = high - low
    for i, name in enumerate(d.models.index[:3]):
        guess = np.clip(part.forecast.sel(model=name), low - room, high + room)
        axes.plot(part.ahead, guess, color=PALETTE[i], linewidth=1.2, label=name)
    axes.set(xlabel=f"time ahead ({d.series.unit})", ylabel=d.series.names[0])
    axes.legend(frameon=False, fontsize="small")
    return figure


def _errors(d: "Diagnosis") -> Figure:
    figure, axes = _figure()
    for i, name in enumerate(d.models.index[:5]):
        error = np.minimum(d.forecasts.error.sel(model=name).values, 10)
        low, middle, high = np.quantile(error, [0.25, 0.5, 0.75], axis=0)
        axes.fill_between(d.forecasts.ahead, low, high, color=PALETTE[i], alpha=0.15, linewidth=0)
        axes.plot(d.forecasts.ahead, middle, color=PALETTE[i], label=name)
    axes.axhline(d.forecasts.attrs["threshold"], color=PALETTE[7], linestyle=":")
    axes.set(xlabel=f"time ahead ({d.series.unit})", ylabel="error (standard deviations)", ylim=(0, 2.5))
    axes.legend(frameon=False, fontsize="small")
    return figure


def _eigenvalues(d: "Diagnosis") -> Figure:
    figure, axes = _figure()
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=PALETTE[7], linewidth=0.6)
    residual = np.clip(d.spectrum.residual, 1e-3, 1)
    dots = axes.scatter(d.spectrum["real"], d.spectrum["imaginary"], c=np.log10(residual), cmap="viridis_r", s=18)
    figure.colorbar(dots, label="log10 of the residual")
    axes.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
    return figure


_FIGURES: "dict[str, Callable[[Diagnosis], Figure]]" = {
    "The series": _shown,
    "Phase portrait": _portrait,
    "How neighbours part; the slope is the largest exponent": _separation,
    "A forecast from the middle of the held-out part": _forecast,
    "Error of the forecasts: median and quartiles over origins; dotted: the threshold": _errors,
    "Koopman eigenvalues in the complex plane, coloured by their held-out residual": _eigenvalues,
}
