"""CCC segmentation networks on a Jetson: export, engines, calibration, live use.

The modules in this package are what the stages share; they run on Python 3.6 with the standard library and numpy alone
(OpenCV where pictures are read). The stages are the packages ``export``, ``calib``, ``engines`` and ``runtime``.
"""

__version__ = "0.1.0"
