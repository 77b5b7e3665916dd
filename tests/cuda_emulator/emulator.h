// CUDA C++ as g++ sees it: keywords, vector types, intrinsics, and the calls into the runtime.
//
// Included before a kernel's source. A source that needs inline PTX has a second way under
// `#ifdef CUDA_EMULATOR`.
#pragma once
#include <math.h>
#include <stddef.h>

#define CUDA_EMULATOR 1
#define __CUDACC__ 1
#define __CUDA_ARCH__ 750  // the oldest supported: newer instructions have no emulation

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __grid_constant__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

// ---- vector types -----------------------------------------------------------------------------

#define EMU_VECTORS(name, T, wide)                                                              \
    struct name##1 { T x; };                                                                    \
    struct alignas(2 * sizeof(T)) name##2 { T x, y; };                                          \
    struct name##3 { T x, y, z; };                                                              \
    struct alignas(wide) name##4 { T x, y, z, w; };                                             \
    inline name##1 make_##name##1(T x) { return {x}; }                                          \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                  \
    inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                          \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMU_VECTORS(char, signed char, 4)
EMU_VECTORS(uchar, unsigned char, 4)
EMU_VECTORS(short, short, 8)
EMU_VECTORS(ushort, unsigned short, 8)
EMU_VECTORS(int, int, 16)
EMU_VECTORS(uint, unsigned int, 16)
EMU_VECTORS(float, float, 16)
EMU_VECTORS(longlong, long long, 16)
EMU_VECTORS(ulonglong, unsigned long long, 16)
EMU_VECTORS(double, double, 16)

struct dim3 {
    unsigned int x = 1, y = 1, z = 1;
};

// ---- the runtime ------------------------------------------------------------------------------

namespace emu {

struct Site {  // where a barrier or warp operation stands in the source
    const char* file;
    int line;
};

struct View {  // what a thread sees of itself
    uint3 thread, block;
    dim3 block_size, grid_size;
};

extern thread_local View* view __attribute__((tls_model("initial-exec")));

enum class Op { sync, shuffle, ballot, all, any, match, add, min, max, umin, umax, band, bor, bxor };

[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
unsigned long long meet(Op op, unsigned mask, unsigned long long value, int source, Site site);
int barrier(int kind, int predicate, Site site);
int lane();
void* shared(const void* key, size_t bytes, const char* name);
void* dynamic_shared();
void fence();

// One parameter of a kernel as the driver passes it: bytes, and the type that Python checks.
struct Parameter {
    const char* type;  // NumPy's name; "?" for a struct
    int kind;          // 0 value, 1 pointer, 2 Pointers
    int constant;      // what it points to may not be written
    size_t size;
    size_t alignment;  // of what it points to
};

struct Kernel {
    void (*run)(void** arguments);
    const Parameter* parameters;
    int count;
};

template <typename T> struct Name { static constexpr const char* value = "?"; };
#define EMU_NAME(T, text) template <> struct Name<T> { static constexpr const char* value = text; };
EMU_NAME(bool, "bool")
EMU_NAME(char, "int8")
EMU_NAME(signed char, "int8")
EMU_NAME(unsigned char, "uint8")
EMU_NAME(short, "int16")
EMU_NAME(unsigned short, "uint16")
EMU_NAME(int, "int32")
EMU_NAME(unsigned int, "uint32")
EMU_NAME(long, "int64")
EMU_NAME(unsigned long, "uint64")
EMU_NAME(long long, "int64")
EMU_NAME(unsigned long long, "uint64")
EMU_NAME(float, "float32")
EMU_NAME(double, "float64")
EMU_NAME(void, "any")
#define EMU_VECTOR_NAMES(name, text)                                                            \
    EMU_NAME(name##2, text) EMU_NAME(name##3, text) EMU_NAME(name##4, text)
EMU_VECTOR_NAMES(char, "int8")
EMU_VECTOR_NAMES(uchar, "uint8")
EMU_VECTOR_NAMES(short, "int16")
EMU_VECTOR_NAMES(ushort, "uint16")
EMU_VECTOR_NAMES(int, "int32")
EMU_VECTOR_NAMES(uint, "uint32")
EMU_VECTOR_NAMES(float, "float32")
EMU_VECTOR_NAMES(double, "float64")
EMU_VECTOR_NAMES(longlong, "int64")
EMU_VECTOR_NAMES(ulonglong, "uint64")

template <typename T> struct Plain { using type = T; static constexpr int constant = 0; };
template <typename T> struct Plain<const T> { using type = T; static constexpr int constant = 1; };
template <typename T> struct Plain<volatile T> : Plain<T> {};
template <typename T> struct Plain<const volatile T> : Plain<const T> {};
template <typename T> struct Align { static constexpr size_t value = alignof(T); };
template <> struct Align<void> { static constexpr size_t value = 1; };

template <typename T>
struct Describe {
    static constexpr Parameter value = {Name<T>::value, 0, 0, sizeof(T), alignof(T)};
};
template <typename T>
struct Describe<T*> {
    using Bare = typename Plain<T>::type;
    static constexpr Parameter value = {Name<Bare>::value, 1, Plain<T>::constant, sizeof(T*),
                                        Align<Bare>::value};
};

template <int... I> struct Indices {};
template <int N, int... I> struct Count : Count<N - 1, N - 1, I...> {};
template <int... I> struct Count<0, I...> { using type = Indices<I...>; };

template <auto function> struct Call;
template <typename... A, void (*function)(A...)>
struct Call<function> {
    static constexpr Parameter parameters[] = {Describe<A>::value..., {"", 0, 0, 0, 0}};
    template <int... I>
    static void spread(void** arguments, Indices<I...>) {
        function(*static_cast<typename Plain<A>::type*>(arguments[I])...);
    }
    static void run(void** arguments) { spread(arguments, typename Count<sizeof...(A)>::type{}); }
    static constexpr Kernel value = {run, parameters, sizeof...(A)};
};

template <typename To, typename From>
__forceinline__ To bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    __builtin_memcpy(&to, &from, sizeof(To));
    return to;
}

template <typename T>
__forceinline__ unsigned long long widen(T value) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    unsigned long long wide = 0;
    __builtin_memcpy(&wide, &value, sizeof(T));
    return wide;
}

template <typename T>
__forceinline__ T narrow(unsigned long long wide) {
    T value;
    __builtin_memcpy(&value, &wide, sizeof(T));
    return value;
}

template <typename T>
__forceinline__ T shuffle(unsigned mask, T value, int source, Site site) {
    return narrow<T>(meet(Op::shuffle, mask, widen(value), source, site));
}

}  // namespace emu

