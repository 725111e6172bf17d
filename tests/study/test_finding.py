"""Verdicts: calibrated under a planted null, able to confirm a real effect, open about what they could not judge."""

import json
import math
import re

import numpy as np
import pytest
import xarray as xr

from separatrix.study.finding import AtLeast, AtMost, Between, Finding, Verdict, active, judge

STUDIES = 500


def finding(effect=lambda ds: ds["effect"], expect=None, **fields):
    expect = expect or AtLeast(1.0)
    return Finding(id="F1", claim="It grows.", source="Fig. 2", effect=effect, expect=expect, **fields)


def dataset(effects):
    return xr.Dataset({"effect": ("seed", np.asarray(effects, dtype=float))}, {"seed": np.arange(len(effects))})


def noise(kind, generator, spread):
    """Five values of mean zero and the given standard deviation."""
    if kind == "normal":
        return spread * generator.normal(size=5)
    sigma = float(kind.split()[1])
    values = np.exp(sigma * generator.normal(size=5)) - math.exp(sigma**2 / 2)
    return spread * values / math.sqrt((math.exp(sigma**2) - 1) * math.exp(sigma**2))


def rate(expect, mean, spread, kind):
    """Share of simulated studies of five seeds that are called reproduced."""
    generator = np.random.default_rng(11)
    tested = finding(expect=expect)
    calls = [judge(tested, dataset(mean + noise(kind, generator, spread))).verdict for _ in range(STUDIES)]
    return calls.count("reproduced") / STUDIES


@pytest.mark.parametrize("kind", ["normal", "lognormal 0.5", "lognormal 1.0"])
@pytest.mark.parametrize("mean", [1.0, 0.0])
def test_a_planted_null_is_called_reproduced_in_at_most_5_percent_of_studies(mean, kind):
    # the mean effect is the threshold itself, or zero; the spread is half the threshold
    assert rate(AtLeast(1.0), mean, 0.5, kind) <= 0.05


@pytest.mark.parametrize(("kind", "worst"), [("normal", 0.05), ("lognormal 0.5", 0.08), ("lognormal 1.0", 0.17)])
def test_against_a_long_tail_five_seeds_reject_a_null_more_often(kind, worst):
    # at most the threshold, with the tail beyond it: the limit of five seeds that the module states
    assert rate(AtMost(1.0), 1.0, 0.5, kind) <= worst


def test_twice_the_threshold_is_called_reproduced_in_80_percent_of_studies():
    # five seeds, normal noise with a standard deviation of half the threshold
    assert rate(AtLeast(1.0), 2.0, 0.5, "normal") >= 0.80


@pytest.mark.parametrize(
    ("expect", "inside", "outside", "across"),
    [
        (AtLeast(1.0), (1.0, 2.0), (0.0, 0.9), (0.9, 1.1)),
        (AtMost(1.0), (0.0, 1.0), (1.1, 2.0), (0.9, 1.1)),
        (Between(1.0, 2.0), (1.0, 2.0), (2.1, 3.0), (0.5, 2.5)),
        (Between(1.0, 2.0), (1.2, 1.3), (0.0, 0.9), (1.5, 2.5)),
    ],
)
def test_an_interval_is_inside_outside_or_across(expect, inside, outside, across):
    assert expect.judge(*inside) == "reproduced"
    assert expect.judge(*outside) == "not reproduced"
    assert expect.judge(*across) == "inconclusive"
    assert expect.judge(math.nan, math.nan) == "inconclusive"


def test_regions_read_as_they_are_written():
    assert [str(r) for r in (AtLeast(0.95), AtMost(2.0), Between(1.8, 2.0))] == ["≥ 0.95", "≤ 2", "in [1.8, 2]"]
    with pytest.raises(ValueError, match="low < high"):
        Between(2.0, 1.0)


def test_equal_effects_are_judged_by_their_value():
    verdict = judge(finding(), dataset([1.5] * 5))
    assert (verdict.effect, verdict.low, verdict.high, verdict.verdict) == (1.5, 1.5, 1.5, "reproduced")
    assert judge(finding(), dataset([0.5] * 5)).verdict == "not reproduced"


