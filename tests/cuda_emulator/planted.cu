// Kernels with one bug each, BUG = true, and the same repaired, BUG = false.
#include "../../kernels/cuda/common.cuh"

template <bool BUG>
__global__ void read_out_of_bounds(const float* x, float* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n + BUG) {
        const float value = x[i];
        if (i < n) out[i] = value;
        else if (value == 1.5f) out[0] = value;  // so that the read is needed
    }
}

template <bool BUG>
__global__ void read_before_start(const float* x, float* out, int n) {
    const int i = threadIdx.x;
    if (i < n) out[i] = x[i - (BUG ? 4096 : 0)];
}

template <bool BUG>
__global__ void read_just_before_start(const float* x, float* out, int n) {
    const int i = threadIdx.x;
    if (i < n) out[i] = i == 5 ? x[BUG ? -1 : 0] : 0;
}

template <bool BUG>
__global__ void write_out_of_bounds(const float* x, float* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n + BUG) out[i] = 2;
}

template <bool BUG>
__global__ void write_before_start(const float* x, float* out, int n) {
    const int i = threadIdx.x;
    if (i < n) out[i - BUG] = 2;
}

template <bool BUG>
__global__ void write_through_const(const float* x, float* out, int n) {
    if (threadIdx.x < n) (BUG ? const_cast<float*>(x) : out)[threadIdx.x] = 2;
}

template <bool BUG>
__global__ void null_pointer(const float* x, float* out, int n) {
    const float* p = BUG ? nullptr : x;
    if (threadIdx.x < n) out[threadIdx.x] = p[threadIdx.x];
}

