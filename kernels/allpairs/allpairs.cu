// allpairs in CUDA C++. Contract: __init__.py.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / WARP;
constexpr int ROWS = 1024;  // scores of a block

// One block: the matrices are small. A warp takes a row of them at a time.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    everything(const T* users, const T* items, const T* relation, int d, double weight,
               double* loss, T* d_users, T* d_items, T* d_relation) {
    const int lane = threadIdx.x % WARP;
    double total = 0;
    for (int a = threadIdx.x / WARP; a < d; a += WARPS) {
        const double r_a = relation[a];
        double along = 0;
        for (int b = lane; b < d; b += WARP) {
            const int64 at = int64(a) * d + b;
            const double u = users[at], i = items[at], r_b = relation[b];
            along += u * i * r_b;
            d_users[at] = T(weight * i * r_a * r_b);
            d_items[at] = T(weight * u * r_a * r_b);
        }
        along = warp_sum(along);
        if (lane == 0) {
            d_relation[a] = T(2 * weight * along);
            total += r_a * along;
        }
    }
    total = block_sum<THREADS>(total);
    if (threadIdx.x == 0) *loss = weight * total;
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    met(const T* scores, int n, T share, double* partial, T* d_scores) {
    double total = 0;
    const int last = min(n, int(blockIdx.x + 1) * ROWS);
    for (int i = blockIdx.x * ROWS + threadIdx.x; i < last; i += THREADS) {
        const T s = scores[i];
        total += double(share * s * s - T(2) * s);
        d_scores[i] = T(2) * share * s - T(2);
    }
    total = block_sum<THREADS>(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

// The sum of the pieces; one block.
__global__ void __launch_bounds__(THREADS) met_total(const double* partial, int pieces, double* loss) {
    const double total = sum_in_order<THREADS>(partial, pieces);
    if (threadIdx.x == 0) *loss = total;
}