def test_a_seed_without_a_finite_effect_is_named_and_not_dropped():
    verdict = judge(finding(), dataset([2.0, 2.0, math.nan, 2.0, math.inf, 2.0]))
    assert verdict.verdict == "inconclusive"
    assert verdict.note == "the effect is not finite for seeds 2, 4"
    assert verdict.seeds == 6
    assert math.isnan(verdict.effect) or math.isinf(verdict.effect)


def test_fewer_than_five_seeds_are_inconclusive_but_shown():
    verdict = judge(finding(), dataset([9.0, 9.1, 9.2, 9.3]))
    assert (verdict.verdict, verdict.note) == ("inconclusive", "too few seeds (n < 5)")
    assert verdict.effect == pytest.approx(9.15)
    assert verdict.low < verdict.effect < verdict.high


def with_arms(*arms):
    values = np.arange(5.0) + 10.0 * np.arange(len(arms))[:, None]
    return xr.Dataset({"loss": (("arm", "seed"), values)}, {"arm": list(arms), "seed": np.arange(5)})


def test_an_effect_sees_its_arms_alone_and_is_paired_by_seed():
    def gap(ds):
        assert ds["arm"].values.tolist() == ["slow", "plain"]
        return ds["loss"].sel(arm="slow") - ds["loss"].sel(arm="plain")

    verdict = judge(finding(gap, arms=("slow", "plain")), with_arms("plain", "other", "slow"))
    assert verdict.effects == (20.0,) * 5
    assert verdict.verdict == "reproduced"


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"arms": ("plain", "slow")}, "not measured: arm slow"),
        ({"effect": lambda ds: ds["accuracy"]}, "not measured: .*accuracy"),
        ({"effect": lambda ds: ds.accuracy}, "not measured: 'accuracy'"),
    ],
)
def test_missing_data_are_inconclusive_and_named(fields, note):
    verdict = judge(finding(**fields), with_arms("plain"))
    assert verdict.verdict == "inconclusive"
    assert verdict.seeds == 0
    assert re.match(note, verdict.note)


def test_a_mistake_in_an_effect_is_not_taken_for_missing_data():
    with pytest.raises(AttributeError, match="nonsense"):
        judge(finding(lambda ds: ds["loss"].nonsense), with_arms("plain"))
    with pytest.raises(ValueError, match="one value per seed"):
        judge(finding(lambda ds: ds["loss"]), with_arms("plain", "slow"))
    with pytest.raises(ValueError, match=r"dimensions \('arm',\)"):
        judge(finding(lambda ds: ds["loss"].mean("seed")), with_arms(*"abcde"))


def test_the_json_of_a_verdict_is_strict_and_has_the_agreed_keys():
    document = judge(finding(arms=("none",), published=math.nan), with_arms("plain")).to_json("demo", "default")
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    agreed = {"study", "finding", "claim", "effect", "low", "high", "expect", "published", "seeds", "verdict"}
    assert set(document) == agreed | {"preset", "effects", "note", "source", "run", "changed"}
    assert document["effect"] is document["low"] is document["published"] is None
    assert document["expect"] == "≥ 1"


def test_infinite_ends_of_a_single_seed_become_null():
    document = judge(finding(), dataset([2.0])).to_json("demo", "default")
    assert (document["low"], document["high"], document["effects"]) == (None, None, [2.0])


def test_a_preset_carries_the_findings_of_smaller_ones_and_quick_carries_none():
    late = finding(since="thorough")
    assert [active(late, preset) for preset in ("quick", "default", "thorough", "full")] == [False, False, True, True]
    assert not active(finding(), "quick")
    with pytest.raises(ValueError, match="quick, default, thorough, full"):
        active(late, "huge")
    with pytest.raises(ValueError, match="since"):
        finding(since="quick")


def test_a_verdict_is_immutable():
    verdict = judge(finding(), dataset([1.5] * 5))
    assert isinstance(verdict, Verdict)
    with pytest.raises(AttributeError):
        verdict.verdict = "reproduced"  # type: ignore[misc]
