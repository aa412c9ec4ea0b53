"""The networks of the paper: one file a family, blocks they share in ``blocks.py`` and ``pyramid.py``.

The networks import torch and nothing of ccc_jetson but each other; the registry (``entry.py``, ``families.py``,
``paper.py``, ``registry.py``) may import the shared modules, class names and the rules of counting. Nothing here knows
about files or ONNX. ``docs/networks.md`` says how to add one.
"""
