// Modules and kernels. A "cubin" is a shared library for this CPU, made by tests/doubles/cuda_shim from a .cu.
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.hpp"

namespace fake {

static const size_t static_shared_bytes = 48 << 10;

// An image comes without its size, which its own header tells
static size_t elf_size(const void* image) {
  const auto* header = static_cast<const Elf64_Ehdr*>(image);
  if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return 0;
  return header->e_shoff + size_t(header->e_shnum) * header->e_shentsize;
}

// From a file of its own: the loader would take a name that it knows for the library that it knows
static void* load(const void* image, size_t size) {
  char path[] = "/tmp/fakecuda-XXXXXX";
  const int file = mkstemp(path);
  if (file < 0) return nullptr;
  const bool written = write(file, image, size) == ssize_t(size);
  close(file);
  void* library = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library) complain(std::string("no module: ") + (written ? dlerror() : "cannot be written to /tmp"));
  unlink(path);
  return library;
}

// As between real cubins and GPUs: the same major version, and no newer minor one
static bool is_for_board(void* library) {
  const int* sm = static_cast<const int*>(dlsym(library, "fakecuda_sm"));
  const Board& board = *state().board;
  return !sm || (*sm / 10 == board.major && *sm % 10 <= board.minor);
}

static CUresult load_module(Call& call, CUmodule* module, const void* image) {
  if (call.error) return call.error;
  const size_t size = elf_size(image);
  if (!size) return CUDA_ERROR_INVALID_IMAGE;
  void* library = load(image, size);
  if (!library) return CUDA_ERROR_INVALID_IMAGE;
  if (!is_for_board(library)) {
    dlclose(library);
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  Module* made = new Module{call.context, library};
  state().modules.insert(made);
  *module = reinterpret_cast<CUmodule>(made);
  return CUDA_SUCCESS;
}

// The bytes that the parameters take, each at its own alignment
static size_t packed_size(const std::string& parameters) {
  size_t size = 0;
  for (const char letter : parameters) {
    const size_t width = letter == 'i' || letter == 'I' || letter == 'f' ? 4 : 8;
    size = (size + width - 1) / width * width + width;
  }
  return size;
}

static std::string packed(const std::string& parameters, void** addresses) {
  std::string bytes;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const size_t end = packed_size(parameters.substr(0, i + 1));
    const size_t width = parameters[i] == 'i' || parameters[i] == 'I' || parameters[i] == 'f' ? 4 : 8;
    bytes.resize(end - width);
    bytes.append(static_cast<const char*>(addresses[i]), width);
  }
  return bytes;
}

static CUresult arguments_of(const Function& function, void** addresses, void** extra, std::string& bytes) {
  if (addresses && extra) return CUDA_ERROR_INVALID_VALUE;
  if (addresses) bytes = packed(function.parameters, addresses);
  const void* buffer = nullptr;
  size_t size = 0;
  for (; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = extra[1];
    if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE) size = *static_cast<size_t*>(extra[1]);
  }
  if (buffer) bytes.assign(static_cast<const char*>(buffer), size);
  const size_t wanted = packed_size(function.parameters);
  if (bytes.size() == wanted) return CUDA_SUCCESS;
  complain(function.name + " takes " + std::to_string(wanted) + " bytes of parameters, " + std::to_string(bytes.size()) +
           " were given");
  return CUDA_ERROR_INVALID_VALUE;
}

struct Size {
  unsigned x, y, z;
};

static bool is_possible(Size grid, Size block, unsigned shared) {
  const bool grid_fits = grid.x && grid.y && grid.z && grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535;
  const bool block_fits = block.x && block.y && block.z && block.x <= 1024 && block.y <= 1024 && block.z <= 64;
  return grid_fits && block_fits && block.x * block.y * block.z <= 1024 && shared <= static_shared_bytes;
}

static bool fails(const std::string& kernel, bool late) {
  for (KernelFault& fault : state().kernel_faults)
    if (meant(fault, kernel, late)) return true;
  return false;
}

static Work launch(const Function& function, Size grid, Size block, unsigned shared, std::string arguments) {
  const auto run = function.run;
  const std::string name = function.name;
  return Work{name, [=] {
    {
      std::lock_guard<std::mutex> lock(state().mutex);
      ++state().counts["launches." + name];
      if (fails(name, true)) return CUDA_ERROR_LAUNCH_FAILED;
    }
    std::string writable = arguments;  // a graph launches it again
    const unsigned sizes[2][3] = {{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}};
    run(sizes[0], sizes[1], shared, &writable[0]);
    return CUDA_SUCCESS;
  }};
}

}  // namespace fake

