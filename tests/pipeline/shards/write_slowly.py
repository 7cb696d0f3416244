"""Writes a shard set, waiting after each batch: a process for tests to kill.

python write_slowly.py SET SAMPLES PARTS SECONDS WORKERS
"""

import sys
import time

import numpy as np

from synthcl.pipeline.shards import write_shard_set


def render(indices):
    i = np.asarray(indices)[:, None, None, None, None]
    _, c, y, x = np.ogrid[0:1, 0:3, 0:8, 0:8]
    return ((i * 7 + c * 31 + y * 3 + x * 5) ^ (i * 13)).astype(np.uint8)


directory, samples, parts, delay, workers = sys.argv[1], *map(float, sys.argv[2:])
for part in range(int(parts)):
    write_shard_set(
        directory,
        {"seed": 0},
        int(samples),
        16,
        render,
        workers=int(workers),
        batch_size=4,
        process_index=part,
        num_processes=int(parts),
        progress=lambda done, total: time.sleep(delay),
    )
