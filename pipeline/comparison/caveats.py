"""What the numbers of a comparison do not show, said beside them."""

from __future__ import annotations

from collections.abc import Sequence

from ..configs.arms import UNTRAINED
from ..configs.regimes import BASELINE
from ..errors import DataError
from .matching import images_through_learner, opened_hashes
from .runs import ComparedRun, by_arm
from .statistics import MIN_SEEDS
from .summary import Comparison
from .verdict import power_sentence

LONG_EPOCHS = 100
"""A shorter training is said to be short: published figures are of 200 epochs and more. Ours."""


def caveats(comparison: Comparison) -> list[str]:
    """A sentence or two each."""
    answer = comparison.answers[0].values
    one_image = 100 / answer["num_test"]
    epochs = max(run.result["epochs"] for run in comparison.runs)
    found = _intervals(comparison)
    found += _shared_sources(comparison)
    found.append(
        f"Scored on {answer['num_test']:,} images, so that one image is {one_image:.2g} points; the choice of test "
        "images is in no interval."
    )
    found += _no_better_than_untrained(comparison)
    if epochs < LONG_EPOCHS:
        length = f"{epochs:.3g} epoch{'s' if epochs != 1 else ''}"
        found.append(f"Training was short, {length} at most: what holds here need not hold at published lengths.")
    found.append("Options were the same for all arms, but for those that an arm declares, and tuned for none of them.")
    found.append(_spent(comparison))
    found.append(_judged(comparison))
    return found


MORE_VIEWS = 1.2
"""Times the images of real images alone, from which on a gain may be that of the number of views. Ours."""
DEAR = 1.3
"""Times the seconds of another arm, from which on the cost of a run is worth a question of its own. Ours."""


def what_next(comparison: Comparison) -> list[str]:
    """What would say more, a sentence each: real images in as many views, seeds, and the same time for all where costs
    differ much."""
    found = _more_views(comparison)
    if not comparison.mismatches:
        sentences = [power_sentence(difference) for difference in comparison.differences()]
        found += [sentence for sentence in sentences if sentence is not None]
    seconds = {
        arm: sum(run.result["seconds"] for run in runs) / len(runs) for arm, runs in by_arm(comparison.runs).items()
    }
    cheap, dear = min(seconds, key=seconds.__getitem__), max(seconds, key=seconds.__getitem__)
    if comparison.config.equal != "seconds" and seconds[dear] > DEAR * seconds[cheap]:
        found.append(
            f"A run of {dear} took {seconds[dear] / seconds[cheap]:.2g} times as long as one of {cheap}: compare with "
            "--equal seconds to see which does more in the same time."
        )
    return found


def _more_views(comparison: Comparison) -> list[str]:
    """The control that is missing where arms with synthetic samples show the learner more views than those without."""
    images = {arm: count for arm, runs in by_arm(comparison.runs).items() if (count := _mean_images(runs)) is not None}
    alone = {arm: count for arm, count in images.items() if comparison.arm(arm).regime == BASELINE}
    others = {arm: count for arm, count in images.items() if arm not in alone}
    if not alone or not others or max(others.values()) <= MORE_VIEWS * max(alone.values()):
        return []
    most = max(others, key=others.__getitem__)
    times = others[most] / max(alone.values())
    return [
        f"{most} shows the learner {times:.2g} times as many views as {max(alone, key=alone.__getitem__)}, and further "
        f"views of real images help too: compare with {BASELINE}-equal-views (--regimes), or with --equal images, "
        "before a gain is credited to synthetic images."
    ]


def _no_better_than_untrained(comparison: Comparison) -> list[str]:
    scores = {arm: sum(own.values()) / len(own) for arm, own in comparison.primary().items()}
    untrained = scores.pop(UNTRAINED)
    behind = [arm for arm, score in scores.items() if score <= untrained]
    if not behind:
        return []
    return [
        f"Untrained weights reach {100 * untrained:.2f} %, no less than {' and '.join(behind)}: training taught these "
        "nothing that this probe sees, and differences between them mean little."
    ]


