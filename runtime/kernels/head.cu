// The network's head: from what an engine gives to a class map of bytes. No full-resolution logits are ever stored.
//
// Sums are FP32, by fused multiply-adds in a fixed order, so that a GPU and a CPU compute the same bits; half is only
// how numbers are stored. The first of equal classes wins. NaN never wins: a pixel of nothing else is of class 0.
//
// Every kernel takes as many pixels as there are, whatever its grid: blocks go on where the grid ends. Vector accesses
// need addresses and row lengths that are multiples of them; where these are not, single values are moved.
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

// ---------------------------------------------------------------------------------------------------------------------
// Transposed convolution 2x2 with stride 2 and bias, then argmax: an input pixel becomes 2x2 output pixels.
//
// 20 -> 20 channels at 1024x512 (features 512x256): FP16 reads 5.24 MB and writes 0.52 MB, 5.8 MB in all (FP32 11.0 MB);
// 0.42 GFLOP. At 59.7 GB/s a TX2 moves that in 0.1 ms, but its 256 cores at 1.3 GHz multiply for 0.63 ms: here the
// instructions count. So a thread holds the features of four pixels in registers, and each float4 of weights that it
// reads from shared memory (the same one for the whole warp: a broadcast) feeds 16 multiply-adds: these are 320 of the
// inner loop's 394 instructions.
//
// Weights come in steps: one of the four output positions and four classes, the bias first, then channel by channel
// (head_launches.pack_deconv). Where they are too many for shared memory, they pass through it in stages.
#if defined(CCC_HEAD_CI) && defined(CCC_HEAD_CO)
namespace ccc_head {

constexpr int CI = CCC_HEAD_CI, CO = CCC_HEAD_CO;
constexpr int DECONV_THREADS = 128;
constexpr int GROUPS = (CO + 3) / 4;        // of four classes; what is missing in the last one never wins
constexpr int STEPS = 4 * GROUPS;           // positions * groups
constexpr int STEP = 1 + CI;                // float4 in a step
constexpr int SHARED = 32 * 1024 / 16;      // float4 at most: two blocks fit on a multiprocessor then
constexpr int STAGE = STEPS * STEP <= SHARED ? STEPS : SHARED / STEP;  // steps in shared memory at a time
constexpr bool HELD = CI <= 96;             // whether a pixel's features fit into registers
constexpr int PIXELS = CI <= 24 ? 4 : CI <= 48 ? 2 : 1;  // a thread's
static_assert(STAGE > 0, "the weights of four classes do not fit into shared memory");

__device__ __forceinline__ void stage(float4* shared, const float4* weights, int step) {
  const int count = min(STAGE, STEPS - step) * STEP;
  for (int i = threadIdx.x; i < count; i += DECONV_THREADS) shared[i] = __ldg(weights + step * STEP + i);
}

// A row of the 2x2 positions of consecutive input pixels: two bytes each, which are neighbours in the class map
__device__ __forceinline__ void store_row(unsigned char* classes, int row, int first, int pixels, int width, bool wide,
                                          const unsigned (&pairs)[PIXELS]) {
#pragma unroll
  for (int p = 0; p < PIXELS; ++p) {
    const int pixel = first + p, y = pixel / width, x = pixel - y * width;
    if (pixel >= pixels) return;
    unsigned char* to = classes + size_t(2 * y + row) * (2 * width) + 2 * x;
    if (wide) {
      const unsigned low = pairs[0] | pairs[PIXELS > 1 ? 1 : 0] << 16;
      const unsigned high = pairs[PIXELS > 2 ? 2 : 0] | pairs[PIXELS > 3 ? 3 : 0] << 16;
      *reinterpret_cast<uint2*>(to) = make_uint2(low, high);
      return;
    }
    const int two[2] = {int(pairs[p] & 255), int(pairs[p] >> 8)};
    store(to, two, 2);
  }
}

template <typename T>
__device__ __forceinline__ void deconv(float4* shared, const T* features, const float4* weights, int height, int width,
                                       unsigned char* classes) {
  const int pixels = height * width;
  const bool wide_in = PIXELS == 4 && is_aligned(features, pixels * sizeof(T), 4 * sizeof(T));
  const bool wide_out = PIXELS == 4 && width % 4 == 0 && is_aligned(classes, 0, 8);
  if (STAGE == STEPS) {
    stage(shared, weights, 0);
    __syncthreads();
  }
  for (int tile = blockIdx.x; tile < (pixels + DECONV_THREADS * PIXELS - 1) / (DECONV_THREADS * PIXELS);
       tile += gridDim.x) {
    // beyond the last pixel a thread works on pixels that it does not store: all have to come to the barriers
    const int first = (tile * DECONV_THREADS + int(threadIdx.x)) * PIXELS;
    const T* from[PIXELS];
#pragma unroll
    for (int p = 0; p < PIXELS; ++p) from[p] = features + min(first + p, pixels - 1);
    float held[HELD ? CI : 1][PIXELS];
    if (HELD && wide_in) {
#pragma unroll
      for (int ci = 0; ci < CI; ++ci) {
        float four[4];
        load(features + min(first, pixels - 4) + size_t(ci) * pixels, four);
#pragma unroll
        for (int p = 0; p < PIXELS; ++p) held[HELD ? ci : 0][p] = four[p];
      }
    } else if (HELD) {
#pragma unroll
      for (int ci = 0; ci < CI; ++ci)
#pragma unroll
        for (int p = 0; p < PIXELS; ++p) held[HELD ? ci : 0][p] = load(from[p] + size_t(ci) * pixels);
    }
    unsigned pairs[PIXELS];
#pragma unroll 1
    for (int position = 0; position < 4; ++position) {
      Lead<PIXELS> lead;
#pragma unroll 1
      for (int group = 0; group < GROUPS; ++group) {
        const int step = position * GROUPS + group;
        if (STAGE < STEPS && step % STAGE == 0) {
          __syncthreads();
          stage(shared, weights, step);
          __syncthreads();
        }
        const float4* at = shared + step % STAGE * STEP;
        float sums[4][PIXELS];
#pragma unroll
        for (int p = 0; p < PIXELS; ++p) {
          sums[0][p] = at[0].x;
          sums[1][p] = at[0].y;
          sums[2][p] = at[0].z;
          sums[3][p] = at[0].w;
        }
#pragma unroll(HELD ? CI : 4)
        for (int ci = 0; ci < CI; ++ci) {
          const float4 weight = at[1 + ci];
#pragma unroll
          for (int p = 0; p < PIXELS; ++p) {
            const float feature = HELD ? held[HELD ? ci : 0][p] : load(from[p] + size_t(ci) * pixels);
            sums[0][p] = fmaf(feature, weight.x, sums[0][p]);
            sums[1][p] = fmaf(feature, weight.y, sums[1][p]);
            sums[2][p] = fmaf(feature, weight.z, sums[2][p]);
            sums[3][p] = fmaf(feature, weight.w, sums[3][p]);
          }
        }
#pragma unroll
        for (int k = 0; k < 4; ++k)
#pragma unroll
          for (int p = 0; p < PIXELS; ++p) lead.challenge(p, sums[k][p], 4 * group + k);
      }
#pragma unroll
      for (int p = 0; p < PIXELS; ++p)
        pairs[p] = position % 2 == 0 ? unsigned(lead.winner[p]) : pairs[p] | unsigned(lead.winner[p]) << 8;
      if (position % 2 == 1) store_row(classes, position / 2, first, pixels, width, wide_out, pairs);
    }
  }
}

}  // namespace ccc_head

