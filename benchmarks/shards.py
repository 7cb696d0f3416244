"""What shard sets are measured by: reading beside webdataset, writing beside the bare generator, large sets.

    python benchmarks/shards.py read  [--data SPEC] [--format png]       images/s on one core, side by side
    python benchmarks/shards.py decode [--data SPEC]                     JPEG to a device: all cores, or nvJPEG
    python benchmarks/shards.py write [--generator DIR]                  samples/s over those of the generator alone
    python benchmarks/shards.py large                                    10 million rows: open, --where, first reads

Each prints one JSON object. Contestants take turns, after a warm-up round; rates are medians over the rounds, with the
smallest and largest. Where no data are given, images are smoothed noise, which compresses worse than photographs do.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from synthcl.pipeline.data import open_images
from synthcl.pipeline.shards import ShardSet, open_shard_set, write_shard_set

ROUNDS = 5


def photographs(indices: np.ndarray, size: int) -> np.ndarray:
    """(N, 1, 3, size, size) uint8: noise with a spectrum like that of photographs, a function of the index."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) + 1 / size
    images = np.empty((len(indices), 1, 3, size, size), dtype=np.uint8)
    for i, index in enumerate(indices):
        noise = np.random.default_rng(int(index)).normal(size=(3, size, size))
        smooth = np.fft.irfft2(np.fft.rfft2(noise) / frequency**1.3, s=(size, size))
        smooth = smooth + 0.7 * smooth.mean(axis=0)
        images[i, 0] = (128 + 60 * smooth / smooth.std()).clip(0, 255)
    return images


def written_set(path: Path, options: argparse.Namespace, image_format: str) -> ShardSet:
    """A set of the images of `--data`, or of smoothed noise, of the size and number that the options say."""
    size = options.image_size
    store = open_images(options.data, image_size=size) if options.data else None

    def render(indices: np.ndarray) -> Any:
        return photographs(indices, size) if store is None else store.read(indices)[:, None]

    write_shard_set(path, {}, options.num_samples, 1000, render, workers=0, image_format=image_format)
    return open_shard_set(path)


