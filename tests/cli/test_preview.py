"""The preview command."""

from synthcl.pipeline.images.grids import read_grid


def test_samples_are_drawn_below_real_images(synthcl, generator, tmp_path):
    shown = synthcl("preview", "--generator", generator, "--out", tmp_path / "grid.png", "--num-samples", 4, "--json")
    assert shown.json["num_real"] == 8  # of those it was trained on
    other = ["--num-samples", 4, "--data", "digits:test", "--columns", 3, "--json"]
    assert synthcl("preview", "--generator", generator, "--out", tmp_path / "b.png", *other).json["num_real"] == 3
    pictures = [read_grid(tmp_path / name, 8, 4) for name in ("grid.png", "b.png")]
    assert pictures[0].equal(pictures[1]) and len(pictures[0].unique()) > 10
    refused = synthcl("preview", "--generator", generator, "--out", tmp_path / "grid.jpg", code=2)
    assert "grid.jpg must end in .png" in refused.stderr and not (tmp_path / "grid.jpg").exists()
    synthcl("preview", "--generator", generator, "--out", tmp_path / "new" / "grid.png", "--num-samples", 4)
