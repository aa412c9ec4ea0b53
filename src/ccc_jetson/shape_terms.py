"""What ``shape_rules.py`` is written in: a node with what is known of it, sizes that may be open, and reckoning with
them."""

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.onnx_file import Dimension, Node

Shape = Tuple[Dimension, ...]
Typed = Tuple[str, Shape]  # dtype and shape
OPEN = "?"
LONGEST = 4096  # of lists of axes or sizes, in files that mean well
_MOST_VALUES = 1 << 63  # in a tensor; sizes beyond it are a hostile file's, and so are sums and products of them


class Call(NamedTuple):
    """A node with what is known of its inputs; constants by their position."""

    node: Node
    inputs: List[Typed]
    constants: Dict[int, np.ndarray]
    opset: int

    def integers(self, position: int) -> Tuple[int, ...]:
        """The values of a constant input of integers."""
        if position not in self.constants or self.constants[position].size > LONGEST:
            raise Unknown()
        return tuple(int(value) for value in self.constants[position].reshape(-1))

    def has(self, position: int) -> bool:
        """Whether an optional input is given."""
        return len(self.node.inputs) > position and self.node.inputs[position] != ""


class Unknown(Exception):
    """The shape depends on what is not known."""


def elements(shape: Shape) -> Optional[int]:
    """How many values a tensor of this shape holds; ``None`` where a size is open, or no machine could hold as many."""
    count = 1
    for size in shape:
        if not isinstance(size, int) or size < 0 or count >= _MOST_VALUES:
            return None
        count *= size
    return count if count < _MOST_VALUES else None


def broadcast(shapes: List[Shape]) -> Shape:
    """The shape of what several shapes are broadcast to, as numpy does it."""
    rank = max(len(shape) for shape in shapes)
    out: List[Dimension] = []
    for position in range(rank):
        sizes = {shape[position - rank + len(shape)] for shape in shapes if position >= rank - len(shape)} - {1}
        fixed = [size for size in sizes if isinstance(size, int)]
        if len(fixed) > 1:
            raise Unknown()
        out.append(fixed[0] if fixed else sizes.pop() if len(sizes) == 1 else OPEN if sizes else 1)
    return tuple(out)


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front, of one that may be counted from the back."""
    if not -rank <= axis < rank:
        raise Unknown()
    return axis % rank


def one_each(node: Node, name: str, default: int, count: int) -> Tuple[int, ...]:
    """An attribute with one number for each axis, or for each of its two ends."""
    values = node.integers(name) or (default,) * count
    if len(values) != count:
        raise Unknown()
    return values


def all_fixed(shape: Shape) -> Tuple[int, ...]:
    """A shape without open sizes, as it is."""
    sizes = tuple(size for size in shape if isinstance(size, int))
    if len(sizes) != len(shape):
        raise Unknown()
    return sizes


def plus(size: Dimension, extra: int) -> Dimension:
    """A size and a number."""
    return size + extra if isinstance(size, int) else size if extra == 0 else OPEN


def total_of(size: Dimension, other: Dimension) -> Dimension:
    """The sum of two sizes."""
    return size + other if isinstance(size, int) and isinstance(other, int) else OPEN


def times(size: Dimension, factor: int) -> Dimension:
    """A size that is multiplied."""
    return size * factor if isinstance(size, int) else size if factor == 1 else OPEN


def may_equal(one: Dimension, other: Dimension) -> bool:
    """Whether two sizes are equal, for all that is known."""
    return one == other or not (isinstance(one, int) and isinstance(other, int))
