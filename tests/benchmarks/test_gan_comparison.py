"""The comparison of GANs, made small: every arm trains, resumed runs are undisturbed ones, tables are right."""

import contextlib
import importlib
import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized

from synthcl.learners import create_backbone
from synthcl.pipeline.encoder import Encoder

GAN = Path(__file__).parents[2] / "benchmarks" / "gan"
ARMS = ["ours", "dcgan", "sngan:discriminator_steps=2", "stylegan2:penalty_every=2", "sngan+diffaug", "mixed"]
BATCH = 16


@pytest.fixture(scope="module")
def load():
    """Imports a module of the benchmark as its scripts do, in this process: torch takes seconds to import."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(GAN))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield importlib.import_module
    torch.set_num_threads(threads)
    for name in [name for name, module in sys.modules.items() if str(GAN) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def run(load):
    """Runs a script's command; gives its exit code, stdout and stderr."""

    def call(script, *options):
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.setattr(sys, "argv", [script, *map(str, options)])
            return load(script).main(), out.getvalue(), err.getvalue()

    return call


@pytest.fixture(scope="module")
def compare(run, tmp_path_factory):
    """Runs the comparison, on digits of 8 pixels with untrained weights as the encoder."""
    torch.manual_seed(0)
    encoder = tmp_path_factory.mktemp("encoder")
    Encoder(create_backbone("resnet10-w4", image_size=8), "resnet10-w4", 8).save(encoder)
    fixed = ["--data", "digits", "--encoder", encoder, "--batch-size", BATCH, "--num-neighbours", 32]
    defaults = ["--recipes", ",".join(ARMS), "--seeds", 1, "--num-samples", 64]
    return lambda out, *options: run("compare", "--out", out, *fixed, *defaults, *options)


@pytest.fixture(scope="module")
def runs(compare, tmp_path_factory):
    """In one go; and in two, the second of which goes on from the state of the first, with its log."""
    whole, parted = (tmp_path_factory.mktemp(name) for name in ("whole", "parted"))
    assert compare(whole, "--steps", "3,6")[0] == 0
    assert compare(parted, "--steps", "3")[0] == 0
    code, _, log = compare(parted, "--steps", "3,6")
    assert code == 0
    return whole, parted, log


