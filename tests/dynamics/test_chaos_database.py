"""What the study of the database refuses or leaves unmeasured."""

import dataclasses

import numpy as np
import pytest

from separatrix.studies.chaos_database import STUDY
from separatrix.studies.chaos_database.settings import PRESETS
from separatrix.study.arms import labelled
from separatrix.study.finding import judge


def test_a_missing_classification_set_is_named_and_leaves_no_verdict():
    table = np.full((5, 2, 3), 0.9)
    table[:, 1] = np.nan
    features = ["raw", "matched", "random"]
    ds = labelled({"accuracy": (["dataset", "features"], table, "")}, dataset=["digits", "GunPoint"], features=features)
    finding = next(f for f in STUDY.findings if f.id == "F7a")
    verdict = judge(finding, ds.expand_dims(arm=["transfer"]))
    assert verdict.verdict == "inconclusive"
    assert verdict.note.startswith("not measured: data set GunPoint; install")
    complete = judge(finding, ds.fillna(0.9).expand_dims(arm=["transfer"]))
    assert (complete.verdict, complete.effect) == ("reproduced", 0.0)


def test_an_archive_that_is_not_there_is_refused_before_any_run(tmp_path):
    with pytest.raises(ValueError, match="`archive` must name a folder that holds a folder for each set"):
        dataclasses.replace(PRESETS["quick"], archive=str(tmp_path / "none"))
    (tmp_path / "Toy").mkdir()
    assert dataclasses.replace(PRESETS["quick"], archive=str(tmp_path)).archive
