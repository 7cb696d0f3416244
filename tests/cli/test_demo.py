"""The demo."""


def test_the_demo_is_a_comparison(quick_probes, synthcl, tmp_path):
    options = ["--image-size", 8, "--pretrain-steps", 1, "--train-steps", 1, "--batch-size", 16, "--seeds", 1]
    result = synthcl("demo", "--out", tmp_path, *options, "--json").json
    assert result["arms"] == ["real", "offline", "online"] and result["winner"] is None
    assert (tmp_path / "comparison" / "report.html").exists()
