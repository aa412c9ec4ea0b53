// CUDA graphs: the work of one captured stream, done again whenever it is launched.
#include "driver.hpp"

#undef cuGraphInstantiate

namespace fake {

static CUresult instantiate(Call& call, CUgraphExec* executable, CUgraph graph) {
  if (call.error) return call.error;
  Graph* captured = reinterpret_cast<Graph*>(graph);
  if (!state().graphs.count(captured)) return CUDA_ERROR_INVALID_VALUE;
  Graph* made = new Graph(*captured);
  state().executables.insert(made);
  *executable = reinterpret_cast<CUgraphExec>(made);
  return CUDA_SUCCESS;
}

static CUresult destroy(Call& call, std::set<Graph*>& known, Graph* graph) {
  if (call.error) return call.error;
  if (!known.erase(graph)) return CUDA_ERROR_INVALID_VALUE;
  call.lock.unlock();  // what its work holds may have a clean-up of its own
  delete graph;
  return CUDA_SUCCESS;
}

}  // namespace fake

using namespace fake;

CUDA_API CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream == call.context->default_stream) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture.reset(new Capture);
  stream->capture->mode = mode;
  stream->capture->thread = std::this_thread::get_id();
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  *graph = nullptr;
  Call call = enter(__func__, context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  const bool elsewhere = stream->capture->thread != std::this_thread::get_id();
  if (elsewhere && stream->capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  const std::shared_ptr<Capture> capture = std::move(stream->capture);
  stream->capture.reset();
  if (capture->invalid) {
    call.lock.unlock();  // before what it holds is cleaned up
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  }
  Graph* made = new Graph{std::move(capture->work)};
  state().graphs.insert(made);
  *graph = reinterpret_cast<CUgraph>(made);
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  const Call call = enter(__func__, context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  *status = !stream->capture          ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                       : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuGraphInstantiate(CUgraphExec* executable, CUgraph graph, CUgraphNode*, char*, size_t) {
  Call call = enter(__func__, context | working_context);
  return instantiate(call, executable, graph);
}

#if DRIVER_VERSION >= 11040
CUDA_API CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  Call call = enter("cuGraphInstantiate", context | working_context);
  return instantiate(call, executable, graph);
}
#endif

CUDA_API CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, stream_handle);
  Graph* graph = reinterpret_cast<Graph*>(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!state().executables.count(graph)) return CUDA_ERROR_INVALID_VALUE;
  ++state().counts["graph_launches"];
  for (const Work& work : graph->work)
    if (const CUresult error = enqueue(call.context, stream, work)) return error;
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuGraphDestroy(CUgraph graph) {
  Call call = enter(__func__, initialisation);
  return destroy(call, state().graphs, reinterpret_cast<Graph*>(graph));
}

CUDA_API CUresult cuGraphExecDestroy(CUgraphExec executable) {
  Call call = enter(__func__, initialisation);
  return destroy(call, state().executables, reinterpret_cast<Graph*>(executable));
}
