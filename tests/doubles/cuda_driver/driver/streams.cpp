// Streams and events: queues of work, and who waits for whom.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>

#include "driver.hpp"

namespace fake {

std::shared_ptr<Stream> find_stream(Context* context, CUstream handle) {
  if (handle == nullptr || handle == CU_STREAM_LEGACY) return context->default_stream;
  for (const auto& stream : context->streams)
    if (stream.get() == reinterpret_cast<Stream*>(handle) && !stream->destroyed) return stream;
  return nullptr;
}

bool is_pending(const Stream& stream) { return stream.completed < stream.issued; }

static std::vector<std::shared_ptr<Stream>> all_streams(Context* context) {
  std::vector<std::shared_ptr<Stream>> streams = context->streams;
  streams.push_back(context->default_stream);
  return streams;
}

bool anything_pending() {
  for (Context* context : state().contexts)
    for (const auto& stream : all_streams(context))
      if (is_pending(*stream)) return true;
  return false;
}

static CUresult capture_work(Capture& capture, Work work) {
  if (capture.invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (state().capture_breaks) {
    capture.invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  capture.work.push_back(std::move(work));
  return CUDA_SUCCESS;
}

// The legacy default stream waits for all blocking streams of its context, and they wait for it
static CUresult legacy_order(Context* context, const Stream& stream, std::vector<Place>& after) {
  if (&stream != context->default_stream.get()) {
    if (stream.blocking) after.push_back({context->default_stream, context->default_stream->issued});
    return CUDA_SUCCESS;
  }
  for (const auto& other : context->streams) {
    if (!other->blocking) continue;
    if (other->capture) {
      other->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    after.push_back({other, other->issued});
  }
  return CUDA_SUCCESS;
}

static CUresult enqueue_after(Context* context, const std::shared_ptr<Stream>& stream, Work work,
                              std::vector<Place> after) {
  if (stream->capture) return capture_work(*stream->capture, std::move(work));
  if (const CUresult error = legacy_order(context, *stream, after)) return error;
  stream->queue.push_back({std::move(work), std::move(after)});
  ++stream->issued;
  hide_managed_memory();
  return CUDA_SUCCESS;
}

CUresult enqueue(Context* context, const std::shared_ptr<Stream>& stream, Work work) {
  return enqueue_after(context, stream, std::move(work), {});
}

// Python's lock, if this thread has it and there is Python at all: the GPU's work may be a Python function (the
// stand-in engine's), which another thread runs just now and which could not end if this thread kept the lock
class WithoutPython {
  using Check = int (*)();
  using Save = void* (*)();
  using Restore = void (*)(void*);
  void* saved_ = nullptr;

 public:
  WithoutPython() {
    static const Check check = reinterpret_cast<Check>(dlsym(RTLD_DEFAULT, "PyGILState_Check"));
    static const Save save = reinterpret_cast<Save>(dlsym(RTLD_DEFAULT, "PyEval_SaveThread"));
    if (check && save && check()) saved_ = save();
  }
  ~WithoutPython() {
    static const Restore restore = reinterpret_cast<Restore>(dlsym(RTLD_DEFAULT, "PyEval_RestoreThread"));
    if (saved_) restore(saved_);
  }
};

static void wait_for_worker(std::unique_lock<std::mutex>& lock) {
  WithoutPython without;
  state().rested.wait(lock, [] { return !state().busy; });
  lock.unlock();  // while Python's lock is taken again: its holder may be waiting for this one
}

// The first piece of a stream's work; the lock is not held meanwhile
static void do_one(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Stream>& stream) {
  State& s = state();
  Context* context = stream->context;
  Work work = std::move(stream->queue.front().work);
  stream->queue.pop_front();
  s.busy = true;
  s.worker = std::this_thread::get_id();
  show_managed_memory(true);
  const bool runs = work.run && !context->error;  // nothing runs behind a kernel that failed
  const std::string name = work.name;
  lock.unlock();
  CUresult result = runs ? work.run() : CUDA_SUCCESS;
  work = Work();  // what it holds may have a clean-up of its own
  lock.lock();
  s.busy = false;
  s.worker = std::thread::id();
  if (runs && !guards_are_intact(name)) result = CUDA_ERROR_ILLEGAL_ADDRESS;
  if (result) context->error = result;
  ++stream->completed;
  if (stream->destroyed && !is_pending(*stream)) {
    auto& streams = context->streams;
    streams.erase(std::remove(streams.begin(), streams.end(), stream), streams.end());
  }
  hide_managed_memory();
  s.rested.notify_all();
}

// The stream whose work has to be done next for this one to go on
static std::shared_ptr<Stream> next_in_order(std::shared_ptr<Stream> stream) {
  for (;;) {
    const auto& after = stream->queue.front().after;
    const auto waits = std::find_if(after.begin(), after.end(),
                                    [](const Place& place) { return place.stream->completed < place.number; });
    if (waits == after.end()) return stream;
    stream = waits->stream;
  }
}

void finish(std::unique_lock<std::mutex>& lock, std::shared_ptr<Stream> stream, uint64_t number) {
  while (stream->completed < number) {
    if (state().busy) {
      wait_for_worker(lock);
      lock.lock();
    } else {
      do_one(lock, next_in_order(stream));
    }
  }
}

void finish(std::unique_lock<std::mutex>& lock, Context* context) {
  for (const auto& stream : all_streams(context)) finish(lock, stream, stream->issued);
}

void finish_everything(std::unique_lock<std::mutex>& lock) {
  const std::vector<Context*> contexts(state().contexts.begin(), state().contexts.end());
  for (Context* context : contexts) finish(lock, context);
}

// A GPU goes on while it is only asked; here each question does one piece of work, so that who polls arrives
static void go_on(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Stream>& stream) {
  if (!state().busy) do_one(lock, next_in_order(stream));
}

static double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

static Event* find_event(CUevent handle) {
  Event* event = reinterpret_cast<Event*>(handle);
  return state().events.count(event) ? event : nullptr;
}

}  // namespace fake

using namespace fake;

CUDA_API CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  std::shared_ptr<Stream> made(new Stream);
  made->context = call.context;
  made->blocking = !(flags & CU_STREAM_NON_BLOCKING);
  call.context->streams.push_back(made);
  ++state().counts["made.streams"];
  *stream = reinterpret_cast<CUstream>(made.get());
  return CUDA_SUCCESS;
}

// Returns at once; work that waits is still done
CUDA_API CUresult cuStreamDestroy_v2(CUstream handle) {
  Call call = enter(__func__, context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream || stream == call.context->default_stream) return CUDA_ERROR_INVALID_HANDLE;
  stream->destroyed = true;
  if (!is_pending(*stream)) {
    auto& streams = call.context->streams;
    streams.erase(std::remove(streams.begin(), streams.end(), stream), streams.end());
  }
  call.lock.unlock();  // before what the stream's capture holds is cleaned up
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuStreamSynchronize(CUstream handle) {
  Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  ++state().counts["synchronizations"];
  finish(call.lock, stream, stream->issued);
  return call.context->error;
}

CUDA_API CUresult cuStreamQuery(CUstream handle) {
  Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (!is_pending(*stream)) return CUDA_SUCCESS;
  go_on(call.lock, stream);
  return call.context->error ? call.context->error : CUDA_ERROR_NOT_READY;
}

CUDA_API CUresult cuStreamWaitEvent(CUstream handle, CUevent event_handle, unsigned) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  const Event* event = find_event(event_handle);
  if (!stream || !event) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture && !event->captured) {
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (stream->capture) return CUDA_SUCCESS;  // one stream's order is the graph's
  if (event->captured) {
    complain("a second stream cannot join a capture here");
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  if (!event->place.stream) return CUDA_SUCCESS;  // never recorded
  return enqueue_after(call.context, stream, Work{"wait for an event", nullptr}, {event->place});
}

CUDA_API CUresult cuEventCreate(CUevent* event, unsigned flags) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  Event* made = new Event;
  made->context = call.context;
  made->flags = flags;
  state().events.insert(made);
  *event = reinterpret_cast<CUevent>(made);
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuEventDestroy_v2(CUevent handle) {
  const Call call = enter(__func__, context);
  if (call.error) return call.error;
  Event* event = find_event(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  state().events.erase(event);
  delete event;
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuEventRecord(CUevent handle, CUstream stream_handle) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, stream_handle);
  Event* event = find_event(handle);
  if (!stream || !event || event->context != call.context) return CUDA_ERROR_INVALID_HANDLE;
  const std::shared_ptr<Mark> mark(new Mark);
  const CUresult error = enqueue(call.context, stream, Work{"record an event", [mark] {
    mark->milliseconds = now_ms();
    mark->reached = true;
    return CUDA_SUCCESS;
  }});
  if (error) return error;
  event->captured = bool(stream->capture);
  event->mark = mark;
  event->place = Place{stream, stream->issued};
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuEventSynchronize(CUevent handle) {
  Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const Event* event = find_event(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (event->captured) return CUDA_ERROR_CAPTURED_EVENT;
  if (!event->place.stream) return CUDA_SUCCESS;
  ++state().counts["synchronizations"];
  const Place place = event->place;
  finish(call.lock, place.stream, place.number);
  return call.context->error;
}

CUDA_API CUresult cuEventQuery(CUevent handle) {
  Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const Event* event = find_event(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (event->captured) return CUDA_ERROR_CAPTURED_EVENT;
  const Place place = event->place;
  if (!place.stream || place.stream->completed >= place.number) return CUDA_SUCCESS;
  go_on(call.lock, place.stream);
  return call.context->error ? call.context->error : CUDA_ERROR_NOT_READY;
}

CUDA_API CUresult cuEventElapsedTime(float* milliseconds, CUevent from, CUevent to) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const Event *start = find_event(from), *end = find_event(to);
  for (const Event* event : {start, end}) {
    if (!event || !event->mark || (event->flags & CU_EVENT_DISABLE_TIMING)) return CUDA_ERROR_INVALID_HANDLE;
    if (event->captured) return CUDA_ERROR_CAPTURED_EVENT;
  }
  if (!start->mark->reached || !end->mark->reached) return CUDA_ERROR_NOT_READY;
  *milliseconds = float(end->mark->milliseconds - start->mark->milliseconds);
  return CUDA_SUCCESS;
}

// As cuLaunchHostFunc, for work that can fail and that holds something: ``run`` gives a CUresult, ``release`` ends it
CUDA_API CUresult fakecuda_host_call(CUstream handle, int (*run)(void*), void (*release)(void*), void* data) {
  const std::shared_ptr<void> held(data, [release](void* each) { release(each); });
  Call call = enter("cuLaunchHostFunc", context | working_context);
  if (call.error) return call.lock.unlock(), call.error;
  const std::shared_ptr<Stream> stream = find_stream(call.context, handle);
  if (!stream) return call.lock.unlock(), CUDA_ERROR_INVALID_HANDLE;
  const CUresult error = enqueue(call.context, stream, Work{"host call", [run, held] {
    {
      std::lock_guard<std::mutex> lock(state().mutex);
      ++state().counts["host_calls"];
    }
    return CUresult(run(held.get()));
  }});
  call.lock.unlock();  // before ``held`` may end
  return error;
}

CUDA_API CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data) {
  struct Plain {
    CUhostFn function;
    void* data;
  };
  const auto run = [](void* each) {
    static_cast<Plain*>(each)->function(static_cast<Plain*>(each)->data);
    return 0;
  };
  return fakecuda_host_call(stream, run, [](void* each) { delete static_cast<Plain*>(each); },
                            new Plain{function, data});
}
