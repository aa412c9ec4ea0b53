// What tests say to the driver, and what it tells them. Commands come as lines, by FAKECUDA or fakecuda_configure:
//
//     board KEY                     what the machine is
//     memory TOTAL_MIB FREE_MIB     of the device
//     fail NAME NTH CODE [always]   the NTH call from now of an API function ("allocation": of all that allocate)
//     kernel NAME NTH now|late      the NTH launch from now of a kernel ("*": any), at the launch or when it runs
//     capture_breaks                work that comes to a capture ends it
//     sound                         none of these faults any more
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "driver.hpp"

namespace fake {

// TX2, Nano and Xavier with JetPack 4.6, Orin with JetPack 6, and a PC's graphics card with a driver as old as JetPack 4.
// CUDA's own names; to be strict, no Jetson lets the CPU touch managed memory while the GPU works.
static const Board boards[] = {
    {"tx2", "NVIDIA Tegra X2", 6, 2, 2, 1300500, 10020, true, false, 1},
    {"nano", "NVIDIA Tegra X1", 5, 3, 1, 921600, 10020, true, false, 1},
    {"xavier", "Xavier", 7, 2, 8, 1377000, 10020, true, false, 1},
    {"orin", "Orin", 8, 7, 16, 1300000, 12060, true, false, 2},
    {"pc", "GeForce RTX 2080", 7, 5, 46, 1710000, 10020, false, true, 3},
};

void complain(const std::string& sentence) { fprintf(stderr, "fake CUDA driver: %s\n", sentence.c_str()); }

bool meant(KernelFault& fault, const std::string& kernel, bool late) {
  if (fault.late != late || fault.countdown < 1 || (fault.kernel != "*" && fault.kernel != kernel)) return false;
  return --fault.countdown == 0;
}

static bool obey(const std::string& line) {
  State& s = state();
  std::istringstream words(line);
  std::string command, name, how;
  words >> command;
  if (command == "board") {
    words >> name;
    for (const Board& board : boards) {
      if (board.key != name || (board.driver >= 11040) != (DRIVER_VERSION >= 11040)) continue;
      s.board = &board;
      return true;
    }
    return false;
  }
  if (command == "memory") {
    words >> s.total_bytes >> s.free_bytes;
    s.total_bytes <<= 20;
    s.free_bytes <<= 20;
    return bool(words);
  }
  if (command == "fail") {
    CallFault fault{};
    int code = 0;
    words >> fault.function >> fault.countdown >> code;
    fault.result = CUresult(code);
    const bool whole = bool(words);
    fault.lasting = bool(words >> how) && how == "always";
    s.call_faults.push_back(fault);
    return whole;
  }
  if (command == "kernel") {
    KernelFault fault{};
    words >> fault.kernel >> fault.countdown >> how;
    fault.late = how == "late";
    s.kernel_faults.push_back(fault);
    return how == "now" || how == "late";
  }
  if (command == "capture_breaks") return s.capture_breaks = true;
  if (command != "sound") return command.empty();
  s.call_faults.clear();
  s.kernel_faults.clear();
  s.capture_breaks = false;
  return true;
}

static bool obey_all(const char* text) {
  std::istringstream lines(text);
  bool known = true;
  for (std::string line; std::getline(lines, line);) {
    if (obey(line)) continue;
    complain("unknown to this build: " + line);
    known = false;
  }
  return known;
}

static std::string counters() {
  State& s = state();
  std::map<std::string, long long> all = s.counts;
  static const char* const kinds[] = {"device", "pinned", "managed"};
  for (const char* kind : kinds) all[std::string("live.") + kind] = 0;
  for (const auto& each : s.allocations) {
    ++all[std::string("live.") + kinds[int(each.second.kind)]];
    all[std::string("live_bytes.") + kinds[int(each.second.kind)]] += static_cast<long long>(each.second.size);
  }
  all["live.contexts"] = static_cast<long long>(s.contexts.size());
  all["live.streams"] = 0;
  for (const Context* context : s.contexts)
    for (const auto& stream : context->streams) all["live.streams"] += !stream->destroyed;
  all["live.events"] = static_cast<long long>(s.events.size());
  all["live.modules"] = static_cast<long long>(s.modules.size());
  all["live.graphs"] = static_cast<long long>(s.graphs.size());
  all["live.graph_executables"] = static_cast<long long>(s.executables.size());
  all["pending"] = anything_pending();
  std::ostringstream text;
  for (const auto& each : all) text << each.first << ' ' << each.second << '\n';
  return text.str();
}

__attribute__((constructor)) static void begin() {
  obey_all(DRIVER_VERSION >= 11040 ? "board orin\nmemory 7800 4000" : "board tx2\nmemory 7800 4000");
  const char* given = getenv("FAKECUDA");
  if (given && !obey_all(given)) abort();
}

// After pycuda's own clean-up, which the loader ends first
__attribute__((destructor)) static void end() {
  const char* folder = getenv("FAKECUDA_REPORTS");
  if (!folder) return;
  FILE* file = fopen((std::string(folder) + "/" + std::to_string(getpid())).c_str(), "w");
  if (!file) return complain(std::string("cannot write to ") + folder);
  fputs(counters().c_str(), file);
  fclose(file);
}

}  // namespace fake

using namespace fake;

CUDA_API int fakecuda_configure(const char* lines) {
  std::lock_guard<std::mutex> lock(state().mutex);
  return obey_all(lines);
}

// "name number" in lines; the length of the whole text, of which ``size`` bytes are written at most
CUDA_API size_t fakecuda_counters(char* text, size_t size) {
  std::lock_guard<std::mutex> lock(state().mutex);
  const std::string all = counters();
  if (size) snprintf(text, size, "%s", all.c_str());
  return all.size();
}

// Bytes from an address to the end of the allocation that it lies in; 0 where there is none
CUDA_API size_t fakecuda_room(uintptr_t address) {
  std::lock_guard<std::mutex> lock(state().mutex);
  const Allocation* found = find_allocation(address, 1);
  return found ? found->size - (address - found->address) : 0;
}

// A new machine, for the next test in this process. What the last one left is only forgotten, since Python's objects on
// it may still be there.
CUDA_API void fakecuda_forget() {
  State& s = state();
  std::vector<std::shared_ptr<Stream>> streams;  // cleaned up when the lock has been released
  std::lock_guard<std::mutex> lock(s.mutex);
  streams.swap(s.primary.streams);
  streams.push_back(std::move(s.primary.default_stream));
  show_managed_memory(true);
  s.allocations.clear();
  s.contexts.clear();
  s.primary.holders = 0;
  s.events.clear();
  s.modules.clear();
  s.functions.clear();
  s.graphs.clear();
  s.executables.clear();
  s.counts.clear();
  context_stack().clear();
}
