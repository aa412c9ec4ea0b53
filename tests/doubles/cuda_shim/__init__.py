"""CUDA kernels on the CPU: the product's .cu, unchanged, through g++.

cuda_shim.h         what CUDA C has beyond C++: indices, barriers, shared memory, shuffles; threads as fibers
cuda_half.h         half and half2
cuda_vectors.h      uchar4, float4 and the like, with CUDA's alignment
include/            CUDA's header names
build.py            compiles a .cu into a shared library, with or without sanitizers
kernels.py          launches a library's kernels in this process, on addresses of this process
device.py, child.py the same in a process of its own with its own memory, which sanitizers may end
"""
