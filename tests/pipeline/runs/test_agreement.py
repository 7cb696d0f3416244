"""Processes that find different things in a folder all end, with the difference."""

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs import agreement
from synthcl.pipeline.runs.agreement import check_agreement, check_same_run, made_by_main

ANSWERS = {
    "agreed": ([("step 4 (ab)", None)] * 3, None),
    "none yet": ([("no checkpoint", None)] * 2, None),
    "another step": (
        [("step 4 (ab)", None), ("step 4 (ab)", None), ("step 2 (cd)", None)],
        r"process 0 step 4 \(ab\), process 2 step 2 \(cd\); give --out a folder on a disk that all machines share",
    ),
    "another content": ([("step 4 (ab)", None), ("step 4 (xy)", None)], r"process 1 step 4 \(xy\)"),
    "a disk of its own": ([("step 4 (ab)", None), ("no checkpoint", None)], "process 1 no checkpoint"),
    "a problem elsewhere": ([("step 4 (ab)", None), ("no checkpoint", "nothing is whole")], "nothing is whole"),
    "a problem here": ([("no checkpoint", "none is whole"), ("no checkpoint", "another")], "none is whole"),
}


@pytest.mark.parametrize(("answers", "message"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_processes_have_found(tmp_path, monkeypatch, answers, message):
    found, problem = answers[0]

    def gather(into, own):
        column = int(own == found)
        assert own == answers[0][1 - column]
        into[:] = [answer[1 - column] for answer in answers]

    monkeypatch.setattr(agreement, "is_distributed", lambda: True)
    monkeypatch.setattr(agreement.dist, "get_world_size", lambda: len(answers))
    monkeypatch.setattr(agreement.dist, "all_gather_object", gather)
    own = None if problem is None else DataError(problem)
    if message is None:
        check_agreement(found, own, tmp_path)
    else:
        with pytest.raises(DataError, match=message):
            check_agreement(found, own, tmp_path)


RUNS = {
    "the same": ([{"--data has": "40 images"}] * 3, None),
    "one process": ([{"--data has": "40 images"}], None),
    "other images": (
        [{"--seed is": "0", "--data has": "40 images"}] * 2 + [{"--seed is": "0", "--data has": "30 images"}],
        "the processes would not do one run: --data has 40 images in process 0, and 30 images in process 2. Give all "
        "the same options",
    ),
    "two differences": (
        [{"--seed is": "0", "--precision came to": "bf16"}, {"--seed is": "1", "--precision came to": "fp32"}],
        "--seed is 0 in process 0, and 1 in process 1; --precision came to bf16 in process 0, and fp32 in process 1.",
    ),
    "what another has not": (
        [{"--data has": "40 images"}, {"--data has": "40 images", "the steps are": "4"}],
        "the steps are none in process 0, and 4 in process 1.",
    ),
}


@pytest.mark.parametrize(("runs", "message"), RUNS.values(), ids=RUNS.keys())
def test_processes_that_would_not_do_one_run_all_end_with_what_differs(monkeypatch, runs, message):
    monkeypatch.setattr(agreement, "_gather", lambda own: runs)
    if message is None:
        check_same_run(runs[0])
    else:
        with pytest.raises(DataError) as error:
            check_same_run(runs[0])
        assert message in str(error.value)


def test_the_main_process_makes_for_all_and_its_problem_ends_all(monkeypatch):
    """Two processes in turn: the main one, then the other, which is given what the main one sent."""
    sent = []

    def main_gathers(own):
        sent.append(own)
        return [own, None]

    def fail():
        raise OSError("the disk is full")

    for make, error, expected in ((lambda: {"loss": 1.5}, None, {"loss": 1.5}), (fail, OSError, None)):
        sent.clear()
        monkeypatch.setattr(agreement, "_gather", main_gathers)
        if error is None:
            assert made_by_main(make, main_process=True) == expected
        else:
            with pytest.raises(error, match="the disk is full"):
                made_by_main(make, main_process=True)
        monkeypatch.setattr(agreement, "_gather", lambda own: [sent.pop(0), own])
        if error is None:
            assert made_by_main(lambda: pytest.fail("the other made it"), main_process=False) == expected
        else:
            with pytest.raises(DataError, match="the disk is full"):
                made_by_main(lambda: pytest.fail("the other made it"), main_process=False)
