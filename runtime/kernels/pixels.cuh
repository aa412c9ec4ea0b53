// Reading a frame: pixels of a format at any pitch, as 24 bits B | G << 8 | R << 16.
//
// YUV becomes BGR as OpenCV has it (COLOR_YUV2BGR_NV12, COLOR_YUV2BGR_YUYV): BT.601, limited range, integers.
#pragma once

enum PixelFormat { BGR, RGB, NV12, YUYV };

struct Frame {
  const unsigned char* data;
  int pitch;   // bytes a row
  int chroma;  // NV12: offset of the rows of U and V in bytes
};

__device__ __forceinline__ bool is_aligned(const void* address, int bytes) {
  return (reinterpret_cast<size_t>(address) & (bytes - 1)) == 0;
}

__device__ __forceinline__ unsigned packed(int blue, int green, int red) {
  return unsigned(blue) | unsigned(green) << 8 | unsigned(red) << 16;
}

__device__ __forceinline__ unsigned with_red_and_blue_exchanged(unsigned pixel) {
  return (pixel & 0xff) << 16 | (pixel & 0xff00) | pixel >> 16;
}

__device__ __forceinline__ int byte_of(int twenty_bits_more) { return min(max(twenty_bits_more >> 20, 0), 255); }

// The share of the colour in B, G and R: common to the two or four pixels that have the same U and V
struct Chroma {
  int blue, green, red;
  __device__ __forceinline__ Chroma(int u, int v)
      : blue((1 << 19) + 2116026 * (u - 128)),
        green((1 << 19) - 409993 * (u - 128) - 852492 * (v - 128)),
        red((1 << 19) + 1673527 * (v - 128)) {}
  __device__ __forceinline__ unsigned with_luma(int y) const {
    const int grey = max(y - 16, 0) * 1220542;
    return packed(byte_of(grey + blue), byte_of(grey + green), byte_of(grey + red));
  }
};

// A row of the frame, and of NV12 the row of U and V that belongs to it. Offsets have 32 bits, as pitch and chroma do:
// a TX2 multiplies these in three instructions, 64 bits in six, which the compiler then repeats for every load
struct Row {
  const unsigned char *first, *uv;
  __device__ __forceinline__ Row(const Frame& frame, int y)
      : first(frame.data + unsigned(y) * unsigned(frame.pitch)),
        uv(frame.data + (unsigned(frame.chroma) + unsigned(y >> 1) * unsigned(frame.pitch))) {}
};

// One pixel anywhere in a row; the pair of YUV that it belongs to in one load where the row's address allows that
template <PixelFormat format>
__device__ __forceinline__ unsigned pixel_at(const Row& row, int x) {
  if (format == BGR || format == RGB) {
    const unsigned char* p = row.first + 3 * x;
    const int first = __ldg(p), third = __ldg(p + 2);
    return format == BGR ? packed(first, __ldg(p + 1), third) : packed(third, __ldg(p + 1), first);
  }
  if (format == NV12) {
    const unsigned char* p = row.uv + (x & ~1);
    const uchar2 uv =
        is_aligned(row.uv, 2) ? __ldg(reinterpret_cast<const uchar2*>(p)) : make_uchar2(__ldg(p), __ldg(p + 1));
    return Chroma(uv.x, uv.y).with_luma(__ldg(row.first + x));
  }
  const unsigned char* p = row.first + 2 * (x & ~1);
  const uchar4 yuyv = is_aligned(row.first, 4) ? __ldg(reinterpret_cast<const uchar4*>(p))
                                               : make_uchar4(__ldg(p), __ldg(p + 1), __ldg(p + 2), __ldg(p + 3));
  return Chroma(yuyv.y, yuyv.w).with_luma(x & 1 ? yuyv.z : yuyv.x);
}

// Four neighbours from ``x`` on, with the widest loads that their addresses allow: 3 of 4 bytes (BGR, RGB) or 2 (NV12,
// YUYV) where single bytes would be 12
template <PixelFormat format>
__device__ __forceinline__ void four_pixels_at(const Row& row, int x, unsigned (&pixels)[4]) {
  if (format == BGR || format == RGB) {
    const unsigned char* p = row.first + 3 * x;
    if (is_aligned(p, 4)) {
      const unsigned* words = reinterpret_cast<const unsigned*>(p);
      const unsigned first = __ldg(words), second = __ldg(words + 1), third = __ldg(words + 2);
      pixels[0] = first & 0xffffff;
      pixels[1] = first >> 24 | (second & 0xffff) << 8;
      pixels[2] = second >> 16 | (third & 0xff) << 16;
      pixels[3] = third >> 8;
      if (format == RGB) {
        for (int i = 0; i < 4; ++i) pixels[i] = with_red_and_blue_exchanged(pixels[i]);
      }
      return;
    }
  } else if (format == NV12) {
    const unsigned char *lumas = row.first + x, *uv = row.uv + x;
    if ((x & 1) == 0 && is_aligned(lumas, 4) && is_aligned(uv, 4)) {
      const uchar4 y4 = __ldg(reinterpret_cast<const uchar4*>(lumas));
      const uchar4 uvuv = __ldg(reinterpret_cast<const uchar4*>(uv));
      const Chroma left(uvuv.x, uvuv.y), right(uvuv.z, uvuv.w);
      pixels[0] = left.with_luma(y4.x);
      pixels[1] = left.with_luma(y4.y);
      pixels[2] = right.with_luma(y4.z);
      pixels[3] = right.with_luma(y4.w);
      return;
    }
  } else {
    const unsigned char* p = row.first + 2 * x;
    if ((x & 1) == 0 && is_aligned(p, 4)) {
      const uchar4 yuyv[2] = {__ldg(reinterpret_cast<const uchar4*>(p)), __ldg(reinterpret_cast<const uchar4*>(p) + 1)};
      for (int i = 0; i < 2; ++i) {
        const Chroma both(yuyv[i].y, yuyv[i].w);
        pixels[2 * i] = both.with_luma(yuyv[i].x);
        pixels[2 * i + 1] = both.with_luma(yuyv[i].z);
      }
      return;
    }
  }
  for (int i = 0; i < 4; ++i) pixels[i] = pixel_at<format>(row, x + i);
}
