"""What an export needs beside the standard library, and what to type where it is not there."""

import contextlib
from collections.abc import Iterator

from ccc_jetson.errors import DependencyMissing


@contextlib.contextmanager
def needed_packages() -> Iterator[None]:
    """Around the imports of this stage.

    Raises:
        DependencyMissing: one of them fails.
    """
    try:
        yield
    except ImportError as error:
        raise DependencyMissing(
            f"{error.name or error} cannot be imported",
            hint='in the checkout: pip install ".[export]" --extra-index-url https://download.pytorch.org/whl/cpu',
        ) from error
