// CUDA's vector types, aligned as CUDA aligns them: the undefined-behaviour sanitizer finds a misaligned access, which
// a GPU answers with an error.
#pragma once

#define CUDA_SHIM_VECTORS(name, type)                                                                   \
  struct name##1 { type x; };                                                                           \
  struct alignas(2 * sizeof(type)) name##2 { type x, y; };                                              \
  struct name##3 { type x, y, z; };                                                                     \
  struct alignas(4 * sizeof(type) < 16 ? 4 * sizeof(type) : 16) name##4 { type x, y, z, w; };           \
  inline name##2 make_##name##2(type x, type y) { return name##2{x, y}; }                               \
  inline name##3 make_##name##3(type x, type y, type z) { return name##3{x, y, z}; }                    \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return name##4{x, y, z, w}; }

CUDA_SHIM_VECTORS(char, signed char)
CUDA_SHIM_VECTORS(uchar, unsigned char)
CUDA_SHIM_VECTORS(short, short)
CUDA_SHIM_VECTORS(ushort, unsigned short)
CUDA_SHIM_VECTORS(int, int)
CUDA_SHIM_VECTORS(uint, unsigned)
CUDA_SHIM_VECTORS(float, float)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