template <bool BUG>
__global__ void shared_overrun(const float* x, float* out, int n) {
    __shared__ float row[64], other[64];
    float* p = row;  // through a pointer: the compiler does not see the bound
    p[threadIdx.x + (BUG ? 1 : 0)] = x[threadIdx.x];
    other[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = p[threadIdx.x] * other[threadIdx.x];
}

template <bool BUG>
__global__ void shared_index(const float* x, float* out, int n) {
    __shared__ float tile[4][16];
    const int i = threadIdx.x / 16, j = threadIdx.x % 16;
    tile[i][j + (BUG ? 1 : 0)] = x[threadIdx.x];  // the next row: memory of the block, but wrong
    __syncthreads();
    out[threadIdx.x] = tile[i][j];
}

template <bool BUG>
__global__ void dynamic_shared_overrun(const float* x, float* out, int n) {
    extern __shared__ __align__(16) float row[];
    row[threadIdx.x + (BUG ? 1 : 0)] = x[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = row[threadIdx.x];
}

template <bool BUG>
__global__ void shared_not_set(const float* x, float* out, int n) {
    __shared__ float row[64];
    if (!BUG || threadIdx.x != 7) row[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = row[threadIdx.x];
}

template <bool BUG>
__global__ void missing_syncthreads(const float* x, float* out, int n) {
    __shared__ float row[64];
    row[threadIdx.x] = x[threadIdx.x];
    if (!BUG) __syncthreads();
    out[threadIdx.x] = row[63 - threadIdx.x];
}

// The second barrier of a loop: without it the next turn overwrites what others still read.
template <bool BUG>
__global__ void missing_syncthreads_in_loop(const float* x, float* out, int n) {
    __shared__ float row[64];
    float sum = 0;
    for (int turn = 0; turn < 3; ++turn) {
        row[threadIdx.x] = x[threadIdx.x] + turn;
        __syncthreads();
        sum += row[63 - threadIdx.x];
        if (!BUG) __syncthreads();
    }
    out[threadIdx.x] = sum;
}

template <bool BUG>
__global__ void missing_syncwarp(const float* x, float* out, int n) {
    __shared__ float row[64];
    row[threadIdx.x] = x[threadIdx.x];
    if (!BUG) __syncwarp();
    out[threadIdx.x] = row[threadIdx.x ^ 31];
}

// A shuffle lets lanes meet, but orders no memory.
template <bool BUG>
__global__ void shuffle_for_syncwarp(const float* x, float* out, int n) {
    __shared__ float row[64];
    row[threadIdx.x] = x[threadIdx.x];
    const float first = __shfl_sync(FULL_MASK, x[threadIdx.x], 0);
    if (!BUG) __syncwarp();
    out[threadIdx.x] = row[threadIdx.x ^ 31] + first;
}

template <bool BUG>
__global__ void divergent_barrier(const float* x, float* out, int n) {
    __shared__ float row[64];
    if (BUG && threadIdx.x < 20) {
        row[threadIdx.x] = 1;
        __syncthreads();
    } else {
        row[threadIdx.x] = 2;
        __syncthreads();
    }
    out[threadIdx.x] = row[63 - threadIdx.x];
}

template <bool BUG>
__global__ void deadlock(const float* x, float* out, int n) {
    float value = x[threadIdx.x];
    if (BUG && threadIdx.x % 32 == 5) __syncthreads();
    else value = warp_sum(value);
    if (!BUG || threadIdx.x % 32 != 5) __syncthreads();
    out[threadIdx.x] = value;
}

template <bool BUG>
__global__ void endless(const float* x, volatile float* out, int n) {
    out[threadIdx.x] = 0;
    __syncthreads();
    while (BUG && out[0] == 0) {}  // nobody ever sets it
    __syncthreads();
    out[threadIdx.x] = 1;
}

template <bool BUG>
__global__ void mismatched_mask(const float* x, float* out, int n) {
    const unsigned mask = BUG && threadIdx.x % 32 < 16 ? 0x0000ffffu : FULL_MASK;
    out[threadIdx.x] = __shfl_xor_sync(mask, x[threadIdx.x], 1);
}

template <bool BUG>
__global__ void lane_outside_of_mask(const float* x, float* out, int n) {
    const unsigned mask = BUG ? 0x7fffffffu : FULL_MASK;
    out[threadIdx.x] = float(__ballot_sync(mask, x[threadIdx.x] > 3));
}

template <bool BUG>
__global__ void shuffle_from_absent_lane(const float* x, float* out, int n) {
    if (threadIdx.x % 32 < 16)
        out[threadIdx.x] = __shfl_sync(0x0000ffffu, x[threadIdx.x], BUG ? 20 : 15);
}

template <bool BUG>
__global__ void shuffle_from_lane_that_left(const float* x, float* out, int n) {
    if (BUG && threadIdx.x % 32 == 31) return;
    out[threadIdx.x] = __shfl_sync(FULL_MASK, x[threadIdx.x], 31);
}

template <bool BUG>
__global__ void misaligned_vector(const float* x, float* out, int n) {
    const int i = threadIdx.x;
    if (4 * i + 4 < n) store_vec(out + 4 * i, load_vec<4>(x + 4 * i + (BUG ? 1 : 0)));
}

template <bool BUG>
__global__ void signed_overflow(const float* x, float* out, int n) {
    int big = 2147483647 - int(threadIdx.x);
    if (BUG) big += n;
    out[threadIdx.x] = float(big);
}

template <bool BUG>
__global__ void race_in_block(const float* x, float* out, int n) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    if (BUG) count = count + 1;
    else atomicAdd(&count, 1);
    __syncthreads();
    out[threadIdx.x] = count;
}

// Every block writes the same value: no order shows it, only the watcher of accesses.
template <bool BUG>
__global__ void race_between_blocks(const float* x, float* out, int n) {
    if (threadIdx.x == 0) out[BUG ? 0 : blockIdx.x] = 3;
}

template <bool BUG>
__global__ void last_block_wins(const float* x, float* out, int n) {
    if (threadIdx.x == 0) out[BUG ? 0 : blockIdx.x] = float(blockIdx.x);
}
