// Every helper of common.cuh, called as kernels call it.
#include "../../kernels/cuda/common.cuh"

__global__ void random_words(const uint4* counters, uint4* words, uint32 low, uint32 high, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) words[i] = philox4x32(counters[i], make_uint2(low, high));
}

__global__ void narrow(const float* x, uint16* half, uint16* bf16, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    half[i] = float_to_half(x[i]);
    bf16[i] = float_to_bf16(x[i]);
}

__global__ void widen(const uint16* bits, float* half, float* bf16, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    half[i] = half_to_float(bits[i]);
    bf16[i] = bf16_to_float(bits[i]);
}

template <typename T, int LANES>
__global__ void __launch_bounds__(64) over_lanes(const T* x, T* sum, T* low, T* high) {
    const int i = blockIdx.x * 64 + threadIdx.x;
    sum[i] = warp_sum<LANES>(x[i]);
    low[i] = warp_min<LANES>(x[i]);
    high[i] = warp_max<LANES>(x[i]);
}

template <typename T, int THREADS>
__global__ void __launch_bounds__(THREADS) over_block(const T* x, T* sum, T* scan, T* total) {
    const int i = blockIdx.x * THREADS + threadIdx.x;
    T all;
    sum[i] = block_sum<THREADS>(x[i]);
    scan[i] = block_scan<THREADS>(x[i], all);
    if (threadIdx.x == 0) total[blockIdx.x] = all;
}

// The same sum from memory, by every thread of every block.
__global__ void __launch_bounds__(64) over_numbers(const double* x, int n, double* sum) {
    sum[global_thread<64>()] = sum_in_order<64>(x, n);
}

// out = sum over k of tables[k], four values a turn; n a multiple of 4.
template <typename T>
__global__ void sum_tables(const __grid_constant__ Pointers<const T> tables, T* out, int count,
                           int n) {
    const int i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    Vec<T, 4> sum = load_vec<4>(tables.at[0] + i);
    for (int k = 1; k < count; ++k) {
        const Vec<T, 4> x = load_vec<4>(tables.at[k] + i);
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[j] += x[j];
    }
    store_vec(out + i, sum);
}

// In place, and a second array that may be part of the first.
__global__ void add_one(float* x, const float* also, int n) {
    const int i = threadIdx.x;
    if (i < n) x[i] += also[i] + 1;
}

__global__ void fill_shared(float* out, int n) {
    extern __shared__ float row[];
    row[threadIdx.x] = float(threadIdx.x);
    __syncthreads();
    if (threadIdx.x < n) out[threadIdx.x] = row[n - 1 - threadIdx.x];
}

__global__ void votes(const int* x, uint32* ballot, uint32* match, int* counts) {
    const int i = threadIdx.x;
    ballot[i] = __ballot_sync(FULL_MASK, x[i] > 2);
    match[i] = __match_any_sync(FULL_MASK, x[i]);
    counts[i] = 1000 * __syncthreads_count(x[i] > 2) + 100 * __any_sync(FULL_MASK, x[i] == 5)
              + 10 * __all_sync(FULL_MASK, x[i] >= 0) + (__syncthreads_or(x[i] == 6) != 0);
}

__global__ void bit_counts(const uint32* x, int* out, int n) {
    const int i = threadIdx.x;
    if (i >= n) return;
    out[6 * i + 0] = __popc(x[i]);
    out[6 * i + 1] = __clz(int(x[i]));
    out[6 * i + 2] = __ffs(int(x[i]));
    out[6 * i + 3] = int(__brev(x[i]));
    out[6 * i + 4] = int(__byte_perm(x[i], 0x04030201u, 0x5036));
    out[6 * i + 5] = int(__funnelshift_l(x[i], 0x80000001u, 8));
}

__global__ void integer_atomics(int* sums, uint32* lowest, unsigned long long* highest) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&sums[i % 3], i);
    atomicMin(lowest, uint32(100 + i));
    atomicMax(highest, (1ull << 40) + uint64(i));
}
