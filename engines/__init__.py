"""ONNX -> TensorRT on the device: the only package that knows TensorRT's versions.

Runs on Python 3.6 with numpy alone. May import the shared modules of ccc_jetson; ``runtime`` and ``calib`` build on it.
"""
