"""A network ready to run, for programs of one's own: frames in, class maps out.

What ``ccc-run`` does with three threads happens here in the caller's one, a frame at a time. This module is a part of
``import ccc_jetson``, so numpy and all else is imported where it is used.
"""

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Optional, Sequence, Tuple, Union

from ccc_jetson.choices import FITS
from ccc_jetson.command import as_option, count_from
from ccc_jetson.errors import BackendError, UsageError
from ccc_jetson.files import path_of
from ccc_jetson.progress import silent
from ccc_jetson.runtime.gpu_arguments import memory_policies

if TYPE_CHECKING:
    import numpy as np

    from ccc_jetson.contract import Contract
    from ccc_jetson.runtime.backends import Backend
    from ccc_jetson.runtime.frames import Frame
    from ccc_jetson.runtime.overlay import Overlay

_BGR = "BGR"


class Segmenter:
    """A network for segmentation that is loaded and ready: ``classes = segmenter(frame)``.

    Open it with ``from_file``, in a ``with`` block, and use it in the thread that opened it, one frame at a time: on a
    GPU it owns a CUDA context, which is a thread's. Two networks, or two threads, take two of them.
    """

    def __init__(self, backend: "Backend", fit: str, say: Callable[[str], None]) -> None:
        """``from_file`` makes it, of a backend that was opened in this thread."""
        self._backend: "Optional[Backend]" = backend
        self._fit, self._say = fit, say
        self._thread = threading.current_thread()
        # a process with a CUDA context that nobody ended would end in an abort
        self._end = weakref.finalize(self, _ended, backend, self._thread)
        self._painter: "Optional[Tuple[Tuple[float, bool], Overlay]]" = None  # the last one: it has a picture's memory
        self._seconds: Dict[str, float] = {}
        self._contract, self._description = backend.contract, backend.description

    @classmethod
    def from_file(
        cls,
        model: "Optional[Union[str, os.PathLike[str]]]" = None,
        *,
        fit: str = FITS[0],
        threads: int = 0,
        contract: "Optional[Union[str, os.PathLike[str]]]" = None,
        cuda_graph: bool = True,
        memory: Sequence[Tuple[str, str]] = (),
        say: Optional[Callable[[str], None]] = None,
    ) -> "Segmenter":
        """Loads a model into this thread: an engine on the GPU, an ONNX file on the CPU.

        Costs what loading costs: a fraction of a second on a CPU, on a board the seconds in which TensorRT and CUDA
        start; the first frame of a size then has memory made for it, see ``warm_up``.

        Args:
            model: an engine or ONNX file; by default ``model.engine`` where this machine can run it, else
                ``model.onnx``, in the current folder.
            fit: how frames of other proportions meet the network: ``stretch`` (as ``ccc-eval``), ``crop`` (as
                ``ccc-run`` does a camera's) or ``letterbox``.
            threads: of the CPU; 0 takes all cores.
            contract: a file for models that something else exported.
            cuda_graph: whether an engine on a GPU may use one, where that is faster.
            memory: (name, policy) that are forced there, as ``("input", "mapped")``.
            say: told what there is to say, as of an engine that was built on another board.

        Raises:
            CccError: the model is missing, damaged, of another machine, or classifies whole pictures.
        """
        from ccc_jetson.contract import read_contract_json
        from ccc_jetson.runtime.backends import GpuOptions, choose_model, contract_of_model, open_backend

        if fit not in FITS:
            raise UsageError("fit: {!r} is none of {}".format(fit, ", ".join(FITS)))
        policies = memory_policies(memory)
        used = as_option("threads", threads, count_from(0)) or 0
        given = None if contract is None else read_contract_json(path_of("contract", contract))
        path = choose_model(None if model is None else path_of("model", model), contract=given).path
        if contract_of_model(path, given).is_classifier:
            raise UsageError(
                "{}: classifies whole pictures, and gives their pixels no classes".format(path),
                hint="ccc-run --model {} --images FOLDER shows what it finds".format(path),
            )
        gpu = GpuOptions(cuda_graph=cuda_graph, memory=policies, serial=True)
        tell = say or silent
        return cls(open_backend(path, fit, given, used, gpu=gpu, tell=tell), fit, tell)

    def __call__(self, frame: "np.ndarray", pixel_format: str = _BGR) -> "np.ndarray":
        """A frame of any size -> its class map, (H, W) uint8 at the network's size, in memory of its own.

        The numbers count ``class_names``; for networks of Cityscapes they are its train ids, and what is not one of its
        classes comes after them.

        Args:
            frame: (h, w, 3) uint8, blue first as OpenCV reads pictures; it is neither kept nor changed.
            pixel_format: ``BGR``, ``RGB``, or as cameras give frames ``NV12`` (h * 3 / 2, w) or ``YUYV`` (h, w, 2).

        Raises:
            CccError: it is no such frame, this is another thread, or the segmenter is closed.
        """
        from ccc_jetson.runtime.backends import Segmentation

        backend = self._opened()
        _check_frame(frame, pixel_format)
        found = backend.infer(frame, pixel_format)
        assert isinstance(found, Segmentation), "from_file refuses classifiers"
        self._seconds = found.seconds
        return found.class_map

    def stream(
        self, source: str, *, limit: Optional[int] = None, raw: bool = False
    ) -> "Iterator[Tuple[Frame, np.ndarray]]":
        """Frames of a source with their class maps, one after the other in this thread.

        A camera's newest frame is taken each time, and what came meanwhile is dropped; of a file none is. ``ccc-run``
        overlaps capture, network and output.

        Args:
            source: as for ``ccc-run``: ``/dev/video0``, ``csi://0``, ``rtsp://...``, ``drive.mp4``, ``frames/``.
            limit: frames at most.
            raw: frames as the camera has them, in their ``pixel_format``; less work for a CPU where a GPU takes them.

        Yields:
            The frame (``image`` (h, w, 3) uint8 BGR, ``name``, ``captured_s``) and its class map.

        Raises:
            CccError: the source cannot be opened or read, or as for a call.
        """
        from ccc_jetson.runtime.frames.opening import open_source
        from ccc_jetson.runtime.source_grammar import parse_source

        with open_source(parse_source(source), raw, tell=self._say) as frames:
            if frames.size is not None:
                self.warm_up(frames.size, frames.pixel_format)
            done = 0
            while done != limit:
                frame = frames.read()
                if frame is None:
                    break
                yield frame, self(frame.image, frame.pixel_format)
                done += 1

    def warm_up(self, size: Optional[Tuple[int, int]] = None, pixel_format: str = _BGR) -> None:
        """Prepares for frames of a size (width, height), the network's by default, so that the first is no slower.

        On a GPU memory is made and, once for an engine, the fastest way tried and remembered beside it.
        """
        self._opened().warm_up(size, pixel_format)

    def at_frame_size(self, classes: "np.ndarray", size: Tuple[int, int]) -> "np.ndarray":
        """A class map -> (h, w) uint8 for a frame of this (width, height), nearest; 255 where ``crop`` saw nothing."""
        from ccc_jetson.preprocess import class_map_for_frame, fitting

        self._check_classes(classes)
        return class_map_for_frame(classes, fitting(size, self.size, self._fit))

    def colors(self, classes: "np.ndarray") -> "np.ndarray":
        """A class map -> (H, W, 3) uint8 BGR in the colours of its classes."""
        from ccc_jetson.opencv import import_cv2
        from ccc_jetson.runtime.overlay import palette_bgr

        self._check_classes(classes)
        return import_cv2().applyColorMap(classes, palette_bgr(self.contract))

    def overlay(
        self,
        frame: "np.ndarray",
        classes: "np.ndarray",
        *,
        opacity: float = 0.5,
        legend: bool = False,
        pixel_format: str = _BGR,
    ) -> "np.ndarray":
        """The frame with its class map in colours over it, (h, w, 3) uint8 BGR, in memory of its own.

        Args:
            frame: as for the call.
            classes: what the call gave for it.
            opacity: of the colours, 0 (the frame alone) to 1.
            legend: list the classes in a corner.
            pixel_format: as for the call.
        """
        from ccc_jetson.preprocess import fitting
        from ccc_jetson.runtime.backends import Segmentation
        from ccc_jetson.runtime.frames import Frame
        from ccc_jetson.runtime.overlay import Overlay

        if not 0 <= opacity <= 1:
            raise UsageError("opacity: {!r} is not from 0 to 1".format(opacity))
        self._check_classes(classes)
        geometry = fitting(_check_frame(frame, pixel_format), self.size, self._fit)
        wish = (opacity, legend)
        if self._painter is None or self._painter[0] != wish:
            self._painter = (wish, Overlay(self.contract, opacity, legend))
        return self._painter[1](Frame(0, "", frame, 0.0, pixel_format), Segmentation(classes, geometry, {})).copy()

    def shares(self, classes: "np.ndarray") -> Dict[str, float]:
        """The share of the pixels of each class that occurs in a class map, the largest first."""
        from ccc_jetson.runtime.overlay import class_shares, pixel_counts

        self._check_classes(classes)
        return dict(class_shares(pixel_counts(classes), self.contract))

    @property
    def contract(self) -> "Contract":
        """What the network expects and gives, as it was exported."""
        return self._contract

    @property
    def class_names(self) -> Tuple[str, ...]:
        """The name of each number in a class map."""
        return self._contract.class_names

    @property
    def size(self) -> Tuple[int, int]:
        """(width, height) of the network's input, and of class maps."""
        return self._contract.input.width, self._contract.input.height

    @property
    def description(self) -> str:
        """What runs where, in a line."""
        return self._description

    @property
    def seconds(self) -> Dict[str, float]:
        """What the last call spent on ``preprocess``, ``infer`` and ``postprocess``, as far as the backend can tell."""
        return dict(self._seconds)

    def close(self) -> None:
        """Frees everything, in the thread that opened it, as ``with`` and a program's end do; may be called twice."""
        if self._backend is not None:
            self._check_thread()
            self._backend = None
            self._end()

    def __enter__(self) -> "Segmenter":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _opened(self) -> "Backend":
        if self._backend is None:
            raise BackendError(
                "this segmenter is closed", hint="use it inside its with block, or open another: Segmenter.from_file"
            )
        self._check_thread()
        return self._backend

    def _check_thread(self) -> None:
        if not _is_this_one(self._thread):
            raise UsageError(
                "this segmenter was opened in another thread, and belongs to it",
                hint="hand frames to that thread through a queue, or open a Segmenter in each thread",
            )

    def _check_classes(self, classes: "np.ndarray") -> None:
        import numpy as np

        if not isinstance(classes, np.ndarray) or classes.dtype != np.uint8 or classes.shape != self.size[::-1]:
            raise UsageError(
                "a class map of this network is {} uint8, this is {}".format(self.size[::-1], _shown(classes)),
                hint="take what segmenter(frame) gave",
            )


