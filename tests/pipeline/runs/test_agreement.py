"""Processes that find different things in a folder all end, with the difference."""

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs import agreement
from synthcl.pipeline.runs.agreement import check_agreement

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
