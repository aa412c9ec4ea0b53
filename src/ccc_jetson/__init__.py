"""CCC segmentation networks on a Jetson: export, engines, calibration, live use.

What others may build on are the names in ``__all__``; ``api.py`` holds them, and importing them loads nothing heavy.

The modules in this package are what the stages share; they run on Python 3.6 with the standard library and numpy alone
(OpenCV where pictures are read). The stages are the packages ``export``, ``calib``, ``engines`` and ``runtime``.
"""

__version__ = "0.1.0"

from ccc_jetson.api import Segmenter, build_engine, evaluate, export_onnx
from ccc_jetson.errors import CccError

__all__ = ["CccError", "Segmenter", "__version__", "build_engine", "evaluate", "export_onnx"]
