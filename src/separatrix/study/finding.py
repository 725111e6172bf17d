"""A finding puts one claim of a paper to the test; a verdict says how the test came out.

A finding reduces a Dataset to one effect per seed. The verdict compares the interval of the mean effect
(`mean_interval`) with the region that the study accepts: wholly inside is "reproduced", wholly outside "not
reproduced", anything else "inconclusive". Thresholds are fixed before the run. Nothing is dropped in silence: a seed
without a finite effect, or fewer than five seeds, makes the verdict inconclusive and is named in its note.

Operating characteristics for `AtLeast(threshold)` with five seeds and a spread of half the threshold, from 20,000
simulated studies each. With a mean effect equal to the threshold, "reproduced" comes out in 1.8 % under normal noise
and below 0.5 % under log-normal noise (long upper tail, sigma 0.5 or 1); with a mean of zero, in none; with a mean of
twice the threshold, in 81 % under normal and 98 % under log-normal noise. For `AtMost` with the mean at the threshold,
the long tail lies beyond it and the false rate is 1.9 % (normal), 5.5 % (sigma 0.5) and 13 % (sigma 1): five values
seldom show a long upper tail. Take the logarithm of such an effect, or more seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from separatrix.study.statistics import mean_interval

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MIN_SEEDS", "PRESETS", "AtLeast", "AtMost", "Between", "Finding", "Judgement", "Verdict", "active", "judge"]

PRESETS = ("quick", "default", "thorough", "full")
MIN_SEEDS = 5

Judgement = Literal["reproduced", "not reproduced", "inconclusive"]


@dataclass(frozen=True)
class AtLeast:
    """The mean effect is expected to be `value` or more."""

    value: float

    def judge(self, low: float, high: float) -> Judgement:
        """Compare the interval `[low, high]` with the accepted region."""
        return _judge(low, high, self.value, math.inf)

    def __str__(self) -> str:
        return f"≥ {self.value:g}"


@dataclass(frozen=True)
class AtMost:
    """The mean effect is expected to be `value` or less."""

    value: float

    def judge(self, low: float, high: float) -> Judgement:
        """Compare the interval `[low, high]` with the accepted region."""
        return _judge(low, high, -math.inf, self.value)

    def __str__(self) -> str:
        return f"≤ {self.value:g}"


@dataclass(frozen=True)
class Between:
    """The mean effect is expected to lie in `[low, high]`; also the form of a claim of no difference."""

    low: float
    high: float

    def __post_init__(self):
        if not self.low < self.high:
            raise ValueError(f"`Between` needs low < high; got {self.low} and {self.high}.")

    def judge(self, low: float, high: float) -> Judgement:
        """Compare the interval `[low, high]` with the accepted region."""
        return _judge(low, high, self.low, self.high)

    def __str__(self) -> str:
        return f"in [{self.low:g}, {self.high:g}]"


def _judge(low: float, high: float, floor: float, ceiling: float) -> Judgement:
    if floor <= low and high <= ceiling:
        return "reproduced"
    if high < floor or ceiling < low:
        return "not reproduced"
    return "inconclusive"  # the interval straddles a threshold, or an end is NaN


@dataclass(frozen=True)
class Finding:
    """One claim, and how it is tested.

    Attributes:
        id: short name, unique within the study.
        claim: the claim in a sentence.
        source: where the paper makes it ("Fig. 2", "Theorem 1").
        effect: maps the study's Dataset (reduced to `arms`) to one effect per seed, a vector.
        expect: the region that the mean effect must lie in.
        published: the paper's own value, as a number or in words.
        arms: the arms that the effect needs; empty means all.
        since: the first preset that carries the finding.
        units: of the effect.
        control: whether this is a negative control, a claim that must hold for the test to mean anything.
    """

    id: str
    claim: str
    source: str
    effect: Callable[[xr.Dataset], xr.DataArray | np.ndarray]
    expect: AtLeast | AtMost | Between
    published: str | float | None = None
    arms: tuple[str, ...] = ()
    since: Literal["default", "thorough", "full"] = "default"
    units: str = ""
    control: bool = False

    def __post_init__(self):
        if self.since not in PRESETS[1:]:
            raise ValueError(
                f"`since` of finding {self.id!r} must be one of {', '.join(PRESETS[1:])}; got {self.since!r}."
            )


@dataclass(frozen=True)
class Verdict:
    """What came of a finding: mean effect, its interval, and the comparison with the threshold.

    `finding` is the finding's id, `expect` its region in words, `seeds` the number of effects, `effects` one value per
    seed, and `note` says why a verdict could not be reached. Numbers that could not be computed are NaN.
    """

    finding: str
    claim: str
    source: str
    effect: float
    low: float
    high: float
    expect: str
    published: str | float | None
    seeds: int
    verdict: Judgement
    effects: tuple[float, ...] = ()
    note: str = ""

    def to_json(
        self, study: str, preset: str, run: str = "", changed: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Plain values for strict JSON: NaN and infinities become null.

        Args:
            study: slug of the study.
            preset: the preset whose run was judged.
            run: name of that run.
            changed: its settings that differ from the preset's, but for the number of seeds.

        Returns:
            A dictionary that `json.dumps(..., allow_nan=False)` accepts.
        """
        return {
            "study": study,
            "finding": self.finding,
            "claim": self.claim,
            "effect": _finite(self.effect),
            "low": _finite(self.low),
            "high": _finite(self.high),
            "expect": self.expect,
            "published": _finite(self.published) if isinstance(self.published, int | float) else self.published,
            "seeds": self.seeds,
            "verdict": self.verdict,
            "preset": preset,
            "effects": [_finite(value) for value in self.effects],
            "note": self.note,
            "source": self.source,
            "run": run,
            "changed": dict(changed or {}),
        }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def active(finding: Finding, preset: str) -> bool:
    """Whether a preset carries a finding; `quick` carries none, as it reaches no verdict.

    Args:
        finding: the finding.
        preset: one of `PRESETS`.

    Returns:
        True if `preset` is the finding's first preset or a larger one.

    Raises:
        ValueError: if the preset is unknown.
    """
    if preset not in PRESETS:
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}; got {preset!r}.")
    return PRESETS.index(preset) >= PRESETS.index(finding.since)


