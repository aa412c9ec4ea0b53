"""ONNX -> TensorRT on the device, and what is in a file: the only package that knows TensorRT's versions.

Runs on Python 3.6 with numpy alone. May import the shared modules of ccc_jetson; ``runtime``, ``calib`` and ``export``
build on it. Its ``inspect_cli`` alone asks ``export``, for checkpoints, where Python is new enough.
"""
