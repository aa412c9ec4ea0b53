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

// One pixel anywhere in the frame
template <PixelFormat format>
__device__ __forceinline__ unsigned pixel_at(const Frame& frame, int x, int y) {
  const unsigned char* row = frame.data + size_t(y) * frame.pitch;
  if (format == BGR || format == RGB) {
    const unsigned char* p = row + 3 * x;
    const int first = __ldg(p), third = __ldg(p + 2);
    return format == BGR ? packed(first, __ldg(p + 1), third) : packed(third, __ldg(p + 1), first);
  }
  if (format == NV12) {
    const unsigned char* uv = frame.data + frame.chroma + size_t(y >> 1) * frame.pitch + (x & ~1);
    return Chroma(__ldg(uv), __ldg(uv + 1)).with_luma(__ldg(row + x));
  }
  const unsigned char* uv = row + 2 * (x & ~1);
  return Chroma(__ldg(uv + 1), __ldg(uv + 3)).with_luma(__ldg(row + 2 * x));
}

// Four neighbours in a row from ``x`` on, with the widest loads that their addresses allow: 3 of 4 bytes (BGR, RGB) or
// 2 (NV12, YUYV) where single bytes would be 12
template <PixelFormat format>
__device__ __forceinline__ void four_pixels_at(const Frame& frame, int x, int y, unsigned (&pixels)[4]) {
  const unsigned char* row = frame.data + size_t(y) * frame.pitch;
  if (format == BGR || format == RGB) {
    const unsigned char* p = row + 3 * x;
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
    const unsigned char *lumas = row + x, *uv = frame.data + frame.chroma + size_t(y >> 1) * frame.pitch + x;
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
    const unsigned char* p = row + 2 * x;
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
  for (int i = 0; i < 4; ++i) pixels[i] = pixel_at<format>(frame, x + i, y);
}
