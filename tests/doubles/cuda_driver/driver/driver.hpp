// The state of the CPU "CUDA driver", and what its parts ask of each other.
//
// Nothing runs when it is queued: whoever waits (a synchronisation, a synchronous copy, giving memory back) does the
// work, in the order that streams, events and the legacy default stream prescribe. So a result that is read too early
// is not there, on every run, and not only where a GPU happens to be slow.
#pragma once
#include <cuda.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#define CUDA_API extern "C" __attribute__((visibility("default")))

#ifndef DRIVER_VERSION
#error "DRIVER_VERSION: 10020, or 11040 and more for the newer way to instantiate graphs"
#endif

namespace fake {

struct Board {
  const char* key;
  const char* name;
  int major, minor;
  int multiprocessors, clock_khz;
  int driver;  // the version of CUDA that it comes with
  bool integrated, concurrent_managed_access;
  int async_engines;
};

struct Context;
struct Stream;

// What the GPU does when its turn has come; an error is one of the context from then on
struct Work {
  std::string name;
  std::function<CUresult()> run;
};

// After how much of a stream's work
struct Place {
  std::shared_ptr<Stream> stream;
  uint64_t number;
};

struct Queued {
  Work work;
  std::vector<Place> after;
};

struct Capture {
  std::vector<Work> work;
  CUstreamCaptureMode mode;
  std::thread::id thread;
  bool invalid = false;
};

struct Stream {
  Context* context;
  bool blocking;  // waits for the legacy default stream, and is waited for by it
  bool destroyed = false;
  std::deque<Queued> queue;
  uint64_t issued = 0, completed = 0;
  std::shared_ptr<Capture> capture;
};

struct Mark {
  bool reached = false;
  double milliseconds = 0;
};

struct Event {
  Context* context;
  unsigned flags;
  Place place{nullptr, 0};
  std::shared_ptr<Mark> mark;
  bool captured = false;  // last recorded in a capture
};

enum class Kind { device, pinned, managed };
enum class Attached { global, host, single };

struct Allocation {
  Kind kind;
  Context* context;
  unsigned flags;
  char* base;  // of the mapping, which holds more than the allocation
  size_t mapped;
  uintptr_t address;
  size_t size;
  Attached attached = Attached::global;
  std::shared_ptr<Stream> stream;  // of Attached::single
  bool hidden = false;       // from the CPU
};

struct Context {
  int holders = 0;
  CUresult error = CUDA_SUCCESS;  // of a kernel that failed; nothing works here any more
  std::shared_ptr<Stream> default_stream;
  std::vector<std::shared_ptr<Stream>> streams;  // without the default one
};

struct Module {
  Context* context;
  void* library;
};

struct Function {
  Module* module;
  std::string name, parameters;  // a letter each, as cuda_shim writes them
  void (*run)(const unsigned*, const unsigned*, size_t, void*);
};

struct Graph {
  std::vector<Work> work;
};

struct CallFault {
  std::string function;
  long countdown;
  CUresult result;
  bool lasting;
};

struct KernelFault {
  std::string kernel;  // or "*"
  long countdown;
  bool late;  // noticed when the work is waited for
};

struct State {
  std::mutex mutex;
  std::condition_variable rested;
  bool busy = false;  // somebody does the GPU's work
  std::thread::id worker;

  bool initialised = false;
  const Board* board = nullptr;
  size_t total_bytes = 0, free_bytes = 0;
  bool capture_breaks = false;
  std::vector<CallFault> call_faults;
  std::vector<KernelFault> kernel_faults;

  Context primary;
  std::set<Context*> contexts;  // those that live
  std::map<uintptr_t, Allocation> allocations;
  std::set<Event*> events;
  std::set<Module*> modules;
  std::set<Function*> functions;
  std::set<Graph*> graphs, executables;
  std::map<std::string, long long> counts;
};

State& state();

// An API function's beginning: takes the lock, and looks for what makes every such call fail
enum Needs { nothing = 0, initialisation = 1, context = 3, no_capture = 4, working_context = 8 };
struct Call {
  std::unique_lock<std::mutex> lock;
  Context* context = nullptr;
  CUresult error = CUDA_SUCCESS;
};
Call enter(const char* function, int needs);

// contexts.cpp
std::vector<Context*>& context_stack();
CUresult refuse_while_capturing();

// streams.cpp
std::shared_ptr<Stream> find_stream(Context* context, CUstream handle);
CUresult enqueue(Context* context, const std::shared_ptr<Stream>& stream, Work work);
void finish(std::unique_lock<std::mutex>& lock, std::shared_ptr<Stream> stream, uint64_t number);
void finish(std::unique_lock<std::mutex>& lock, Context* context);
void finish_everything(std::unique_lock<std::mutex>& lock);
bool is_pending(const Stream& stream);
bool anything_pending();

// memory.cpp
const Allocation* find_allocation(uintptr_t address, size_t bytes);
void show_managed_memory(bool shown);
void hide_managed_memory();
bool guards_are_intact(const std::string& after);
void forget_memory(Context* context);

// control.cpp
void complain(const std::string& sentence);
bool meant(KernelFault& fault, const std::string& kernel, bool late);

}  // namespace fake
