"""`synthcl compare`: does synthetic data help, offline or online, by how much, at what cost, and how sure are we?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..configs.compare import CompareConfig
from ..configs.regimes import REGIMES
from ..errors import UsageError
from ..options.config import takes_options
from ..progress.line import say
from ..progress.overall import overall_progress
from ..runs.folder import RunFolder
from ..runs.opening import Terms, hold_run
from ..runtime.distributed import create_accelerator, precision_of
from ..runtime.precision import generator_precision
from ..runtime.srun import join_step
from .evaluations import Answer
from .execution import check_inputs, count_images, decide_budget, evaluate_runs, execute
from .matching import generators_of_seeds, mismatches, other_conditions, unmatched_seeds
from .plan import runs_to_come
from .progress import compared, plan_overall
from .report import write_report
from .results import build_rows, write_results
from .runs import ComparedRun, check_named, in_order, read_labelled
from .summary import Comparison, one_time_costs, summarise


@takes_options(CompareConfig)
def compare(config: CompareConfig) -> dict[str, Any]:
    """Train each arm with each seed, evaluate, and say what came of it; or compare runs that exist; or both.

    What is finished is skipped, what was interrupted is continued. In several processes all of them train, and only
    the main one evaluates and writes the report.

    Returns:
        The summary: `verdict`, `winner` (None where none is called), `table`, `differences`, `mismatches`, `report`,
        `results` and more; in the other processes the `out` alone.

    Raises:
        UsageError, DataError: options, images, generator or runs that cannot be used.
        DataError: another comparison is in the folder.
        Interrupted: a signal came; the same command continues.
    """
    join_step()
    return _train_and_compare(config) if config.trains else _compare_existing(config)


def _train_and_compare(config: CompareConfig) -> dict[str, Any]:
    assert config.data is not None, "checked with the options"
    num_images = check_inputs(config)
    joined = read_labelled(config.run, config.declared())
    check_named(config, [*runs_to_come(config), *joined])
    accelerator = create_accelerator(config.precision)
    came_to = {"precision": precision_of(accelerator)}
    if config.generator is not None:
        learns = any(REGIMES[arm.regime].learns and "generator_precision" not in arm.options for arm in config.arms())
        came_to["generator_precision"] = generator_precision(
            config.generator_precision, accelerator.device, trained=learns
        )
    terms = Terms(came_to=came_to)
    with hold_run(config.out, "compare", config, terms, main_process=accelerator.is_main_process) as folder:
        budget = decide_budget(config, accelerator)
        with overall_progress(enabled=accelerator.is_main_process) as overall:
            plan_overall(overall, config, budget, num_images, joined)
            trained = execute(config, budget, accelerator, overall)
            if not accelerator.is_main_process:
                return {"out": config.out}
            runs = in_order([*compared(trained.runs), *joined])
            answers, new_answers = evaluate_runs(runs, config, config.data, overall, num_images)
        lines = mismatches(runs, config.equal, planned=config.equal != "steps" and not joined)
        shared = one_time_costs(config, trained.generated)
        new = trained.new or new_answers
        return _conclude(config, config.data, runs, answers, lines, list(budget.notes), shared, folder, new=new)


def _compare_existing(config: CompareConfig) -> dict[str, Any]:
    accelerator = create_accelerator()
    runs = in_order(read_labelled(config.run, config.declared()))
    check_named(config, runs)
    data = config.data or _shared_data(runs)
    with hold_run(config.out, "compare", config, main_process=accelerator.is_main_process) as folder:
        if not accelerator.is_main_process:
            return {"out": config.out}
        with overall_progress() as overall:
            num_images = count_images(config, data, runs[0].config.image_size)
            answers, new = evaluate_runs(runs, config, data, overall, num_images)
        return _conclude(config, data, runs, answers, mismatches(runs, config.equal), [], {}, folder, new=new)


def _conclude(
    config: CompareConfig,
    data: str,
    runs: list[ComparedRun],
    answers: list[Answer],
    lines: list[str],
    notes: list[str],
    one_time: dict[str, float],
    folder: RunFolder,
    *,
    new: bool,
) -> dict[str, Any]:
    """Write the results and the report.

    Args:
        new: whether anything was trained or evaluated that was not there before.
    """
    notes += unmatched_seeds(runs)
    notes += generators_of_seeds(runs)
    notes += [f"the runs did not all have the same {line}" for line in other_conditions(runs)]
    notes += list(dict.fromkeys(warning for answer in answers for warning in answer.values["warnings"]))
    comparison = Comparison(config, data, runs, answers, lines, notes, one_time)
    out = Path(config.out)
    before = folder.result
    files = write_results(out, build_rows(runs, answers))
    summary = {"out": config.out, **summarise(comparison)}
    report = write_report(comparison, summary, out / "report.html")
    result = {**summary, "report": str(report), "results": [str(file) for file in files]}
    folder.finish(result)
    if before is not None and not new:
        same = "this is its result" if before == result else "its result and report now follow these options"
        say(f"{out} is already finished: nothing was trained or evaluated, and {same}")
    return result


def _shared_data(runs: list[ComparedRun]) -> str:
    """The images that all runs were trained on.

    Raises:
        UsageError: they are not the same, so that the probes have to be told.
    """
    names = sorted({run.config.data for run in runs})
    if len(names) > 1:
        raise UsageError(f"the runs were trained on {' and '.join(names)}; name the images to probe with --data SPEC")
    return names[0]
