"""Options of runs show."""

import pytest

from synthcl.pipeline.configs.runs import ShowConfig
from synthcl.pipeline.errors import UsageError


@pytest.mark.parametrize("name", ["curves", "curves.pdf", "curves.png.txt"])
def test_curves_are_drawn_to_a_png_alone(name):
    with pytest.raises(UsageError, match=f"--out {name} must end in .png"):
        ShowConfig(out=name)
    assert ShowConfig(out="curves.PNG", watch=True).out == "curves.PNG"
