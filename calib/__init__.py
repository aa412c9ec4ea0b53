"""INT8 calibration, on and off the device.

The calibrators run on Python 3.6; what works off the device is for Python 3.10 and newer. May import the shared modules
of ccc_jetson and ``engines``.
"""
