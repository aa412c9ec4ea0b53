"""Pictures as frames."""

import contextlib
import os
import time
from typing import Dict, List, Optional, Sequence

from ccc_jetson.errors import FileProblem
from ccc_jetson.images import list_images, read_frame
from ccc_jetson.runtime.frames import Frame, FrameSource
from ccc_jetson.runtime.frames.details import SourceDetails, Stream


class Pictures(FrameSource):
    """The pictures in files and folders, in the order given, a folder's by name.

    Raises:
        FileProblem: a path does not exist, or there is no picture.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list_images(list(paths))
        self.total = len(self.paths)
        self.description = "{}, {} picture{}".format(
            ", ".join(paths) if len(paths) <= 3 else "{} and {} more".format(paths[0], len(paths) - 1),
            self.total,
            "" if self.total == 1 else "s",
        )
        self._names = _unique_stems(self.paths)
        self._next = 0
        self._details = SourceDetails("pictures", ", ".join(paths))
        with contextlib.suppress(FileProblem):  # told when its turn comes
            height, width = read_frame(self.paths[0]).shape[:2]
            self.size = (width, height)
            self._details = self._details._replace(delivered=Stream(self.size, None, self.pixel_format))

    @property
    def details(self) -> SourceDetails:
        """What a report should know."""
        return self._details

    def read(self) -> Optional[Frame]:
        number = self._next
        if number == len(self.paths):
            return None
        self._next += 1
        image = read_frame(self.paths[number])
        return Frame(number, self._names[number], image, time.monotonic())


def _unique_stems(paths: List[str]) -> List[str]:
    """File names without suffix; what occurs again gets a number, so that no result overwrites another."""
    seen: Dict[str, int] = {}
    names: List[str] = []
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name = stem
        while name in seen:
            seen[stem] += 1
            name = "{}_{}".format(stem, seen[stem])
        seen[name] = 1
        names.append(name)
    return names
