"""Calibration frames as the network's input, through the same preprocessing as live."""

from typing import Callable, Iterator, Sequence

import numpy as np

from ccc_jetson.calib.selection import Selection, select_frames
from ccc_jetson.calib.sources import Candidate, FrameReader, open_sources
from ccc_jetson.choices import CALIBRATION_SAMPLES as SAMPLES
from ccc_jetson.contract import Contract
from ccc_jetson.errors import UsageError
from ccc_jetson.preprocess import Preprocessor


def choose_images(
    paths: Sequence[str],
    samples: int = SAMPLES,
    seed: int = 0,
    split: str = "train",
    labels: str = "",
    mapping: str = "",
    not_in: Sequence[str] = (),
) -> Selection:
    """Opens what is at ``paths`` and chooses frames from it.

    Arguments, cost and errors are those of ``sources.open_sources`` and ``selection.select_frames``.
    """
    return select_frames(open_sources(paths, split, labels, mapping), samples, seed, not_in)


class CalibrationImages:
    """Chosen frames as inputs of a network; can be gone through any number of times.

    Every pass reads the files anew, one frame at a time; a batch is all that is held, 12 bytes a pixel of the network's
    input for each of its frames.

    Args:
        contract: of the network.
        frames: as ``Selection.frames`` has them.
        fit: how frames meet the network's size, one of ``choices.FITS``; the one that is used live.
    """

    def __init__(self, contract: Contract, frames: Sequence[Candidate], fit: str = "stretch") -> None:
        self.fit = fit
        self.shape = (3, contract.input.height, contract.input.width)
        self._contract, self._frames = contract, tuple(frames)

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._frames)

    def __iter__(self) -> Iterator[np.ndarray]:
        """(1, 3, H, W) float32, frame by frame; each is the caller's own."""
        return self.batches(1)

    def batches(self, size: int, on_frame: Callable[[], None] = lambda: None) -> Iterator[np.ndarray]:
        """(size, 3, H, W) float32, the last one with the frames that are left.

        Args:
            on_frame: called after every frame, for progress.

        Raises:
            FileProblem: a file that could be read when it was chosen cannot be read any more.
        """
        if size < 1:
            raise UsageError("a batch has 1 or more frames, not {}".format(size))
        preprocess = Preprocessor(self._contract, self.fit)
        with FrameReader() as reader:
            for start in range(0, len(self._frames), size):
                chosen = self._frames[start : start + size]
                batch = np.empty((len(chosen),) + self.shape, np.float32)
                for index, frame in enumerate(chosen):
                    preprocess(reader.read(frame), batch[index : index + 1])
                    on_frame()
                yield batch