#define threadIdx (emu::view->thread)
#define blockIdx (emu::view->block)
#define blockDim (emu::view->block_size)
#define gridDim (emu::view->grid_size)
constexpr int warpSize = 32;

#define EMU_HERE int line = __builtin_LINE(), const char *file = __builtin_FILE()
#define EMU_SITE emu::Site{file, line}

inline void __syncthreads(EMU_HERE) { emu::barrier(0, 0, EMU_SITE); }
inline int __syncthreads_count(int p, EMU_HERE) { return emu::barrier(1, p != 0, EMU_SITE); }
inline int __syncthreads_or(int p, EMU_HERE) { return emu::barrier(2, p != 0, EMU_SITE); }
inline int __syncthreads_and(int p, EMU_HERE) { return emu::barrier(3, p != 0, EMU_SITE); }

inline void __syncwarp(unsigned mask = 0xffffffffu, EMU_HERE) {
    emu::meet(emu::Op::sync, mask, 0, 0, EMU_SITE);
}

// A lane out of its group of `width` lanes reads its own value, as the hardware clamps.
template <typename T>
T __shfl_sync(unsigned mask, T x, int source, int width = 32, EMU_HERE) {
    const int first = emu::lane() & ~(width - 1);
    return emu::shuffle(mask, x, first + (source & (width - 1)), EMU_SITE);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T x, unsigned delta, int width = 32, EMU_HERE) {
    const int own = emu::lane(), from = own - int(delta);
    return emu::shuffle(mask, x, from < (own & ~(width - 1)) ? own : from, EMU_SITE);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T x, unsigned delta, int width = 32, EMU_HERE) {
    const int own = emu::lane(), from = own + int(delta);
    return emu::shuffle(mask, x, from > (own | (width - 1)) ? own : from, EMU_SITE);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T x, int flip, int width = 32, EMU_HERE) {
    const int own = emu::lane(), from = own ^ flip;
    return emu::shuffle(mask, x, from > (own | (width - 1)) ? own : from, EMU_SITE);
}

