// All kernels of the runtime as one translation unit, which nvcc compiles once on the device.
#include "pre.cu"
#include "deconv.cu"
#include "bilinear.cu"
#include "classes.cu"
#include "overlay.cu"
