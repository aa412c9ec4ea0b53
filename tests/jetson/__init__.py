"""Tests of the real thing: ``pytest -m jetson`` on a board, with JetPack's TensorRT, OpenCV and a pycuda for its GPU.

Without a board each is skipped with the reason. On a board nothing is skipped but what needs a camera that is not
there: a board without TensorRT, without a model or with a broken driver fails. ``test_made_up_boards.py`` shows in CI
that these very tests pass over the doubles, and that they fail where something is broken.
"""
