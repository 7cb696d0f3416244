"""The generate command."""


def test_a_finished_shard_set_is_reused_and_another_recipe_refused(synthcl, generator, tmp_path):
    base = ["generate", "--generator", generator, "--num-samples", 10, "--out", tmp_path / "s", "--workers", 0]
    synthcl(*base)
    before = {p.name: p.read_bytes() for p in (tmp_path / "s").glob("*.tar")}
    again = synthcl(*base, "--json")
    assert again.json["reused"] and (again.json["written"], again.json["existing"]) == (0, 10)
    assert "is already finished: all 10 samples are there; nothing was written" in again.stderr
    refused = synthcl(*base, "--seed", 1, code=2)
    assert "seed: 0 there, 1 now" in refused.stderr
    assert {p.name: p.read_bytes() for p in (tmp_path / "s").glob("*.tar")} == before
