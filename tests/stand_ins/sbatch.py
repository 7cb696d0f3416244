"""A stand-in for Slurm's sbatch: it reads a script as sbatch does, and runs the tasks of its array here, all at once.

What it reads goes to the file READ_BY_SBATCH, as JSON.
"""

import json
import os
import pathlib
import subprocess
import sys

assert sys.argv[1] == "--parsable", sys.argv
script = pathlib.Path(sys.argv[2])


def words(line):  # as sbatch splits a line: blanks part, quotes hold together, a backslash takes what follows as it is
    found, word, quote, escaped = [], None, None, False
    for c in line:
        if escaped:
            word, escaped = (word or "") + c, False
        elif c == "\\":
            escaped = True
        elif quote:
            word, quote = (word, None) if c == quote else (word + c, quote)
        elif c in "'\"":
            word, quote = word or "", c
        elif c == "#":
            break
        elif c.isspace():
            found, word = found + ([word] if word is not None else []), None
        else:
            word = (word or "") + c
    return found + ([word] if word is not None else [])


options = {}
for line in script.read_text().splitlines()[1:]:
    if not line.startswith("#SBATCH "):
        break
    for word in words(line[len("#SBATCH") :]):
        name, _, value = word.removeprefix("--").partition("=")
        options[name] = value
pathlib.Path(os.environ["READ_BY_SBATCH"]).write_text(json.dumps(options))
first, last = map(int, options["array"].split("-"))
log = options["output"].replace("%A", "17")
tasks = []
for index in range(first, last + 1):
    with open(log.replace("%a", str(index)).replace("%%", "%"), "a") as file:
        environment = {**os.environ, "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": str(index)}
        tasks.append(subprocess.Popen(["bash", script], stdout=file, stderr=file, env=environment, cwd="/"))
for task in tasks:
    task.wait()
print("17;here")
