// Argmax alone, of full-resolution logits: an engine built with --output logits.
//
// 20 classes at 1024x512: FP16 reads 20.97 MB and writes 0.52 MB (FP32 41.9 MB), 10.5 million comparisons: memory alone
// decides, and every load is one of 16 bytes.
#include "head.cuh"

namespace ccc_head {

template <typename T>
__device__ __forceinline__ void argmax(const T* logits, int channels, int pixels, unsigned char* classes) {
  constexpr int N = 16 / int(sizeof(T));
  const bool wide = is_aligned(logits, pixels * sizeof(T), 16);
  const size_t stride = size_t(gridDim.x) * blockDim.x * N;
  for (size_t first = (size_t(blockIdx.x) * blockDim.x + threadIdx.x) * N; first < size_t(pixels); first += stride) {
    const int count = min(N, int(pixels - first));
    Lead<N> lead;
    if (wide) {
#pragma unroll 4
      for (int channel = 0; channel < channels; ++channel) {
        float values[N];
        load(logits + size_t(channel) * pixels + first, values);
#pragma unroll
        for (int n = 0; n < N; ++n) lead.challenge(n, values[n], channel);
      }
    } else {
      for (int channel = 0; channel < channels; ++channel) {
#pragma unroll
        for (int n = 0; n < N; ++n)
          lead.challenge(n, load(logits + size_t(channel) * pixels + first + min(n, count - 1)), channel);
      }
    }
    store(classes + first, lead.winner, count);
  }
}

// Classes of 4 or 8 bytes, as engines give them, to bytes. At 1024x512 int32 is 2.1 MB in and 0.52 MB out, int64 4.2 MB.
template <typename T>
__device__ __forceinline__ void narrow(const T* classes, int pixels, unsigned char* out) {
  constexpr int LOAD = 16 / int(sizeof(T));
  const bool wide = is_aligned(classes, 0, 16);
  const size_t stride = size_t(gridDim.x) * blockDim.x * 4;
  for (size_t first = (size_t(blockIdx.x) * blockDim.x + threadIdx.x) * 4; first < size_t(pixels); first += stride) {
    const int count = min(4, int(pixels - first));
    int four[4];
    if (wide && count == 4) {
#pragma unroll
      for (int n = 0; n < 4; n += LOAD) {
        T values[LOAD];
        fetch(classes + first + n, values);
#pragma unroll
        for (int k = 0; k < LOAD; ++k) four[n + k] = int(values[k] & 255);
      }
    } else {
#pragma unroll
      for (int n = 0; n < 4; ++n) four[n] = int(__ldg(classes + first + min(n, count - 1)) & 255);
    }
    store(out + first, four, count);
  }
}

}  // namespace ccc_head

// logits [channels][pixels], classes [pixels]
extern "C" __global__ void ccc_argmax_fp16(const half* logits, int channels, int pixels, unsigned char* classes) {
  ccc_head::argmax(logits, channels, pixels, classes);
}
extern "C" __global__ void ccc_argmax_fp32(const float* logits, int channels, int pixels, unsigned char* classes) {
  ccc_head::argmax(logits, channels, pixels, classes);
}

extern "C" __global__ void ccc_narrow_i32(const int* classes, int pixels, unsigned char* out) {
  ccc_head::narrow(classes, pixels, out);
}
extern "C" __global__ void ccc_narrow_i64(const long long* classes, int pixels, unsigned char* out) {
  ccc_head::narrow(classes, pixels, out);
}
