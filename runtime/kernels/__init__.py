"""CUDA kernels of the runtime, and what they compute in numpy.

unit.cu             the one source that is compiled, once on each device; includes the others
pre.cu              a frame becomes the network's input: resize, colour, normalisation, layout
head.cu             features or logits become a class map
overlay.cu          a class map and its frame become a picture
pixels.cuh          reading frames in their formats
launches.py, head_launches.py       grid, block and arguments of each kernel; numpy only, no CUDA
reference.py, head_reference.py     the same results in numpy, which the kernels are tested against
"""
