// All kernels of the runtime as one translation unit, which nvcc compiles once on the device.
#include "pre.cu"
#include "head.cu"
#include "overlay.cu"
