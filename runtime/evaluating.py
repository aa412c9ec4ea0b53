"""A model over labelled frames, from its file to the report: the work behind ``ccc-eval``."""

import shlex
import time
from typing import Any, Callable, NamedTuple, Optional, Tuple

from ccc_jetson.contract import Contract
from ccc_jetson.datasets import Dataset
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import sha256_of
from ccc_jetson.runtime.backends import GpuOptions, ModelChoice, contract_of_model, open_backend
from ccc_jetson.runtime.eval_report import EvalReport
from ccc_jetson.runtime.eval_state import StateFile, fingerprint
from ccc_jetson.runtime.evaluation import Evaluation, Scored, Tally
from ccc_jetson.runtime.metrics import machine
from ccc_jetson.runtime.report import Model
from ccc_jetson.shown_command import shown_command

Say = Callable[[str], None]


class EvalOptions(NamedTuple):
    """What may be chosen; ``fit`` and ``eval_size`` are of ``choices``, the rest as ``open_backend`` and ``Evaluation``
    take it. ``resume`` is a file that keeps what is done, ``command`` the words of a command line."""

    fit: str = "stretch"
    eval_size: str = "network"
    skip_unreadable: bool = False
    contract: Optional[Contract] = None
    threads: int = 0
    gpu: GpuOptions = GpuOptions(serial=True)
    resume: Optional[str] = None
    command: Tuple[str, ...] = ()


def evaluate_model(
    choice: ModelChoice,
    dataset: Dataset,
    options: EvalOptions,
    say: Say,
    on_frame: Optional[Callable[[int, int, float], None]] = None,
    on_scored: Optional[Callable[[Scored], Any]] = None,
) -> EvalReport:
    """Evaluates; whatever ends it early, what is done is kept where there is a file for it.

    Args:
        choice: the model.
        dataset: the frames.
        options: how.
        say: told what is evaluated, and where it was left.
        on_frame: called before the first frame and after each with frames done, all frames, and the mIoU so far.
        on_scored: called with each frame that was counted.

    Raises:
        UsageError: a classifier, or the state of another evaluation.
        CccError: as ``open_backend`` and ``Evaluation``.
    """
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if contract_of_model(choice.path, options.contract).is_classifier:
        raise UsageError(
            "{}: classifies whole pictures, and what is evaluated here are the classes of pixels".format(choice.path),
            hint="ccc-run --model {} --images FOLDER shows what it finds".format(choice.path),
        )
    wants_logits = options.eval_size == "full"
    with open_backend(
        choice.path, options.fit, options.contract, options.threads, wants_logits, options.gpu, say
    ) as backend:
        model = Model(choice.path, sha256_of(choice.path), choice.reason, backend.contract)
        remarks = tuple(dataset.mapping.remarks(backend.contract))
        say("model: {} ({}), on {}".format(model.path, model.reason, backend.description))
        say("frames: {} of {}, fit: {}".format(len(dataset.samples), dataset.title, options.fit))
        for note in (*dataset.notes, *remarks):
            say("note: " + note)
        evaluation = Evaluation(backend, dataset, options.fit, options.eval_size, options.skip_unreadable, on_scored)
        state = _state(options.resume, model, evaluation, say)
        done_before = evaluation.frames
        _run(evaluation, state, options.command, say, on_frame)
        return EvalReport(
            started=started,
            machine=machine(),
            model=model,
            backend=backend.description,
            fit=options.fit,
            eval_size=options.eval_size,
            prediction=evaluation.prediction,
            dataset=dataset,
            tally=evaluation.tally,
            remarks=remarks,
            stages=evaluation.times.summaries(),
            distributions=tuple(evaluation.times.distributions().items()),
            wall_s=evaluation.seconds,
            timed_frames=evaluation.frames - done_before,
            command=shown_command(list(options.command)) if options.command else "",
        )


def _state(path: Optional[str], model: Model, evaluation: Evaluation, say: Say) -> Optional[StateFile]:
    """The file of ``resume``, from which the evaluation goes on."""
    if path is None:
        return None
    state = StateFile(path, fingerprint(model, evaluation), evaluation.dataset)
    evaluation.tally = state.load()
    if evaluation.tally.done:
        say("{}: going on after {} frames".format(path, evaluation.tally.done))
    return state


def _run(
    evaluation: Evaluation,
    state: Optional[StateFile],
    command: Tuple[str, ...],
    say: Say,
    on_frame: Optional[Callable[[int, int, float], None]],
) -> None:
    total = len(evaluation.dataset.samples)

    def counted(tally: Tally) -> None:
        if on_frame is not None:
            on_frame(tally.done, total, tally.matrix.scores().miou)
        if state is not None:
            state.save_now_and_then(tally)

    try:
        if on_frame is not None:
            on_frame(evaluation.tally.done, total, evaluation.tally.matrix.scores().miou)
        evaluation.run(counted)
    except BaseException:  # Ctrl-C too
        done = "{} of {} frames".format(evaluation.tally.done, total)
        if state is None:
            say("stopped after {}; nothing is kept without --resume FILE".format(done))
        else:
            state.save(evaluation.tally)
            say("{} are kept in {}; to go on:".format(done, state.path))
            say("  " + (" ".join(map(shlex.quote, command)) or "evaluate(..., resume={!r})".format(state.path)))
        raise
    if state is not None:
        try:
            state.save(evaluation.tally)
        except FileProblem as error:  # all is counted, and the report needs no file
            say("note: {}; the same call would go on from what it held before".format(error))
