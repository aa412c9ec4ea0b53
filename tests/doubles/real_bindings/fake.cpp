// A libnvinfer without TensorRT in it, for NVIDIA's real Python bindings to run over.
//
// The bindings are a thin layer of pybind11 on virtual calls: whatever object they are given, they load a vtable from its
// first word and call a slot of it. So no header of NVIDIA's is needed. All objects share one vtable, each slot of which
// knows its number and reports the call to a handler in Python (world.py), which decides what is returned.
//
// Three choices of address make unanswered calls harmless:
//   * The low half of every object's address is 0. What comes back in a register is that address, so a pointer is valid,
//     while the same register read as a 32-bit integer or an enum is 0, and read as a bool is false.
//   * The vtable's address spells a word. An object begins with a pointer to it, so the object read as a C string is
//     "phony": the bytes 70 68 6f 6e 79 of the address in little-endian order, ended by the zeros above them.
//   * Every word after the first points to the object itself: TensorRT's API classes keep a pointer to their
//     implementation there and pass each call on to it.
//
// Not answered: results in floating-point registers, and structures other than the dimensions of a tensor.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <typeinfo>
#include <utility>

namespace
{

constexpr std::uint64_t kFirstObject = 0x100000000u;  // objects lie 4 GiB apart
constexpr std::uint64_t kObjects = 64;
constexpr std::uint64_t kTable = 0x796e6f6870u;       // "phony"
constexpr std::size_t kSlots = 256;                   // TensorRT's largest class has about a hundred
constexpr std::uint64_t kPage = 4096;

// What Python is told of a call. `result` is the address of a structure that the callee has to fill, or 0.
struct Call
{
    std::uint64_t object;
    std::uint64_t slot;
    std::uint64_t arguments[4];
    std::uint64_t result;
};

using Handler = std::uint64_t (*)(Call const*);
Handler handler = nullptr;

struct Phony  // pybind11 asks every polymorphic object for its dynamic type
{
    virtual ~Phony() {}
};

bool isObject(std::uint64_t address)
{
    return address % kFirstObject == 0 && address / kFirstObject - 1 < kObjects;
}

std::uint64_t answer(Call const& call)
{
    return handler ? handler(&call) : kFirstObject;
}

// One function per slot. In the x86-64 calling convention the object comes first, then the arguments; but a function that
// returns a structure of more than 16 bytes gets the structure's address before the object.
template <std::size_t slot>
std::uint64_t called(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d, std::uint64_t e)
{
    if (!isObject(a) && isObject(b))
    {
        // Dimensions begin with their number; the largest part that all such structures have in common is cleared
        std::memset(reinterpret_cast<void*>(a), 0, 8);
        answer(Call{b, slot, {c, d, e, 0}, a});
        return a;
    }
    return answer(Call{a, slot, {b, c, d, e}, 0});
}

void map(std::uint64_t address, std::uint64_t size)
{
    void* const wanted = reinterpret_cast<void*>(address / kPage * kPage);
    // Only a hint, so that nothing is ever overwritten
    void* const found = mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found != wanted)
    {
        std::fprintf(stderr, "fake libnvinfer: address %p is taken\n", wanted);
        std::abort();
    }
}

template <std::size_t... slots>
void fillTable(void** table, std::index_sequence<slots...>)
{
    void* const functions[] = {reinterpret_cast<void*>(&called<slots>)...};
    table[-2] = nullptr;  // the object is no part of a larger one
    table[-1] = const_cast<std::type_info*>(&typeid(Phony));
    std::memcpy(table, functions, sizeof functions);
}

struct World
{
    World()
    {
        map(kTable, 2 * kPage);
        void** const table = reinterpret_cast<void**>(kTable);
        fillTable(table, std::make_index_sequence<kSlots>());
        for (std::uint64_t number = 0; number < kObjects; ++number)
        {
            std::uint64_t const address = kFirstObject * (number + 1);
            map(address, kPage);
            std::uint64_t* const words = reinterpret_cast<std::uint64_t*>(address);
            words[0] = kTable;
            for (int word = 1; word < 64; ++word)
                words[word] = address;
        }
    }
} world;

// Functions that make objects are reported as slots behind those of the vtable, in this order.
enum Factory : std::size_t { kBuilder = kSlots, kRuntime, kParser, kRefitter, kParserRefitter, kRegistry };

void* make(Factory factory, void* first, void* second)
{
    auto const number = [](void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); };
    return reinterpret_cast<void*>(answer(Call{0, factory, {number(first), number(second), 0, 0}, 0}));
}

}  // namespace

extern "C"
{

void fake_handler(Handler given) { handler = given; }

void* createInferBuilder_INTERNAL(void* logger, int) { return make(kBuilder, logger, nullptr); }
void* createInferRuntime_INTERNAL(void* logger, int) { return make(kRuntime, logger, nullptr); }
void* createNvOnnxParser_INTERNAL(void* network, void* logger, int) { return make(kParser, network, logger); }
void* createInferRefitter_INTERNAL(void* engine, void* logger, int) { return make(kRefitter, engine, logger); }
void* createNvOnnxParserRefitter_INTERNAL(void* refitter, void* logger, int)
{
    return make(kParserRefitter, refitter, logger);
}
void* getBuilderPluginRegistry(int) { return make(kRegistry, nullptr, nullptr); }
void* getPluginRegistry() { return make(kRegistry, nullptr, nullptr); }
int getNvOnnxParserVersion() { return 0; }
bool initLibNvInferPlugins(void*, char const*) { return true; }

// TensorRT 8's parsers of UFF and Caffe files: the bindings do not load without these
void* _ZN11nvuffparser15createUffParserEv() { return nullptr; }
void _ZN11nvuffparser8FieldMapC1EPKcPKvNS_9FieldTypeEi() {}
void* _ZN14nvcaffeparser117createCaffeParserEv() { return nullptr; }
void _ZN14nvcaffeparser123shutdownProtobufLibraryEv() {}

}
