// Bilinear interpolation by a whole number, then argmax.
//
// 20 classes at 1024x512: by 8 (logits 128x64) FP16 reads 0.33 MB and writes 0.52 MB, 29 MFLOP; by 2 (logits 512x256) it
// reads 5.24 MB, 52 MFLOP. Either way some five instructions for each pixel and class decide, not the memory. So a
// thread makes a tile of pixels that lie between the same four logits: these are loaded once per class, interpolated
// down once per row, and each pixel costs one multiply-add and the comparison.
#include "head.cuh"

namespace ccc_head {

// At most a tile's pixels of one axis that lie behind the same source pixel, which may be the one before the first;
// ``left`` and ``right`` are where its value and the next one's are
struct Run {
  int first, count, source, left, right;
};

// One axis: ``out`` pixels from ``length``, ``scale`` times as many. Between two source pixels lies an interval of
// pixels; half-pixel centres have one more on the outer sides of the first and the last source pixel.
struct Axis {
  int length, out, scale, corners;

  __device__ __forceinline__ int intervals() const { return corners ? length : length + 1; }
  __device__ __forceinline__ int longest() const {
    if (!corners) return scale;
    return length > 1 ? (out - 1 + length - 2) / (length - 1) : out;
  }
  // The first pixel at or behind a source pixel
  __device__ __forceinline__ int start(int source) const {
    if (source >= length) return out;
    if (corners) return length > 1 ? (source * (out - 1) + length - 2) / (length - 1) : 0;
    return max(source * scale + scale / 2, 0);
  }
  // Which of an interval's chunks of ``most`` pixels a tile is. With align_corners few intervals have pixels for a last
  // chunk, so these tiles come last: a warp of empty ones costs next to nothing
  __device__ __forceinline__ Run run(int tile, int chunks, int most) const {
    const int divisor = corners ? intervals() : chunks, quotient = tile / divisor, rest = tile - quotient * divisor;
    const int interval = corners ? rest : quotient, chunk = corners ? quotient : rest;
    const int source = corners ? interval : interval - 1, first = start(source) + chunk * most;
    const int end = source + 1 < length ? start(source + 1) : out;
    return Run{first, min(end - first, most), source, max(source, 0), min(source + 1, length - 1)};
  }
  // The right one's share in a pixel of a run, in whole numbers but for one division, as in head.py
  __device__ __forceinline__ float weight(int pixel, int source) const {
    if (corners) return float(pixel * (length - 1) - source * (out - 1)) / float(out - 1);
    return float(2 * pixel + 1 - scale - 2 * scale * source) / float(2 * scale);
  }
};

template <int COLUMNS, int ROWS, typename T>
__device__ __forceinline__ void bilinear_tiles(const T* logits, int channels, const Axis across, const Axis down,
                                               unsigned char* classes) {
  const int chunks_across = (across.longest() + COLUMNS - 1) / COLUMNS, chunks_down = (down.longest() + ROWS - 1) / ROWS;
  const int tiles_across = across.intervals() * chunks_across, tiles_down = down.intervals() * chunks_down;
  const size_t plane = size_t(down.length) * across.length;
  // 32 bits hold them as they hold the pixels: a division of 64 bits takes as long as several classes
  const unsigned tiles = unsigned(tiles_across) * tiles_down, threads = gridDim.x * blockDim.x;
  for (unsigned tile = blockIdx.x * blockDim.x + threadIdx.x; tile < tiles; tile += threads) {
    const int tile_down = int(tile / tiles_across), tile_across = int(tile - unsigned(tile_down) * tiles_across);
    const Run columns = across.run(tile_across, chunks_across, COLUMNS);
    const Run rows = down.run(tile_down, chunks_down, ROWS);
    if (columns.count <= 0 || rows.count <= 0) continue;
    float right_share[COLUMNS], lower_share[ROWS];
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) right_share[c] = across.weight(columns.first + c, columns.source);
#pragma unroll
    for (int r = 0; r < ROWS; ++r) lower_share[r] = down.weight(rows.first + r, rows.source);
    const T* upper = logits + size_t(rows.left) * across.length;
    const T* lower = logits + size_t(rows.right) * across.length;
    Lead<COLUMNS> lead[ROWS];
#pragma unroll 2
    for (int channel = 0; channel < channels; ++channel, upper += plane, lower += plane) {
      const float upper_left = load(upper + columns.left), upper_right = load(upper + columns.right);
      const float fall_left = load(lower + columns.left) - upper_left;
      const float fall_right = load(lower + columns.right) - upper_right;
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        const float left = fmaf(lower_share[r], fall_left, upper_left);
        const float rise = fmaf(lower_share[r], fall_right, upper_right) - left;
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) lead[r].challenge(c, fmaf(right_share[c], rise, left), channel);
      }
    }
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      if (r >= rows.count) break;
      store(classes + size_t(rows.first + r) * across.out + columns.first, lead[r].winner, columns.count);
    }
  }
}

template <typename T>
__device__ __forceinline__ void bilinear(const T* logits, int channels, int height, int width, int out_height,
                                         int out_width, int align_corners, unsigned char* classes) {
  const int scale = out_width / width;  // the same for all threads
  const Axis across = {width, out_width, scale, align_corners}, down = {height, out_height, scale, align_corners};
  if (scale >= 8)
    bilinear_tiles<8, 2>(logits, channels, across, down, classes);
  else if (scale >= 4)
    bilinear_tiles<4, 2>(logits, channels, across, down, classes);
  else
    bilinear_tiles<2, 2>(logits, channels, across, down, classes);
}

}  // namespace ccc_head

// logits [channels][height][width], classes [out_height][out_width], which are the same multiple of height and width
#define CCC_HEAD_BILINEAR(NAME, T)                                                                                   \
  extern "C" __global__ void __launch_bounds__(128)                                                                  \
      NAME(const T* logits, int channels, int height, int width, int out_height, int out_width, int align_corners,   \
           unsigned char* classes) {                                                                                 \
    ccc_head::bilinear(logits, channels, height, width, out_height, out_width, align_corners, classes);              \
  }
CCC_HEAD_BILINEAR(ccc_head_bilinear_fp16, half)
CCC_HEAD_BILINEAR(ccc_head_bilinear_fp32, float)
