"""A shard set by an array of Slurm jobs: a batch script for `sbatch`, whose tasks are `synthcl generate --job-index N`.

Each task writes its part of the shards, as jobs do that are started by hand. What ends a task costs no more than the
shard that it was at: Slurm begins it anew after a preemption or the loss of a node (`--requeue`), and the script has
itself begun anew two minutes before its time is over, as long as there has been progress.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..configs.generate import GenerateConfig
from ..errors import DataError, UsageError
from ..files import write_file
from ..options.config import option_words
from ..options.types import default_of
from ..shards.layout import HIDDEN, SIDECAR_SUFFIX
from ..shards.network import is_url

WARNING_SECONDS = 120
"""Before its time is over a task gets SIGUSR1. Ours: enough to ask for a new start on a slow cluster."""
OF_SLURM = ("executor", "partition", "time", "slurm_option", "submit", "num_jobs", "job_index")
"""Options that are not those of a task."""

SCRIPT = """\
#!/bin/bash
{options}
# Written by `synthcl generate --executor slurm`. Each task writes its part of the set; a task that is run again, or the
# whole array, goes on where it was.

cd {folder} || exit 1
published() {{ {count}; }}
before=$(published)

# Near the end of its time: begin anew if any shard has been published meanwhile, so that no task is begun for ever.
again() {{
    kill -TERM "$child" 2>/dev/null
    wait "$child"
    if [ "$(published)" -gt "$before" ]; then
        exec scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
    fi
    echo "no shard was published in the time of this job; give it more, or fewer samples a shard" >&2
    exit {tempfail}
}}
trap again USR1

{command} --num-jobs {num_jobs} --job-index "$SLURM_ARRAY_TASK_ID" &
child=$!
wait "$child"
"""


def submit_generation(config: GenerateConfig) -> dict[str, Any]:
    """Write the batch script beside the set's folder (here, if that is a URL), and submit it.

    Returns:
        `out`, `num_jobs`, `script`, `logs` (a folder) and `job_id`, None if the script was only written.

    Raises:
        UsageError: there is no `sbatch` here.
        DataError: the script cannot be written, or `sbatch` refuses it.
    """
    out = Path(os.path.abspath(config.out.rstrip("/").rpartition("/")[2] if is_url(config.out) else config.out))
    if config.submit and shutil.which("sbatch") is None:
        raise UsageError(
            "--executor slurm needs sbatch, which is not on the PATH; call it on a machine of the cluster, or give "
            "--no-submit to write the batch script alone"
        )
    folder = out.with_name(out.name + "-slurm")
    script = folder / "generate.sh"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(script, batch_script(config, os.getcwd(), folder))
    except OSError as error:
        raise DataError(f"cannot write {script}: {error.strerror}") from None
    return {
        "out": config.out,
        "num_jobs": config.num_jobs,
        "script": str(script),
        "logs": str(folder),
        "job_id": submit(script) if config.submit else None,
    }


def batch_script(config: GenerateConfig, folder: str, logs: Path) -> str:
    """The text of the batch script.

    Args:
        config: the options.
        folder: the one that relative paths in the options start from.
        logs: the folder for what the tasks print.
    """
    options = {
        "job-name": "synthcl-generate",
        "array": f"0-{config.num_jobs - 1}",
        "requeue": None,
        "open-mode": "append",
        "signal": f"B:USR1@{WARNING_SECONDS}",
        "output": str(logs).replace("%", "%%") + "/%A_%a.log",
        "partition": config.partition,
        "time": config.time,
    }
    for name in ("partition", "time"):
        if options[name] is None:
            del options[name]
    for one in config.slurm_option:
        name, equals, value = one.partition("=")
        options[name] = value if equals else None
    lines = [f"#SBATCH --{name}" + (f"={directive_value(v)}" if v is not None else "") for name, v in options.items()]
    own = replace(config, **{name: default_of(GenerateConfig.__dataclass_fields__[name]) for name in OF_SLURM})
    return SCRIPT.format(
        options="\n".join(lines),
        folder=shlex.quote(folder),
        count=_count(folder, config.out),
        tempfail=os.EX_TEMPFAIL,
        command=_synthcl("generate", *option_words(own)),
        num_jobs=config.num_jobs,
    )


def _synthcl(*words: str) -> str:
    """A command of synthcl for the shell, by the Python that runs this."""
    return shlex.join([sys.executable, "-m", __package__.partition(".")[0] + ".cli", *words])


def _count(folder: str, out: str) -> str:
    """A line of shell that prints how much of a set is published: shards, or of one in an object store samples."""
    if not is_url(out):
        sidecars = shlex.quote(str(Path(folder, out, HIDDEN)))
        return f"find {sidecars} -maxdepth 1 -name '*{SIDECAR_SUFFIX}' 2>/dev/null | wc -l"
    info = _synthcl("shards", "info", out, "--json")
    return f"{info} 2>/dev/null | grep -o '\"num_published\": [0-9]*' | grep -o '[0-9]*' || echo 0"


def directive_value(value: str) -> str:
    """A value as it stands in a line `#SBATCH --name=VALUE`: sbatch splits the line at blanks, and takes a backslash to
    say that a character is meant as it is."""
    return re.sub(r"([^\w./:,=@%+*()\[\]-])", r"\\\1", value)


def submit(script: Path) -> str:
    """Submit a batch script; the job's id.

    Raises:
        DataError: `sbatch` fails.
    """
    done = subprocess.run(["sbatch", "--parsable", str(script)], capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = "; ".join(lines) or f"exit code {done.returncode}"
        raise DataError(f"sbatch did not take {script}: {said}")
    return done.stdout.strip().partition(";")[0]  # the name of the cluster may follow
