// A library that is loaded before libc: counts what a command does to files in one folder, and strikes at the n-th time.
//
//   FAULTY_FOLDER   the folder; what lies elsewhere is left alone
//   FAULTY_STATE    a file of two 64-bit numbers that all processes of a command share: how many events there were, and
//                   the process id of the command itself; the first process that finds 0 there takes it
//   FAULTY_EVENTS   "changes" (create, write, rename, remove, sync, truncate, mkdir) or "all" (reading a file, too, wherever it
//                   lies, and what is written to standard error)
//   FAULTY_AT       the event that is struck, from 1; 0 strikes none
//   FAULTY_WHAT     full      from this event on the disk is full: half of a write is done, and then nothing
//                   readonly  nothing in the folder can be changed, as on a disk that is mounted so
//                   N         signal number N for the command, before the event; SIGKILL after half of a write's pages
//   FAULTY_CLOCK    "jumps": the wall clock is an hour ahead, right, and an hour behind in turn, a tenth of a second each
//
// It reads them when it is loaded, and again when faulty_begin is called, in a process that was forked.

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

struct State {
  int64_t events;
  int64_t pid;
};

char folder[PATH_MAX];
size_t folder_length = 0;
State *state = nullptr;
bool counts_all = false, is_full_kind = false, is_read_only = false, clock_jumps = false;
int64_t strike_at = 0;
int signal_number = 0;

template <typename Function> Function real(const char *name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

const char *variable(const char *name) {
  const char *found = getenv(name);
  return found == nullptr ? "" : found;
}

void begin() {
  const char *given = variable("FAULTY_FOLDER");
  folder_length = strlen(given);
  state = nullptr;
  clock_jumps = strcmp(variable("FAULTY_CLOCK"), "jumps") == 0;
  if (folder_length == 0 || folder_length >= sizeof folder) return;
  memcpy(folder, given, folder_length + 1);
  counts_all = strcmp(variable("FAULTY_EVENTS"), "all") == 0;
  strike_at = atoll(variable("FAULTY_AT"));
  is_full_kind = strcmp(variable("FAULTY_WHAT"), "full") == 0;
  is_read_only = strcmp(variable("FAULTY_WHAT"), "readonly") == 0;
  signal_number = atoi(variable("FAULTY_WHAT"));
  int file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, variable("FAULTY_STATE"), O_RDWR));
  if (file < 0) return;
  void *mapped = mmap(nullptr, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  if (mapped == MAP_FAILED) return;
  state = static_cast<State *>(mapped);
  int64_t nobody = 0;
  __atomic_compare_exchange_n(&state->pid, &nobody, static_cast<int64_t>(getpid()), false, __ATOMIC_SEQ_CST,
                              __ATOMIC_SEQ_CST);
}

__attribute__((constructor)) void loaded() { begin(); }

bool is_ours(const char *path) {
  return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || path[folder_length] == 0);
}

bool concerns(const char *path) {
  if (state == nullptr || path == nullptr) return false;
  if (path[0] == '/') return is_ours(path);
  char here[PATH_MAX];
  return syscall(SYS_getcwd, here, sizeof here) > 0 && is_ours(here);
}

bool concerns(int file) {
  if (state == nullptr || file < 0) return false;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (length <= 0) return false;
  path[length] = 0;
  return is_ours(path);
}

enum class Verdict { go_on, half, fail };

void strike() { kill(static_cast<pid_t>(state->pid), signal_number); }

// One event: whether it may happen
Verdict event(bool is_write = false) {
  int64_t number = __atomic_add_fetch(&state->events, 1, __ATOMIC_SEQ_CST);
  if (is_read_only) return Verdict::fail;
  if (strike_at == 0 || number < strike_at) return Verdict::go_on;
  if (is_full_kind) return number == strike_at && is_write ? Verdict::half : Verdict::fail;
  if (number != strike_at) return Verdict::go_on;
  if (signal_number == SIGKILL && is_write) return Verdict::half;
  strike();
  return Verdict::go_on;
}

