// What the kernels share. Plain CUDA C++17 without includes: NVRTC has no system headers.
//
// Deterministic throughout: sums run in a fixed order, and no floating-point atomics are used.

#define FULL_MASK 0xffffffffu

typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef unsigned long long uint64;
typedef long long int64;

constexpr int WARP = 32;
constexpr int MAX_POINTERS = 16;

// Addresses of up to MAX_POINTERS arrays, by value: the launcher's Pointers. As a parameter it is
// `const __grid_constant__ Pointers<T>`; else indexing by a variable copies it to local memory.
template <typename T>
struct Pointers {
    T* at[MAX_POINTERS];
};

__host__ __device__ constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// This thread's number among those of all blocks of THREADS.
template <int THREADS>
__device__ __forceinline__ int64 global_thread() {
    return int64(blockIdx.x) * THREADS + threadIdx.x;
}

// ---- vectors of N values that move as one load or store ------------------------------------

template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
    T at[N];
    __device__ T& operator[](int i) { return at[i]; }
    __device__ const T& operator[](int i) const { return at[i]; }
};

// p must be aligned to the whole vector: 16 bytes for N = 16 / sizeof(T).
template <int N, typename T>
__device__ __forceinline__ Vec<T, N> load_vec(const T* p) {
    return *reinterpret_cast<const Vec<T, N>*>(p);
}

template <int N, typename T>
__device__ __forceinline__ void store_vec(T* p, const Vec<T, N>& v) {
    *reinterpret_cast<Vec<T, N>*>(p) = v;
}

// ---- bfloat16 and half as bits ---------------------------------------------------------------

__device__ __forceinline__ float bf16_to_float(uint16 bits) {
    return __uint_as_float(uint32(bits) << 16);
}

// Rounds to nearest, ties to even; a NaN stays a NaN.
__device__ __forceinline__ uint16 float_to_bf16(float x) {
    const uint32 bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16((bits >> 16) | 0x40u);
    return uint16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// A GPU converts halves by an instruction; its steps by hand took 1.9 times as long a product. NaNs
// may differ in their bits.
#ifndef CUDA_EMULATOR

__device__ __forceinline__ float half_to_float(uint16 half) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(half));
    return x;
}

__device__ __forceinline__ uint16 float_to_half(float x) {
    uint16 half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
    return half;
}

#else

__device__ __forceinline__ float half_to_float(uint16 half) {
    const uint32 sign = uint32(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u)  // infinity, NaN
        return __uint_as_float(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    if (magnitude >= 0x400u)  // the exponent's bias grows from 15 to 127
        return __uint_as_float(sign | ((magnitude << 13) + (112u << 23)));
    const float value = float(magnitude) * 5.9604644775390625e-8f;  // subnormal: units of 2^-24
    return __uint_as_float(sign | __float_as_uint(value));
}

// Rounds to nearest, ties to even; beyond 65504 becomes infinity; a NaN stays a NaN.
__device__ __forceinline__ uint16 float_to_half(float x) {
    const uint32 bits = __float_as_uint(x), magnitude = bits & 0x7fffffffu;
    const uint16 sign = uint16((bits >> 16) & 0x8000u);
    if (magnitude > 0x7f800000u) return sign | 0x7e00u;
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and more
    if (magnitude < 0x38800000u) {  // subnormal: the adder rounds at 2^-24, the sum's last place
        const float shifted = __uint_as_float(magnitude) + 0.5f;
        return sign | uint16(__float_as_uint(shifted) - 0x3f000000u);
    }
    const uint32 odd = (magnitude >> 13) & 1u;
    return sign | uint16((magnitude - (112u << 23) + 0xfffu + odd) >> 13);
}

#endif

// ---- warps -----------------------------------------------------------------------------------

// Sum over each group of LANES neighbouring lanes, in all of them. The whole warp must call.
template <int LANES = WARP, typename T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
    for (int step = LANES / 2; step > 0; step /= 2) x += __shfl_xor_sync(FULL_MASK, x, step);
    return x;
}

