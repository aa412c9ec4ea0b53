// From a frame to the network's input in one pass: crop, stretch or letterbox, bilinear resize, colour conversion,
// normalisation, and NCHW in the engine's type.
//
// What one frame of 1024x512 costs at a network of that size (no resize), in bytes of memory:
//
//             read       written FP16   written FP32   integer operations a pixel
//   BGR, RGB  1,572,864    3,145,728      6,291,456      about 10 (unpacking and three look-ups)
//   NV12        786,432    3,145,728      6,291,456      about 25 (and 4 multiplications for the colour)
//   YUYV      1,048,576    3,145,728      6,291,456      about 25
//
// There is no floating-point operation: a pixel has 256 values, so a table has the input of each, rounded on the host
// exactly as the reference rounds it. A 1280x720 frame is 2,764,800 bytes of BGR or 1,382,400 of NV12. Resizing takes
// four taps and 18 multiplications a pixel: 12 loads of BGR, 8 of NV12, 4 of YUYV, and for sm_62 about 120 instructions
// (300 of YUV: taps become BGR first, as on the host). Caches answer most of these loads, so that a byte comes from
// memory about once (not where the frame lies in pinned memory, which a TX2's GPU does not cache: the trial decides).
//
// A block makes 128 x 32 pixels. Each of its threads makes 4 neighbours in a row where nothing is resized (loads of 4,
// stores of 8 or 16 bytes), else 2 neighbours at two places 64 pixels apart, so that the taps of a warp lie close
// together (stores of 4 or 8 bytes).
#include "pixels.cuh"

namespace pre {

const int lanes = 32, warps = 8, rows_per_thread = 4;  // launches.py has the block's size as well
const int least_blocks = 2;  // on a multiprocessor; for more of them the compiler would spill registers on some boards

// Half is only copied here, so 16 bits stand for it
template <class T>
struct Vectors;
template <>
struct Vectors<unsigned short> {
  typedef ushort2 Two;
  typedef ushort4 Four;
};
template <>
struct Vectors<unsigned> {
  typedef uint2 Two;
  typedef uint4 Four;
};

// Where pixels go, plane by plane in their own order B, G, R: the network's may be the opposite
template <class T>
struct Target {
  T* out;             // the plane of B
  long long plane;    // from there to the one of G
  const T* table;     // [3][256], in shared memory
  int width, height;  // of a plane

  __device__ __forceinline__ T value(int color, unsigned pixel) const {
    return table[256 * color + (pixel >> 8 * color & 0xff)];
  }
  __device__ __forceinline__ void store_two(const unsigned (&pixels)[2], int x, int y) const {
    typedef typename Vectors<T>::Two Two;
    T* to = out + (size_t(y) * width + x);
    for (int color = 0; color < 3; ++color, to += plane) {
      const T first = value(color, pixels[0]), second = value(color, pixels[1]);
      if (x + 1 < width && is_aligned(to, sizeof(Two))) {
        const Two two = {first, second};
        *reinterpret_cast<Two*>(to) = two;
      } else {
        to[0] = first;
        if (x + 1 < width) to[1] = second;
      }
    }
  }
  __device__ __forceinline__ void store_four(const unsigned (&pixels)[4], int x, int y) const {
    typedef typename Vectors<T>::Four Four;
    T* to = out + (size_t(y) * width + x);
    for (int color = 0; color < 3; ++color, to += plane) {
      if (x + 3 < width && is_aligned(to, sizeof(Four))) {
        const Four four = {value(color, pixels[0]), value(color, pixels[1]), value(color, pixels[2]),
                           value(color, pixels[3])};
        *reinterpret_cast<Four*>(to) = four;
      } else {
        for (int i = 0; i < 4; ++i) {
          if (x + i < width) to[i] = value(color, pixels[i]);
        }
      }
    }
  }
};

// A place between two pixels of one axis: the first one's index, and the second one's weight of 2048
struct Taps {
  int index, weight;
  __device__ __forceinline__ explicit Taps(const int* pair) {
    const int2 both = __ldg(reinterpret_cast<const int2*>(pair));
    index = both.x;
    weight = both.y;
  }
  __device__ __forceinline__ int second() const { return index + (weight != 0); }  // never behind the last pixel
};

// The frame's rectangle and where it lies in the input
struct Geometry {
  const int *columns, *rows;  // pairs as in Taps, one for each of the rectangle's columns and rows
  int x0, y0, width, height;

