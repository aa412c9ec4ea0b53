"""INT8 calibration, on and off the device.

``cache`` and ``provenance`` are the two files that come of it, ``images`` the frames that go in, ``calibrator`` hands
them to TensorRT on the device. All of these run on Python 3.6; what works off the device is for Python 3.10 and newer.
May import the shared modules of ccc_jetson and ``engines``, which imports nothing from here but in its commands.
"""
