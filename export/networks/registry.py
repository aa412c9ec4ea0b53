"""Finding a network: by name, or in a state dict.

A rule reads the arguments from keys and shapes; strict loading into the network built from them is the proof. What no
state dict tells comes from the family's entry, or from the user; then recognition is a cross-check.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ccc_jetson.contract import Published
from ccc_jetson.errors import CheckpointError, UsageError
from ccc_jetson.export.networks.entry import Defaults, NamedNetwork, Network
from ccc_jetson.export.networks.families import NETWORKS
from ccc_jetson.export.networks.paper import NAMED

_LARGEST_SIZE = 4096  # of depths, widths, dilations and classes


class Wanted(NamedTuple):
    """What the user says a checkpoint is: a family, and those of its arguments that are certain."""

    network: Network
    arguments: dict[str, Any]


class Recognised(NamedTuple):
    """A network with its weights loaded, in evaluation mode."""

    network: Network
    title: str
    arguments: dict[str, Any]
    module: nn.Module
    published: tuple[Published, ...]

    @property
    def defaults(self) -> Defaults:
        """Preprocessing, size and classes where the user chooses nothing else."""
        return self.network.defaults(self.arguments)


class Difference(NamedTuple):
    """How a state dict differs from a network's."""

    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    @property
    def keys(self) -> int:
        """How many keys differ."""
        return len(self.missing) + len(self.unexpected) + len(self.misshapen)

    def __str__(self) -> str:
        """Every key, those of one layer stack on one line."""
        lines = [f"  missing: {line}" for line in _by_stack(self.missing)]
        lines += [f"  unexpected: {line}" for line in _by_stack(self.unexpected)]
        return "\n".join(lines + [f"  misshapen: {line}" for line in self.misshapen])


class _Candidate(NamedTuple):
    """A network that a state dict may be of; ``difference`` is None where none can be built so, for ``problem``."""

    network: Network
    arguments: dict[str, Any]
    difference: Difference | None
    problem: str = ""

    @property
    def fits(self) -> bool:
        return self.difference is not None and not self.difference.keys

    def __str__(self) -> str:
        return f"{title_of(self.network, self.arguments)} ({describe(self.arguments)})"


def recognise(state: Mapping[str, Tensor], origin: str, wanted: Wanted | None = None) -> Recognised:
    """The network that a state dict belongs to, with the weights loaded strictly.

    ``num_batches_tracked`` may be absent, as in checkpoints of old PyTorch versions. ``origin`` names the file;
    ``wanted`` is what the user says it is.

    Raises:
        CheckpointError: no network fits, or several do; the message lists what is known, the nearest match and every
            difference. Or it is not what the user says; the message names both.
    """
    candidates = _candidates(state, NETWORKS if wanted is None else [wanted.network], wanted)
    fitting = [candidate for candidate in candidates if candidate.fits]
    if len(fitting) > 1:
        first = fitting[0]
        open_ones = [key for key in first.arguments if any(c.arguments[key] != first.arguments[key] for c in fitting)]
        raise CheckpointError(
            f"{origin}: fits several networks, and a state dict does not tell {' and '.join(open_ones)}:\n"
            + "\n".join(f"  {candidate}" for candidate in fitting),
            hint=f"say which: --arch {first.network.name} --arch-args "
            + " ".join(f"{key}={_plain(first.arguments[key])}" for key in open_ones),
        )
    if not fitting:
        raise _unrecognised(state, origin, candidates, wanted)
    network, arguments = fitting[0].network, fitting[0].arguments
    module = network.build(**arguments)
    module.load_state_dict({**_counters(module), **state}, strict=True)
    title, published = title_of(network, arguments), published_for(network, arguments)
    return Recognised(network, title, arguments, module.eval(), published)


def wanted_network(name: str, settings: Sequence[str] = ()) -> Wanted:
    """The network that ``--arch NAME --arch-args KEY=VALUE ...`` ask for: a family, or one of the paper's by name.

    Raises:
        UsageError: no network has that name, or its builder no such argument, or the value cannot be.
    """
    named = next((each for each in NAMED if each.name == name), None)
    network = next((each for each in NETWORKS if each.name == (named.family if named else name)), None)
    # a name that is both, like espnet, leaves depth and decoder to the file
    fixed = {} if named is None or named.name == named.family else _without_classes(network, named.arguments)
    if network is None:
        known = dict.fromkeys([*(each.name for each in NETWORKS), *(each.name for each in NAMED)])
        raise UsageError(f"no network is called {name!r}", hint=f"known: {', '.join(known)} (ccc-export --list)")
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(
                f"--arch-args {setting}: is no KEY=VALUE", hint="put CHECKPOINT and MODEL.onnx in front of --arch-args"
            )
        if key not in network.parameters():
            raise UsageError(
                f"--arch-args {setting}: {network.name} has no such argument",
                hint="known: " + " ".join(f"{key}={_plain(value)}" for key, value in network.complete({}).items()),
            )
        if key in given:
            raise UsageError(f"--arch-args {setting}: {key} is there twice", hint=f"keep one of them, as {setting}")
        given[key] = _value(network, key, text)
    for key in set(given) & set(fixed):
        if given[key] != fixed[key]:
            raise UsageError(
                f"--arch {name} has {key}={_plain(fixed[key])}, --arch-args says {key}={_plain(given[key])}",
                hint=f"--arch {network.name} --arch-args "
                + " ".join(f"{each}={_plain(value)}" for each, value in {**fixed, **given}.items()),
            )
    return Wanted(network, {**fixed, **given})