  __device__ __forceinline__ bool has_column(int x) const { return x >= x0 && x < x0 + width; }
  __device__ __forceinline__ bool has_row(int y) const { return y >= y0 && y < y0 + height; }
  __device__ __forceinline__ Taps column(int x) const { return Taps(columns + 2 * (x - x0)); }
  __device__ __forceinline__ Taps row(int y) const { return Taps(rows + 2 * (y - y0)); }
};

// Whether an axis is copied and not resized. The two ends tell: only then do they lie on pixels, and as far apart as
// there are pixels between them (launches.resize_table makes nothing else like it)
__device__ __forceinline__ bool is_copied(const int* pairs, int count) {
  const Taps first(pairs), last(pairs + 2 * (count - 1));
  return first.weight == 0 && last.weight == 0 && last.index - first.index == count - 1;
}

// A weight is at most 2048, which the masks tell the compiler: small boards multiply 16 bits by 16 in one instruction,
// 32 by 32 in three
__device__ __forceinline__ unsigned blended(const unsigned (&p)[4], int shift, unsigned right, unsigned lower) {
  const unsigned left = (2048 - right) & 0xffff, upper = (2048 - lower) & 0xffff;
  const unsigned above = left * (p[0] >> shift & 0xff) + right * (p[1] >> shift & 0xff);
  const unsigned below = left * (p[2] >> shift & 0xff) + right * (p[3] >> shift & 0xff);
  return (upper * above + lower * below + (1 << 21)) >> 22;
}

template <PixelFormat format>
__device__ __forceinline__ unsigned resized_pixel(const Row& upper, const Row& lower, const Taps& column,
                                                  unsigned lower_weight) {
  const unsigned taps[4] = {pixel_at<format>(upper, column.index), pixel_at<format>(upper, column.second()),
                            pixel_at<format>(lower, column.index), pixel_at<format>(lower, column.second())};
  const unsigned right = column.weight & 0xffff;
  return packed(blended(taps, 0, right, lower_weight), blended(taps, 8, right, lower_weight),
                blended(taps, 16, right, lower_weight));
}

template <PixelFormat format, class T>
__device__ __forceinline__ void copied_tile(const Frame& frame, const Geometry& geometry, const Target<T>& target,
                                            unsigned bars) {
  const int x = blockIdx.x * (4 * lanes) + 4 * threadIdx.x;
  const int top = blockIdx.y * (warps * rows_per_thread) + threadIdx.y;
  if (x >= target.width) return;
  const bool all = geometry.has_column(x) && geometry.has_column(x + 3);
  const int column = __ldg(geometry.columns) + x - geometry.x0;
  for (int i = 0; i < rows_per_thread; ++i) {
    const int y = top + i * warps;
    if (y >= target.height) return;
    unsigned pixels[4] = {bars, bars, bars, bars};
    if (geometry.has_row(y)) {
      const Row row(frame, geometry.row(y).index);
      if (all) {
        four_pixels_at<format>(row, column, pixels);
      } else {
        for (int j = 0; j < 4; ++j) {
          if (geometry.has_column(x + j)) pixels[j] = pixel_at<format>(row, column + j);
        }
      }
    }
    target.store_four(pixels, x, y);
  }
}

template <PixelFormat format, class T>
__device__ __forceinline__ void resized_tile(const Frame& frame, const Geometry& geometry, const Target<T>& target,
                                             unsigned bars) {
  const int top = blockIdx.y * (warps * rows_per_thread) + threadIdx.y;
  for (int half = 0; half < 2; ++half) {
    const int x = blockIdx.x * (4 * lanes) + half * (2 * lanes) + 2 * threadIdx.x;
    if (x >= target.width) return;
    const bool in_left = geometry.has_column(x), in_right = geometry.has_column(x + 1);
    const Taps left = geometry.column(in_left ? x : geometry.x0);
    const Taps right = geometry.column(in_right ? x + 1 : geometry.x0);
    for (int i = 0; i < rows_per_thread; ++i) {
      const int y = top + i * warps;
      if (y >= target.height) break;
      unsigned pixels[2] = {bars, bars};
      if ((in_left || in_right) && geometry.has_row(y)) {
        const Taps taps = geometry.row(y);
        const Row upper(frame, taps.index), lower(frame, taps.second());
        const unsigned weight = taps.weight & 0xffff;
        // both without a branch, so that the loads of the one do not wait for the other
        const unsigned first = resized_pixel<format>(upper, lower, left, weight);
        const unsigned second = resized_pixel<format>(upper, lower, right, weight);
        if (in_left) pixels[0] = first;
        if (in_right) pixels[1] = second;
      }
      target.store_two(pixels, x, y);
    }
  }
}

template <PixelFormat format, class T>
__device__ __forceinline__ void run(const Frame& frame, const Geometry& geometry, int out_width, int out_height,
                                    const T* table, int bars, bool reversed, T* out) {
  __shared__ T shared_table[3 * 256];  // in the pixels' order
  for (int i = threadIdx.y * lanes + threadIdx.x; i < 3 * 256; i += lanes * warps) {
    shared_table[i] = __ldg(table + (reversed ? 512 - (i & ~255) + (i & 255) : i));
  }
  __syncthreads();
  const long long plane = (long long)out_height * out_width;
  const Target<T> target = {reversed ? out + 2 * plane : out, reversed ? -plane : plane, shared_table, out_width,
                            out_height};
  if (is_copied(geometry.columns, geometry.width) && is_copied(geometry.rows, geometry.height)) {
    copied_tile<format, T>(frame, geometry, target, unsigned(bars));
  } else {
    resized_tile<format, T>(frame, geometry, target, unsigned(bars));
  }
}

}  // namespace pre