using namespace fake;

static const int loading = context | working_context | no_capture;

// The logs stay empty; pycuda makes texts of them, so they have to be written
CUDA_API CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, CUjit_option* options,
                                     void** values) {
  for (unsigned i = 0; i < count; ++i) {
    const CUjit_option option = options[i];
    if (option == CU_JIT_INFO_LOG_BUFFER || option == CU_JIT_ERROR_LOG_BUFFER) *static_cast<char*>(values[i]) = '\0';
    if (option == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES || option == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) values[i] = nullptr;
  }
  Call call = enter(__func__, loading);
  return load_module(call, module, image);
}

CUDA_API CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  Call call = enter(__func__, loading);
  return load_module(call, module, image);
}

CUDA_API CUresult cuModuleLoad(CUmodule* module, const char* path) {
  Call call = enter(__func__, loading);
  if (call.error) return call.error;
  FILE* file = fopen(path, "rb");
  if (!file) return CUDA_ERROR_FILE_NOT_FOUND;
  std::string image;
  char part[65536];
  for (size_t read; (read = fread(part, 1, sizeof part, file)) > 0;) image.append(part, read);
  fclose(file);
  image.append(sizeof(Elf64_Ehdr), '\0');  // what is too short for a header is no image, and is not read beyond
  return load_module(call, module, image.data());
}

// Its library stays loaded: a kernel's address may still lie in a graph
CUDA_API CUresult cuModuleUnload(CUmodule handle) {
  Call call = enter(__func__, context | no_capture);
  if (call.error) return call.error;
  Module* module = reinterpret_cast<Module*>(handle);
  if (!state().modules.count(module)) return CUDA_ERROR_INVALID_HANDLE;
  finish(call.lock, call.context);
  for (auto function = state().functions.begin(); function != state().functions.end();)
    function = (*function)->module == module ? state().functions.erase(function) : std::next(function);
  state().modules.erase(module);
  return call.context->error;
}

CUDA_API CUresult cuModuleGetFunction(CUfunction* function, CUmodule handle, const char* name) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  Module* module = reinterpret_cast<Module*>(handle);
  if (!state().modules.count(module)) return CUDA_ERROR_INVALID_HANDLE;
  const std::string text = name;
  for (Function* known : state().functions) {
    if (known->module != module || known->name != text) continue;
    *function = reinterpret_cast<CUfunction>(known);
    return CUDA_SUCCESS;
  }
  void* run = dlsym(module->library, ("shimx_" + text).c_str());
  void* parameters = dlsym(module->library, ("shim_parameters_" + text).c_str());
  if (!run || !parameters) return CUDA_ERROR_NOT_FOUND;
  Function* made = new Function{module, text, reinterpret_cast<const char* (*)()>(parameters)(),
                                reinterpret_cast<decltype(Function::run)>(run)};
  state().functions.insert(made);
  *function = reinterpret_cast<CUfunction>(made);
  return CUDA_SUCCESS;
}

CUDA_API CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction) {
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
  return enter(__func__, context | working_context).error;
}

CUDA_API CUresult cuFuncSetCacheConfig(CUfunction, CUfunc_cache) {
  return enter(__func__, context | working_context).error;
}

// pycuda calls these before cuLaunchKernel, which gives the same again
CUDA_API CUresult cuFuncSetBlockShape(CUfunction, int, int, int) {
  return enter(__func__, context | working_context).error;
}

CUDA_API CUresult cuFuncSetSharedSize(CUfunction, unsigned) {
  return enter(__func__, context | working_context).error;
}

CUDA_API CUresult cuLaunchKernel(CUfunction handle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                 unsigned block_y, unsigned block_z, unsigned shared, CUstream stream_handle,
                                 void** addresses, void** extra) {
  const Call call = enter(__func__, context | working_context);
  if (call.error) return call.error;
  const Function* function = reinterpret_cast<Function*>(handle);
  const std::shared_ptr<Stream> stream = find_stream(call.context, stream_handle);
  if (!stream || !state().functions.count(reinterpret_cast<Function*>(handle))) return CUDA_ERROR_INVALID_HANDLE;
  const Size grid{grid_x, grid_y, grid_z}, block{block_x, block_y, block_z};
  if (!is_possible(grid, block, shared)) return CUDA_ERROR_INVALID_VALUE;
  std::string arguments;
  if (const CUresult error = arguments_of(*function, addresses, extra, arguments)) return error;
  if (fails(function->name, false)) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  return enqueue(call.context, stream, launch(*function, grid, block, shared, std::move(arguments)));
}
