"""The figure of a sweep shows the last values, its arms and its reference lines, and says when there is nothing."""

import numpy as np
import pytest
import xarray as xr

from separatrix.study.figures import NoData
from separatrix.study.sweep_figures import along

RATES = [0.1, 1.0, 10.0]


def results():
    values = np.full((2, 3, 2, 4), np.nan)  # arm, rate, seed, step
    values[0, :2] = np.arange(4.0) + 1
    values[1] = 7.0
    values[1, ..., -1] = np.nan  # this arm was recorded less often
    return xr.Dataset({"trace": (("arm", "rate", "seed", "step"), values)}, {"arm": ["sgd", "gd"], "rate": RATES})


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].lines if not line.get_label().startswith("_")}


def test_it_draws_the_last_value_of_each_arm_at_its_own_labels():
    drawn = lines(along("trace", "rate", reference={"2 / rate": lambda rate: 2 / rate})(results()))
    np.testing.assert_allclose(drawn["sgd"].get_xydata(), [(0.1, 4), (1, 4)])
    np.testing.assert_allclose(drawn["gd"].get_ydata(), 7)
    np.testing.assert_allclose(drawn["2 / rate"].get_ydata(), [20, 2, 0.2])


def test_arms_are_chosen_and_several_variables_compared():
    ds = results()
    ds["half"] = ds.trace / 2
    assert set(lines(along("trace", "rate", arms=["gd"])(ds))) == {"gd"}
    assert len(lines(along(["trace", "half"], "rate", arms=["gd"])(ds))) == 2


def test_nothing_to_draw_is_said():
    with pytest.raises(NoData, match="trace was not measured in other"):
        along("trace", "rate", arms=["other"])(results())
