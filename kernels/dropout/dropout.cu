// dropout in CUDA C++. Contract: __init__.py. What stays is the CPU's choice, bit for bit.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;

// The step: of a replayed one the device's clock counts it.
__device__ __forceinline__ uint32 step_of(const uint32* clock, uint32 step) {
    return clock ? clock[1] : step;
}

// Four entries a thread: they share a counter.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    entries(const T* x, int64 size, uint32 bound, T factor, uint32 key0, uint32 key1,
            const uint32* clock, uint32 step, uint32 stream, T* y) {
    const int64 four = global_thread<THREADS>(), first = 4 * four;
    if (first >= size) return;
    const uint4 word = philox4x32(
        make_uint4(uint32(four), uint32(four >> 32), step_of(clock, step), stream),
        make_uint2(key0, key1));
    const uint32 words[4] = {word.x, word.y, word.z, word.w};
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (first + i < size) y[first + i] = words[i] >= bound ? x[first + i] * factor : T(0);
}

// A warp a row: an edge that does not stay becomes -1.
__global__ void __launch_bounds__(THREADS)
    edges(const int* indptr, const int* indices, int rows, uint32 bound, uint32 key0, uint32 key1,
          const uint32* clock, uint32 step, uint32 stream, int* kept) {
    const int n = int(global_thread<THREADS>() / WARP), lane = threadIdx.x % WARP;
    if (n >= rows) return;
    for (int edge = indptr[n] + lane; edge < indptr[n + 1]; edge += WARP) {
        const int m = indices[edge];
        const uint4 word =
            philox4x32(make_uint4(min(n, m), max(n, m), step_of(clock, step), stream),
                       make_uint2(key0, key1));
        kept[edge] = word.x >= bound ? m : -1;
    }
}
