// sample in CUDA C++. Contract: __init__.py. The numbers are the CPU's, bit for bit.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;

__device__ __forceinline__ int global_thread() { return blockIdx.x * THREADS + threadIdx.x; }

__global__ void __launch_bounds__(THREADS)
    philox(const uint32* counter, int n, uint32 key0, uint32 key1, uint32* words) {
    const int i = global_thread();
    if (i >= n) return;
    counter += 4 * int64(i);
    words += 4 * int64(i);
    const uint4 w = philox4x32(make_uint4(counter[0], counter[1], counter[2], counter[3]),
                               make_uint2(key0, key1));
    words[0] = w.x;
    words[1] = w.y;
    words[2] = w.z;
    words[3] = w.w;
}

// The number by which an epoch orders each user.
__global__ void __launch_bounds__(THREADS)
    epoch_numbers(int n_users, uint32 epoch, uint32 stream, uint32 key0, uint32 key1,
                  uint64* numbers) {
    const int user = global_thread();
    if (user >= n_users) return;
    const uint4 w = philox4x32(make_uint4(user, 0, epoch, stream), make_uint2(key0, key1));
    numbers[user] = uint64(w.x) << 32 | w.y;
}

// Draw number `draw` of a user whose row is row[0..degree).
__device__ __forceinline__ void one_draw(const int* row, int degree, int n_items, uint32 draw,
                                         uint32 user, uint32 step, uint32 term, uint2 key,
                                         int& positive, int& negative) {
    const uint4 w = philox4x32(make_uint4(draw, user, step, term), key);
    positive = row[scale_word(w.x, degree)];
    // The r-th item outside the row: how many of the row have at most r outside items below them?
    const int r = scale_word(w.y, n_items - degree);
    int low = 0, high = degree;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (row[middle] - middle <= r)
            low = middle + 1;
        else
            high = middle;
    }
    negative = r + low;
}

// Rows without gaps: user number i of the batch writes from offsets[i]; a warp a user.
__global__ void __launch_bounds__(THREADS)
    draw(const int* indptr, const int* indices, int n_items, const int* caps, const int* users,
         const int64* offsets, int n, uint32 key0, uint32 key1, uint32 step, uint32 term, int* rows,
         int* positives, int* negatives) {
    const int i = global_thread() / WARP, lane = threadIdx.x % WARP;
    if (i >= n) return;
    const int user = users[i], start = indptr[user], degree = indptr[user + 1] - start;
    for (int d = lane; d < caps[user]; d += WARP) {
        const int64 at = offsets[i] + d;
        rows[at] = user;
        one_draw(indices + start, degree, n_items, d, user, step, term, make_uint2(key0, key1),
                 positives[at], negatives[at]);
    }
}

// A fixed layout: slot i·samples + d is draw d of user number i of the batch, −1 where that is
// beyond the user's cap. Ends are nodes: item v is first_item + v. Negatives follow all positives,
// n·samples later. The last block counts the rows that are there.
__global__ void __launch_bounds__(THREADS)
    draw_slots(const int* indptr, const int* indices, int first_item, int n_items, const int* caps,
               const int* users, int n, int samples, uint32 key0, uint32 key1, const uint32* clock,
               uint32 term, int* left, int* right, int* count) {
    if (blockIdx.x + 1 == gridDim.x) {
        int rows = 0;
        for (int i = threadIdx.x; i < n; i += THREADS) rows += caps[users[i]];
        rows = block_sum<THREADS>(rows);
        if (threadIdx.x == 0) *count = rows;
        return;
    }
    const int slots = n * samples, slot = global_thread();
    if (slot >= slots) return;
    const int i = slot / samples, d = slot % samples, user = users[i];
    int positive = -1, negative = -1, node = -1;
    if (d < caps[user]) {
        const int start = indptr[user];
        one_draw(indices + start, indptr[user + 1] - start, n_items, d, user, clock[1], term,
                 make_uint2(key0, key1), positive, negative);
        node = user;
        positive += first_item;
        negative += first_item;
    }
    left[slot] = left[slots + slot] = node;
    right[slot] = positive;
    right[slots + slot] = negative;
}

// The users of batch clock[0] of an epoch, `size` of them, in batches of `batch`.
__global__ void __launch_bounds__(THREADS)
    take_users(const int* epoch_users, const uint32* clock, int batch, int size, int* users) {
    const int i = global_thread();
    if (i < size) users[i] = epoch_users[int64(clock[0]) * batch + i];
}

// Row clock[0] of `log` (steps, columns) gets the values, from column `first` on.
__global__ void __launch_bounds__(WARP)
    record(const __grid_constant__ Pointers<const double> values, int n, const uint32* clock,
           int first, int columns, double* log) {
    const int i = threadIdx.x;
    if (i < n) log[int64(clock[0]) * columns + first + i] = *values.at[i];
}

// On to the next step: of the epoch in clock[0], of the run in clock[1].
__global__ void __launch_bounds__(WARP) advance(uint32* clock) {
    if (threadIdx.x < 2) clock[threadIdx.x] += 1;
}
