// CUDA's half and half2 as a way to store numbers, in integer arithmetic: the same bits on every machine.
//
// Unlike _Float16, the type converts to nothing by itself, so a kernel that forgets __half2float does not compile.
#pragma once
#include <cstdint>
#include <cstring>

#include "cuda_vectors.h"

struct alignas(2) __half {
  unsigned short bits;
};
struct alignas(4) __half2 {
  __half x, y;
};
typedef __half half;
typedef __half2 half2;

inline float __half2float(half value) {
  const uint32_t sign = uint32_t(value.bits & 0x8000u) << 16;
  const uint32_t exponent = value.bits >> 10 & 31, fraction = value.bits & 1023;
  uint32_t word;
  float number;
  if (exponent == 0) {  // zero and subnormal numbers: fraction * 2^-24, exact in float
    number = float(fraction) * 5.9604644775390625e-8f;
    std::memcpy(&word, &number, 4);
    word |= sign;
  } else if (exponent == 31) {  // infinity and NaN
    word = sign | 0x7f800000u | fraction << 13;
  } else {
    word = sign | (exponent + 112) << 23 | fraction << 13;
  }
  std::memcpy(&number, &word, 4);
  return number;
}

// Rounds to the nearest half, ties to even
inline half __float2half_rn(float number) {
  uint32_t word;
  std::memcpy(&word, &number, 4);
  const uint32_t sign = word >> 16 & 0x8000u;
  word &= 0x7fffffffu;
  uint32_t bits;
  if (word > 0x7f800000u) {
    bits = 0x7fffu;  // CUDA has one NaN here
  } else if (word >= 0x477ff000u) {
    bits = 0x7c00u;  // from 65520 on the nearest is infinity
  } else if (word >= 0x38800000u) {
    bits = (word + 0xfffu + (word >> 13 & 1)) >> 13;
    bits -= 112u << 10;
  } else if (word < 0x33000000u) {
    bits = 0;  // below 2^-25
  } else {  // becomes subnormal: the fraction with its leading one, shifted to units of 2^-24
    const uint32_t exponent = word >> 23, fraction = (word & 0x7fffffu) | 0x800000u, shift = 126 - exponent;
    bits = fraction >> shift;
    const uint32_t rest = fraction & ((1u << shift) - 1), middle = 1u << (shift - 1);
    bits += rest > middle || (rest == middle && (bits & 1));
  }
  return half{(unsigned short)(sign | bits)};
}

inline half2 __floats2half2_rn(float low, float high) { return half2{__float2half_rn(low), __float2half_rn(high)}; }
inline float2 __half22float2(half2 pair) { return float2{__half2float(pair.x), __half2float(pair.y)}; }
