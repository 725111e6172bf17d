"""The image arms of the stability-gap study, on folders of small images made here."""

import jax.random as jr
import numpy as np
import pytest
from PIL import Image

from separatrix.continual import Balanced, by_class, experience_replay
from separatrix.studies.stability_gap import STUDY, images, points_of
from separatrix.studies.stability_gap.settings import FullSettings, Settings


def test_a_folder_that_is_missing_is_named():
    with pytest.raises(ValueError, match="there is no folder nowhere"):
        FullSettings(data="nowhere")


def test_a_data_set_that_is_missing_is_named(tmp_path):
    keys = jr.split(jr.key(0), 1)
    for arm, words in (("mnist-er", "No train-images"), ("cifar10-er", "No data_batch_1.bin"),
                       ("mini-imagenet-er", "mini-imagenet"), ("domainnet-er", "mini-domainnet")):  # fmt: skip
        with pytest.raises(FileNotFoundError, match=words):
            STUDY.arms[arm](FullSettings(data=str(tmp_path)), keys)


def test_without_a_folder_the_arms_have_no_cell(tmp_path):
    assert points_of(FullSettings(), "cifar10-er") == {"seeds": ()}
    assert points_of(FullSettings(data=str(tmp_path)), "cifar10-er") == {}
    assert points_of(FullSettings(), "er") == {}
    for arm, cells in (("mnist-er", (False, False, True)), ("fashion-er", (False, True, True))):
        settings = (Settings(), FullSettings(), FullSettings(data=str(tmp_path)))
        assert tuple(points_of(s, arm) == {} for s in settings) == cells


def test_thresholds_that_were_calibrated_on_the_digits_meet_the_same_protocol_in_every_preset():
    fields = {name: value for name, value in vars(STUDY.presets["full"]).items() if name != "data"}
    assert fields == vars(STUDY.presets["default"])


def test_domains_are_folders_of_classes(tmp_path):
    for domain in ("photo", "sketch"):
        for shade, name in enumerate(("ant", "bee")):
            folder = tmp_path / "mini-domainnet" / domain / name
            folder.mkdir(parents=True)
            for i in range(6):
                Image.new("RGB", (5, 5), (shade * 100, i * 40, 0)).save(folder / f"{i}.png")
    tasks = images.domain_tasks(tmp_path)
    assert tasks.names == ("photo", "sketch")
    assert tasks.num_classes == 2
    assert tasks.train_inputs.shape == (2, 10, 3 * 96 * 96)


@pytest.mark.parametrize("colours_last", [True, False])
def test_pictures_are_put_back(colours_last):
    shown = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    rows = shown if colours_last else shown.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(images.Pictures(4, colours_last)(rows.reshape(2, -1)), shown)


@pytest.mark.slow
def test_a_network_with_statistics_runs_through_a_stream():
    from separatrix.data import Split, class_incremental

    x = jr.uniform(jr.key(0), (48, 192))
    tasks = class_incremental(Split(x[:32], np.arange(32) % 4, x[32:], np.arange(16) % 4, num_classes=4))
    stream = images.Images(lambda folder: tasks, side=8, colours_last=True, pool=None, batch=8, epochs=1)
    method = experience_replay(Balanced(8, groups=4, group_of=by_class), 0.5)
    ds = images.learn_images(jr.split(jr.key(1), 2), stream, tasks, method, 0.1, maps=1)
    assert ds.accuracy.sizes == {"seed": 2, "step": 5, "task": 2}
    assert ds.task_ends.values.tolist() == [[2, 4], [2, 4]]
