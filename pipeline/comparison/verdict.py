"""What the numbers say, in words that say no more than they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..evaluation.scores import CONFIDENCE
from ..regimes.table import BASELINE, REGIMES
from .statistics import MIN_SEEDS, Difference, Spread, matching_fraction, num_corrected, paired_difference, with_holm

METRIC = "linear-probe top-1 accuracy (L-BFGS, all labels)"
"""The primary metric, named beforehand; kNN, label fractions and transfer are shown and decide nothing."""


def compare_regimes(
    scores: Mapping[str, Mapping[int, float]], primary: tuple[str, str] | None = None
) -> list[Difference]:
    """All differences that are judged, corrected together: each regime less the baseline, and less those that the table
    of regimes gives a meaning.

    Args:
        scores: by regime, then by seed; regimes in their order.
        primary: the one comparison that was named beforehand, which needs no correction.
    """
    regimes = list(scores)
    baseline = BASELINE if BASELINE in regimes else regimes[0]
    pairs = [(regime, baseline) for regime in regimes if regime != baseline]
    pairs += [(regime, other) for regime in regimes for other in REGIMES[regime].differences if other in regimes]
    found = [paired_difference(*pair, scores[pair[0]], scores[pair[1]]) for pair in dict.fromkeys(pairs)]
    return with_holm([difference for difference in found if difference is not None], primary)


def winner(regimes: Sequence[str], differences: Sequence[Difference], mismatches: Sequence[str]) -> str | None:
    """The regime that was found better than every other one, if there is one and the comparison is a fair one."""
    if mismatches:
        return None
    beaten = {(d.regime, d.baseline) for d in differences if d.outcome == "better"}
    beaten |= {(d.baseline, d.regime) for d in differences if d.outcome == "worse"}
    return next((one for one in regimes if all((one, other) in beaten for other in regimes if other != one)), None)


def headline(differences: Sequence[Difference], mismatches: Sequence[str]) -> str:
    """The verdict: against the baseline, in a sentence for each regime."""
    if mismatches:
        return "No winner is called: the runs differ in more than the regime."
    if not differences:
        return "No winner is called: no two regimes have a seed in common."
    baseline = differences[0].baseline
    against = [d for d in differences if d.baseline == baseline]
    return " ".join(sentence(d, num_corrected(differences)) for d in against)


def sentence(difference: Difference, num_comparisons: int, mismatches: Sequence[str] = ()) -> str:
    """One difference and how sure it is."""
    regime, baseline = difference.regime.capitalize(), difference.baseline
    mean, numbers = points(difference.spread.mean), interval_words(difference.spread)
    against = "real images alone" if baseline == "real" else baseline
    if mismatches:
        return f"{regime}: {mean} points against {against}, not judged: the runs differ in more than the regime."
    if difference.outcome == "better":
        return f"{regime} helps: {mean} points over {against} ({numbers})."
    if difference.outcome == "worse":
        return f"{regime} hurts: {mean} points against {against} ({numbers})."
    if difference.outcome == "none":
        return f"{regime}: no difference from {against} found, {mean} points ({numbers})."
    if difference.outcome == "unsettled":
        return (
            f"{regime}: unsettled, {mean} points against {against} ({numbers}); the interval leaves out 0, but "
            f"with Holm's correction for {num_comparisons} comparisons p is {difference.p_holm:.2g}."
        )
    return f"{regime}: {mean} points against {against}, and no winner is called ({numbers})."


def interval_words(spread: Spread) -> str:
    """An interval of a difference with the number of seeds, or why there is none."""
    seeds = f"{spread.n} seed{'s' if spread.n != 1 else ''}"
    if spread.interval is not None:
        low, high = spread.interval
        return f"{CONFIDENCE:.0%} interval {points(low)} to {points(high)}, paired over {seeds}"
    if spread.n < MIN_SEEDS:
        return f"no interval from {seeds}; {MIN_SEEDS} are needed"
    return f"no interval: all {seeds} differ by the very same"


def points(difference: float) -> str:
    """A difference of accuracies in percentage points, with its sign."""
    text = f"{100 * difference:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "\N{MINUS SIGN}")


def data_efficiency(curves: Mapping[str, Mapping[float, float]]) -> dict[str, float | None]:
    """For each regime, the part of the labels at which it reaches what the baseline does with all of them.

    Args:
        curves: accuracy by regime and label fraction, the baseline and 1 among them.

    Returns:
        By regime but the baseline: the fraction, or None where it is not reached.
    """
    target = curves[BASELINE][1.0]
    return {
        regime: matching_fraction(sorted(curve), [curve[f] for f in sorted(curve)], target)
        for regime, curve in curves.items()
        if regime != BASELINE
    }


def efficiency_sentence(
    regime: str, fraction: float | None, by_seed: Sequence[float | None], fractions: Sequence[float]
) -> str:
    """What `data_efficiency` found for the means over seeds, and for each seed on its own, in words."""
    smallest = min(fractions)
    if fraction is None:
        found = "does not reach, with any part of the labels, what real images alone reach with all of them"
    else:
        found = f"reaches what real images alone reach with all labels at {_part(fraction, smallest)} of them"
    each = ", ".join("not reached" if part is None else _part(part, smallest) for part in by_seed)
    seeds = f"each seed on its own: {each}" if any(part is not None for part in by_seed) else "nor does any seed"
    return f"{regime.capitalize()} {found}, by the means over seeds ({seeds})."


def _part(fraction: float, smallest: float) -> str:
    return f"{percent(fraction)} or less" if fraction == smallest else f"about {percent(fraction)}"


def percent(fraction: float) -> str:
    """A part in percent, to two figures."""
    return f"{100 * fraction:.2g}%" if fraction < 0.995 else "100%"