template <int LANES = WARP, typename T>
__device__ __forceinline__ T warp_max(T x) {
#pragma unroll
    for (int step = LANES / 2; step > 0; step /= 2) {
        const T other = __shfl_xor_sync(FULL_MASK, x, step);
        x = other > x ? other : x;
    }
    return x;
}

template <int LANES = WARP, typename T>
__device__ __forceinline__ T warp_min(T x) {
#pragma unroll
    for (int step = LANES / 2; step > 0; step /= 2) {
        const T other = __shfl_xor_sync(FULL_MASK, x, step);
        x = other < x ? other : x;
    }
    return x;
}

// Inclusive sum over the lanes up to and including the own.
template <typename T>
__device__ __forceinline__ T warp_scan(T x, int lane) {
#pragma unroll
    for (int step = 1; step < WARP; step *= 2) {
        const T below = __shfl_up_sync(FULL_MASK, x, step);
        if (lane >= step) x += below;
    }
    return x;
}

// ---- blocks of THREADS (a multiple of 32) in one dimension -------------------------------------

// Sum over the block, in all threads, always in the same order. The whole block must call.
template <int THREADS, typename T>
__device__ __forceinline__ T block_sum(T x) {
    __shared__ T partial[THREADS / WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    x = warp_sum(x);
    if (lane == 0) partial[warp] = x;
    __syncthreads();
    T total = partial[0];
#pragma unroll
    for (int i = 1; i < THREADS / WARP; ++i) total += partial[i];
    __syncthreads();  // the array may be used again at once
    return total;
}

// Inclusive sum over the threads up to and including the own; `total` gets the block's.
template <int THREADS, typename T>
__device__ __forceinline__ T block_scan(T x, T& total) {
    __shared__ T partial[THREADS / WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    x = warp_scan(x, lane);
    if (lane == WARP - 1) partial[warp] = x;
    __syncthreads();
    T before = T(0);
    total = T(0);
#pragma unroll
    for (int i = 0; i < THREADS / WARP; ++i) {
        if (i == warp) before = total;
        total += partial[i];
    }
    __syncthreads();
    return x + before;
}

// Sum of n numbers in float64 by one block, in all its threads, always in the same order.
template <int THREADS>
__device__ __forceinline__ double sum_in_order(const double* x, int n) {
    double sum = 0;
    for (int i = threadIdx.x; i < n; i += THREADS) sum += x[i];
    return block_sum<THREADS>(sum);
}

// sums (gridDim.y, columns) = column sums of x (n, columns), of its rows cut into gridDim.y pieces; a
// block has 32 columns. With one piece it adds up what an earlier launch left in pieces.
template <typename T, int THREADS>
__global__ void __launch_bounds__(THREADS) column_sums(const T* x, T* sums, int n, int columns) {
    constexpr int WARPS = THREADS / WARP;
    __shared__ T partial[WARPS][WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int column = blockIdx.x * WARP + lane;
    const int from = int(int64(n) * blockIdx.y / gridDim.y);
    const int to = int(int64(n) * (blockIdx.y + 1) / gridDim.y);
    T sum = 0;
    if (column < columns)
        for (int row = from + warp; row < to; row += WARPS) sum += x[int64(row) * columns + column];
    partial[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && column < columns) {
        for (int i = 1; i < WARPS; ++i) sum += partial[i][lane];
        sums[int64(blockIdx.y) * columns + column] = sum;
    }
}

// ---- random numbers ----------------------------------------------------------------------------

// Philox4x32-10, the same words as kernels/sample/reference.py.
__device__ __forceinline__ uint4 philox4x32(uint4 counter, uint2 key) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint32 a_low = 0xD2511F53u * counter.x, a_high = __umulhi(0xD2511F53u, counter.x);
        const uint32 b_low = 0xCD9E8D57u * counter.z, b_high = __umulhi(0xCD9E8D57u, counter.z);
        counter = make_uint4(b_high ^ counter.y ^ key.x, b_low, a_high ^ counter.w ^ key.y, a_low);
        key.x += 0x9E3779B9u;
        key.y += 0xBB67AE85u;
    }
    return counter;
}

// floor(word * count / 2^32): a number below count, as the reference scales it.
__device__ __forceinline__ uint32 scale_word(uint32 word, uint32 count) {
    return __umulhi(word, count);
}
