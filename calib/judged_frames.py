"""Frames to judge INT8 on: which of them can be read, and who closes the video that they are in."""

from collections.abc import Sequence

from ccc_jetson.calib.cost import Frame, labelled_frames
from ccc_jetson.calib.sources import PICTURE, Candidate, FrameReader, VideoEnded, open_sources
from ccc_jetson.clean_text import listed
from ccc_jetson.contract import Contract
from ccc_jetson.datasets import Dataset
from ccc_jetson.errors import FileProblem
from ccc_jetson.progress import Progress


class JudgedFrames:
    """Opens frames, and reads each once before minutes are spent on the others; they can be read until it is closed.

    ``notes`` are sentences on those that cannot be read and are passed over, and on videos that end early.
    """

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self._reader = FrameReader()

    def unlabelled(self, paths: Sequence[str]) -> list[Frame]:
        """Frames without labels, of whatever ``sources.open_sources`` takes; of Cityscapes its ``val``.

        Raises:
            FileProblem: a path is of no kind that is known, or none of the frames can be read.
        """
        found: list[Frame] = []
        bad: list[tuple[str, str]] = []
        sources = open_sources(paths, "val")
        with Progress("looking at frames to judge on", None) as progress:
            for source in sources:
                for candidate in source.frames:
                    progress.step()
                    try:
                        self._reader.read(candidate)
                    except VideoEnded as end:  # what its header promises beyond that is not there
                        self.notes += (end.note(len(source.frames)),)
                        break
                    except FileProblem as problem:
                        bad.append((_name(candidate), str(problem)))
                        continue
                    found.append(self._frame(candidate))
        return self._told(found, bad)

    def labelled(self, dataset: Dataset, contract: Contract) -> list[Frame]:
        """The frames of a data set whose picture and label map can be read; a FileProblem where there are none."""
        found: list[Frame] = []
        bad: list[tuple[str, str]] = []
        frames = labelled_frames(dataset, contract)
        with Progress("looking at frames to judge on", len(frames)) as progress:
            for frame in frames:
                progress.step()
                try:
                    frame.read()
                    assert frame.truth is not None
                    frame.truth()
                except FileProblem as problem:
                    bad.append((frame.name, str(problem)))
                    continue
                found.append(frame)
        return self._told(found, bad)

    def _frame(self, candidate: Candidate) -> Frame:
        return Frame(candidate.name, lambda: self._reader.read(candidate))

    def _told(self, found: list[Frame], bad: list[tuple[str, str]]) -> list[Frame]:
        if not found:
            reasons = [reason for _, reason in bad] + list(self.notes)
            raise FileProblem(
                f"none of the frames to judge on can be read: {'; '.join(reasons[:3])}",
                hint="--verify-images names pictures, folders, lists or videos; without it the golden frames judge",
            )
        if not bad:
            return found
        names = listed([name for name, _ in bad])
        self.notes += (
            f"{len(bad)} files or frames to judge on cannot be read and are passed over: {names}; the first: "
            f"{bad[0][1]}",
        )
        return found

    def close(self) -> None:
        """May be called twice."""
        self._reader.close()

    def __enter__(self) -> "JudgedFrames":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _name(candidate: Candidate) -> str:
    return candidate.name if candidate.number == PICTURE else f"{candidate.name} frame {candidate.number}"
