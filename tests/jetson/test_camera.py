"""A camera of the board, where there is one: its frames come through, and the run ends in order."""

import glob
import json
import os

import pytest

pytestmark = pytest.mark.jetson
FRAMES = 60


@pytest.fixture
def camera(board):
    """The one that CCC_TEST_CAMERA names, else the first video device."""
    given = os.environ.get("CCC_TEST_CAMERA", "")
    found = [given] if given else sorted(glob.glob(os.path.join(board.root, "dev/video*")))
    if not found:
        pytest.skip("no camera: there is no /dev/video*, and CCC_TEST_CAMERA names none")
    return found[0]


def test_its_frames_come_through(board, folder, engine, camera, tmp_path):
    code, _, err = board.command(
        folder,
        "ccc-run",
        camera,
        "--model",
        engine,
        "--headless",
        "--frames",
        FRAMES,
        "--report",
        tmp_path / "run.json",
    )
    assert code == 0, err
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["frames"] == FRAMES and record["source"]["live"]
    assert record["latency"]["p50_ms"] > 0
