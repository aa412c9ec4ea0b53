"""What FP16 would do to a network: simulated at export, carried in the contract, shown to people."""

from typing import NamedTuple, Optional, Tuple


class HalfPrecision(NamedTuple):
    """What FP16 would do to the network, simulated at export on ``frames`` real frames (see ``export/half_report.py``).

    ``agreement`` is the share of pixels that get FP32's class, ``decided`` the same over the 90 % of each frame's
    pixels with the largest FP32 margin: mean over the frames, and worst frame. A classifier's frame has its class or
    not; ``decided`` is the share of frames whose class FP32 found as good as its own (``golden.is_close``). ``miou`` of
    FP32 and FP16 where labels were given. ``largest_activation`` is over two of the frames. ``safe`` says whether
    export found it good enough.
    """

    frames: int
    agreement: float
    agreement_worst: float
    decided: float
    decided_worst: float
    miou_fp32: Optional[float]
    miou_fp16: Optional[float]
    largest_weight: float
    largest_activation: float
    safe: bool

    def sentences(self, of_pictures: bool = False) -> Tuple[str, ...]:
        """For people: agreement, mIoU where labels were given, sizes and verdict; ``of_pictures`` for a classifier."""
        found = [
            "simulated on {} frames: same class for {:.3%} (worst frame {:.3%}), over the 90% with the largest "
            "margin {:.3%} (worst {:.3%})".format(
                self.frames, self.agreement, self.agreement_worst, self.decided, self.decided_worst
            )
        ]
        if of_pictures:
            found = [
                "simulated on {} pictures: same class for {:.0f}, the same or one as good for {:.0f}".format(
                    self.frames, self.frames * self.agreement, self.frames * self.decided
                )
            ]
        if self.miou_fp32 is not None and self.miou_fp16 is not None:
            found.append("mIoU {:.4f} in FP32, {:.4f} in FP16".format(self.miou_fp32, self.miou_fp16))
        found.append(
            "largest weight {:.6g}, activation {:.6g}, of 65,504; {}".format(
                self.largest_weight,
                self.largest_activation,
                "safe" if self.safe else "NOT SAFE: build with --fp32, or keep layers in FP32",
            )
        )
        return tuple(found)
