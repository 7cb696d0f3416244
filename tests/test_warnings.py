"""Warnings of deprecation: those of what this package and its tests use are errors, those of other packages are not."""

import warnings

import pytest


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning])
@pytest.mark.parametrize(
    ("module", "error"),
    [
        ("synthcl.pipeline.training.train", True),
        ("synthcl.cli", True),
        ("tests.pipeline.runs.test_folder", True),
        ("torch.nn", False),
        ("another_synthcl", False),
        ("synthcl_of_others", False),
    ],
)
def test_deprecation_is_an_error_in_our_own_code(category, module, error):
    def warn():
        warnings.warn_explicit("old", category, "file.py", 1, module=module, registry={})

    if error:
        with pytest.raises(category, match="old"):
            warn()
    else:
        warn()


def test_tests_have_the_names_that_the_filter_looks_for():
    assert __name__ == "tests.test_warnings"


def test_other_warnings_are_errors_everywhere():
    with pytest.raises(UserWarning, match="odd"):
        warnings.warn_explicit("odd", UserWarning, "file.py", 1, module="torch.nn", registry={})
