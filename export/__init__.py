"""Checkpoint -> ONNX, on the workstation (Python 3.10 or newer, torch).

May import the shared modules of ccc_jetson; only its own command line and the demo import this package.
Heavy modules (torch, onnx, onnxruntime) are imported by the modules that need them, never here.
"""
