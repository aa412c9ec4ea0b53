"""Frames to masks: sources, backends, pipeline, sinks, measurement, and the commands around them.

Runs on the device: Python 3.6, numpy, OpenCV, plus what a backend needs. May import the shared modules of ccc_jetson
and ``engines``; nothing imports it but its own command lines and the demo.
"""
