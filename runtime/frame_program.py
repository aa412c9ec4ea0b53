"""What is queued for one frame: the pre kernel, the engine, the head, the overlay."""

from typing import List, Optional, Sequence, Tuple

from ccc_jetson.engines.gate import output_name
from ccc_jetson.engines.manifest import FEATURES, LOGITS, Binding
from ccc_jetson.engines.opening import OpenedEngine
from ccc_jetson.errors import BackendError
from ccc_jetson.preprocess import Fitting
from ccc_jetson.runtime.gpu import Gpu
from ccc_jetson.runtime.input_program import InputProgram
from ccc_jetson.runtime.kernels import head_launches, launches
from ccc_jetson.runtime.kernels.launches import Launch
from ccc_jetson.runtime.pixels import chroma_offset
from ccc_jetson.runtime.slots import FrameKind, Slot


class FrameProgram:
    """The work of a frame for one engine; keeps its tables on the GPU.

    Args:
        gpu: with the kernels loaded.
        opened: the engine; its input and output say in which types the kernels write and read.
        fit: how frames of other proportions meet the input.
        opacity: 0 to 1, of the classes' colours in an overlay; None draws none.

    Raises:
        BackendError: there are no kernels for this input or output, or no memory is left.
    """

    def __init__(self, gpu: Gpu, opened: OpenedEngine, fit: str, opacity: Optional[float]) -> None:
        self._gpu, self._opened = gpu, opened
        self._opacity = None if opacity is None else round(opacity * launches.OPAQUE)
        self._given = InputProgram(gpu, opened, fit)
        self.size = self._given.size
        self.output = _output_of(opened)
        self._addresses = opened.engine.addresses
        self._weights = self._palette = 0
        if opened.output == FEATURES and opened.head is not None:
            self._weights = int(gpu.constant(head_launches.pack_deconv(opened.head)))
        if self._opacity is not None:
            self._palette = int(gpu.constant(launches.palette_words(opened.contract)))

    @property
    def draws(self) -> bool:
        """Whether there is an overlay."""
        return self._opacity is not None

    def picture_size(self, kind: FrameKind) -> int:
        """Bytes of a frame's overlay; 0 without one."""
        return 3 * kind.width * kind.height if self.draws else 0

    def fit_to(self, kind: FrameKind) -> Fitting:
        """Makes the tables those of a kind of frames; what is under way with others is waited for."""
        return self._given.fit_to(kind)

    def queue(self, slot: Slot, kind: FrameKind, marks: bool = True) -> None:
        """Queues all that is computed of the frame in a slot; ``fit_to`` its kind, and its upload, come first.

        Args:
            marks: whether the slot's events tell the stages apart.
        """
        if slot.launches is None or slot.launches[0] != kind:  # making them takes a slow core a while
            slot.launches = (kind, self._launches(slot, kind))
        pre, after = slot.launches[1][0], slot.launches[1][1:]
        self._gpu.launch(pre)
        if marks:
            self._gpu.mark(slot.prepared)
        self._opened.engine.enqueue(self._gpu.stream)
        if marks:
            self._gpu.mark(slot.inferred)
        for launch in after:
            self._gpu.launch(launch)

    def _launches(self, slot: Slot, kind: FrameKind) -> List[Launch]:
        """What comes before the engine, then what comes after it."""
        found = [self.pre(slot.input.address, kind), self.head(slot.class_map.address)]
        if self.draws:
            found.append(self.overlay(slot.input.address, slot.class_map.address, slot.picture.address, kind))
        return found

    def pre(self, frame: int, kind: FrameKind) -> Launch:
        """From the frame at an address to the engine's input."""
        return self._given.pre(frame, kind)

    def head(self, class_map: int) -> Launch:
        """From the engine's output to the class map at an address."""
        output, (width, height) = self.output, self.size
        values = self._addresses[output.name]
        if self._opened.output == FEATURES:
            return self._feature_head(values, class_map)
        if self._opened.output == LOGITS:
            return head_launches.argmax(output.dtype, values, output.shape[1], width * height, class_map)
        return head_launches.narrow(output.dtype, values, width * height, class_map)

    def _feature_head(self, features: int, class_map: int) -> Launch:
        head, dtype, (_, channels, height, width) = self._opened.contract.head, self.output.dtype, self.output.shape
        assert head is not None
        if self._weights:
            return head_launches.head_deconv(
                dtype, features, self._weights, head.channels_in, head.channels_out, height, width, class_map
            )
        return head_launches.head_bilinear(
            dtype, features, channels, height, width, self.size[1], self.size[0], head.align_corners, class_map
        )

    def overlay(self, frame: int, class_map: int, picture: int, kind: FrameKind) -> Launch:
        """From frame and class map to the picture at an address."""
        assert self._opacity is not None
        geometry = self._given.fitted(kind)
        return launches.overlay(
            kind.pixel_format,
            frame,
            kind.pitch,
            chroma_offset(kind.shape, kind.pixel_format),
            (kind.width, kind.height),
            class_map,
            self.size[0],
            geometry.source,
            geometry.target,
            self._palette,
            self._opacity,
            picture,
            3 * kind.width,
        )


def _output_of(opened: OpenedEngine) -> Binding:
    """The output that classes are made of, if it is as large as the kernels will read it; there may be others."""
    contract, name = opened.contract, output_name(opened.contract, opened.output)
    height, width = contract.input.height, contract.input.width
    shapes: List[Tuple[int, ...]]
    if opened.output == FEATURES and contract.head is not None:
        scale = contract.head.scale
        shapes = [(1, contract.head.channels_in, height // scale, width // scale)]
    elif opened.output == LOGITS:
        shapes = [(1, len(contract.classes), height, width)]
    else:
        shapes = [(1, height, width), (1, 1, height, width)]
    for binding in opened.engine.outputs:
        if binding.name == name and binding.shape in shapes:
            return binding
    raise BackendError(
        "the engine gives {}, its contract names {!r} of {}".format(
            ", ".join("{!r} of {}".format(each.name, _sizes(each.shape)) for each in opened.engine.outputs),
            name,
            " or ".join(map(_sizes, shapes)),
        ),
        hint="is it the right contract? ccc-build-engine writes engines that bring their own",
    )


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