// features [CI][height][width], weights as packed, classes [2 * height][2 * width]; blocks of DECONV_THREADS
#define CCC_HEAD_DECONV(NAME, T)                                                                                     \
  extern "C" __global__ void __launch_bounds__(ccc_head::DECONV_THREADS)                                             \
      NAME(const T* features, const float* weights, int height, int width, unsigned char* classes) {                 \
    __shared__ float4 shared[ccc_head::STAGE * ccc_head::STEP];                                                      \
    ccc_head::deconv(shared, features, reinterpret_cast<const float4*>(weights), height, width, classes);            \
  }
CCC_HEAD_DECONV(ccc_head_deconv_fp16, half)
CCC_HEAD_DECONV(ccc_head_deconv_fp32, float)
#endif

// ---------------------------------------------------------------------------------------------------------------------
// Bilinear interpolation by a whole number, then argmax.
//
// 20 classes at 1024x512: by 8 (logits 128x64) FP16 reads 0.33 MB and writes 0.52 MB, 29 MFLOP; by 2 (logits 512x256) it
// reads 5.24 MB, 52 MFLOP. Either way some five instructions for each pixel and class decide, not the memory. So a
// thread makes a tile of pixels that lie between the same four logits: these are loaded once per class, interpolated
// down once per row, and each pixel costs one multiply-add and the comparison.
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

// ---------------------------------------------------------------------------------------------------------------------
// Argmax alone, of full-resolution logits: an engine built with --output logits.
//
// 20 classes at 1024x512: FP16 reads 20.97 MB and writes 0.52 MB (FP32 41.9 MB), 10.5 million comparisons: memory alone
// decides, and every load is one of 16 bytes.
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