inline unsigned __ballot_sync(unsigned mask, int p, EMU_HERE) {
    return unsigned(emu::meet(emu::Op::ballot, mask, p != 0, 0, EMU_SITE));
}
inline int __all_sync(unsigned mask, int p, EMU_HERE) {
    return int(emu::meet(emu::Op::all, mask, p != 0, 0, EMU_SITE));
}
inline int __any_sync(unsigned mask, int p, EMU_HERE) {
    return int(emu::meet(emu::Op::any, mask, p != 0, 0, EMU_SITE));
}
template <typename T>
unsigned __match_any_sync(unsigned mask, T x, EMU_HERE) {
    return unsigned(emu::meet(emu::Op::match, mask, emu::widen(x), 0, EMU_SITE));
}
#define EMU_REDUCE(name, T, op)                                                                 \
    inline T name(unsigned mask, T x, EMU_HERE) {                                               \
        return T(emu::meet(emu::Op::op, mask, emu::widen(x), 0, EMU_SITE));                     \
    }
EMU_REDUCE(__reduce_add_sync, int, add)
EMU_REDUCE(__reduce_add_sync, unsigned, add)
EMU_REDUCE(__reduce_min_sync, int, min)
EMU_REDUCE(__reduce_min_sync, unsigned, umin)
EMU_REDUCE(__reduce_max_sync, int, max)
EMU_REDUCE(__reduce_max_sync, unsigned, umax)
EMU_REDUCE(__reduce_and_sync, unsigned, band)
EMU_REDUCE(__reduce_or_sync, unsigned, bor)
EMU_REDUCE(__reduce_xor_sync, unsigned, bxor)

inline void __threadfence() { emu::fence(); }
inline void __threadfence_block() { emu::fence(); }
inline void __threadfence_system() { emu::fence(); }
#define __builtin_assume(x) ((x) ? void() : emu::fail("assumption %s does not hold", #x))

// ---- memory -----------------------------------------------------------------------------------

#define EMU_LOAD(name) template <typename T> __forceinline__ T name(const T* p) { return *p; }
EMU_LOAD(__ldg)
EMU_LOAD(__ldca)
EMU_LOAD(__ldcg)
EMU_LOAD(__ldcs)
EMU_LOAD(__ldlu)
EMU_LOAD(__ldcv)
#define EMU_STORE(name) template <typename T> __forceinline__ void name(T* p, T x) { *p = x; }
EMU_STORE(__stwb)
EMU_STORE(__stcg)
EMU_STORE(__stcs)
EMU_STORE(__stwt)