def named_like(network: Network, arguments: Mapping[str, Any]) -> NamedNetwork | None:
    """The paper's network with these arguments, whatever its number of classes."""
    complete = _without_classes(network, arguments)
    for named in NAMED:
        if named.family == network.name and _without_classes(network, named.arguments) == complete:
            return named
    return None


def title_of(network: Network, arguments: Mapping[str, Any]) -> str:
    """The network's name in the paper, or its family's."""
    named = named_like(network, arguments)
    return network.title if named is None else named.title


def published_for(network: Network, arguments: Mapping[str, Any]) -> tuple[Published, ...]:
    """Figures others measured: with as many classes as they had."""
    named = named_like(network, arguments)
    usual = network.complete({})["classes"]
    return () if named is None or network.complete(arguments)["classes"] != usual else named.published


def compare(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Difference:
    """Every difference at once; counters of batches may be missing."""
    return Difference(
        missing=[key for key in expected if key not in found and not _is_counter(key)],
        unexpected=[key for key in found if key not in expected],
        misshapen=[
            f"{key} is {_shape(found[key])}, expected {_shape(tensor)}"
            for key, tensor in expected.items()
            if key in found and found[key].shape != tensor.shape
        ],
    )


def describe(arguments: Mapping[str, Any]) -> str:
    """Arguments for people: ``p 2, q 8, dilations 2 3 7 13, ...``."""
    return ", ".join(
        f"{key} {' '.join(map(str, value)) if isinstance(value, tuple | list) else value}"
        for key, value in arguments.items()
    )


def reason_of(error: Exception) -> str:
    """Why PyTorch builds no such network: the first line of what it says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def json_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as JSON has them: lists for tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in arguments.items()}


def _candidates(state: Mapping[str, Tensor], networks: Sequence[Network], wanted: Wanted | None) -> list[_Candidate]:
    """Every set of arguments that a network can be built with, and how the state dict differs from it."""
    candidates: list[_Candidate] = []
    for network in networks:
        for read in network.arguments(state):
            arguments = {**read, **(wanted.arguments if wanted else {})}
            if any(each.network is network and each.arguments == arguments for each in candidates):
                continue
            try:
                with torch.device("meta"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of empty tensors: what does not fit is said below
                    expected = network.build(**arguments).state_dict()
            except (ValueError, RuntimeError, ZeroDivisionError) as error:  # sizes that no network can be built with
                candidates.append(_Candidate(network, arguments, None, reason_of(error)))
                continue
            candidates.append(_Candidate(network, arguments, compare(state, expected)))
    return candidates


def _unrecognised(
    state: Mapping[str, Tensor], origin: str, candidates: list[_Candidate], wanted: Wanted | None
) -> CheckpointError:
    if wanted is not None:
        fitting = [each for each in _candidates(state, NETWORKS, None) if each.fits]
        if fitting:
            asked = f"{wanted.network.name} ({describe(wanted.arguments) or 'any arguments'})"
            return CheckpointError(
                f"{origin}: --arch asks for {asked}, the checkpoint is of {fitting[0].network.name}: {fitting[0]}",
                hint="leave --arch out, or name what differs",
            )
    known = "known: " + ", ".join(network.name for network in NETWORKS)
    built = [(each.difference.keys, each) for each in candidates if each.difference is not None]
    if not built:
        problems = "".join(f"\n  {each} cannot be built: {each.problem}" for each in candidates)
        return CheckpointError(f"{origin}: no known network can have these sizes\n  {known}{problems}")
    differing, nearest = min(built, key=lambda pair: pair[0])
    return CheckpointError(
        f"{origin}: no known network\n  {known}\n  nearest: {nearest}; {differing} keys differ\n{nearest.difference}",
        hint="train or convert it with the names and shapes above; ccc-export --list shows every known network",
    )


def _without_classes(network: Network | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    assert network is not None
    return {key: value for key, value in network.complete(arguments).items() if key != "classes"}


def _value(network: Network, key: str, text: str) -> Any:
    """The text as the builder's default is: a number, a word, yes or no, or numbers with commas."""
    usual = network.complete({})[key]
    words = {"true": True, "yes": True, "false": False, "no": False}
    try:
        if isinstance(usual, bool):
            return words[text.lower()]
        if isinstance(usual, tuple):
            return tuple(_size(part) for part in text.split(","))
        if key in network.words:
            return network.words[key][network.words[key].index(text)]
        return _size(text)
    except (ValueError, KeyError):
        possible = network.words.get(key) or (["yes", "no"] if isinstance(usual, bool) else [])
        raise UsageError(
            f"--arch-args {key}={text}: cannot be understood",
            hint=f"one of {', '.join(possible)}" if possible else f"for example {key}={_plain(usual)}",
        ) from None


def _size(text: str) -> int:
    """A number that a layer can have of something; ValueError for others."""
    number = int(text)
    if not 0 <= number <= _LARGEST_SIZE:
        raise ValueError
    return number


def _plain(value: Any) -> str:
    """A value as ``--arch-args`` takes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value).replace(" ", "")


def _is_counter(key: str) -> bool:
    return key.endswith(".num_batches_tracked")


def _counters(module: nn.Module) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in module.state_dict().items() if _is_counter(key)}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _by_stack(keys: list[str]) -> list[str]:
    """``encoder.level2.0.d1.conv: 0.weight 1.weight ...`` for each stack of layers."""
    stacks: dict[str, list[str]] = {}
    for key in keys:
        parts = key.rsplit(".", 2)
        stacks.setdefault(".".join(parts[:-2]), []).append(".".join(parts[-2:]))
    return [f"{stack}: {' '.join(names)}" if stack else " ".join(names) for stack, names in stacks.items()]