def _ended(backend: "Backend", thread: threading.Thread) -> None:
    """Closes what was forgotten, where that is possible: in its own thread."""
    if _is_this_one(thread):
        backend.close()


def _is_this_one(thread: threading.Thread) -> bool:
    """Whether it runs this line.

    Idents are given again to later threads, but not while the first one lives; the main thread is not alive any more
    when a program ends. ``current_thread`` alone would not know a thread whose local objects are being freed, which is
    when a segmenter among them is closed.
    """
    return thread.ident == threading.get_ident() and (thread.is_alive() or thread is threading.current_thread())


def _check_frame(frame: Any, pixel_format: str) -> Tuple[int, int]:
    """(width, height) of a frame; what is wrong with it, and the line that mends it, where it is none."""
    import numpy as np

    from ccc_jetson.runtime.pixels import frame_size

    try:
        if isinstance(frame, np.ndarray):
            return frame_size(frame, pixel_format)
        problem = "a frame is a numpy array, this is {}".format(_shown(frame))
    except UsageError as error:
        problem = str(error)
    raise UsageError(problem, hint=_cure(frame, pixel_format))


def _cure(frame: Any, pixel_format: str) -> str:
    """The line that makes a frame of what was given instead of one."""
    if frame is None:
        return "cv2.imread and VideoCapture.read give None for what they cannot read: look at the path or the camera"
    if not hasattr(frame, "dtype"):
        return 'numpy.asarray(picture)[..., :3] of a PIL image, with pixel_format="RGB"'
    if frame.dtype != "uint8":
        return "pixels are 0 to 255: frame.astype(numpy.uint8), or (255 * frame).astype(numpy.uint8) from 0 to 1"
    if pixel_format == _BGR and frame.ndim == 2:
        return "cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)"
    if pixel_format == _BGR and frame.ndim == 3 and frame.shape[2] == 4:
        return "cv2.cvtColor(frame, cv2.COLOR_BGRA2BGR)"
    if frame.ndim == 4:
        return "one frame at a time: for frame in frames"
    return "cv2.imread(path) gives such a frame"


def _shown(value: Any) -> str:
    if hasattr(value, "dtype"):
        return "{} {}".format(value.shape, value.dtype)
    return type(value).__name__
