// Kernels that show what the shim can do, right and wrong ones; compiled by test_shim.py only.
#include <cuda_fp16.h>

template <class T>
__device__ void summed(const T* values, T* sum, int count) {
  __shared__ T of_warp[32];
  T mine = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) mine += values[i];
  for (int distance = 16; distance > 0; distance /= 2) mine += __shfl_down_sync(0xffffffffu, mine, distance);
  if (threadIdx.x % warpSize == 0) of_warp[threadIdx.x / warpSize] = mine;
  __syncthreads();
  if (threadIdx.x == 0) {
    T all = 0;
    for (unsigned i = 0; i < blockDim.x / warpSize; ++i) all += of_warp[i];
    *sum = all;
  }
}
#define SUM(name, type)                                                                              \
  extern "C" __global__ void __launch_bounds__(256) name(const type* values, type* sum, int count) { \
    summed(values, sum, count);                                                                      \
  }
SUM(sum_int, int)
SUM(sum_double, double)
#ifdef WITH_LONG
SUM(sum_long, long long)
#endif

extern "C" __global__ void shuffles(const int* values, int* out, int argument, int width) {
  const int value = values[threadIdx.x];
  out[threadIdx.x] = __shfl_sync(0xffffffffu, value, argument, width);
  out[blockDim.x + threadIdx.x] = __shfl_up_sync(0xffffffffu, value, argument, width);
  out[2 * blockDim.x + threadIdx.x] = __shfl_down_sync(0xffffffffu, value, argument, width);
  out[3 * blockDim.x + threadIdx.x] = __shfl_xor_sync(0xffffffffu, value, argument, width);
}

extern "C" __global__ void to_half(const float* numbers, half* out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = __float2half_rn(numbers[i]);
}
extern "C" __global__ void to_float(const half2* pairs, float2* out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = __half22float2(__ldg(pairs + i));
}

extern "C" __global__ void grid_places(int* out) {
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}

// Wrong: without a barrier a thread may read what its neighbour has not written yet
extern "C" __global__ void without_barrier(int* out) {
  __shared__ int numbers[64];
  numbers[threadIdx.x] = threadIdx.x;
  out[threadIdx.x] = numbers[threadIdx.x / 2];
}
// Wrong: shared memory is not zero in the beginning
extern "C" __global__ void without_start(int* out) {
  __shared__ int counter;
  if (threadIdx.x == 0) counter += 1;
  __syncthreads();
  out[blockIdx.x] = counter;
}
// Wrong: half of the block never comes
extern "C" __global__ void half_a_barrier(int* out) {
  if (threadIdx.x >= blockDim.x / 2) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}
// Wrong: the two halves wait at different barriers
extern "C" __global__ void two_barriers(int* out) {
  if (threadIdx.x >= blockDim.x / 2) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}
// Wrong: lanes that have left are named in the mask
extern "C" __global__ void half_a_warp(int* out) {
  if (threadIdx.x >= 16) return;
  out[threadIdx.x] = __shfl_down_sync(0xffffffffu, int(threadIdx.x), 1);
}
// Wrong where count is more than there are
extern "C" __global__ void filled(int* out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = i;
}
// Wrong where the address is not a multiple of 16
extern "C" __global__ void four_floats(const float* values, float* out) {
  *out = reinterpret_cast<const float4*>(values)->w;
}
// Wrong where index is 4 or more
extern "C" __global__ void beyond_shared(int* out, int index) {
  __shared__ int few[4];
  int* numbers = few;
  numbers[index] = 5;
  *out = numbers[index];
}
