"""The networks that can be exported: one file a family, blocks they share in ``blocks.py``.

May import torch and nothing of ccc_jetson but this package; nothing here knows about files or ONNX.
"""
