// CUDA C on a CPU: included before an unchanged .cu, which g++ then compiles as C++.
//
// Blocks run one after the other, and so do the threads of a block until one waits at a barrier or shuffles: each
// thread that waits keeps a stack of its own (a fiber), and the next one goes on. So one OS thread does everything and
// a run can be repeated exactly. Missing barriers stay hidden in that order; CUDA_SHIM_ORDER=reversed runs the threads
// of a block from the last to the first, which shows many of them. Shared memory holds rubbish when a block starts.
//
// CUDA_SHIM_STRICT=1 aborts where the hardware would hang or go wrong silently: a barrier that not all threads of the
// block reach, or that they reach at different lines; a warp's shuffle that not all lanes of its mask reach.
//
// Not here: dynamic shared memory, textures, more than one stream at a time, half arithmetic (half only stores).
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda_half.h"
#include "cuda_vectors.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
// One section for all shared variables, so that they can be filled between blocks
#define __shared__ static __attribute__((used, section("cuda_shared")))
#ifndef CUDA_SHIM_NAMES  // the preprocessor's run that lists the kernels must still see this word
#define __global__
#endif

extern "C" {
extern char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));
}

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace cuda_shim {

enum class Waits { not_started, for_nothing, at_block_barrier, at_warp_barrier, ended };

struct Fiber {
  static constexpr size_t stack_bytes = 128 * 1024;  // of which untouched pages cost nothing
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  void* fake_stack = nullptr;  // the address sanitizer's
};

struct Thread {
  Waits waits;
  Fiber* fiber;
  int line;           // of the barrier where it waits
  unsigned mask;      // of the warp's barrier
  uint64_t exchange;  // what it offers in a shuffle
};

// The block that runs, and the stacks of all blocks
struct Scheduler {
  std::mutex one_launch_at_a_time;
  ucontext_t context;
  void* fake_stack = nullptr;
  const void* stack_bottom = nullptr;
  size_t stack_size = 0;
  std::vector<Thread> threads;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
  void (*body)(void*) = nullptr;
  void* closure = nullptr;
  unsigned current = 0;   // the thread that runs
  unsigned started = 0;   // how many have been
  bool reversed = false;  // the order of threads
  bool strict = false;

  unsigned in_order(unsigned place) const { return reversed ? unsigned(threads.size()) - 1 - place : place; }
};
static Scheduler scheduler;

[[noreturn]] inline void stop(const char* what, int line) {
  std::fprintf(stderr, "cuda_shim: block (%u, %u, %u): %s (line %d)\n", blockIdx.x, blockIdx.y, blockIdx.z, what, line);
  std::abort();
}

inline void become(unsigned thread) {
  scheduler.current = thread;
  threadIdx = uint3{thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
}

// The address sanitizer must know which stack is in use
inline void before_switch(void** fake_stack, const void* bottom, size_t size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(fake_stack, bottom, size);
#else
  (void)fake_stack, (void)bottom, (void)size;
#endif
}
inline void after_switch(void* fake_stack, const void** bottom, size_t* size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
#else
  (void)fake_stack, (void)bottom, (void)size;
#endif
}

inline void to_scheduler(Fiber* fiber) {
  before_switch(&fiber->fake_stack, scheduler.stack_bottom, scheduler.stack_size);
  swapcontext(&fiber->context, &scheduler.context);
  after_switch(fiber->fake_stack, &scheduler.stack_bottom, &scheduler.stack_size);
}

inline void to_fiber(Fiber* fiber) {
  before_switch(&scheduler.fake_stack, fiber->stack.get(), Fiber::stack_bytes);
  swapcontext(&scheduler.context, &fiber->context);
  after_switch(scheduler.fake_stack, nullptr, nullptr);
}

// A fiber's whole life: it runs threads that have not started, one after the other, until none is left in the block
inline void fiber_main() {
  after_switch(nullptr, &scheduler.stack_bottom, &scheduler.stack_size);
  for (;;) {
    Fiber* fiber = scheduler.threads[scheduler.current].fiber;
    for (;;) {
      scheduler.body(scheduler.closure);
      scheduler.threads[scheduler.current].waits = Waits::ended;
      if (scheduler.started == scheduler.threads.size()) break;
      become(scheduler.in_order(scheduler.started++));
      scheduler.threads[scheduler.current].fiber = fiber;
    }
    scheduler.idle.push_back(fiber);
    to_scheduler(fiber);
  }
}

inline Fiber* idle_fiber() {
  if (scheduler.idle.empty()) {
    scheduler.fibers.emplace_back(new Fiber);
    Fiber* fiber = scheduler.fibers.back().get();
    fiber->stack.reset(new char[Fiber::stack_bytes]);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = Fiber::stack_bytes;
    fiber->context.uc_link = nullptr;  // it never returns
    makecontext(&fiber->context, fiber_main, 0);
    scheduler.idle.push_back(fiber);
  }
  Fiber* fiber = scheduler.idle.back();
  scheduler.idle.pop_back();
  return fiber;
}

inline void wait(Waits what, int line, unsigned mask) {
  const unsigned me = scheduler.current;
  Thread& thread = scheduler.threads[me];
  thread.waits = what;
  thread.line = line;
  thread.mask = mask;
  to_scheduler(thread.fiber);
  become(me);
}

// Lets a warp go on whose threads all wait for each other
inline bool release_warp(unsigned first) {
  const unsigned end = std::min(first + 32, unsigned(scheduler.threads.size()));
  const Thread* leader = nullptr;
  for (unsigned i = first; i < end; ++i) {
    const Thread& thread = scheduler.threads[i];
    if (thread.waits == Waits::ended) continue;
    if (thread.waits != Waits::at_warp_barrier) return false;
    leader = &thread;
  }
  if (leader == nullptr) return false;
  for (unsigned i = first; i < end; ++i) {
    Thread& thread = scheduler.threads[i];
    const bool named = leader->mask >> (i - first) & 1, waits = thread.waits == Waits::at_warp_barrier;
    if (scheduler.strict && named != waits) stop("a warp's mask names other lanes than came", leader->line);
    if (waits) thread.waits = Waits::for_nothing;
  }
  return true;
}

inline bool release_warps() {
  bool any = false;
  for (unsigned first = 0; first < scheduler.threads.size(); first += 32) any |= release_warp(first);
  return any;
}

inline void release_block() {
  const Thread* leader = nullptr;
  bool ended = false;
  for (const Thread& thread : scheduler.threads) {
    if (thread.waits == Waits::ended) ended = true;
    if (thread.waits == Waits::at_warp_barrier) stop("some threads wait for their warp, some for the block", 0);
    if (thread.waits == Waits::at_block_barrier) leader = &thread;
  }
  if (scheduler.strict && ended) stop("__syncthreads after some threads have returned", leader->line);
  for (Thread& thread : scheduler.threads) {
    if (thread.waits != Waits::at_block_barrier) continue;
    if (scheduler.strict && thread.line != leader->line) stop("threads wait at different lines", thread.line);
    thread.waits = Waits::for_nothing;
  }
}

// Byte by byte and without checks: between the variables lie the address sanitizer's guard zones
__attribute__((no_sanitize("address"))) inline void spoil_shared_memory() {
  for (volatile char* byte = __start_cuda_shared; byte < __stop_cuda_shared; ++byte) *byte = char(0xa5);
}

inline void run_block() {
  Thread fresh = {Waits::not_started, nullptr, 0, 0, 0};
  scheduler.threads.assign(size_t(blockDim.x) * blockDim.y * blockDim.z, fresh);
  scheduler.started = 0;
  spoil_shared_memory();
  for (;;) {
    bool ended = true;
    for (unsigned place = 0; place < scheduler.threads.size(); ++place) {
      const unsigned i = scheduler.in_order(place);
      Thread& thread = scheduler.threads[i];
      if (thread.waits == Waits::not_started) {
        ++scheduler.started;
        thread.fiber = idle_fiber();
      }
      if (thread.waits == Waits::not_started || thread.waits == Waits::for_nothing) {
        thread.waits = Waits::for_nothing;
        become(i);
        to_fiber(thread.fiber);
      }
      ended = ended && thread.waits == Waits::ended;
    }
    if (ended) return;
    if (!release_warps()) release_block();
  }
}

template <class Call>
void launch(dim3 grid, dim3 block, size_t shared, Call call) {
  std::lock_guard<std::mutex> lock(scheduler.one_launch_at_a_time);
  if (shared != 0) stop("dynamic shared memory is not supported", 0);
  const char *order = std::getenv("CUDA_SHIM_ORDER"), *strict = std::getenv("CUDA_SHIM_STRICT");
  scheduler.reversed = order != nullptr && std::string(order) == "reversed";
  scheduler.strict = strict != nullptr && std::string(strict) == "1";
  scheduler.body = [](void* closure) { (*static_cast<Call*>(closure))(); };
  scheduler.closure = &call;
  gridDim = grid;
  blockDim = block;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = uint3{x, y, z};
        run_block();
      }
}

// A kernel's parameters as they lie in memory when they are passed as one block: each at its own alignment
template <class... A>
void unpack(char* packed, void** addresses) {
  const size_t sizes[] = {sizeof(A)..., 0}, alignments[] = {alignof(A)..., 1};
  size_t offset = 0;
  for (size_t i = 0; i < sizeof...(A); ++i) {
    offset = (offset + alignments[i] - 1) / alignments[i] * alignments[i];
    addresses[i] = packed + offset;
    offset += sizes[i];
  }
}

template <class... A, size_t... I>
void launch_addresses(void (*kernel)(A...), dim3 grid, dim3 block, size_t shared, void** a, std::index_sequence<I...>) {
  (void)a;
  launch(grid, block, shared, [=] { kernel(*static_cast<A*>(a[I])...); });
}
template <class... A>
void launch_arguments(void (*kernel)(A...), dim3 grid, dim3 block, size_t shared, void** arguments) {
  launch_addresses(kernel, grid, block, shared, arguments, std::index_sequence_for<A...>{});
}
template <class... A>
void launch_packed(void (*kernel)(A...), dim3 grid, dim3 block, size_t shared, char* packed) {
  void* addresses[sizeof...(A) + 1];
  unpack<A...>(packed, addresses);
  launch_arguments(kernel, grid, block, shared, addresses);
}

// One letter a parameter, as Python's struct has them: P address, i I l L q Q integers, f d floating point
template <class T>
constexpr char letter() {
  return std::is_pointer<T>::value          ? 'P'
         : std::is_floating_point<T>::value ? (sizeof(T) == 4 ? 'f' : 'd')
         : sizeof(T) == 4                   ? (std::is_signed<T>::value ? 'i' : 'I')
         : sizeof(T) == 8                   ? (std::is_signed<T>::value ? 'q' : 'Q')
                                            : '?';
}
template <class... A>
const char* letters(void (*)(A...)) {
  static const char text[] = {letter<A>()..., '\0'};
  return text;
}

}  // namespace cuda_shim