namespace emu {
// Relaxed, as CUDA's atomics are: they order nothing but themselves.
template <typename T, typename F>
__forceinline__ T update(T* p, F change) {
    if (reinterpret_cast<size_t>(p) % sizeof(T)) fail("atomic operation at a misaligned address");
    if constexpr (sizeof(T) == 8) {
        auto* word = reinterpret_cast<unsigned long long*>(p);
        unsigned long long old = __atomic_load_n(word, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(word, &old, widen(T(change(narrow<T>(old)))), false,
                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
        return narrow<T>(old);
    } else {
        static_assert(sizeof(T) == 4, "atomic operations work on 4 or 8 bytes");
        auto* word = reinterpret_cast<unsigned*>(p);
        unsigned old = __atomic_load_n(word, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(word, &old, unsigned(widen(T(change(narrow<T>(old))))),
                                            false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
        return narrow<T>(old);
    }
}
}  // namespace emu

#define EMU_ATOMIC(name, T, expression)                                                         \
    inline T name(T* p, T x) {                                                                  \
        return emu::update(p, [x]([[maybe_unused]] T old) -> T { return expression; });         \
    }
#define EMU_ATOMIC_INTEGERS(name, expression)                                                   \
    EMU_ATOMIC(name, int, expression)                                                           \
    EMU_ATOMIC(name, unsigned, expression)                                                      \
    EMU_ATOMIC(name, unsigned long long, expression)
// Signed sums wrap on a GPU.
EMU_ATOMIC(atomicAdd, int, int(unsigned(old) + unsigned(x)))
EMU_ATOMIC(atomicAdd, unsigned, old + x)
EMU_ATOMIC(atomicAdd, unsigned long long, old + x)
EMU_ATOMIC(atomicAdd, float, old + x)
EMU_ATOMIC(atomicAdd, double, old + x)
EMU_ATOMIC(atomicSub, int, int(unsigned(old) - unsigned(x)))
EMU_ATOMIC(atomicSub, unsigned, old - x)
EMU_ATOMIC_INTEGERS(atomicMin, old < x ? old : x)
EMU_ATOMIC_INTEGERS(atomicMax, old > x ? old : x)
EMU_ATOMIC(atomicMin, long long, old < x ? old : x)
EMU_ATOMIC(atomicMax, long long, old > x ? old : x)
EMU_ATOMIC_INTEGERS(atomicAnd, old & x)
EMU_ATOMIC_INTEGERS(atomicOr, old | x)
EMU_ATOMIC_INTEGERS(atomicXor, old ^ x)
EMU_ATOMIC_INTEGERS(atomicExch, x)
EMU_ATOMIC(atomicExch, float, x)
EMU_ATOMIC(atomicInc, unsigned, old >= x ? 0 : old + 1)
EMU_ATOMIC(atomicDec, unsigned, old == 0 || old > x ? x : old - 1)
#define EMU_CAS(T)                                                                              \
    inline T atomicCAS(T* p, T wanted, T x) {                                                   \
        return emu::update(p, [=](T old) { return old == wanted ? x : old; });                  \
    }
EMU_CAS(int)
EMU_CAS(unsigned)
EMU_CAS(unsigned long long)

// ---- numbers ----------------------------------------------------------------------------------

inline int __float_as_int(float x) { return emu::bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emu::bits<unsigned>(x); }
inline float __int_as_float(int x) { return emu::bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emu::bits<float>(x); }
inline long long __double_as_longlong(double x) { return emu::bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emu::bits<double>(x); }
inline int __double2loint(double x) { return int(emu::bits<unsigned long long>(x)); }
inline int __double2hiint(double x) { return int(emu::bits<unsigned long long>(x) >> 32); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline unsigned __brev(unsigned x) {
    unsigned y = 0;
    for (int i = 0; i < 32; ++i) y |= (x >> i & 1u) << (31 - i);
    return y;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return unsigned((((unsigned long long)high << 32 | low) << (shift & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return unsigned(((unsigned long long)high << 32 | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    const unsigned long long bytes = (unsigned long long)b << 32 | a;
    unsigned out = 0;
    for (int i = 0; i < 4; ++i) out |= unsigned(bytes >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    return out;
}

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return float(1.0 / sqrt(double(x))); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

// Conversions to integers saturate, and a NaN gives zero, as on a GPU.
namespace emu {
template <typename T>
T saturate(double x, double low, double high) {
    return x != x ? T(0) : x <= low ? T(low) : x >= high ? T(high) : T(x);
}
inline int to_int(double x) { return saturate<int>(x, -2147483648.0, 2147483647.0); }
inline unsigned to_uint(double x) { return saturate<unsigned>(x, 0.0, 4294967295.0); }
}  // namespace emu
inline int __float2int_rn(float x) { return emu::to_int(rint(x)); }
inline int __float2int_rz(float x) { return emu::to_int(trunc(x)); }
inline int __float2int_rd(float x) { return emu::to_int(floor(x)); }
inline int __float2int_ru(float x) { return emu::to_int(ceil(x)); }
inline unsigned __float2uint_rn(float x) { return emu::to_uint(rint(x)); }
inline unsigned __float2uint_rz(float x) { return emu::to_uint(trunc(x)); }
inline int __double2int_rn(double x) { return emu::to_int(rint(x)); }
inline int __double2int_rz(double x) { return emu::to_int(trunc(x)); }
inline float __double2float_rn(double x) { return float(x); }
inline float __int2float_rn(int x) { return float(x); }
inline float __uint2float_rn(unsigned x) { return float(x); }
inline double __int2double_rn(int x) { return double(x); }

// min and max of any two arithmetic types, in the wider one; of a number and a NaN: the number.
template <typename A, typename B>
constexpr auto min(A a, B b) -> decltype(a + b) {
    using T = decltype(a + b);
    return T(b) != T(b) || T(a) < T(b) ? T(a) : T(b);
}
template <typename A, typename B>
constexpr auto max(A a, B b) -> decltype(a + b) {
    using T = decltype(a + b);
    return T(b) != T(b) || T(a) > T(b) ? T(a) : T(b);
}
