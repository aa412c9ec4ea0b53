"""The command behind ``scripts/board-report.sh``: everything about a board in one file to attach to an issue."""

import argparse
import os
import signal
import sys
from typing import Iterable, Iterator, Optional, Sequence, Tuple

from ccc_jetson.command import Parser, run_command
from ccc_jetson.shown_command import shown_command

PROG = "board-report.sh"
DEFAULT_MODEL, DEFAULT_FOLDER = "model.onnx", "board-report"
EXAMPLE = """scripts/board-report.sh model.onnx
scripts/board-report.sh --quick model.onnx
scripts/board-report.sh model.onnx --images test/ --labels testannot/ --mapping camvid --camera /dev/video0"""


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        PROG,
        "On a Jetson: looks at the board, builds the model's engines, judges, evaluates and benchmarks them in two\n"
        "power modes, and packs what was found into one file to attach to an issue: without frames, engines, names of\n"
        "the machine and its user, addresses or serial numbers. A step that fails is noted, and the others go on.\n"
        "Exit code: 0 where all is done or left out for a reason, 1 where a step failed, 130 after Ctrl-C.",
        EXAMPLE,
    )
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL.onnx", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="minutes, not hours: to see that it works; no figures")
    parser.add_argument("--folder", default=DEFAULT_FOLDER, help="for the work; default: %(default)s")
    parser.add_argument(
        "--out", metavar="FILE.tar.gz", help="default: board-report-BOARD-DATE.tar.gz beside the folder"
    )
    parser.add_argument("--images", metavar="DIR", help="labelled frames to evaluate on; else the golden frames")
    parser.add_argument("--labels", metavar="DIR", help="their label maps")
    parser.add_argument("--mapping", metavar="MAPPING", help="as for ccc-eval: camvid, trainids, labelids or FILE.json")
    parser.add_argument(
        "--calib", metavar="FILE|IMAGES", action="append", default=[], help="ranges or frames for INT8; may be repeated"
    )
    parser.add_argument("--camera", metavar="SOURCE", default="", help="try a camera as well: /dev/video0, csi://0")
    parser.add_argument("--no-sudo", action="store_true", help="leave the power mode alone")
    parser.add_argument("--checkout", metavar="DIR", default="", help=argparse.SUPPRESS)
    return parser


def main(
    argv: Optional[Sequence[str]] = None, root: str = "/", python: Tuple[str, ...] = (sys.executable or "python3",)
) -> int:
    """Entry point; returns the exit code.

    Args:
        root: of the files that describe the board.
        python: the words that start an interpreter for a step.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return run_command(build_parser(), lambda arguments: _work(arguments, words, root, python), words)


def _work(arguments: argparse.Namespace, words: Sequence[str], root: str, python: Tuple[str, ...]) -> int:
    from ccc_jetson.errors import UsageError
    from ccc_jetson.files import check_output
    from ccc_jetson.runtime.board_report.plan import Wishes
    from ccc_jetson.runtime.board_report.report import Request, make_report

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # In a shell's background it stays without effect here, but steps would inherit that, and could not be ended
        signal.signal(signal.SIGINT, lambda number, frame: None)
    if not os.path.isfile(arguments.model):
        raise UsageError(
            "{}: there is no such model".format(arguments.model),
            hint="on the workstation: ccc-export ckpt.pth model.onnx; then copy model.onnx here",
        )
    labelled = (arguments.images, arguments.labels, arguments.mapping)
    if any(labelled) and not all(labelled):
        raise UsageError("--images, --labels and --mapping belong together")
    out = os.path.abspath(arguments.out) if arguments.out else ""
    if out:
        if not out.endswith((".tar.gz", ".tgz")):
            raise UsageError("--out {}: an issue takes .tar.gz".format(arguments.out))
        check_output(out, [arguments.model], "--out")
    for path in [*arguments.calib, arguments.images, arguments.labels]:
        if path and not os.path.exists(path):
            raise UsageError("{}: there is no such file or folder".format(path))
    camera = _camera(arguments.camera)
    mapping = arguments.mapping or ""
    wishes = Wishes(
        python=python,
        quick=arguments.quick,
        checkout=os.path.abspath(arguments.checkout) if arguments.checkout else "",
        calib=tuple(os.path.abspath(each) for each in arguments.calib),
        images=os.path.abspath(arguments.images) if arguments.images else "",
        labels=os.path.abspath(arguments.labels) if arguments.labels else "",
        mapping=os.path.abspath(mapping) if mapping.endswith(".json") else mapping,
        camera=camera,
    )
    given = [arguments.model, arguments.folder, arguments.out, arguments.images, arguments.labels, mapping]
    given += [*arguments.calib, arguments.camera if os.path.exists(arguments.camera) else ""]
    command = shown_command(["scripts/board-report.sh", *_without_folders(_typed(words), given)])
    request = Request(
        os.path.abspath(arguments.model), wishes, os.path.abspath(arguments.folder), out, command,
        not arguments.no_sudo, root,
    )  # fmt: skip
    return make_report(request)


def _camera(source: str) -> str:
    """The source; of a file the whole path, for steps run in another folder.

    Raises:
        UsageError: it is no source, or there is no such file.
    """
    from ccc_jetson.errors import UsageError
    from ccc_jetson.runtime.source_grammar import PicturePaths, VideoPath, parse_source

    found = parse_source(source) if source else None
    if not isinstance(found, (VideoPath, PicturePaths)):
        return source
    path = found.path if isinstance(found, VideoPath) else found.paths[0]
    if not os.path.exists(path):
        raise UsageError("--camera {}: there is no such file or folder".format(path))
    return os.path.abspath(path)


def _without_folders(words: Iterable[str], paths: Sequence[Optional[str]]) -> Iterator[str]:
    """The words with the last name of each path in place of it: a report is read by anybody."""
    for word in words:
        option, separator, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if value and value in paths and not value.startswith("/dev/"):
            value = os.path.basename(os.path.abspath(value))
        yield option + separator + value


def _typed(words: Sequence[str]) -> Iterator[str]:
    """What the user has typed: ``--checkout DIR`` is the script's."""
    is_value = False
    for word in words:
        if word != "--checkout" and not is_value:
            yield word
        is_value = word == "--checkout"


if __name__ == "__main__":
    sys.exit(main())
