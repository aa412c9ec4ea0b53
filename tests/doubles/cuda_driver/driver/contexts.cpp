// The device, its contexts, and the stack of contexts that every thread has.
#include <cstdio>
#include <cstring>

#include "driver.hpp"

namespace fake {

State& state() {
  static State& only = *new State;  // never destroyed: pycuda's own clean-up at exit still calls
  return only;
}

std::vector<Context*>& context_stack() {
  static thread_local std::vector<Context*> stack;
  return stack;
}

static std::vector<Capture*> captures() {
  std::vector<Capture*> found;
  for (Context* context : state().contexts)
    for (const auto& stream : context->streams)
      if (stream->capture) found.push_back(stream->capture.get());
  return found;
}

// What might wait for the device is unsafe: refused to a thread that captures in any mode but RELAXED, and to all
// threads while one captures in GLOBAL mode (cuda.h, cuThreadExchangeStreamCaptureMode)
CUresult refuse_while_capturing() {
  CUresult result = CUDA_SUCCESS;
  for (Capture* capture : captures()) {
    const bool own = capture->thread == std::this_thread::get_id();
    if (capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL || (own && capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED)) {
      capture->invalid = true;
      result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  }
  return result;
}

static CUresult fault_of(const char* function) {
  std::vector<CallFault>& faults = state().call_faults;
  for (auto fault = faults.begin(); fault != faults.end(); ++fault) {
    const bool allocates = strcmp(function, "cuMemAlloc_v2") == 0 || strcmp(function, "cuMemHostAlloc") == 0 ||
                           strcmp(function, "cuMemAllocManaged") == 0;
    if (fault->function != function && !(allocates && fault->function == "allocation")) continue;
    if (fault->countdown > 1) {
      --fault->countdown;
      continue;
    }
    const CUresult result = fault->result;
    if (!fault->lasting) faults.erase(fault);
    return result;
  }
  return CUDA_SUCCESS;
}

static CUresult reason_to_fail(const char* function, int needs, Context*& current) {
  State& s = state();
  if (s.busy && s.worker == std::this_thread::get_id()) return CUDA_ERROR_NOT_PERMITTED;  // from a host function
  if (const CUresult fault = fault_of(function)) return fault;
  if ((needs & initialisation) && !s.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if ((needs & context) == context) {
    if (context_stack().empty()) return CUDA_ERROR_INVALID_CONTEXT;
    current = context_stack().back();
    if (!s.contexts.count(current)) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  }
  if ((needs & working_context) && current->error) return current->error;
  return needs & no_capture ? refuse_while_capturing() : CUDA_SUCCESS;
}

Call enter(const char* function, int needs) {
  Call call;
  call.lock = std::unique_lock<std::mutex>(state().mutex);
  call.error = reason_to_fail(function, needs, call.context);
  return call;
}

static void begin(Context* context) {
  context->error = CUDA_SUCCESS;
  context->default_stream.reset(new Stream);
  context->default_stream->context = context;
  context->default_stream->blocking = false;
  state().contexts.insert(context);
}

// With everything that was made in it. The object itself stays: other threads may have it on their stacks.
static void end(Call& call, Context* context) {
  State& s = state();
  finish(call.lock, context);
  std::vector<std::shared_ptr<Stream>> streams;  // their work is destroyed when the lock is released
  streams.swap(context->streams);
  for (auto event = s.events.begin(); event != s.events.end();)
    event = (*event)->context == context ? s.events.erase(event) : std::next(event);
  for (auto module = s.modules.begin(); module != s.modules.end();)
    module = (*module)->context == context ? s.modules.erase(module) : std::next(module);
  forget_memory(context);
  s.contexts.erase(context);
  call.lock.unlock();
}

}  // namespace fake

using namespace fake;

CUDA_API CUresult cuInit(unsigned) {
  Call call = enter(__func__, nothing);
  if (!call.error) state().initialised = true;
  return call.error;
}

CUDA_API CUresult cuDriverGetVersion(int* version) {
  *version = DRIVER_VERSION;
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuDeviceGetCount(int* count) {
  *count = 1;
  return enter(__func__, initialisation).error;
}

CUDA_API CUresult cuDeviceGet(CUdevice* device, int number) {
  *device = 0;
  const Call call = enter(__func__, initialisation);
  return call.error ? call.error : number == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUDA_API CUresult cuDeviceGetName(char* name, int size, CUdevice) {
  const Call call = enter(__func__, initialisation);
  snprintf(name, size_t(size), "%s", state().board->name);
  return call.error;
}

CUDA_API CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice) {
  const Call call = enter(__func__, initialisation);
  *bytes = state().total_bytes;
  return call.error;
}

CUDA_API CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice) {
  const Call call = enter(__func__, initialisation);
  *major = state().board->major;
  *minor = state().board->minor;
  return call.error;
}

CUDA_API CUresult cuDeviceGetPCIBusId(char* text, int size, CUdevice) {
  const Call call = enter(__func__, initialisation);
  snprintf(text, size_t(size), "0000:00:00.0");
  return call.error;
}

CUDA_API CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  const Call call = enter(__func__, initialisation);
  if (call.error) return call.error;
  const Board& board = *state().board;
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = board.major; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = board.minor; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = board.multiprocessors; break;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = board.clock_khz; break;
    case CU_DEVICE_ATTRIBUTE_INTEGRATED: *value = board.integrated; break;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: *value = board.async_engines; break;
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS: *value = board.concurrent_managed_access; break;
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_GPU_OVERLAP: *value = 1; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: *value = 64; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: *value = 0x7fffffff; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: *value = 65535; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = 48 << 10; break;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK: *value = 32768; break;
    default: *value = 0;
  }
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuCtxCreate_v2(CUcontext* context, unsigned, CUdevice) {
  Call call = enter(__func__, initialisation | no_capture);
  if (call.error) return call.error;
  Context* made = new Context;
  made->holders = 1;
  begin(made);
  context_stack().push_back(made);
  *context = reinterpret_cast<CUcontext>(made);
  return CUDA_SUCCESS;
}

// Gives a hold of a context back; the last one destroys it. A context that cuCtxCreate made leaves the calling thread's
// stack, the primary one stays there whatever happens (cuda.h, cuDevicePrimaryCtxRelease).
static CUresult release(Call& call, Context* context) {
  const bool lives = state().contexts.count(context);
  std::vector<Context*>& stack = context_stack();
  const bool is_last = !lives || --context->holders == 0;
  if (is_last && context != &state().primary && !stack.empty() && stack.back() == context) stack.pop_back();
  if (lives && is_last) end(call, context);
  return lives ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUDA_API CUresult cuCtxDetach(CUcontext context) {
  Call call = enter(__func__, initialisation | no_capture);
  if (call.error) return call.error;
  if (context_stack().empty() || context_stack().back() != reinterpret_cast<Context*>(context))
    return CUDA_ERROR_INVALID_CONTEXT;
  return release(call, reinterpret_cast<Context*>(context));
}

CUDA_API CUresult cuCtxDestroy_v2(CUcontext context) {
  Call call = enter(__func__, initialisation | no_capture);
  return call.error ? call.error : release(call, reinterpret_cast<Context*>(context));
}

CUDA_API CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) {
  Call call = enter(__func__, initialisation);
  if (call.error) return call.error;
  Context& primary = state().primary;
  if (primary.holders++ == 0) begin(&primary);
  *context = reinterpret_cast<CUcontext>(&primary);
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) {
  Call call = enter(__func__, initialisation | no_capture);
  return call.error ? call.error : release(call, &state().primary);
}

// A context that has ended is taken, too, and nothing works in it: pycuda pushes it to clean up what outlived it, in
// destructors that must not fail
CUDA_API CUresult cuCtxPushCurrent_v2(CUcontext context) {
  const Call call = enter(__func__, initialisation);
  if (call.error) return call.error;
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  context_stack().push_back(reinterpret_cast<Context*>(context));
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  const Call call = enter(__func__, initialisation);
  if (call.error) return call.error;
  std::vector<Context*>& stack = context_stack();
  if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context) *context = reinterpret_cast<CUcontext>(stack.back());
  stack.pop_back();
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuCtxGetCurrent(CUcontext* context) {
  const Call call = enter(__func__, initialisation);
  *context = context_stack().empty() ? nullptr : reinterpret_cast<CUcontext>(context_stack().back());
  return call.error;
}

CUDA_API CUresult cuCtxGetDevice(CUdevice* device) {
  *device = 0;
  return enter(__func__, context).error;
}

CUDA_API CUresult cuCtxGetApiVersion(CUcontext, unsigned* version) {
  *version = DRIVER_VERSION;
  return enter(__func__, initialisation).error;
}

CUDA_API CUresult cuCtxSynchronize() {
  Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  for (const auto& stream : call.context->streams) {
    if (!stream->capture) continue;
    stream->capture->invalid = true;
    call.error = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (call.error) return call.error;
  finish(call.lock, call.context);
  return call.context->error;
}

CUDA_API CUresult cuGetErrorString(CUresult error, const char** text) {
  static const std::map<int, const char*> texts = {
      {CUDA_SUCCESS, "no error"},
      {CUDA_ERROR_INVALID_VALUE, "invalid argument"},
      {CUDA_ERROR_OUT_OF_MEMORY, "out of memory"},
      {CUDA_ERROR_NOT_INITIALIZED, "initialization error"},
      {CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"},
      {CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"},
      {CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"},
      {CUDA_ERROR_INVALID_CONTEXT, "invalid device context"},
      {CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device"},
      {CUDA_ERROR_FILE_NOT_FOUND, "file not found"},
      {CUDA_ERROR_OPERATING_SYSTEM, "OS call failed or operation not supported on this OS"},
      {CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"},
      {CUDA_ERROR_ILLEGAL_STATE, "the operation cannot be performed in the present state"},
      {CUDA_ERROR_NOT_FOUND, "named symbol not found"},
      {CUDA_ERROR_NOT_READY, "device not ready"},
      {CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"},
      {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch"},
      {CUDA_ERROR_LAUNCH_TIMEOUT, "the launch timed out and was terminated"},
      {CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed"},
      {CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"},
      {CUDA_ERROR_NOT_PERMITTED, "operation not permitted"},
      {CUDA_ERROR_NOT_SUPPORTED, "operation not supported"},
      {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"},
      {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"},
      {CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency created on uncaptured work in another stream"},
      {CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
       "operation would make the legacy stream depend on a capturing blocking stream"},
      {CUDA_ERROR_CAPTURED_EVENT, "operation not permitted on an event last recorded in a capturing stream"},
      {CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD,
       "attempt to terminate a thread-local capture sequence from another thread"},
      {CUDA_ERROR_UNKNOWN, "unknown error"},
  };
  const auto found = texts.find(error);
  *text = found == texts.end() ? "unknown error" : found->second;  // pycuda takes it for a text in any case
  return found == texts.end() ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}
