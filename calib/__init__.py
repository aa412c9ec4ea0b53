"""INT8 calibration, on and off the device.

``cache`` and ``provenance`` are the two files that come of it, ``images`` the frames that go in, ``calibrator`` hands
them to TensorRT on the device. All of these run on Python 3.6. ``off_device`` finds ranges, writes a Q/DQ model and
tells what INT8 costs, with ONNX Runtime on Python 3.10 and newer.
May import the shared modules of ccc_jetson and ``engines``, which imports nothing from here but in its commands.
"""
