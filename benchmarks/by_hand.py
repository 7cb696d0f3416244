"""What pieces written by hand gain over the library that does the same: seconds, side by side, and how far they agree.

    OMP_NUM_THREADS=1 python benchmarks/by_hand.py
    OMP_NUM_THREADS=1 python benchmarks/by_hand.py --only probe,order --rounds 3

| piece | module | instead of |
|---|---|---|
| `probe` | pipeline/evaluation/linear.py | scikit-learn's LogisticRegression |
| `order` | pipeline/data/order.py | numpy's permutation, drawn with a key |
| `solvers` | generators/diffusion/solvers.py | diffusers' schedulers |
| `drawings` | pipeline/comparison/svg.py | two figures, one for each theme |

Contestants alternate, and a ratio is taken within each round: library over ours, so that above 1 ours is faster. The
table goes to stderr, the JSON to stdout.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthcl.pipeline.randomness import Key
from synthcl.pipeline.runtime.environment import record_environment

Contest = dict[str, Any]
"""`ours`, `theirs` (what is timed) and `facts` (what else is to be told), as plain values."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PIECES), help=f"of {', '.join(PIECES)}")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for piece in options.only.split(","):
        for contest in PIECES[piece]():
            row = {"piece": piece, **race(contest, options.rounds)}
            print(line(row), file=sys.stderr, flush=True)
            rows.append(row)
    print(json.dumps({"rows": rows, **record_environment()}, indent=1))


def race(contest: Contest, rounds: int) -> dict[str, Any]:
    """Time both sides by turns; their medians, and the median and the range of the ratio."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds_of(contest["ours"]))
        theirs.append(seconds_of(contest["theirs"]))
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    return {
        "what": contest["what"],
        "ours_s": statistics.median(ours),
        "theirs_s": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
        "n": rounds,
        **contest.get("facts", {}),
    }


def seconds_of(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def line(row: dict[str, Any]) -> str:
    low, high = row["ratio_range"]
    rest = {key: value for key, value in row.items() if key not in SHOWN}
    return (
        f"{row['piece']:9s} {row['what']:52s} ours {row['ours_s']:9.4f} s  theirs {row['theirs_s']:9.4f} s  "
        f"ratio {row['ratio']:6.2f} ({low:.2f} to {high:.2f})  {rest or ''}"
    )


SHOWN = ("piece", "what", "ours_s", "theirs_s", "ratio", "ratio_range", "n")


def probe() -> list[Contest]:
    """One fit, and the whole search over penalties, on features as an encoder's: correlated, of ten classes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from synthcl.pipeline.evaluation.linear import fit_logistic

    contests = []
    for num_samples, l2 in ((20_000, 1e-3), (20_000, 1e-5)):
        features, labels = made_features(num_samples + 5_000)
        train, test = features[:num_samples], features[num_samples:]
        train_labels, test_labels = labels[:num_samples], labels[num_samples:]
        scaler = StandardScaler().fit(train.numpy())
        # Enough iterations to converge: 100, the default, ends early with a warning.
        library = LogisticRegression(C=1 / (l2 * num_samples), max_iter=2_000)

        def fit_library(library=library, scaler=scaler, train=train, labels=train_labels) -> object:
            return library.fit(scaler.transform(train.numpy()), labels.numpy())

        def fit_ours(train=train, labels=train_labels, l2=l2) -> Any:
            return fit_logistic(train, labels, l2=l2, num_classes=10)

        fit_library()
        predicted = fit_ours()(test).argmax(dim=1)
        theirs = torch.from_numpy(library.predict(scaler.transform(test.numpy())))
        contests.append(
            {
                "what": f"fit, {num_samples:,} x 512, l2 {l2:g}",
                "ours": fit_ours,
                "theirs": fit_library,
                "facts": {
                    "accuracy_ours": round(float((predicted == test_labels).float().mean()), 4),
                    "accuracy_theirs": round(float((theirs == test_labels).float().mean()), 4),
                    "answers_that_agree": round(float((predicted == theirs).float().mean()), 4),
                    "iterations_of_theirs": int(library.n_iter_[0]),
                },
            }
        )
    return contests