def compare(
    contestants: dict[str, Callable[[], int]], clock: Callable[[], float] = time.perf_counter
) -> dict[str, dict[str, float]]:
    """Images/s of each; each returns how many images it made."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for work in contestants.values():
        work()
    for _ in range(ROUNDS):
        for name, work in contestants.items():
            start = clock()
            count = work()
            rates[name].append(count / (clock() - start))
    return {
        name: {"median": round(statistics.median(r)), "min": round(min(r)), "max": round(max(r))}
        for name, r in rates.items()
    }


def read(options: argparse.Namespace) -> dict[str, Any]:
    """Our reader against webdataset's decoders, a DataLoader on files and a bare decoding loop, on one core.

    All give uint8 batches of 256 in shuffled order, ours and the DataLoader's over the whole set, webdataset's within
    its usual buffer of 1,000; the loop gives single images from memory, in order. The tars are the same, and so are the
    bytes of the files. webdataset's pipelines are those of its documentation.
    """
    import torch
    import webdataset as wds
    from torchvision.datasets import ImageFolder
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.functional import pil_to_tensor

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        count, size = options.num_samples, options.image_size
        shards = written_set(path, options, options.format)
        tars = [str(tar) for tar in sorted(path.glob("*.tar"))]
        order = np.random.default_rng(0).permutation(count)
        encoded = [bytes(views[0]) for views in shards.read_encoded(range(count))]
        files = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in encoded]
        for number, file in enumerate(encoded):
            place = Path(folder) / "files" / str(number % 10) / f"{number}.{options.format}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file)

        def ours(indices: np.ndarray) -> int:
            return sum(len(shards.read_views(batch)) for batch in np.array_split(indices, max(1, count // 256)))

        def peer(decoder: str, convert: Callable[[Any], Any] | None = None) -> int:
            samples = (
                wds.WebDataset(tars, shardshuffle=len(tars)).shuffle(1000).decode(decoder).to_tuple(options.format)
            )
            batches = (samples if convert is None else samples.map_tuple(convert)).batched(256)
            return sum(len(batch[0]) for batch in batches)

        def loader() -> int:
            folders = ImageFolder(str(Path(folder) / "files"), pil_to_tensor)
            return sum(len(batch) for batch, _ in torch.utils.data.DataLoader(folders, 256, shuffle=True))

        contestants = {
            "synthcl, in order": lambda: ours(np.arange(count)),
            "synthcl, shuffled": lambda: ours(order),
            "webdataset, pil and pil_to_tensor": lambda: peer("pil", pil_to_tensor),
            "webdataset, rgb8 (PIL to arrays)": lambda: peer("rgb8"),
            "webdataset, torchrgb8": lambda: peer("torchrgb8"),
            "ImageFolder and a DataLoader, no workers": loader,
            "torchvision.io.decode_image in a loop": lambda: len([decode_image(f, ImageReadMode.RGB) for f in files]),
        }
        rates = compare(contestants, time.process_time)  # CPU seconds, which other work on the machine does not change
        mean = sum(map(len, encoded)) / count
    slowest_of_ours = min(rates["synthcl, in order"]["median"], rates["synthcl, shuffled"]["median"])
    others = [name for name in rates if not name.startswith("synthcl")]
    return {
        "images_per_second_per_core": rates,
        "ours_over": {name: round(slowest_of_ours / rates[name]["median"], 2) for name in others},
        "images": options.data or "smoothed noise",
        "image_size": size,
        "format": options.format,
        "mean_file_bytes": round(mean),
        "num_samples": count,
    }


def decode(options: argparse.Namespace) -> dict[str, Any]:
    """A set of JPEG files to the device that trains: our reader on all cores beside torchvision's decoder there.

    On a GPU that decoder is nvJPEG, to which the files go in memory, a batch of 256 at a time, as they come from our
    own reader. Its pixels differ from libjpeg's by a level or two: the largest and the mean difference are told.
    """
    import torch
    from torchvision.io import decode_jpeg

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        count, size = options.num_samples, options.image_size
        shards = written_set(path, options, "jpg")
        batches = np.array_split(np.random.default_rng(0).permutation(count), max(1, count // 256))

        def ours(batch: np.ndarray) -> torch.Tensor:
            return shards.read_views(batch)[:, 0].to(device)

        def theirs(batch: np.ndarray) -> torch.Tensor:
            files = [torch.frombuffer(bytearray(views[0]), dtype=torch.uint8) for views in shards.read_encoded(batch)]
            decoded = decode_jpeg(files, device=device)
            assert isinstance(decoded, list)
            return torch.stack(decoded)

        def all_of(give: Callable[[np.ndarray], torch.Tensor]) -> Callable[[], int]:
            def work() -> int:
                found = sum(len(give(batch)) for batch in batches)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                return found

            return work

        difference = (ours(batches[0]).int() - theirs(batches[0]).int()).abs().float()
        rates = compare({"synthcl, all cores": all_of(ours), f"torchvision on {device.type}": all_of(theirs)})
    return {
        "images_per_second": rates,
        "difference_in_levels": {"largest": int(difference.max()), "mean": round(float(difference.mean()), 4)},
        "device": device.type,
        "images": options.data or "smoothed noise",
        "image_size": size,
        "num_samples": count,
    }


def write(options: argparse.Namespace) -> dict[str, Any]:
    """`write_shard_set` against the same calls of the generator without it."""
    import torch

    from synthcl.pipeline.generation.opening import open_generator
    from synthcl.pipeline.generation.rendering import Renderer, sampling_key

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if options.generator:
        generator = open_generator(options.generator, device)
    else:
        from synthcl.generators.gan import GANGenerator
        from synthcl.generators.gan.presets import choose_preset

        torch.manual_seed(0)
        shape = choose_preset(options.image_size, options.preset).generator_shape(options.image_size)
        generator = GANGenerator(**shape).to(device).eval().requires_grad_(False)
    render = Renderer(generator, sampling_key(0), device)
    count, batch = options.num_samples, options.batch_size

    def bare() -> int:
        for start in range(0, count, batch):
            images = render(np.arange(start, min(start + batch, count)))
        images.cpu()
        return count

    def written() -> int:
        with tempfile.TemporaryDirectory() as folder:
            info = write_shard_set(
                Path(folder) / "set", {}, count, 10_000, render, batch_size=batch, workers=options.workers
            )
        return info.written

    rates = compare({"generator alone": bare, "written to shards": written})
    ratio = rates["written to shards"]["median"] / rates["generator alone"]["median"]
    return {"samples_per_second": rates, "ratio": round(ratio, 3), "device": str(device), "num_samples": count}


def large(options: argparse.Namespace) -> dict[str, Any]:
    """A set of 10 million rows: sidecars, and tars of the right length without content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        make_large(path, options.num_rows)
        code = (
            "import json, resource, sys, time\n"
            "import numpy as np\n"
            "from synthcl.pipeline.shards.readable import LocalReadableSet\n"
            "from synthcl.pipeline.shards.locator import SampleLocator\n"
            "from synthcl.pipeline.shards.where import select_rows\n"
            "from pathlib import Path\n"
            "peak = lambda: round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
            "found = {'imported_mb': peak()}\n"
            "start = time.perf_counter(); locator = SampleLocator(LocalReadableSet(Path(sys.argv[1])))\n"
            "found |= {'rows': len(locator), 'open_seconds': time.perf_counter() - start, 'open_peak_mb': peak()}\n"
            "start = time.perf_counter(); rows = select_rows(locator, 'hardness > 2 and sample_index < 9000000')\n"
            "found |= {'where_rows': len(rows), 'where_seconds': time.perf_counter() - start}\n"
            "found |= {'where_peak_mb': peak()}\n"
            "start = time.perf_counter()\n"
            "for shard in range(len(locator.shards)): locator.places(shard)\n"
            "found |= {'all_places_seconds': time.perf_counter() - start, 'all_places_peak_mb': peak()}\n"
            "print(json.dumps(found))\n"
        )
        process = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return json.loads(process.stdout)