def judge(finding: Finding, dataset: xr.Dataset) -> Verdict:
    """Compute the effects of a finding and compare the interval of their mean with its threshold.

    Args:
        finding: the finding.
        dataset: the study's results, with a dimension `seed` and, unless the finding names no arms, `arm`.

    Returns:
        The verdict. It is inconclusive, with a note, if an arm or a variable is missing, if there are fewer than
        `MIN_SEEDS` seeds, or if the effect of a seed is not finite.

    Raises:
        ValueError: if the effect function does not return one value per seed.
    """
    try:
        effects, seeds = _effects(finding, dataset)
    except KeyError as error:
        return _verdict(finding, (), "inconclusive", f"not measured: {error.args[0] if error.args else error}")
    except AttributeError as error:
        if not str(error).startswith("'Dataset' object has no attribute"):  # `dataset.loss` for `dataset["loss"]`
            raise
        return _verdict(finding, (), "inconclusive", f"not measured: {str(error).rsplit(' ', 1)[-1]}")
    values = tuple(float(value) for value in effects)
    bad = [str(seed) for seed, value in zip(seeds, values, strict=True) if not math.isfinite(value)]
    if bad:
        word = "seed" if len(bad) == 1 else "seeds"
        return _verdict(finding, values, "inconclusive", f"the effect is not finite for {word} {', '.join(bad)}")
    if not values:
        return _verdict(finding, values, "inconclusive", "not measured: no seed")
    low, high = (float(end) for end in mean_interval(effects))
    if len(values) < MIN_SEEDS:
        return _verdict(finding, values, "inconclusive", f"too few seeds (n < {MIN_SEEDS})", low, high)
    return _verdict(finding, values, finding.expect.judge(low, high), "", low, high)


def _effects(finding: Finding, dataset: xr.Dataset) -> tuple[np.ndarray, list[Any]]:
    """The effects as a float vector and the seeds they belong to; KeyError if an arm is missing."""
    if finding.arms:
        present = [str(arm) for arm in np.atleast_1d(dataset["arm"].values)]
        missing = [arm for arm in finding.arms if arm not in present]
        if missing:
            raise KeyError(f"arm {', '.join(missing)}")
        if "arm" in dataset.dims:
            dataset = dataset.sel(arm=list(finding.arms))
    result = finding.effect(dataset)
    effects = np.asarray(result, dtype=np.float64)
    if effects.ndim != 1 or getattr(result, "dims", ("seed",)) != ("seed",):
        raise ValueError(
            f"The effect of finding {finding.id!r} must be one value per seed, a vector; got shape {effects.shape} "
            f"and dimensions {getattr(result, 'dims', 'without names')}. Reduce the others in its effect function."
        )
    labels = getattr(result, "coords", {}).get("seed", dataset.coords.get("seed"))
    seeds = [] if labels is None else np.atleast_1d(np.asarray(labels)).tolist()
    return effects, seeds if len(seeds) == effects.size else list(range(effects.size))


def _verdict(
    finding: Finding,
    values: tuple[float, ...],
    verdict: Judgement,
    note: str,
    low: float = math.nan,
    high: float = math.nan,
) -> Verdict:
    return Verdict(
        finding=finding.id,
        claim=finding.claim,
        source=finding.source,
        effect=float(np.mean(values)) if values else math.nan,
        low=low,
        high=high,
        expect=str(finding.expect),
        published=finding.published,
        seeds=len(values),
        verdict=verdict,
        effects=values,
        note=note,
    )
