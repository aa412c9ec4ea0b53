// Stands where CUDA's own header is: a CUDA source that includes it gets the shim's half, which it already has.
#pragma once
#include "../cuda_shim.h"
