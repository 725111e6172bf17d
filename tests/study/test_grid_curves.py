"""Curves of one arm: medians and ranges over seeds, a colour for each label, a style for each variable."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba

from separatrix.study.figures import PALETTE, NoData
from separatrix.study.grid_curves import grid_curves

ALPHA, STEPS = [0.1, 1.0, 10.0], [1, 2, 4]


def results():
    """Of `sgd`, the loss is `alpha * step * (1 + seed)` at two labels of alpha; `gd` has another value at all."""
    values = np.full((2, 3, 3, 3), np.nan)  # arm, alpha, seed, step
    values[0, :2] = np.einsum("a,s,t->ast", ALPHA[:2], [1, 2, 3], STEPS)
    values[1] = 99.0
    axes = {"arm": ["sgd", "gd"], "alpha": ALPHA, "seed": [0, 1, 2], "step": STEPS}
    loss = xr.DataArray(values, axes, tuple(axes), attrs={"long_name": "training loss"})
    return xr.Dataset({"loss": loss, "half": loss / 2})


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].lines}


def test_each_measured_label_has_a_curve_of_medians_over_seeds():
    figure = grid_curves("loss", arm="sgd", dim="alpha")(results())
    drawn = lines(figure)
    assert [label.rsplit(", ", 1)[1] for label in drawn] == ["alpha = 0.1", "alpha = 1"]
    for line, alpha in zip(drawn.values(), ALPHA, strict=False):
        np.testing.assert_allclose(line.get_xydata(), np.stack([STEPS, 2 * alpha * np.array(STEPS)], axis=1))
    assert figure.axes[0].get_xscale() == "log"


def test_bands_are_the_range_over_seeds():
    band = grid_curves("loss", arm="sgd", dim="alpha")(results()).axes[0].collections[1]
    vertices = band.get_paths()[0].vertices
    assert {y for x, y in vertices if x == 4} == {4.0, 12.0}
    one = results().isel(seed=[0])
    assert not grid_curves("loss", arm="sgd", dim="alpha")(one).axes[0].collections


def test_variables_differ_in_style_and_labels_in_colour():
    drawn = list(grid_curves("loss", "half", arm="sgd", dim="alpha")(results()).axes[0].lines)
    assert [line.get_linestyle() for line in drawn] == ["-", "-", "--", "--"]
    assert [to_rgba(line.get_color()) for line in drawn] == [to_rgba(PALETTE[i]) for i in (0, 1, 0, 1)]


def test_where_reduces_a_dimension_to_a_measured_label():
    (line,) = grid_curves("loss", arm="sgd", where={"alpha": max})(results()).axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), 2 * np.array(STEPS))  # alpha = 10 was not measured


def test_without_a_dimension_it_is_averaged_and_variables_have_colours():
    first, second = grid_curves("loss", "half", arm="sgd")(results()).axes[0].lines
    np.testing.assert_allclose(first.get_ydata(), 1.1 * np.array(STEPS))  # the mean of 0.1 and 1, times two
    assert first.get_color() != second.get_color()


def test_steps_without_records_are_left_out():
    ds = results()
    ds["loss"] = ds.loss.where(ds.step != 2)
    line, *_ = grid_curves("loss", arm="sgd", dim="alpha")(ds).axes[0].lines
    np.testing.assert_allclose(line.get_xdata(), [1, 4])


def test_nothing_to_draw_is_said():
    for variable, arm in (("other", "sgd"), ("loss", "adam")):
        with pytest.raises(NoData, match=f"{variable} was not measured in {arm}"):
            grid_curves(variable, arm=arm)(results())
    with pytest.raises(NoData):
        grid_curves("loss", arm="sgd")(results().where(False))