def made_features(num: int, size: int = 512, classes: int = 10) -> tuple[Tensor, Tensor]:
    """Features (num, size) whose spectrum falls as 1 / k, as those of encoders do, and labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (num,), generator=generator)
    spectrum = 1 / torch.arange(1, size + 1).sqrt()
    means = 0.12 * torch.randn(classes, size, generator=generator) * spectrum
    features = (torch.randn(num, size, generator=generator) * spectrum + means[labels]).relu()
    basis, _ = torch.linalg.qr(torch.randn(size, size, generator=generator))
    return features @ basis, labels


def order() -> list[Contest]:
    """The positions of one step of 256, as a resumed run asks for them: numpy has to draw the whole epoch first."""
    from synthcl.pipeline.data.order import Permutation

    contests = []
    for n in (50_000, 1_281_167, 10_000_000):
        positions = np.arange(256)

        def ours(n=n, positions=positions) -> object:
            return Permutation(n, Key.from_seed(0))(positions)

        def theirs(n=n, positions=positions) -> object:
            return np.random.default_rng(0).permutation(n)[positions]

        contests.append(
            {
                "what": f"the first step of an epoch of {n:,}",
                "ours": ours,
                "theirs": theirs,
                "facts": {"bytes_of_theirs": 8 * n},
            }
        )

        drawn = np.random.default_rng(0).permutation(n)
        permutation = Permutation(n, Key.from_seed(0))
        contests.append(
            {
                "what": f"a later step of an epoch of {n:,}",
                "ours": lambda permutation=permutation, positions=positions: permutation(positions),
                "theirs": lambda drawn=drawn, positions=positions: drawn[positions],
            }
        )
    return contests


def solvers() -> list[Contest]:
    """Twenty steps from noise, with a network that costs nothing: what remains is the solver's own work."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    from synthcl.generators.diffusion.solvers import solve, trailing_timesteps

    steps, num_timesteps = 20, 1000
    noise = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    common = {"prediction_type": "sample", "timestep_spacing": "trailing"}
    contests = []
    for name, scheduler in (
        ("ddim", DDIMScheduler(num_timesteps, clip_sample=False, **common)),
        ("dpm", DPMSolverMultistepScheduler(num_timesteps, **common)),
    ):
        alphas = [float(value) for value in scheduler.alphas_cumprod]

        def predict(x: Tensor, t: int) -> Tensor:
            return 0.9 * x

        def ours(name=name, alphas=alphas) -> Tensor:
            return solve(predict, noise, trailing_timesteps(num_timesteps, steps), alphas, sampler=name)

        def theirs(scheduler=scheduler) -> Tensor:
            scheduler.set_timesteps(steps)
            x = noise
            for t in scheduler.timesteps:
                x = scheduler.step(predict(x, int(t)), t, x).prev_sample
            return x

        difference = float((ours() - theirs()).abs().max())
        contests.append(
            {
                "what": f"{name}, {steps} steps, 32 images of 32 pixels",
                "ours": lambda ours=ours: [ours() for _ in range(5)],
                "theirs": lambda theirs=theirs: [theirs() for _ in range(5)],
                "facts": {"largest_difference": difference},
            }
        )
    return contests


def drawings() -> list[Contest]:
    """A picture of the report, for light and dark pages: one drawing with colours as variables, or two drawings."""
    import matplotlib.figure
    import matplotlib.style

    from synthcl.pipeline.comparison.svg import style, to_svg

    def figure() -> Any:
        drawing = matplotlib.figure.Figure((6, 3))
        axes = drawing.subplots()
        for number in range(4):
            axes.plot(np.arange(300), np.sin(np.arange(300) / (20 + number)))
        axes.set_xlabel("step")
        return drawing

    def ours() -> str:
        with style():
            return to_svg(figure(), "a", "a picture", "four curves")

    def theirs() -> str:
        pages = []
        for theme in ("default", "dark_background"):
            with matplotlib.style.context(theme), matplotlib.rc_context({"svg.fonttype": "none"}):
                file = io.StringIO()
                figure().savefig(file, format="svg")
                pages.append(file.getvalue())
        return "".join(pages)

    facts = {"bytes_ours": len(ours()), "bytes_theirs": len(theirs())}
    return [{"what": "four curves of 300 points", "ours": ours, "theirs": theirs, "facts": facts}]


PIECES: dict[str, Callable[[], list[Contest]]] = {
    "probe": probe,
    "order": order,
    "solvers": solvers,
    "drawings": drawings,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
