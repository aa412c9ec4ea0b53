// Memory: the host's, filled with a pattern, with guards around it, and out of the CPU's sight where a GPU would have it.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "driver.hpp"

namespace fake {

static const unsigned char pattern = 0xcb;  // as float32 -26711958, as float16 -15.6: what nobody wrote is noticed
static const unsigned char guard = 0xa7;
static const size_t guard_bytes = 256, page = 4096;

static size_t whole_pages(size_t bytes) { return (bytes + page - 1) / page * page; }

static size_t allocated_bytes() {
  size_t bytes = 0;
  for (const auto& each : state().allocations) bytes += each.second.size;
  return bytes;
}

static const char* name_of(Kind kind) {
  return kind == Kind::device ? "device" : kind == Kind::pinned ? "pinned" : "managed";
}

static CUresult allocate(Context* context, Kind kind, size_t size, unsigned flags, uintptr_t* address) {
  State& s = state();
  if (size == 0) return CUDA_ERROR_INVALID_VALUE;
  if (allocated_bytes() + size > s.free_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  // Device memory begins where CUDA promises and no better: at a multiple of 256 bytes. The other kinds have whole pages.
  const size_t offset = page + (kind == Kind::device ? 256 : 0), mapped = whole_pages(offset + size + guard_bytes);
  void* base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  char* first = static_cast<char*>(base) + offset;
  memset(first - guard_bytes, guard, guard_bytes);
  memset(first, pattern, size);
  memset(first + size, guard, guard_bytes);
  *address = reinterpret_cast<uintptr_t>(first);
  const Attached attached =
      kind == Kind::managed && flags == CU_MEM_ATTACH_HOST ? Attached::host : Attached::global;
  s.allocations[*address] =
      Allocation{kind, context, flags, static_cast<char*>(base), mapped, *address, size, attached, nullptr, false};
  ++s.counts[std::string("made.") + name_of(kind)];
  hide_managed_memory();
  return CUDA_SUCCESS;
}

// The allocation that holds all these bytes
const Allocation* find_allocation(uintptr_t address, size_t bytes) {
  const auto& allocations = state().allocations;
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin()) return nullptr;
  const Allocation& found = std::prev(next)->second;
  const uintptr_t offset = address - found.address;
  return offset < found.size && bytes <= found.size - offset ? &found : nullptr;
}

static bool is_reachable(const void* address, size_t bytes) {
  return find_allocation(reinterpret_cast<uintptr_t>(address), bytes) != nullptr;
}

static void unmap(const Allocation& allocation) { munmap(allocation.base, allocation.mapped); }

void forget_memory(Context* context) {
  auto& allocations = state().allocations;
  for (auto each = allocations.begin(); each != allocations.end();) {
    if (each->second.context == context) {
      unmap(each->second);
      each = allocations.erase(each);
    } else {
      ++each;
    }
  }
}

static bool is_whole(const char* first) {
  for (size_t i = 0; i < guard_bytes; ++i)
    if (static_cast<unsigned char>(first[i]) != guard) return false;
  return true;
}

bool guards_are_intact(const std::string& after) {
  bool intact = true;
  for (const auto& each : state().allocations) {
    char* first = reinterpret_cast<char*>(each.first);
    const Allocation& allocation = each.second;
    const bool before = is_whole(first - guard_bytes), behind = is_whole(first + allocation.size);
    if (before && behind) continue;
    intact = false;
    complain(after + " wrote " + (before ? "behind" : "before") + " " + std::to_string(allocation.size) + " bytes of " +
             name_of(allocation.kind) + " memory");
    memset(first - guard_bytes, guard, guard_bytes);
    memset(first + allocation.size, guard, guard_bytes);
  }
  return intact;
}

static void set_hidden(Allocation& allocation, bool hidden) {
  if (allocation.hidden == hidden) return;
  mprotect(allocation.base, allocation.mapped, hidden ? PROT_NONE : PROT_READ | PROT_WRITE);
  allocation.hidden = hidden;
}

void show_managed_memory(bool shown) {
  for (auto& each : state().allocations)
    if (each.second.kind == Kind::managed) set_hidden(each.second, !shown);
}

// Where concurrentManagedAccess is 0 the CPU must not touch managed memory while anything may run, except what is
// attached to the host, or to a stream without work (CUDA C programming guide, coherency and concurrency)
void hide_managed_memory() {
  if (state().board->concurrent_managed_access || state().busy) return;  // the worker hides it when it has ended
  const bool pending = anything_pending();
  for (auto& each : state().allocations) {
    Allocation& allocation = each.second;
    if (allocation.kind != Kind::managed) continue;
    const bool used = allocation.attached == Attached::single ? is_pending(*allocation.stream) : pending;
    set_hidden(allocation, used && allocation.attached != Attached::host);
  }
}

static CUresult free_memory(Call& call, uintptr_t address, bool pinned) {
  auto& allocations = state().allocations;
  const auto known = allocations.find(address);
  if (known == allocations.end() || (known->second.kind == Kind::pinned) != pinned) return CUDA_ERROR_INVALID_VALUE;
  finish_everything(call.lock);
  const auto found = allocations.find(address);  // another thread may have been here
  if (found == allocations.end()) return CUDA_ERROR_INVALID_VALUE;
  unmap(found->second);
  allocations.erase(found);
  return call.context->error;
}

enum class Direction { host_to_device, device_to_host, device_to_device };

static void count_copy(Direction direction, size_t bytes) {
  static const char* const names[] = {"host_to_device", "device_to_host", "device_to_device"};
  std::lock_guard<std::mutex> lock(state().mutex);
  ++state().counts[std::string("copies.") + names[int(direction)]];
  state().counts[std::string("bytes.") + names[int(direction)]] += static_cast<long long>(bytes);
}

// What a copy does when its turn has come; a graph may come to it when the memory is no longer there
static Work copy(Direction direction, void* to, const void* from, size_t bytes, std::shared_ptr<std::string> staged) {
  const bool reaches_to = is_reachable(to, bytes), reaches_from = is_reachable(from, bytes);
  return Work{"a copy", [=] {
    {
      std::lock_guard<std::mutex> lock(state().mutex);
      if (reaches_to != is_reachable(to, bytes) || reaches_from != is_reachable(from, bytes))
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    memmove(to, staged ? staged->data() : from, bytes);
    count_copy(direction, bytes);
    return CUDA_SUCCESS;
  }};
}

// Pageable memory of the host is copied before an upload returns, and after a download has ended
static CUresult copy_on(Call& call, CUstream handle, bool waits, Direction direction, void* to, const void* from,
                        size_t bytes) {
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (direction != Direction::device_to_host && !is_reachable(to, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (direction != Direction::host_to_device && !is_reachable(from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  const bool pageable_source = direction == Direction::host_to_device && !is_reachable(from, bytes);
  const bool pageable_target = direction == Direction::device_to_host && !is_reachable(to, bytes);
  if (stream->capture && (pageable_source || pageable_target)) {
    complain("a copy of pageable memory is refused while its stream is captured");
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  std::shared_ptr<std::string> staged;
  if (pageable_source) staged.reset(new std::string(static_cast<const char*>(from), bytes));
  const CUresult error = enqueue(call.context, stream, copy(direction, to, from, bytes, staged));
  if (error || !(waits || pageable_target)) return error;
  finish(call.lock, stream, stream->issued);
  return call.context->error;
}

static CUresult fill_on(Call& call, CUstream handle, bool waits, uintptr_t to, size_t count, unsigned value,
                        size_t width) {
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!find_allocation(to, count * width) || to % width) return CUDA_ERROR_INVALID_VALUE;
  const CUresult error = enqueue(call.context, stream, Work{"a memset", [=] {
    {
      std::lock_guard<std::mutex> lock(state().mutex);
      if (!find_allocation(to, count * width)) return CUDA_ERROR_ILLEGAL_ADDRESS;
      ++state().counts["memsets"];
    }
    for (size_t i = 0; i < count; ++i) memcpy(reinterpret_cast<char*>(to) + i * width, &value, width);
    return CUDA_SUCCESS;
  }});
  if (error || !waits) return error;
  finish(call.lock, stream, stream->issued);
  return call.context->error;
}

}  // namespace fake

using namespace fake;

static const int waiting = context | working_context | no_capture, queueing = context | working_context;

static void* pointer(CUdeviceptr address) { return reinterpret_cast<void*>(address); }

CUDA_API CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  *free = state().free_bytes - std::min(state().free_bytes, allocated_bytes());
  *total = state().total_bytes;
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t size) {
  const Call call = enter(__func__, waiting);
  if (call.error) return call.error;
  uintptr_t made = 0;
  const CUresult error = allocate(call.context, Kind::device, size, 0, &made);
  *address = made;
  return error;
}

CUDA_API CUresult cuMemAllocManaged(CUdeviceptr* address, size_t size, unsigned flags) {
  const Call call = enter(__func__, waiting);
  if (call.error) return call.error;
  if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST) return CUDA_ERROR_INVALID_VALUE;
  uintptr_t made = 0;
  const CUresult error = allocate(call.context, Kind::managed, size, flags, &made);
  *address = made;
  return error;
}

CUDA_API CUresult cuMemHostAlloc(void** address, size_t size, unsigned flags) {
  const Call call = enter(__func__, waiting);
  if (call.error) return call.error;
  uintptr_t made = 0;
  const CUresult error = allocate(call.context, Kind::pinned, size, flags, &made);
  *address = pointer(made);
  return error;
}

CUDA_API CUresult cuMemFree_v2(CUdeviceptr address) {
  Call call = enter(__func__, context | no_capture);
  return call.error ? call.error : free_memory(call, address, false);
}

CUDA_API CUresult cuMemFreeHost(void* address) {
  Call call = enter(__func__, context | no_capture);
  return call.error ? call.error : free_memory(call, reinterpret_cast<uintptr_t>(address), true);
}

// Strict: with unified addressing a driver gives the pointer without the flag, too, but not every board has that
CUDA_API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* device, void* host, unsigned) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const uintptr_t address = reinterpret_cast<uintptr_t>(host);
  const Allocation* found = find_allocation(address, 1);
  if (!found || found->kind != Kind::pinned || !(found->flags & CU_MEMHOSTALLOC_DEVICEMAP))
    return CUDA_ERROR_INVALID_VALUE;
  *device = address;
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuMemHostGetFlags(unsigned* flags, void* host) {
  const Call call = enter(__func__, context | working_context);
  const Allocation* found = call.error ? nullptr : find_allocation(reinterpret_cast<uintptr_t>(host), 1);
  if (!found || found->kind != Kind::pinned) return call.error ? call.error : CUDA_ERROR_INVALID_VALUE;
  *flags = found->flags;
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* size, CUdeviceptr address) {
  const Call call = enter(__func__, context | working_context);
  const Allocation* found = call.error ? nullptr : find_allocation(address, 1);
  if (!found) return call.error ? call.error : CUDA_ERROR_INVALID_VALUE;
  if (base) *base = found->address;
  if (size) *size = found->size;
  return CUDA_SUCCESS;
}

// On a TX2 no memory can be registered; nobody needs it elsewhere
CUDA_API CUresult cuMemHostRegister_v2(void*, size_t, unsigned) {
  const Call call = enter(__func__, context | working_context);
  return call.error ? call.error : CUDA_ERROR_NOT_SUPPORTED;
}

CUDA_API CUresult cuStreamAttachMemAsync(CUstream handle, CUdeviceptr address, size_t length, unsigned flags) {
  const Call call = enter(__func__, queueing);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  const Allocation* found = find_allocation(address, 1);
  const bool whole = found && found->address == address && (length == 0 || length == found->size);
  const bool known = flags == CU_MEM_ATTACH_GLOBAL || flags == CU_MEM_ATTACH_HOST || flags == CU_MEM_ATTACH_SINGLE;
  const bool to_default = flags == CU_MEM_ATTACH_SINGLE && stream == call.context->default_stream;
  if (!whole || found->kind != Kind::managed || !known || to_default) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(call.context, stream, Work{"an attachment", [=] {
    std::lock_guard<std::mutex> lock(state().mutex);
    const auto each = state().allocations.find(address);
    if (each == state().allocations.end()) return CUDA_ERROR_ILLEGAL_ADDRESS;
    each->second.attached = flags == CU_MEM_ATTACH_GLOBAL ? Attached::global
                            : flags == CU_MEM_ATTACH_HOST ? Attached::host
                                                          : Attached::single;
    each->second.stream = stream;
    return CUDA_SUCCESS;
  }});
}

CUDA_API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  Call call = enter(__func__, waiting);
  return copy_on(call, nullptr, true, Direction::host_to_device, pointer(to), from, bytes);
}

CUDA_API CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  Call call = enter(__func__, waiting);
  return copy_on(call, nullptr, true, Direction::device_to_host, to, pointer(from), bytes);
}

// The one synchronous call that may return before the copy has ended, as on a GPU
CUDA_API CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  Call call = enter(__func__, waiting);
  return copy_on(call, nullptr, false, Direction::device_to_device, pointer(to), pointer(from), bytes);
}

CUDA_API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  Call call = enter(__func__, queueing);
  return copy_on(call, stream, false, Direction::host_to_device, pointer(to), from, bytes);
}

CUDA_API CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  Call call = enter(__func__, queueing);
  return copy_on(call, stream, false, Direction::device_to_host, to, pointer(from), bytes);
}

CUDA_API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  Call call = enter(__func__, queueing);
  return copy_on(call, stream, false, Direction::device_to_device, pointer(to), pointer(from), bytes);
}

CUDA_API CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  Call call = enter(__func__, waiting);
  return fill_on(call, nullptr, true, to, count, value, 1);
}

CUDA_API CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  Call call = enter(__func__, waiting);
  return fill_on(call, nullptr, true, to, count, value, 4);
}

CUDA_API CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  Call call = enter(__func__, queueing);
  return fill_on(call, stream, false, to, count, value, 1);
}

CUDA_API CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  Call call = enter(__func__, queueing);
  return fill_on(call, stream, false, to, count, value, 4);
}
