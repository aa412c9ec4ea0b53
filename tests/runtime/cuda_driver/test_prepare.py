"""What is missing on a machine is said, skips tests, and fails them in CI."""

import os

import pytest

from tests.doubles import cuda_driver
from tests.doubles.cuda_driver import prepare as preparing
from tests.doubles.cuda_driver.prepare import HEADERS, Missing, prepare_driver, prepare_pycuda, release_for


def test_each_python_has_its_pycuda():
    assert [release_for(version) for version in ("3.6", "3.8", "3.10", "3.13")] == ["2022.1", "2022.1"] + ["2026.1"] * 2


def test_a_missing_compiler_is_named_and_nothing_half_made_is_kept(tmp_path, monkeypatch):
    cuda_driver.available()
    headers = HEADERS.replace("==", "-")
    os.symlink(os.path.join(cuda_driver.cache_folder(), headers), str(tmp_path / headers))
    monkeypatch.setattr(preparing, "COMPILER", "no-such-compiler")
    with pytest.raises(Missing, match="no-such-compiler cannot compile: no-such-compiler: No such file"):
        prepare_driver(str(tmp_path))
    assert sorted(os.listdir(str(tmp_path))) == [".lock", headers]


def test_a_missing_index_and_a_missing_numpy_are_named(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(Missing, match=HEADERS + " cannot be fetched"):
        prepare_driver(str(tmp_path))
    with pytest.raises(Missing, match="has no numpy to build pycuda with"):
        prepare_pycuda("/bin/false", str(tmp_path))


def test_what_is_missing_skips_and_fails_in_ci(monkeypatch):
    monkeypatch.setitem(cuda_driver._known, "pycuda", Missing("no compiler"))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no compiler"):
        cuda_driver.available()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no compiler; in CI that is a failure"):
        cuda_driver.available()