// frame, pitch, chroma: as Frame. columns, rows: pairs as Taps, aligned to 8 bytes, one for each column and row of the
// target rectangle x0, y0, width, height in the input. table: [3][256]. bars: B | G << 8 | R << 16 outside of that.
// reversed: 1 where the network's channels are R, G, B. out: [3][out_height][out_width].
#define CCC_PRE(name, format, type)                                                                                  \
  extern "C" __global__ void __launch_bounds__(pre::lanes * pre::warps, pre::least_blocks) name(                     \
      const unsigned char* __restrict__ frame, int pitch, int chroma, const int* __restrict__ columns,               \
      const int* __restrict__ rows, int x0, int y0, int width, int height, int out_width, int out_height,            \
      const type* __restrict__ table, int bars, int reversed, type* __restrict__ out) {                              \
    const Frame source = {frame, pitch, chroma};                                                                     \
    const pre::Geometry geometry = {columns, rows, x0, y0, width, height};                                           \
    pre::run<format, type>(source, geometry, out_width, out_height, table, bars, reversed != 0, out);                \
  }

CCC_PRE(ccc_pre_bgr_fp16, BGR, unsigned short)
CCC_PRE(ccc_pre_rgb_fp16, RGB, unsigned short)
CCC_PRE(ccc_pre_nv12_fp16, NV12, unsigned short)
CCC_PRE(ccc_pre_yuyv_fp16, YUYV, unsigned short)
CCC_PRE(ccc_pre_bgr_fp32, BGR, unsigned)
CCC_PRE(ccc_pre_rgb_fp32, RGB, unsigned)
CCC_PRE(ccc_pre_nv12_fp32, NV12, unsigned)
CCC_PRE(ccc_pre_yuyv_fp32, YUYV, unsigned)
