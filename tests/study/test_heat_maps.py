"""A heat map shows the median over seeds in the right cells, its lines, and says when there is nothing."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import LogNorm

from separatrix.study.figures import NoData
from separatrix.study.heat_maps import heat_map

ALPHA, RATE = [0.1, 1.0, 10.0], [1.0, 4.0]


def results(values=None):
    """Median over three seeds is `alpha * rate`; the order of the dimensions is not that of the axes."""
    grid = np.outer(ALPHA, RATE)
    values = np.stack([grid - 0.05, grid, grid + 7], axis=1) if values is None else values
    return xr.Dataset({"ratio": (("alpha", "seed", "rate"), values)}, {"alpha": ALPHA, "rate": RATE})


def ratio(ds):
    return ds.ratio


def mesh(figure):
    return figure.axes[0].collections[0]


def test_cells_hold_the_median_over_seeds_with_x_across():
    figure = heat_map(ratio, "alpha", "rate", label="alpha times rate")(results())
    np.testing.assert_allclose(mesh(figure).get_array(), np.outer(RATE, ALPHA))
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
    assert figure.axes[1].get_ylabel() == "alpha times rate"


@pytest.mark.parametrize(("scale", "between"), [("log", [10**-0.5, 10**0.5]), ("linear", [0.55, 5.5])])
def test_cells_meet_halfway_between_labels_on_the_axis(scale, between):
    corners = mesh(heat_map(ratio, "alpha", "rate", scale=scale)(results())).get_coordinates()
    np.testing.assert_allclose(corners[0, 1:3, 0], between)
    assert corners[0, 0, 0] < 0.1
    assert corners[0, -1, 0] > 10


def test_a_diverged_seed_is_left_out_and_a_cell_without_values_left_empty():
    values = results().ratio.values.copy()
    values[0, 2, 0] = np.inf  # one seed of (0.1, 1)
    values[2, :, 1] = np.nan  # all of (10, 4)
    drawn = mesh(heat_map(ratio, "alpha", "rate")(results(values))).get_array()
    assert drawn[0, 0] == pytest.approx(0.075)  # of 0.05 and 0.1
    assert np.ma.getmaskarray(drawn)[1, 2] or np.isnan(drawn[1, 2])


def test_labels_without_any_value_are_dropped():
    values = results().ratio.values.copy()
    values[1] = np.nan
    assert mesh(heat_map(ratio, "alpha", "rate")(results(values))).get_array().shape == (2, 2)


def test_the_boundary_is_drawn_at_its_level_only_if_it_is_crossed():
    def lines(level):
        return heat_map(ratio, "alpha", "rate", boundary=level)(results()).axes[0].collections[1:]

    (contour,) = lines(2.0)
    vertices = np.concatenate([path.vertices for path in contour.get_paths()])
    assert vertices[:, 0].min() > 0.1  # between cells of 0.1, 0.4 and of 1 or more
    assert len(lines(1000.0)) == 0


def test_a_line_of_another_quantity_is_drawn_at_one_half():
    share = xr.DataArray([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]], {"alpha": ALPHA, "rate": RATE}, ("alpha", "rate"))
    _, contour = heat_map(ratio, "alpha", "rate", line=share)(results()).axes[0].collections
    vertices = np.concatenate([path.vertices for path in contour.get_paths()])
    np.testing.assert_allclose(vertices[:, 0], 0.55)


def test_colours_are_logarithmic_only_for_positive_values():
    assert isinstance(mesh(heat_map(ratio, "alpha", "rate", colours="log")(results())).norm, LogNorm)
    negative = results(-results().ratio.values)
    assert not isinstance(mesh(heat_map(ratio, "alpha", "rate", colours="log")(negative)).norm, LogNorm)


def test_nothing_to_draw_is_said():
    with pytest.raises(NoData, match="not measured: "):
        heat_map(lambda ds: ds["other"], "alpha", "rate")(results())
    with pytest.raises(NoData, match="no finite value"):
        heat_map(ratio, "alpha", "rate")(results(np.full((3, 3, 2), np.nan)))