int full() {
  errno = is_read_only ? EROFS : ENOSPC;
  return -1;
}

ssize_t written(int file, const void *data, size_t size, off_t offset, bool is_positioned) {
  auto plain = [&](size_t count) -> ssize_t {
    return is_positioned ? syscall(SYS_pwrite64, file, data, count, offset) : syscall(SYS_write, file, data, count);
  };
  if (state != nullptr && counts_all && file == 2) event();
  if (!concerns(file) || file == 1 || file == 2) return plain(size);
  switch (event(true)) {
  case Verdict::fail: return full();
  case Verdict::half:
    if (is_full_kind) return size < 2 ? full() : plain(size / 2);
    if (size >= 8192) plain(size / 2 / 4096 * 4096);
    strike();
    return plain(size);
  case Verdict::go_on: break;
  }
  return plain(size);
}

int opened(int at, const char *path, int flags, mode_t mode) {
  bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
  if (state != nullptr && path != nullptr) {
    if (changes && concerns(path)) {
      struct stat there;
      bool is_new = syscall(SYS_newfstatat, at, path, &there, 0) != 0;
      if (event() == Verdict::fail && (is_new || is_read_only)) return full();
    } else if (counts_all && !changes) {
      event();
    }
  }
  return static_cast<int>(syscall(SYS_openat, at, path, flags, mode));
}

template <typename Function> int changed(bool is_concerned, bool needs_room, Function function) {
  if (is_concerned && event() == Verdict::fail && (needs_room || is_read_only)) return full();
  return function();
}

void jump(clockid_t clock, timespec *now) {
  if (!clock_jumps || now == nullptr || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return;
  timespec steady;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &steady);
  int64_t phase = (steady.tv_sec * 10 + steady.tv_nsec / 100000000) % 3;
  now->tv_sec += (phase - 1) * 3600;
}

}  // namespace

#define MODE(flags)                                                                                                    \
  mode_t mode = 0;                                                                                                     \
  if ((flags) & O_CREAT) {                                                                                             \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode = va_arg(rest, mode_t);                                                                                       \
    va_end(rest);                                                                                                      \
  }

extern "C" {

void faulty_begin() { begin(); }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }

ssize_t write(int file, const void *data, size_t size) { return written(file, data, size, 0, false); }
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) { return written(file, data, size, offset, true); }
ssize_t pwrite64(int file, const void *data, size_t size, off_t offset) {
  return written(file, data, size, offset, true);
}

int rename(const char *from, const char *to) {
  return changed(concerns(to), false, [&] { return real<int (*)(const char *, const char *)>("rename")(from, to); });
}
int renameat(int at, const char *from, int there, const char *to) {
  return changed(concerns(to), false, [&] { return real<decltype(&renameat)>("renameat")(at, from, there, to); });
}
int unlink(const char *path) {
  return changed(concerns(path), false, [&] { return real<decltype(&unlink)>("unlink")(path); });
}
int mkdir(const char *path, mode_t mode) {
  return changed(concerns(path), true, [&] { return real<decltype(&mkdir)>("mkdir")(path, mode); });
}
int access(const char *path, int mode) {
  if ((mode & W_OK) && state != nullptr && is_read_only && concerns(path)) return full();
  return static_cast<int>(syscall(SYS_faccessat, AT_FDCWD, path, mode));
}
int fsync(int file) {
  return changed(concerns(file), false, [&] { return real<decltype(&fsync)>("fsync")(file); });
}
int ftruncate64(int file, off64_t size) {
  return changed(concerns(file), false, [&] { return real<decltype(&ftruncate64)>("ftruncate64")(file, size); });
}

int clock_gettime(clockid_t clock, timespec *now) {
  int code = static_cast<int>(syscall(SYS_clock_gettime, clock, now));
  if (code == 0) jump(clock, now);
  return code;
}
int gettimeofday(timeval *now, void *) {
  timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *into) {
  timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (into != nullptr) *into = precise.tv_sec;
  return precise.tv_sec;
}
}
