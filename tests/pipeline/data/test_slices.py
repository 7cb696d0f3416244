"""Slices in brackets: read, written, and rounded as Hugging Face `datasets` does it."""

import pytest
from datasets import ReadInstruction

from synthcl.pipeline.data.slices import Bound, Slice, parse_slice
from synthcl.pipeline.errors import UsageError

PERCENT_10 = Bound(10, True)
READ = {
    ":10%": (Slice(None, PERCENT_10), "[:10%]"),
    "5000:": (Slice(Bound(5000)), "[5000:]"),
    ":": (Slice(), "[:]"),
    "0:3": (Slice(Bound(0), Bound(3)), "[:3]"),
    "-500:": (Slice(Bound(-500)), "[-500:]"),
    "10%:-10%": (Slice(PERCENT_10, Bound(-10, True)), "[10%:-10%]"),
    "0:10%": (Slice(Bound(0), PERCENT_10), "[:10%]"),
    ":50_000": (Slice(None, Bound(50_000)), "[:50000]"),
    ":10%,shuffled": (Slice(None, PERCENT_10, "shuffled"), "[:10%,shuffled]"),
    ":10%,balanced,seed=3": (Slice(None, PERCENT_10, "balanced", 3), "[:10%,balanced,seed=3]"),
    " : 10% , seed = 0 , balanced ": (Slice(None, PERCENT_10, "balanced"), "[:10%,balanced]"),
}


@pytest.mark.parametrize("inside", READ)
def test_what_is_read_and_written(inside):
    expected, written = READ[inside]
    found = parse_slice(inside, f"x[{inside}]")
    assert found == expected and str(found) == written
    assert str(parse_slice(written[1:-1], "x")) == written


MALFORMED = {
    "": "has no slice START:STOP",
    "10%": r"the first 10% is \[:10%\]",
    "shuffled": "has no slice START:STOP",
    "1:2:3": "'2:3' in the brackets of the data SPEC 'x.1:2:3.' is no whole number",
    "a:": "'a' in the brackets",
    ":1.5%": "'1.5%' in the brackets",
    ":%": "'%' in the brackets",
    ":1__0": "'1__0' in the brackets",
    ":²": "'²' in the brackets",
    ":101%": "101% in the data SPEC .* is outside of -100% to 100%",
    "-101%:": "-101% in the data SPEC",
    "10:50%": "mixes images and percent, 10:50%",
    ":10%,shufled": "'shufled' .*did you mean shuffled",
    ":10%,sed=1": "'sed=1' .*did you mean seed=N",
    ":10%,": "'' in the brackets",
    ":10%,shuffled,balanced": "one of shuffled and balanced",
    ":10%,shuffled,seed=1,seed=2": "give one seed",
    ":10%,seed=1": "add 'shuffled' or 'balanced'",
    ":10%,shuffled,seed=": "seed= in the data SPEC",
    ":10%,shuffled,seed=-1": "seed=-1 in the data SPEC .* is no whole number from 0",
    ":10%,shuffled,seed=9223372036854775808": "is no whole number from 0",
}


@pytest.mark.parametrize("inside", MALFORMED)
def test_what_is_malformed_is_told_in_a_sentence(inside):
    with pytest.raises(UsageError, match=MALFORMED[inside]):
        parse_slice(inside, f"x[{inside}]")


ENDS = [
    "",
    *(f"{n}" for n in (0, 1, 3, 7, -1, -3, -7)),
    *(f"{n}%" for n in (0, 1, 10, 33, 50, 99, 100, -10, -50, -100)),
]
"""Of slices of sets of 7 images and more."""


@pytest.mark.parametrize("num_images", [7, 10, 25, 1442, 50_000])
def test_bounds_are_those_of_datasets(num_images):
    compared = 0
    for start in ENDS:
        for stop in ENDS:
            if start and stop and ("%" in start) != ("%" in stop):
                continue
            found = parse_slice(f"{start}:{stop}", "x")
            (theirs,) = ReadInstruction.from_spec(f"train[{start}:{stop}]").to_absolute({"train": num_images})
            if theirs.from_ < theirs.to:
                assert found.bounds(num_images, "x") == (theirs.from_, theirs.to)
                compared += 1
            else:
                with pytest.raises(UsageError, match="holds no image"):
                    found.bounds(num_images, "x")
    assert compared > 50


@pytest.mark.parametrize(
    ("inside", "bounds"), [("-1%:", None), (":1%", None), (":-1%", (0, 40)), ("-2%:", (39, 40)), ("1%:", (0, 40))]
)
def test_a_percentage_that_rounds_to_no_image_is_none_from_either_end(inside, bounds):
    """Here `datasets` takes the last 1% of 40 images for all of them, and all but the last 1% for none."""
    found = parse_slice(inside, "x")
    if bounds is not None:
        assert found.bounds(40, "x") == bounds
    else:
        with pytest.raises(UsageError, match=r"holds no image: its percentages come to .* take a larger part"):
            found.bounds(40, "x")


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (":41", r"x\[:41\]: 41 is outside of x, which has 40 images"),
        ("41:", "41 is outside of x"),
        ("-41:", "-41 is outside of x, which has 40 images"),
        (":-41", "-41 is outside of x"),
        ("40:", "begins at image 40 and stops before image 40 of 40"),
        (":0", "begins at image 0 and stops before image 0"),
        (":0%", r"its percentages come to 0 and 0 of the 40 images"),
        ("20%:10%", "begins at image 8 and stops before image 4"),
        ("5:5", "holds no image"),
    ],
)
def test_slices_outside_of_the_set_or_without_images(inside, words):
    with pytest.raises(UsageError, match=words):
        parse_slice(inside, "x").bounds(40, "x")
