// The classes' colours over the frame, at the frame's own size: the picture never passes through the CPU's arithmetic.
//
// A frame of 1024x512 with a class map of that size: reads 1,572,864 bytes of BGR or RGB (786,432 of NV12, 1,048,576 of
// YUYV) and 524,288 of classes, writes 1,572,864; about 20 integer operations a pixel, no floating point. For 1280x720
// the same are 2,764,800 (1,382,400; 1,843,200), 524,288 (some of them read twice) and 2,764,800.
//
// Each thread paints 4 neighbours in a row (12 bytes), a block 128 x 32 pixels.
#include "pixels.cuh"

namespace overlay {

const int lanes = 32, warps = 8, rows_per_thread = 4;  // launches.py has the block's size as well

struct Rectangle {
  int x, y, width, height;
};

struct Paint {
  const unsigned* palette;  // 256 of B | G << 8 | R << 16, in shared memory
  unsigned opacity;         // of 256

  // Two channels of 8 bits at once, 16 bits apart: 255 * 256 + 128 stays below 65536
  __device__ __forceinline__ unsigned over(unsigned pixel, int of_class) const {
    const unsigned color = palette[of_class], rest = 256 - opacity;
    const unsigned outer = (pixel & 0xff00ff) * rest + (color & 0xff00ff) * opacity + 0x800080;
    const unsigned middle = (pixel >> 8 & 0xff) * rest + (color >> 8 & 0xff) * opacity + 0x80;
    return (outer >> 8 & 0xff00ff) | (middle & 0xff00);
  }
};

// How a row of the class map is read while x goes from pixel to pixel: quotient and remainder of
// (x - source.x) * target.width / source.width, carried along without further division
struct Walk {
  unsigned quotient, remainder, step, step_remainder, length;
  __device__ __forceinline__ Walk(unsigned distance, unsigned target_length, unsigned source_length)
      : quotient(distance * target_length / source_length),
        remainder(distance * target_length % source_length),
        step(target_length / source_length),
        step_remainder(target_length % source_length),
        length(source_length) {}
  __device__ __forceinline__ void next() {
    quotient += step;
    remainder += step_remainder;
    if (remainder >= length) {
      remainder -= length;
      ++quotient;
    }
  }
};

__device__ __forceinline__ void store_pixel(unsigned char* to, unsigned pixel) {
  to[0] = (unsigned char)(pixel & 0xff);
  to[1] = (unsigned char)(pixel >> 8 & 0xff);
  to[2] = (unsigned char)(pixel >> 16);
}

__device__ __forceinline__ void store_four(unsigned char* to, const unsigned (&pixels)[4]) {
  if (is_aligned(to, 4)) {
    unsigned* words = reinterpret_cast<unsigned*>(to);
    words[0] = pixels[0] | pixels[1] << 24;
    words[1] = pixels[1] >> 8 | pixels[2] << 16;
    words[2] = pixels[2] >> 16 | pixels[3] << 8;
  } else {
    for (int i = 0; i < 4; ++i) store_pixel(to + 3 * i, pixels[i]);
  }
}

template <PixelFormat format>
__device__ __forceinline__ void run(const Frame& frame, int frame_width, int frame_height,
                                    const unsigned char* class_map, int map_width, const Rectangle& source,
                                    const Rectangle& target, const unsigned* palette, int opacity, unsigned char* out,
                                    int out_pitch) {
  __shared__ unsigned shared_palette[256];
  const int thread = threadIdx.y * lanes + threadIdx.x;
  shared_palette[thread] = __ldg(palette + thread);
  __syncthreads();
  const Paint paint = {shared_palette, unsigned(opacity)};
  const int x = 4 * (blockIdx.x * lanes + threadIdx.x);
  const int top = blockIdx.y * (warps * rows_per_thread) + threadIdx.y;
  if (x >= frame_width) return;
  const int count = min(4, frame_width - x);
  const int first = max(x, source.x), end = min(x + count, source.x + source.width);  // what the network saw of them
  // of the first pixel in any row; where none of them is seen it is not used
  const Walk start(unsigned(max(first - source.x, 0)), unsigned(target.width), unsigned(source.width));
  for (int i = 0; i < rows_per_thread; ++i) {
    const int y = top + i * warps;
    if (y >= frame_height) return;
    unsigned pixels[4] = {0, 0, 0, 0};
    const Row row(frame, y);
    if (count == 4) {
      four_pixels_at<format>(row, x, pixels);
    } else {
      for (int j = 0; j < count; ++j) pixels[j] = pixel_at<format>(row, x + j);
    }
    if (first < end && y >= source.y && y < source.y + source.height) {
      const unsigned map_y = unsigned(y - source.y) * unsigned(target.height) / unsigned(source.height);
      const unsigned char* classes = class_map + (size_t(target.y) + map_y) * map_width + target.x;
      Walk walk = start;
      for (int j = 0; j < 4; ++j) {
        if (x + j < first || x + j >= end) continue;
        pixels[j] = paint.over(pixels[j], __ldg(classes + walk.quotient));
        walk.next();
      }
    }
    unsigned char* to = out + size_t(y) * out_pitch + 3 * x;
    if (count == 4) {
      store_four(to, pixels);
    } else {
      for (int j = 0; j < count; ++j) store_pixel(to + 3 * j, pixels[j]);
    }
  }
}

}  // namespace overlay

// frame, pitch, chroma: as Frame. class_map: rows of map_width. sx, sy, sw, sh: the rectangle of the frame that the
// network saw; tx, ty, tw, th: where it lies in the class map. palette: 256 of B | G << 8 | R << 16. opacity: 0 to 256.
// out: BGR, rows of out_pitch bytes.
#define CCC_OVERLAY(name, format)                                                                                    \
  extern "C" __global__ void __launch_bounds__(overlay::lanes * overlay::warps) name(                               \
      const unsigned char* __restrict__ frame, int pitch, int chroma, int frame_width, int frame_height,             \
      const unsigned char* __restrict__ class_map, int map_width, int sx, int sy, int sw, int sh, int tx, int ty,    \
      int tw, int th, const unsigned* __restrict__ palette, int opacity, unsigned char* __restrict__ out,            \
      int out_pitch) {                                                                                               \
    const Frame picture = {frame, pitch, chroma};                                                                    \
    const overlay::Rectangle source = {sx, sy, sw, sh}, target = {tx, ty, tw, th};                                   \
    overlay::run<format>(picture, frame_width, frame_height, class_map, map_width, source, target, palette, opacity, \
                         out, out_pitch);                                                                            \
  }

CCC_OVERLAY(ccc_overlay_bgr, BGR)
CCC_OVERLAY(ccc_overlay_rgb, RGB)
CCC_OVERLAY(ccc_overlay_nv12, NV12)
CCC_OVERLAY(ccc_overlay_yuyv, YUYV)