#define __syncthreads() ::cuda_shim::wait(::cuda_shim::Waits::at_block_barrier, __LINE__, 0)

inline void __syncwarp(unsigned mask = 0xffffffffu) { cuda_shim::wait(cuda_shim::Waits::at_warp_barrier, 0, mask); }

namespace cuda_shim {

inline int lane() { return int(scheduler.current & 31); }
inline int group(int width) { return lane() & ~(width - 1); }  // the first lane of this lane's group

// Every lane offers its value and takes that of ``source``; without the second barrier the next shuffle would overwrite
// what a slower lane has still to read
template <class T>
T shuffle(unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= 8, "a shuffle moves 8 bytes at most");
  const unsigned me = scheduler.current, other = (me & ~31u) + unsigned(source);
  std::memcpy(&scheduler.threads[me].exchange, &value, sizeof(T));
  __syncwarp(mask);
  const bool there = other < scheduler.threads.size() && (mask >> source & 1);
  if (!there && scheduler.strict) stop("a shuffle reads a lane that is not in its mask", 0);
  T result = value;
  if (there) std::memcpy(&result, &scheduler.threads[other].exchange, sizeof(T));
  __syncwarp(mask);
  return result;
}

}  // namespace cuda_shim

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return cuda_shim::shuffle(mask, value, cuda_shim::group(width) + (source & (width - 1)));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = cuda_shim::lane(), source = lane - int(delta);
  return cuda_shim::shuffle(mask, value, source < cuda_shim::group(width) ? lane : source);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = cuda_shim::lane(), source = lane + int(delta);
  return cuda_shim::shuffle(mask, value, source >= cuda_shim::group(width) + width ? lane : source);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const int lane = cuda_shim::lane(), source = lane ^ bits;
  return cuda_shim::shuffle(mask, value, source >= cuda_shim::group(width) + width ? lane : source);
}

template <class T>
T __ldg(const T* address) {
  return *address;
}

inline int min(int a, int b) { return a < b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline float __int_as_float(int word) {
  float number;
  std::memcpy(&number, &word, 4);
  return number;
}

#define CUDA_SHIM_EXPORT __attribute__((visibility("default")))
// For each kernel: launched with an array of the arguments' addresses, or with the arguments packed; and their types
#define CUDA_SHIM_KERNEL(name)                                                                                       \
  extern "C" CUDA_SHIM_EXPORT void shim_launch_##name(const unsigned* g, const unsigned* b, size_t shared, void** a) { \
    cuda_shim::launch_arguments(&name, dim3(g[0], g[1], g[2]), dim3(b[0], b[1], b[2]), shared, a);                   \
  }                                                                                                                  \
  extern "C" CUDA_SHIM_EXPORT void shimx_##name(const unsigned* g, const unsigned* b, size_t shared, char* packed) { \
    cuda_shim::launch_packed(&name, dim3(g[0], g[1], g[2]), dim3(b[0], b[1], b[2]), shared, packed);                 \
  }                                                                                                                  \
  extern "C" CUDA_SHIM_EXPORT const char* shim_parameters_##name(void) { return cuda_shim::letters(&name); }
