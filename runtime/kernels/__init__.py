"""CUDA kernels of the runtime, and what they compute in numpy.

unit.cu             the one source that is compiled, once on each device; includes the others
pre.cu              a frame becomes the network's input: resize, colour, normalisation, layout
deconv.cu           features become a class map: transposed convolution and argmax
bilinear.cu         logits become a class map: interpolation and argmax
classes.cu          full-size logits, or classes of wider types, become a class map
head.cuh            what these three share
overlay.cu          a class map and its frame become a picture
pixels.cuh          reading frames in their formats
launches.py, head_launches.py       grid, block and arguments of each kernel; numpy only, no CUDA
reference.py, ccc_jetson.head       the same results in numpy, which the kernels are tested against

The Python in here may import ``runtime.pixels`` and the shared modules.
"""
