"""Stand-ins of torchvision's data sets: their files, with small images in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


class StandIn:
    """Writes the files of a data set as torchvision expects them, with images of 8 pixels whose brightness tells their
    class.

    Args:
        root: the folder of data sets.
        num_classes: how many classes, at most 9.
        per_class: images of a class in each split.
    """

    def __init__(self, root: Path, num_classes: int = 3, per_class: int = 4) -> None:
        self.root, self.num_classes, self.per_class = Path(root), num_classes, per_class
        self.random = np.random.default_rng(0)

    def write(self, dataset: str) -> None:
        getattr(self, f"_{dataset.replace('-', '_')}")()

    def picture(self, label: int, *place: str) -> None:
        path = self.root.joinpath(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = 40 + 170 * label / self.num_classes + self.random.normal(0, 15, (8, 8, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, "JPEG", quality=95)

    def text(self, content: str, *place: str) -> None:
        path = self.root.joinpath(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def each(self, *splits: str) -> list[tuple[str, int, str]]:
        """Split, class and number of every image."""
        numbers = range(self.num_classes * self.per_class)
        return [(split, n % self.num_classes, f"{split}{n:03d}") for split in splits for n in numbers]

    def _food101(self) -> None:
        lists: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
        for split, label, name in self.each("train", "test"):
            lists[split].setdefault(f"dish{label}", []).append(f"dish{label}/{name}")
            self.picture(label, "food-101", "images", f"dish{label}", f"{name}.jpg")
        for split, content in lists.items():
            self.text(json.dumps(content), "food-101", "meta", f"{split}.json")

    def _sun397(self) -> None:
        names = [f"/{'abc'[label % 3]}/place{label}" for label in range(self.num_classes)]
        self.text("".join(f"{name}\n" for name in names), "SUN397", "ClassName.txt")
        for _, label, name in self.each("x"):
            self.picture(label, "SUN397", *names[label].split("/")[1:], f"sun_{name}.jpg")

    def _stanford_cars(self) -> None:
        from scipy.io import savemat

        folder = self.root / "stanford_cars"
        (folder / "devkit").mkdir(parents=True)
        titles = np.array([f"car {label}" for label in range(self.num_classes)], dtype=object)
        savemat(folder / "devkit" / "cars_meta.mat", {"class_names": titles})
        for split, file in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
            rows = [(f"{name}.jpg", label + 1) for _, label, name in self.each(split)]
            savemat(folder / file, {"annotations": np.array(rows, dtype=[("fname", object), ("class", object)])})
            for _, label, name in self.each(split):
                self.picture(label, "stanford_cars", f"cars_{split}", f"{name}.jpg")

    def _fgvc_aircraft(self) -> None:
        place = ("fgvc-aircraft-2013b", "data")
        self.text("".join(f"A {label}\n" for label in range(self.num_classes)), *place, "variants.txt")
        for split in ("train", "val", "test"):
            lines = [f"{name} A {label}\n" for _, label, name in self.each(split)]
            self.text("".join(lines), *place, f"images_variant_{split}.txt")
            for _, label, name in self.each(split):
                self.picture(label, *place, "images", f"{name}.jpg")

    def _dtd(self) -> None:
        for split in ("train", "val", "test"):
            lines = [f"cloth{label}/{name}.jpg\n" for _, label, name in self.each(split)]
            self.text("".join(lines), "dtd", "dtd", "labels", f"{split}1.txt")
            for _, label, name in self.each(split):
                self.picture(label, "dtd", "dtd", "images", f"cloth{label}", f"{name}.jpg")

    def _oxford_pets(self) -> None:
        for split in ("trainval", "test"):
            rows = [(f"pet_{label}_{name}", label) for _, label, name in self.each(split)]
            lines = "".join(f"{name} {label + 1} 1 1\n" for name, label in rows)
            self.text(lines, "oxford-iiit-pet", "annotations", f"{split}.txt")
            for name, label in rows:
                self.picture(label, "oxford-iiit-pet", "images", f"{name}.jpg")

    def _caltech101(self) -> None:
        place = ("caltech101", "101_ObjectCategories")
        self.picture(0, *place, "BACKGROUND_Google", "image_0001.jpg")
        for label in range(self.num_classes):
            for number in range(1, self.per_class + 1):
                self.picture(label, *place, f"thing{label}", f"image_{number:04d}.jpg")

    def _flowers102(self) -> None:
        from scipy.io import savemat

        images = self.each("train", "val", "test")
        for number, (_, label, _) in enumerate(images, 1):
            self.picture(label, "flowers-102", "jpg", f"image_{number:05d}.jpg")
        ids = {s: [n for n, image in enumerate(images, 1) if image[0] == s] for s in ("train", "val", "test")}
        savemat(self.root / "flowers-102" / "imagelabels.mat", {"labels": [label + 1 for _, label, _ in images]})
        savemat(
            self.root / "flowers-102" / "setid.mat", {"trnid": ids["train"], "valid": ids["val"], "tstid": ids["test"]}
        )

    def _eurosat(self) -> None:
        for _, label, name in self.each("x"):
            self.picture(label, "eurosat", "2750", f"Land{label}", f"{name}.jpg")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """(root, data set, ...) writes a data set of torchvision; see `StandIn`. Nothing is asked of the internet."""
    from torchvision.datasets import Flowers102

    files = {kind: (name, None) for kind, (name, _) in Flowers102._file_dict.items()}
    monkeypatch.setattr(Flowers102, "_file_dict", files)  # without the sums of the real files
    return lambda root, dataset, **sizes: StandIn(root, **sizes).write(dataset)
