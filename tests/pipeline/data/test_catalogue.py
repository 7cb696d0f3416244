"""The table of data sets called by name, and the suites."""

import subprocess
import sys

import pytest
import torchvision.datasets

from synthcl.pipeline.data import DATASETS, splits_of
from synthcl.pipeline.data.catalogue import MEAN_PER_CLASS, NAMED_SETS, SUITES, TOP1, is_in_files, metric_of

BY_CLASS = {"fgvc-aircraft", "oxford-pets", "caltech101", "flowers102"}
"""Those that Kornblith et al. score by the mean over classes (arXiv 1805.08974, table 1)."""


def test_every_set_can_be_named_and_torchvision_has_it():
    assert ("digits", *NAMED_SETS) == DATASETS
    for entry in NAMED_SETS.values():
        assert hasattr(torchvision.datasets, entry.class_name)


@pytest.mark.parametrize("dataset", NAMED_SETS)
def test_a_set_has_the_splits_that_it_is_fitted_and_scored_on(dataset):
    entry = NAMED_SETS[dataset]
    assert {"train", "test", entry.fitted_on} <= set(entry.splits) and splits_of(dataset) == list(entry.splits)
    assert entry.fitted_on == ("trainval" if "val" in entry.splits else "train")
    assert entry.metric == metric_of(dataset) == (MEAN_PER_CLASS if dataset in BY_CLASS else TOP1)
    assert is_in_files(dataset) == entry.in_files


def test_other_images_are_scored_by_top1():
    assert metric_of("digits") == metric_of("photos/") == TOP1
    assert not is_in_files("digits") and not is_in_files("photos/")


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_a_suite_names_sets_once_and_scores_them_on_their_test_splits(suite):
    assert set(suite.sets) <= set(NAMED_SETS) and len(set(suite.sets)) == len(suite.sets) >= 5
    for name, (fitted, scored), metric in zip(suite.sets, suite.specs(), suite.metrics(), strict=True):
        assert fitted == f"{name}:{NAMED_SETS[name].fitted_on}{suite.part}" and scored == f"{name}:test"
        assert metric == (suite.metric or NAMED_SETS[name].metric)


def test_the_suites_that_are_documented():
    assert {"natural", "small", "fine-grained", "kornblith", "vtab-like"} == set(SUITES)
    assert set(SUITES["natural"].sets) >= {"food101", "cifar10", "dtd", "eurosat", "stl10"}
    assert SUITES["vtab-like"].specs()[0] == ("caltech101:train[:1000,balanced]", "caltech101:test")
    assert set(SUITES["vtab-like"].metrics()) == {TOP1}


def test_the_table_needs_no_torch():
    code = "import sys, synthcl.pipeline.data.catalogue; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False False\n"
