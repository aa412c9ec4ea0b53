"""The machine for engine builds, as the tests of engines have it."""

from tests.engines.conftest import board

__all__ = ["board"]
