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
#include "head.cuh"

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
