"""What tests of the runtime have in common."""

import pytest

from tests.doubles import cuda_driver


@pytest.fixture()
def driver(tmp_path, monkeypatch):
    monkeypatch.setenv("CCC_JETSON_CACHE", str(tmp_path / "cache"))
    with cuda_driver.installed() as installed:
        yield installed
