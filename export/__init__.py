"""Checkpoint -> ONNX, on the workstation (Python 3.10 or newer, torch).

May import the shared modules of ccc_jetson and ``engines``. Only its own command line, the demo and ccc-inspect (for
checkpoints) import this package.
Heavy modules (torch, onnx, onnxruntime) are imported by the modules that need them, never here.
"""
