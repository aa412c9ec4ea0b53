"""The pictures that the user verifies on, with their labels where there are any."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ccc_jetson.contract import Contract
from ccc_jetson.datasets import paired_folders
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.export.half_report import Labels
from ccc_jetson.images import list_images, read_labels
from ccc_jetson.label_mapping import LabelMapping


class LabelledImages(NamedTuple):
    """``images`` in order, and ``label_files`` by image; ``mapping`` says what the labels mean."""

    images: tuple[str, ...]
    label_files: dict[str, str]
    mapping: LabelMapping | None
    mapping_files: tuple[str, ...] = ()

    @classmethod
    def of(cls, images: Sequence[str], labels: str | None, mapping: str | None) -> "LabelledImages":
        """From what the user gave: pictures and folders, or one folder of pictures and one of label maps.

        Raises:
            UsageError: the options don't belong together.
            FileProblem: a file is missing, or has no partner.
        """
        if labels is None:
            if mapping is not None:
                raise UsageError("--mapping says what label maps mean; there are none", hint="--verify-labels DIR")
            return cls(tuple(list_images(list(images))) if images else (), {}, None)
        missing = [folder for folder in (*images, labels) if not os.path.exists(folder)]
        if missing:
            raise FileProblem(f"{missing[0]}: no such file or folder")
        if len(images) != 1 or not os.path.isdir(images[0]) or mapping is None:
            raise UsageError(
                "--verify-labels needs one folder of pictures and the meaning of the labels",
                hint="--verify-images DIR --verify-labels DIR --mapping camvid",
            )
        pairs = paired_folders(images[0], labels, mapping)
        by_image = {sample.image: sample.labels for sample in pairs.samples}
        return cls(tuple(by_image), by_image, pairs.mapping, (mapping,) if os.path.isfile(mapping) else ())

    @property
    def files(self) -> tuple[str, ...]:
        """All of them, so that none is written over."""
        return (*self.images, *self.label_files.values(), *self.mapping_files)

    @property
    def evaluated(self) -> int:
        """How many classes are evaluated; 0 without labels."""
        return 0 if self.mapping is None else len(self.mapping.classes)

    def labels(self, image: str, contract: Contract) -> Labels | None:
        """The truth for an image at the network's size, read nearest as in ``ccc-eval --eval-size network``."""
        path = self.label_files.get(image)
        if path is None or self.mapping is None:
            return None
        decoded = self.mapping.decode(read_labels(path), path)
        size = (contract.input.width, contract.input.height)
        resized = cv2.resize(decoded, size, interpolation=cv2.INTER_NEAREST)
        return Labels(np.asarray(resized, np.uint8), self.mapping.prediction_table(contract))
