// sample in CUDA C++. Contract: __init__.py. The numbers are the CPU's, bit for bit.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;

__global__ void __launch_bounds__(THREADS)
    philox(const uint32* counter, int n, uint32 key0, uint32 key1, uint32* words) {
    const int i = int(global_thread<THREADS>());
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
    const int user = int(global_thread<THREADS>());
    if (user >= n_users) return;
    const uint4 w = philox4x32(make_uint4(user, 0, epoch, stream), make_uint2(key0, key1));
    numbers[user] = uint64(w.x) << 32 | w.y;
}

// Where negatives come from besides the items outside a row; off with popular = batch = 0.
struct Mix {
    uint32 popular, batch;
    const uint32* bounds;  // (n_items - 1,) rising
};

// What is drawn from: the users of the batch, their rows and caps, and the key of the step.
struct Batch {
    const int *indptr, *indices, *caps, *users;
    int n_items, n;
    uint32 step, term;
    uint2 key;
    Mix mix;

    __device__ __forceinline__ uint4 words(uint32 draw, int user) const {
        return philox4x32(make_uint4(draw, user, step, term), key);
    }

    __device__ __forceinline__ int positive(int user, uint32 word) const {
        const int start = indptr[user];
        return indices[start + scale_word(word, indptr[user + 1] - start)];
    }
};

// How many of the rising values are <= bound.
template <typename T>
__device__ __forceinline__ int at_most(const T* values, int count, T bound) {
    int low = 0, high = count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (values[middle] <= bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The negative of these words for a user whose row is row[0..degree).
__device__ __forceinline__ int negative_of(const Batch& from, const int* row, int degree, uint4 w) {
    int item = -1;
    if (w.z < from.mix.popular) {
        item = at_most(from.mix.bounds, from.n_items - 1, w.w);
    } else if (w.z < from.mix.batch) {
        const uint64 product = uint64(w.w) * uint32(from.n);
        const int other = from.users[product >> 32], cap = from.caps[other];
        if (cap > 0)
            item = from.positive(other, from.words(scale_word(uint32(product), cap), other).x);
    }
    if (item >= 0) {
        const int below = at_most(row, degree, item);
        if (below == 0 || row[below - 1] != item) return item;
    }
    // The r-th item outside the row: how many of the row have at most r outside items below them?
    const int r = scale_word(w.y, from.n_items - degree);
    int low = 0, high = degree;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (row[middle] - middle <= r)
            low = middle + 1;
        else
            high = middle;
    }
    return r + low;
}

// Draw number `draw` of a user: the positive, and `negatives` of them, `stride` apart, plus `first`.
__device__ __forceinline__ void one_draw(const Batch& from, int user, int draw, int negatives,
                                         int first, int64 stride, int* positive, int* negative) {
    const int start = from.indptr[user], degree = from.indptr[user + 1] - start;
    for (int j = 0; j < negatives; ++j) {
        const uint4 w = from.words(draw + j * from.caps[user], user);
        if (j == 0) *positive = first + from.positive(user, w.x);
        negative[j * stride] = first + negative_of(from, from.indices + start, degree, w);
    }
}

// Rows without gaps: user number i of the batch writes from offsets[i]; a warp a user.
__global__ void __launch_bounds__(THREADS)
    draw(const int* indptr, const int* indices, int n_items, const int* caps, const int* users,
         const int64* offsets, int n, int64 size, uint32 key0, uint32 key1, uint32 step,
         uint32 term, int count, uint32 popular, uint32 batch, const uint32* bounds, int* rows,
         int* positives, int* negatives) {
    const int i = int(global_thread<THREADS>()) / WARP, lane = threadIdx.x % WARP;
    if (i >= n) return;
    const Batch from = {indptr, indices, caps, users,                 n_items, n, step, term,
                        make_uint2(key0, key1), {popular, batch, bounds}};
    const int user = users[i];
    for (int d = lane; d < caps[user]; d += WARP) {
        const int64 at = offsets[i] + d;
        rows[at] = user;
        one_draw(from, user, d, count, 0, size, positives + at, negatives + at);
    }
}

// A fixed layout: slot i·samples + d is draw d of user number i of the batch, −1 where that is
// beyond the user's cap. Ends are nodes: item v is first_item + v. The negatives follow all
// positives, each n·samples later. The last block counts the draws that are there.
__global__ void __launch_bounds__(THREADS)
    draw_slots(const int* indptr, const int* indices, int first_item, int n_items, const int* caps,
               const int* users, int n, int samples, uint32 key0, uint32 key1, const uint32* clock,
               uint32 term, int negatives, uint32 popular, uint32 batch, const uint32* bounds,
               int* left, int* right, int* count) {
    if (blockIdx.x + 1 == gridDim.x) {
        int rows = 0;
        for (int i = threadIdx.x; i < n; i += THREADS) rows += caps[users[i]];
        rows = block_sum<THREADS>(rows);
        if (threadIdx.x == 0) *count = rows;
        return;
    }
    const int slots = n * samples, slot = int(global_thread<THREADS>());
    if (slot >= slots) return;
    const int i = slot / samples, d = slot % samples, user = users[i];
    const bool there = d < caps[user];
    for (int j = 0; j <= negatives; ++j) {
        const int64 at = int64(j) * slots + slot;
        left[at] = there ? user : -1;
        right[at] = -1;
    }
    if (!there) return;
    const Batch from = {indptr, indices, caps, users,                 n_items, n, clock[1], term,
                        make_uint2(key0, key1), {popular, batch, bounds}};
    one_draw(from, user, d, negatives, first_item, slots, right + slot, right + slots + slot);
}

// starts[i] = how many positives the users before number i of the batch have, i = 0…n; one block.
__global__ void __launch_bounds__(THREADS)
    positive_starts(const int* indptr, const int* users, int n, int* starts) {
    int before = 0;
    for (int base = 0; base < n; base += THREADS) {
        const int i = base + threadIdx.x;
        const int degree = i < n ? indptr[users[i] + 1] - indptr[users[i]] : 0;
        int all;
        const int up_to = block_scan<THREADS>(degree, all);
        if (i < n) starts[i] = before + up_to - degree;
        before += all;
    }
    if (threadIdx.x == 0) starts[n] = before;
}

// All positives of the users, one after the other; -1 from starts[n] on. A thread a place.
__global__ void __launch_bounds__(THREADS)
    fill_positives(const int* indptr, const int* indices, const int* users, int n,
                   const int* starts, int capacity, int* rows, int* items) {
    const int at = int(global_thread<THREADS>());
    if (at >= capacity) return;
    const bool there = at < starts[n];
    const int i = there ? at_most(starts, n + 1, at) - 1 : 0;
    rows[at] = there ? users[i] : -1;
    items[at] = there ? indices[indptr[users[i]] + at - starts[i]] : -1;
}

// The users of batch clock[0] of an epoch, `size` of them, in batches of `batch`.
__global__ void __launch_bounds__(THREADS)
    take_users(const int* epoch_users, const uint32* clock, int batch, int size, int* users) {
    const int i = int(global_thread<THREADS>());
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
