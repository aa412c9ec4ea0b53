"""What ccc-run writes: checked before anything starts, opened once the model is known."""

import os
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.choices import STANDARD_OUTPUT
from ccc_jetson.contract import Contract
from ccc_jetson.errors import UsageError
from ccc_jetson.files import check_output
from ccc_jetson.opencv import readable_name
from ccc_jetson.runtime.frames import FrameSource
from ccc_jetson.runtime.overlay import Overlay
from ccc_jetson.runtime.reports.formats import format_of
from ccc_jetson.runtime.sinks import Sink

VIDEO_SUFFIX = ".mp4"
_OTHER_FILES = (".avi", ".mkv", ".mov", ".webm", ".m4v", ".png", ".jpg", ".jpeg", ".gif", ".json")
_PICTURES_FPS = 10.0  # of a video made from pictures, which have no rate of their own


class Outputs(NamedTuple):
    """The paths asked for; None where nothing was. ``reports`` may be several; ``class_ids``: the numbers in
    ``class_maps``, of ``choices.CLASS_IDS``."""

    out: Optional[str]
    class_maps: Optional[str]
    reports: Tuple[str, ...] = ()
    class_ids: str = "network"
    jsonl: Optional[str] = None

    @property
    def is_video(self) -> bool:
        """Whether ``out`` is a video, not a folder."""
        return self.out is not None and self.out.lower().endswith(VIDEO_SUFFIX)

    def check(self, files: Sequence[str], picture_folders: Sequence[str]) -> None:
        """Refuses what could not be written at the end, or would destroy something.

        Args:
            files: what the run reads.
            picture_folders: where pictures come from; results there would be the next run's input.

        Raises:
            UsageError: a folder is missing, a path is of the wrong kind or cannot be read, or one thing would overwrite
            another.
        """
        named = self._named()
        if self.out is not None and not self.is_video and self.out.lower().endswith(_OTHER_FILES):
            raise UsageError(
                "--out {}: is neither an MP4 file nor a folder".format(self.out),
                hint="--out FILE.mp4 for a video, --out FOLDER for a PNG file per frame",
            )
        for option, path in named:
            if option in ("--report", "--jsonl") or (option == "--out" and self.is_video):
                check_output(path, (), option)
                if option == "--out":
                    readable_name(os.path.realpath(path))
            else:
                _check_folder(path, option)
        self._check_collisions(named, files, picture_folders)
        for path in self.reports:
            format_of(path)

    def _named(self) -> List[Tuple[str, str]]:
        jsonl = None if self.jsonl == STANDARD_OUTPUT else self.jsonl
        options = [("--out", self.out), ("--class-maps", self.class_maps), ("--jsonl", jsonl)]
        options += [("--report", path) for path in self.reports]
        return [(option, path) for option, path in options if path is not None]

    def _check_collisions(
        self, named: Sequence[Tuple[str, str]], files: Sequence[str], picture_folders: Sequence[str]
    ) -> None:
        taken: Dict[str, str] = {os.path.realpath(path): "the input " + path for path in files}
        for folder in picture_folders:
            taken[os.path.realpath(folder)] = "the folder of the input"
        for option, path in named:
            real = os.path.realpath(path)
            if real in taken:
                raise UsageError(
                    "{} {}: is also {}, which would be overwritten".format(option, path, taken[real]),
                    hint="choose another name",
                )
            taken[real] = option

    def open(self, contract: Contract, source: FrameSource, opacity: float, legend: bool) -> List[Sink]:
        """The sinks for these paths; the report is none of them."""
        sinks: List[Sink] = []
        try:
            if self.out is not None and self.is_video:
                from ccc_jetson.runtime.sinks.video import OverlayVideo

                # A camera's frames are dropped when the network is slower, so its own rate would make a film too fast
                fps = None if source.live else source.fps or _PICTURES_FPS
                sinks.append(OverlayVideo(self.out, Overlay(contract, opacity, legend), fps))
            elif self.out is not None:
                from ccc_jetson.runtime.sinks.pictures import OverlayPictures

                sinks.append(OverlayPictures(self.out, Overlay(contract, opacity, legend)))
            if self.class_maps is not None:
                from ccc_jetson.runtime.sinks.pictures import ClassMaps, class_numbers

                sinks.append(ClassMaps(self.class_maps, class_numbers(contract, self.class_ids)))
            if self.jsonl is not None:
                from ccc_jetson.runtime.sinks.json_lines import JsonLines

                sinks.append(JsonLines(self.jsonl, contract))
        except BaseException:
            for sink in sinks:
                sink.abort()
            raise
        return sinks


def _check_folder(path: str, option: str) -> None:
    """Refuses a folder for pictures that could not be made or written to."""
    parent = os.path.dirname(os.path.abspath(path))
    if os.path.isfile(path):
        raise UsageError("{} {}: is a file, a folder is needed".format(option, path))
    if not os.path.isdir(parent):
        raise UsageError("{} {}: the folder {} does not exist".format(option, path, parent), "mkdir -p " + parent)
    if not os.access(path if os.path.isdir(path) else parent, os.W_OK):
        raise UsageError("{} {}: no permission to write there".format(option, path), "choose another folder")
