#!/usr/bin/env python3
"""Trains the demonstration network, CCC2 (C3Net with dilations 2, 3, 7, 13), on street scenes drawn on the fly.

Nothing is downloaded: every picture is painted by ccc_jetson.export.scenes from a seed. Training draws from
seeds of FIRST_TRAINING_SEED and more; the held-out seeds 0 to 49 are only ever looked at to report the accuracy.
With --steps the weights are a function of --seed (and of the machine's arithmetic); with --minutes they also depend
on how far the machine came. The state for --resume is kept in .train/ in the working directory; Ctrl-C saves it.
"""

import argparse
import io
import json
import math
import pickle
import platform
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from ccc_jetson.cityscapes import IGNORE, TRAIN_LABELS
from ccc_jetson.command import INTERRUPTED, Parser, run_command
from ccc_jetson.confusion import ConfusionMatrix
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.export.networks.c3net import C3Net
from ccc_jetson.export.networks.families import CITYSCAPES_BGR
from ccc_jetson.export.passes.weights import without_denormals
from ccc_jetson.export.scenes import street_scene
from ccc_jetson.files import translated_os_errors, write_bytes, write_text
from ccc_jetson.progress import Progress, say
from ccc_jetson.runtime.interrupts import FinishOnInterrupt

FIRST_TRAINING_SEED = 1_000_000
HELD_OUT_SEEDS = range(50)
QUICK_SEEDS = range(8)
WIDTH, HEIGHT = 1024, 512  # what the network is deployed at

CLASSES = 20  # Cityscapes' 19 train ids, and void, which is never a target
SCORED = len(TRAIN_LABELS)
NAMES = tuple(label.name for label in TRAIN_LABELS)

LEARNING_RATE = 2e-3
WEIGHT_DECAY = 2e-4
EMA_STEPS = 150


class Phase(NamedTuple):
    """A part of the training: from which share of it on, picture size, pictures per step."""

    begin: float
    width: int
    height: int
    batch: int


PHASES = (Phase(0.0, 512, 256, 4), Phase(0.45, 768, 384, 2), Phase(0.7, 1024, 512, 2))

# The log of how often a class is seen, turned into a mild weight: rare and thin classes count more.
WEIGHTS = torch.ones(CLASSES)
WEIGHTS[[3, 4, 5, 6, 7, 9, 11, 12, 14, 15, 17, 18]] = torch.tensor(
    [2.0, 2.0, 2.5, 3.0, 3.0, 1.5, 2.5, 3.0, 2.0, 1.5, 3.0, 3.0]
)


class DrawnScenes(Dataset):
    """Scenes by their number: the same number is the same picture, whoever draws it."""

    def __init__(self, seed: int, phase: Phase, count: int) -> None:
        self.seed, self.phase, self.count = seed, phase, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Picture (H, W, 3) uint8 BGR and labels (H, W) uint8, flipped and tinted by chance."""
        rng = np.random.default_rng([self.seed, number])
        town = FIRST_TRAINING_SEED + int(rng.integers(1 << 40))
        scene = street_scene(town, self.phase.width, self.phase.height, float(rng.uniform(0, 8)))
        frame, labels = scene.frame, scene.labels
        if rng.random() < 0.5:
            frame, labels = frame[:, ::-1], labels[:, ::-1]
        frame = jitter(rng, np.ascontiguousarray(frame))
        return torch.from_numpy(frame), torch.from_numpy(np.ascontiguousarray(labels))


def jitter(rng: np.random.Generator, frame: np.ndarray) -> np.ndarray:
    """Changes exposure, contrast and colour a little; uint8 to uint8."""
    gain = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.05, 3))
    table = np.clip(np.arange(256.0)[:, None] * gain + rng.normal(0, 8), 0, 255).astype(np.uint8).reshape(256, 1, 3)
    frame = cv2.LUT(frame, table)
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        keep = rng.uniform(0.3, 1.2)
        frame = cv2.addWeighted(frame, keep, grey, 1 - keep, 0)
    return frame


def normalise(frames: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 BGR -> (N, 3, H, W) float32 as the paper does it, channels last in memory."""
    mean = torch.tensor(CITYSCAPES_BGR.mean)
    divisor = torch.tensor([std / CITYSCAPES_BGR.scale for std in CITYSCAPES_BGR.std])
    return ((frames.float() - mean) / divisor).permute(0, 3, 1, 2)