def make_large(path: Path, num_rows: int, per_shard: int = 10_000) -> None:
    """Sidecars as a recording has them, each a copy of the first with its own numbers."""
    import pyarrow as pa

    from synthcl.pipeline.shards.layout import HIDDEN, end_marker, shard_name, sidecar_path
    from synthcl.pipeline.shards.manifest import Manifest, read_manifest
    from synthcl.pipeline.shards.sidecar import TarFacts, build_table, write_sidecar
    from synthcl.pipeline.shards.status import entry_of_sidecar

    write_shard_set(path, {"seed": 0}, 1, per_shard, lambda i: photographs(i, 32), workers=0)
    manifest: Manifest = read_manifest(path)
    rng = np.random.default_rng(0)
    entries = []
    for number in range(num_rows // per_shard):
        sizes = rng.integers(2000, 2600, per_shard)
        ends = np.cumsum(512 + sizes + (-sizes) % 512)
        places = {
            "offset": (np.concatenate(([0], ends[:-1])) + 512)[:, None],
            "size": sizes[:, None],
            "crc32": rng.integers(0, 2**32, (per_shard, 1), dtype=np.uint32),
            "header_crc32": rng.integers(0, 2**32, (per_shard, 1), dtype=np.uint32),
        }
        length = int(ends[-1]) + len(end_marker(int(ends[-1])))
        extra = {"hardness": pa.array(rng.normal(0, 1.5, per_shard), pa.float32())}
        table = build_table(shard_name(number), number * per_shard, 0, places, extra)
        facts = TarFacts(shard_name(number), manifest.recipe.hash, length, "0" * 64, 32, 1)
        sidecar = sidecar_path(path, shard_name(number))
        sidecar.write_bytes(write_sidecar(table, facts))
        with open(path / shard_name(number), "wb") as tar:
            tar.truncate(length)
        entries.append(entry_of_sidecar(sidecar.read_bytes(), str(sidecar))[0])
    big = replace(manifest, num_samples=len(entries) * per_shard, shards=tuple(entries))
    (path / HIDDEN / "shardset.json").write_text(big.to_json())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for function, arguments in (
        (read, {"--data": "", "--image-size": 32, "--format": "png", "--num-samples": 5000}),
        (decode, {"--data": "", "--image-size": 224, "--num-samples": 4000}),
        (
            write,
            {
                "--generator": "",
                "--preset": "small",
                "--image-size": 32,
                "--num-samples": 20_000,
                "--batch-size": 256,
                "--workers": None,
            },
        ),
        (large, {"--num-rows": 10_000_000}),
    ):
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(function=function)
        for name, default in arguments.items():
            command.add_argument(name, type=type(default) if default is not None else int, default=default)
    options = parser.parse_args()
    start = time.monotonic()
    result = options.function(options)
    packages = ("torch", "torchvision", "webdataset", "pyarrow", "duckdb", "numpy")
    record = {
        "benchmark": options.function.__name__,
        **result,
        "rounds": ROUNDS,
        "seconds": round(time.monotonic() - start, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