def _intervals(comparison: Comparison) -> list[str]:
    """Over how many seeds those of the differences are, and what they stand for."""
    counts = sorted({difference.spread.n for difference in comparison.differences()})
    few, enough = [n for n in counts if n < MIN_SEEDS], [n for n in counts if n >= MIN_SEEDS]
    found = []
    if few:
        seeds = "One seed says" if few == [1] else f"{' or '.join(map(str, few))} seeds say"
        found.append(f"{seeds} too little of the spread; {MIN_SEEDS} are the least for an interval.")
    if enough:
        seeds = " or ".join(map(str, enough))
        found.append(
            f"Intervals are Student's over {seeds} seeds, which stand for first weights, order of images, views and "
            "labeled parts. With so few, that differences are near normal is taken on trust."
        )
    return found


def _shared_sources(comparison: Comparison) -> list[str]:
    """What the seeds of an arm have in common of what their synthetic samples come from, which no interval covers."""
    found = []
    hashes = opened_hashes(comparison.runs)

    def generator(run: ComparedRun) -> str | None:
        """Which one a run's samples are from; None where there is none, or it is not recorded."""
        return hashes.get(run.result.get("generator_hash", ""), run.config.generator)

    for what, value in (("generator", generator), ("offline set", _sets)):
        values = {arm: {value(run) for run in runs} for arm, runs in by_arm(comparison.runs).items()}
        arms = [arm for arm, own in values.items() if len(own) == 1 and None not in own]
        if arms:
            found.append(
                f"All seeds of {' and of '.join(arms)} share one {what}: another {what} may give another answer, and "
                "no interval here covers that."
            )
    return found


def _sets(run: ComparedRun) -> tuple[str, ...] | None:
    """Which shard sets a run reads; None where there is none."""
    return tuple(run.result.get("set_hashes", run.config.shards)) or None


def _judged(comparison: Comparison) -> str:
    """What decides, and how."""
    differences = comparison.differences()
    named = [f"{d.arm} vs {d.reference}" for d in differences if d.primary]
    but = f", but for {named[0]}, which was named beforehand and is judged by itself" if named else ""
    if sum(not d.primary for d in differences) > 1:
        how = (
            "Several comparisons are judged together: an arm is called better or worse only if that also holds with "
            f"Holm's correction{but}."
        )
    else:
        how = "Each comparison" if len(differences) > 1 else "One comparison"
        how += " is judged, by itself: an arm is called better or worse if the interval of the difference leaves 0 out."
    other = "kNN" if comparison.config.metric == "linear" else "The linear probe"
    return f"{how} {other}, parts of the labels, transfer and corrupted images decide nothing."


def _spent(comparison: Comparison) -> str:
    """What the arms did not get the same of."""
    parts = []
    for arm, runs in by_arm(comparison.runs).items():
        seconds = sum(run.result["seconds"] for run in runs) / len(runs)
        parts.append(f"{arm} {_images(runs)} images in {seconds:,.0f} s")
    what = {"steps": "optimizer steps", "images": "images through the learner", "seconds": "seconds, as planned"}
    return (
        f"Equal is the number of {what[comparison.config.equal]}. A run put through the learner, real and synthetic "
        f"together: {', '.join(parts)}. Seconds are those of this machine with whatever else ran on it."
    )


def _images(runs: Sequence[ComparedRun]) -> str:
    count = _mean_images(runs)
    return "an unknown number of" if count is None else f"{count:,.0f}"


def _mean_images(runs: Sequence[ComparedRun]) -> float | None:
    """The mean number of images through the learner; None if it cannot be counted, since a set of shards is gone."""
    try:
        return sum(images_through_learner(run) for run in runs) / len(runs)
    except DataError:
        return None