def rows_of(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_every_arm_is_measured_at_every_point(runs):
    rows = rows_of(runs[0])
    assert [(row["arm"], row["at"]) for row in rows] == [(arm, at) for arm in ARMS for at in (3, 6)]
    for row in rows:
        assert row["steps"] == row["at"] and row["images"] == row["at"] * BATCH
        assert row["frechet_distance"] > 0 and math.isfinite(row["margin"])
        assert 0 <= row["precision"] <= 1 and 0 <= row["recall"] <= 1 and row["checkerboard"] > 0
        assert (runs[0] / "grids" / f"{row['arm']}-seed0-{row['at']:g}.png").exists()
    first, last = ({row["arm"]: row["frechet_distance"] for row in rows if row["at"] == at} for at in (3, 6))
    assert all(first[arm] != last[arm] for arm in ARMS)


@pytest.mark.slow
def test_networks_have_about_as_many_weights_as_ours(runs):
    rows = rows_of(runs[0])
    for name in ("parameters_generator", "parameters_discriminator"):
        assert all(0.8 < row[name] / rows[0][name] < 1.25 for row in rows)


@pytest.mark.slow
def test_a_run_taken_up_again_is_the_undisturbed_one(runs):
    whole, parted, log = runs
    times = ("cpu_seconds", "wall_seconds")
    results = [
        {(row["arm"], row["at"]): {k: v for k, v in row.items() if k not in times} for row in rows_of(folder)}
        for folder in (whole, parted)
    ]
    assert results[0] == results[1]
    assert log.count("goes on at step 3") == len(ARMS)


@pytest.mark.slow
def test_finished_jobs_are_passed_over_and_other_protocols_refused(compare, runs):
    folder = runs[1]
    before = (folder / "results.jsonl").read_bytes()
    code, _, log = compare(folder, "--steps", "6")
    assert code == 0 and "seed0" not in log
    code, _, log = compare(folder, "--steps", "6", "--num-samples", 65)
    assert code == 2 and "num_samples 64, not 65" in log
    assert (folder / "results.jsonl").read_bytes() == before


def test_options_of_ours_name_an_arm_of_their_own(compare, tmp_path):
    options = ["--recipes", "ours", "--ours", "gamma=.05", "--ours", "augment=none", "--cpu-seconds", ".01"]
    assert compare(tmp_path, *options)[0] == 0
    (row,) = rows_of(tmp_path)
    assert row["arm"] == "ours:gamma=.05:augment=none" and row["options"] == {"gamma": 0.05, "augment": "none"}
    assert (row["unit"], row["at"]) == ("cpu_seconds", 0.01) and row["cpu_seconds"] >= 0.01


@pytest.mark.parametrize(
    "options, said",
    [
        (["--recipes", "wgan"], "choose from ours, dcgan"),
        (["--recipes", "dcgan+diffaug"], "no policy"),
        (["--recipes", "sngan:rate=1"], "no setting is called 'rate'"),
        (["--ours", "rate=1"], "no option 'rate'"),
        (["--ours", "gamma"], "write KEY=VALUE"),
        (["--recipes", "sngan:generator_rate=quick"], "sngan:generator_rate=quick:"),
        (["--steps", "3,x"], "--steps '3,x'"),
        (["--seeds", "0"], "--seeds 0"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_trained(compare, tmp_path, options, said):
    code, _, log = compare(tmp_path / "out", *options)
    assert code == 2 and said in log
    assert not (tmp_path / "out").exists()


def test_a_training_that_diverged_is_recorded_and_ends(compare, tmp_path):
    recipes = ["--recipes", "sngan:generator_rate=1e38:discriminator_rate=1e38:discriminator_steps=1"]
    assert compare(tmp_path, *recipes, "--steps", "20,1000000")[0] == 0
    rows = rows_of(tmp_path)
    assert [row["frechet_distance"] for row in rows] == [None, None] and rows[-1]["steps"] < 20


DISTANCES = {
    "ours": [4.0, 5.0, 6.0],
    "dcgan": [8.0, 10.0, 12.6],
    "sngan": [4.0, 4.9, 6.2],
    "stylegan2": [7.0, 4.0, None],
}
DISTANCES["sngan+diffaug"] = [7.0, 4.0]


@pytest.fixture
def made_rows(tmp_path):
    """Three seeds, of which one diverged, and two seeds. The line at the end was cut off."""
    lines = []
    for arm, distances in DISTANCES.items():
        for seed, distance in enumerate(distances):
            row = {"arm": arm, "recipe": arm, "seed": seed, "unit": "cpu_seconds", "at": 60.0, "images": 6000}
            row |= {"cpu_seconds": 60.0, "wall_seconds": 90.0, "parameters_generator": 1000}
            row |= {"parameters_discriminator": 900, "frechet_distance": distance, "precision": 0.5, "recall": 0.25}
            row |= {} if arm == "sngan" else {"checkerboard": 3.5}  # as rows from before it was measured
            lines.append(json.dumps(row | {"margin": None}))
    file = tmp_path / "results.jsonl"
    file.write_text("\n".join(lines) + '\n{"arm": "ou')
    return file


def test_the_table_has_spreads_and_paired_intervals(run, made_rows, tmp_path):
    plot = tmp_path / "plot.png"
    code, tables, errors = run("table", made_rows, "--plot", plot)
    assert code == 0 and "line 15: cut off" in errors and plot.read_bytes().startswith(b"\x89PNG")
    assert "| ours | 1,000 | 900 | 100 ± 0 | 1.50 ± 0.00 |" in tables
    assert (
        "| 60 | ours | 3 | 6,000 ± 0 | 5.00 ± 1.00 | - | - | 0.500 ± 0.000 | 0.250 ± 0.000 | - | 3.5 ± 0.0 |" in tables
    )
    assert next(line for line in tables.splitlines() if line.startswith("| 60 | sngan |")).endswith("| - | - |")
    line = next(line for line in tables.splitlines() if line.startswith("| 60 | dcgan"))
    for scale, form, back in ((np.array, "+.2f", float), (np.log, ".2f", math.exp)):
        found = stats.ttest_rel(scale(DISTANCES["dcgan"]), scale(DISTANCES["ours"]))
        low, high = found.confidence_interval(0.95)
        middle = np.mean(scale(DISTANCES["dcgan"])) - np.mean(scale(DISTANCES["ours"]))
        assert f"| {back(middle):{form}} ({back(low):{form}} to {back(high):{form}}) |" in line
    assert "| 60 | stylegan2 | 2 (1 diverged) |" in tables


def test_the_table_says_what_the_protocol_concludes(run, made_rows):
    said = run("table", made_rows)[1]
    assert "- dcgan: ours is better" in said
    assert "- sngan: ours is at least as good, within 10%" in said
    assert "- stylegan2: no verdict, as 1 of the trainings diverged" in said
    assert "- sngan+diffaug: too few seeds to tell" in said
    turned = run("table", made_rows, "--baseline", "dcgan")[1]
    assert "- ours: dcgan is worse" in turned


def test_modulating_activations_is_modulating_weights(load):
    """Against eq. 1 and 3 of arXiv 1912.04958, a sample at a time."""
    stylegan2 = load("recipes.stylegan2")
    torch.manual_seed(0)
    layer = stylegan2.ModulatedConv(5, 7, up=False)
    x, w = torch.randn(3, 5, 6, 6), torch.randn(3, stylegan2.LATENT_SIZE)
    for n in range(3):
        weight = layer.weight * layer.scale * layer.style(w)[n][:, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected = stylegan2.activate(F.conv2d(x[n : n + 1], weight, padding=1))
        torch.testing.assert_close(layer(x, w)[n : n + 1], expected)


def test_the_low_pass_is_the_filter(load):
    x = torch.randn(2, 3, 6, 6)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = (taps[:, None] * taps).expand(3, 1, 4, 4)
    expected = F.conv2d(x, kernel, padding=2, groups=3)
    torch.testing.assert_close(load("recipes.stylegan2").low_pass(x, padding=2), expected)


def test_spectral_norms_are_one(load):
    network = load("recipes.sngan").SNGANDiscriminator(8, 8)
    for _ in range(50):  # a power iteration each
        network(torch.randn(2, 3, 8, 8))
    weights = [m.weight for m in network.modules() if is_parametrized(m)]
    assert len(weights) == 11
    assert all(abs(torch.linalg.matrix_norm(w.flatten(1), 2).item() - 1) < 0.02 for w in weights)


def test_averages_are_drawn_with_batch_statistics_of_their_own(load):
    base, dcgan = load("recipes.base"), load("recipes.dcgan")
    key = base.Key.from_seed(0)
    torch.manual_seed(0)
    recipe = dcgan.DCGAN(16, {"generator": 5000, "discriminator": 5000})
    recipe.step(torch.randn(8, 3, 16, 16), key)
    samples = recipe.draw(32, key)
    layer = next(m for m in recipe.average.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert layer.num_batches_tracked == base.STANDING_BATCHES and not recipe.average.training
    torch.testing.assert_close(
        layer.running_var, layer.running_var.new_full((), 0.0256).expand_as(layer.running_var), rtol=0.5, atol=0
    )
    assert torch.equal(samples, recipe.draw(32, key))