def build_network() -> tuple[C3Net, list[dict]]:
    """The network with its first weights, and the parameter groups of the optimiser.

    The paper divides the normalised image by 255 once more. What reads the image itself (the first convolution, and
    the image channels of two BatchNorms, whose epsilon outweighs the variance of such inputs) starts larger by
    that factor and learns faster by it, so that the first steps are not spent on finding the scale.
    """
    network = C3Net(classes=CLASSES, p=2, q=8, dilations=(2, 3, 7, 13))
    first = network.encoder.level1.conv.weight
    scales = [network.encoder.b1.bn.weight, network.encoder.b2.bn.weight]
    with torch.no_grad():
        first.mul_(255.0)
        for weight in scales:
            weight[-3:] = 8.0
    plain = [p for p in network.parameters() if p is not first and p.ndim < 2]
    decayed = [p for p in network.parameters() if p is not first and p.ndim >= 2]
    groups = [
        {"params": [first], "weight_decay": 0.0, "scale": 255.0},
        {"params": plain, "weight_decay": 0.0, "scale": 1.0},
        {"params": decayed, "weight_decay": WEIGHT_DECAY, "scale": 1.0},
    ]
    return network.to(memory_format=torch.channels_last), groups


def hard_loss(logits: Tensor, labels: Tensor, kept: float) -> Tensor:
    """Weighted cross entropy over the ``kept`` share of the pixels that are hardest, labels (N, H, W)."""
    losses = functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none").flatten()
    targets = labels.flatten()
    weight = torch.where(targets == IGNORE, 0.0, WEIGHTS[targets.clamp(max=CLASSES - 1)])
    if kept < 1:
        with torch.no_grad():
            bar = torch.quantile(losses[:: max(losses.numel() // 20_000, 1)], 1 - kept)
            weight = weight * (losses >= bar)
    return (losses * weight).sum() / weight.sum().clamp(min=1.0)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, step: int) -> None:
    """Moves the averaged weights and BatchNorm statistics towards the network's."""
    share = max(1 / EMA_STEPS, 1 / (step + 1))
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, share)
        else:
            mean.copy_(value)


@torch.no_grad()
def held_out(network: nn.Module, seeds: Sequence[int], width: int = WIDTH, height: int = HEIGHT) -> tuple[float, ...]:
    """Intersection over union of the 19 classes on held-out scenes, counted as ccc-eval does."""
    network.eval()
    confusion = ConfusionMatrix(SCORED)
    with Progress("held-out scenes", len(seeds)) as progress:
        for seed in seeds:
            scene = street_scene(seed, width, height)
            guess = network(normalise(torch.from_numpy(scene.frame)[None]))[0].argmax(0)
            confusion.add(scene.labels, guess.numpy().astype(np.uint8))
            progress.step()
    return confusion.scores().iou


def load_state(
    path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, int, float]:
    """Loads what ``--resume`` goes on from; returns the steps, the scenes drawn, and the seconds spent so far."""
    if not path.is_file():
        raise FileProblem(f"{path}: there is no state to resume from", hint="leave --resume away")
    try:
        state = torch.load(path, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        return state["step"], state["drawn"], state["spent"]
    except (EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise FileProblem(
            f"{path}: damaged, or no state of this training", hint="leave --resume away to begin anew"
        ) from error


def write_weights(path: Path, network: nn.Module, about: dict) -> None:
    """Writes the weights as safetensors, denormals flushed to zero, and ``about`` as JSON beside them."""
    tensors = {}
    for name, value in network.state_dict().items():
        if value.dtype.is_floating_point:
            value = torch.from_numpy(without_denormals(value.numpy())[0])
        tensors[name] = value.contiguous().clone()
    write_bytes(str(path), save(tensors, metadata={"network": "ccc2"}))
    write_text(str(path.with_suffix(".json")), json.dumps(about, indent=2) + "\n")


def command_line(resume: bool) -> str:
    """The command that started this, with or without ``--resume``."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    return shlex.join(["python", "demo/train.py", *words, *(["--resume"] if resume else [])])


def describe(args: argparse.Namespace, step: int, iou: Sequence[float], seeds: Sequence[int]) -> dict:
    """What the JSON beside the weights says."""
    return {
        "network": "ccc2: C3Net(classes=20, p=2, q=8, dilations=(2, 3, 7, 13))",
        "seed": args.seed,
        "steps": step,
        "held_out_seeds": f"{seeds[0]}..{seeds[-1]}",
        "held_out_size": f"{WIDTH}x{HEIGHT}",
        "held_out_miou": round(float(np.nanmean(iou)), 4),
        "held_out_iou": {n: None if math.isnan(v) else round(float(v), 4) for n, v in zip(NAMES, iou, strict=True)},
        "command": command_line(resume=False),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    }


def start_worker(_number: int) -> None:
    """A drawing process uses one thread, and leaves Ctrl-C to the one that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def train(args: argparse.Namespace) -> int:
    """Runs the training that the command line asked for; returns the exit code."""
    if not (args.steps or args.minutes or 0) > 0:
        raise UsageError("--steps or --minutes must be more than 0")
    for name, least in (("seed", 0), ("threads", 1), ("workers", 0)):
        if getattr(args, name) < least:
            raise UsageError(f"--{name} must be {least} or more")
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    cv2.setNumThreads(1)
    out = Path(args.out)
    checkpoint = Path(args.state) / f"{out.stem}.pt"
    for folder in (out.parent, checkpoint.parent):
        with translated_os_errors(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
    network, groups = build_network()
    average, _ = build_network()
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    step = drawn = 0
    spent = 0.0
    if args.resume:
        step, drawn, spent = load_state(checkpoint, network, average, optimiser)
        print(f"resumed at step {step} after {spent / 60:.1f} minutes", flush=True)
    begin = time.monotonic() - spent
    saved = logged = time.monotonic()

    def progress() -> float:
        if args.steps:
            return step / args.steps
        return (time.monotonic() - begin) / (60 * args.minutes)

    def keep() -> None:
        state = {
            "network": network.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "drawn": drawn,
            "spent": time.monotonic() - begin,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_bytes(str(checkpoint), buffer.getvalue())

    print("step  minutes  size      lr        loss    pixels right", flush=True)
    total = right = seen = losses = 0.0
    with FinishOnInterrupt(lambda: say("finishing this step and saving the state; once more stops at once")) as wish:
        for phase, following in zip(PHASES, [*(p.begin for p in PHASES[1:]), 1.0], strict=True):
            if progress() >= following or wish.received:
                continue
            scenes = DrawnScenes(args.seed, phase, 1 << 31)
            loader = DataLoader(
                scenes,
                batch_size=phase.batch,
                sampler=range(drawn, 1 << 31),
                num_workers=args.workers,
                worker_init_fn=start_worker,
                prefetch_factor=4 if args.workers else None,
            )
            for frames, labels in loader:
                done = progress()
                if done >= following or wish.received:
                    break
                network.train()
                warm = min(1.0, (step + 1) / 100)
                rate = LEARNING_RATE * warm * max((1 - done), 0.004) ** 0.9
                for group in optimiser.param_groups:
                    group["lr"] = rate * group["scale"]
                logits = network(normalise(frames))
                labels = labels.long()
                loss = hard_loss(logits, labels, 1.0 if done < 0.15 else 0.5)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(groups[1]["params"] + groups[2]["params"], 5.0)
                optimiser.step()
                step += 1
                drawn += phase.batch
                follow(average, network, step)
                with torch.no_grad():
                    sample = labels[:, ::4, ::4]
                    valid = sample != IGNORE
                    right += float((logits[:, :, ::4, ::4].argmax(1) == sample)[valid].sum())
                    seen += float(valid.sum())
                    total += float(loss)
                    losses += 1
                now = time.monotonic()
                if now - logged > args.log_seconds:
                    size = f"{phase.width}x{phase.height}"
                    minutes = (now - begin) / 60
                    print(
                        f"{step:<5} {minutes:7.1f}  {size:8}  {rate:.2e}  {total / losses:6.3f}  {right / seen:6.3f}",
                        flush=True,
                    )
                    total = right = seen = losses = 0.0
                    logged = now
                if now - saved > 60 * args.save_minutes:
                    iou = held_out(average, QUICK_SEEDS)
                    write_weights(out, average, describe(args, step, iou, QUICK_SEEDS))
                    keep()
                    print(
                        f"step {step}: mIoU on {len(QUICK_SEEDS)} held-out scenes {np.nanmean(iou):.4f}; written",
                        flush=True,
                    )
                    saved = time.monotonic()
            del loader
    keep()
    if wish.received:
        say(f"the state after {step} steps is in {checkpoint}; to go on:\n  {command_line(resume=True)}")
        return INTERRUPTED
    say(f"trained, and the state is in {checkpoint}; scoring the held-out scenes")
    iou = held_out(average, HELD_OUT_SEEDS)
    write_weights(out, average, describe(args, step, iou, HELD_OUT_SEEDS))
    for name, value in zip(NAMES, iou, strict=True):
        print(f"{name:<14} {value:.4f}")
    print(f"mIoU on {len(HELD_OUT_SEEDS)} held-out scenes after {step} steps: {np.nanmean(iou):.4f}; {out}", flush=True)
    return 0


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        "train.py",
        __doc__,
        "python demo/train.py --seed 1 --minutes 60 --threads 4\n"
        "python demo/train.py --seed 1 --steps 2500 --threads 4 --out demo/weights/ccc2_scenes.safetensors",
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="train for about this long")
    length.add_argument("--steps", type=int, help="train for this many steps; the result then depends on --seed alone")
    parser.add_argument("--seed", type=int, default=1, help="of the first weights and of the order of the scenes")
    parser.add_argument("--threads", type=int, default=1, help="threads that train (default 1)")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw scenes (default 1)")
    parser.add_argument("--out", default="demo/weights/ccc2_scenes.safetensors", help="where the weights go")
    parser.add_argument("--state", default=".train", help="folder of the state for --resume (default .train)")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --state")
    parser.add_argument("--save-minutes", type=float, default=10, help="write the weights this often (default 10)")
    parser.add_argument("--log-seconds", type=float, default=30, help="print the loss this often (default 30)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(build_parser(), train, argv)


if __name__ == "__main__":
    sys.exit(main())
