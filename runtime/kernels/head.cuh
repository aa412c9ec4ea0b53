// What the kernels of the network's head share: from what an engine gives to a class map of bytes.
//
// Sums are FP32, by fused multiply-adds in a fixed order, so that a GPU and a CPU compute the same bits; half is only
// how numbers are stored. The first of equal classes wins. NaN never wins: a pixel of nothing else is of class 0.
//
// Every kernel takes as many pixels as there are, whatever its grid: blocks go on where the grid ends. Vector accesses
// need addresses and row lengths that are multiples of them; where these are not, single values are moved.
#pragma once
#include <cuda_fp16.h>

namespace ccc_head {

// What one access moves
template <int BYTES>
struct Word;
template <>
struct Word<2> {
  typedef unsigned short type;
};
template <>
struct Word<4> {
  typedef unsigned type;
};
template <>
struct Word<8> {
  typedef uint2 type;
};
template <>
struct Word<16> {
  typedef uint4 type;
};

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(half value) { return __half2float(value); }

__device__ __forceinline__ bool is_aligned(const void* address, size_t stride, int bytes) {
  return ((reinterpret_cast<size_t>(address) | stride) & size_t(bytes - 1)) == 0;
}

// N values from an address that is a multiple of their size, through the read-only cache
template <int N, typename T>
__device__ __forceinline__ void fetch(const T* from, T (&to)[N]) {
  typedef typename Word<N * int(sizeof(T))>::type Bits;
  const Bits bits = __ldg(reinterpret_cast<const Bits*>(from));
  memcpy(to, &bits, sizeof bits);
}

template <int N, typename T>
__device__ __forceinline__ void load(const T* from, float (&to)[N]) {
  T values[N];
  fetch(from, values);
#pragma unroll
  for (int n = 0; n < N; ++n) to[n] = to_float(values[n]);
}

template <typename T>
__device__ __forceinline__ float load(const T* from) {
  float value[1];
  load(from, value);
  return value[0];
}

// The first ``count`` of N classes, in one access where all are wanted and the address allows it
template <int N>
__device__ __forceinline__ void store(unsigned char* to, const int (&classes)[N], int count) {
  unsigned words[(N + 3) / 4] = {};
#pragma unroll
  for (int n = 0; n < N; ++n) words[n / 4] |= unsigned(classes[n]) << n % 4 * 8;
  if (count >= N && is_aligned(to, 0, N)) {
    typename Word<N>::type bits;
    memcpy(&bits, words, sizeof bits);
    *reinterpret_cast<typename Word<N>::type*>(to) = bits;
  } else if (N > 4 && count >= N && is_aligned(to, 0, 4)) {
#pragma unroll
    for (int n = 0; n < N; n += 4) *reinterpret_cast<unsigned*>(to + n) = words[n / 4];
  } else {
#pragma unroll
    for (int n = 0; n < N; ++n)
      if (n < count) to[n] = static_cast<unsigned char>(classes[n]);
  }
}

// The class that leads so far, for each of N pixels
template <int N>
struct Lead {
  float value[N];
  int winner[N];

  __device__ __forceinline__ Lead() {
#pragma unroll
    for (int n = 0; n < N; ++n) {
      value[n] = __int_as_float(int(0xff800000u));  // minus infinity
      winner[n] = 0;
    }
  }

  __device__ __forceinline__ void challenge(int n, float by, int number) {
    if (by > value[n]) {
      value[n] = by;
      winner[n] = number;
    }
  }
};

}  // namespace ccc_head
