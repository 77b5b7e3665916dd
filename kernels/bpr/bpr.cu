// bpr in CUDA C++. Contract: __init__.py.
//
// A block takes ROWS pairs and leaves one partial sum; `total` adds those in order. So the loss is
// the same bits for any grid, and no two blocks ever add to one number.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;
constexpr int ROWS = 1024;

// The factor of a mean over the rows that are there, as far as the host does not know them.
__device__ __forceinline__ double row_factor(double factor, const int* count) {
    if (count == nullptr) return factor;
    return 1.0 / double(*count > 0 ? *count : 1);
}

// Where `present` is given, rows with a negative entry are not there: no loss, zero gradients.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    pairs(const T* scores, int n, double factor, const int* present, const int* count, T* d_scores,
          double* partial) {
    factor = row_factor(factor, count);
    double total = 0;
    const int end = min(n, (int(blockIdx.x) + 1) * ROWS);
    for (int i = blockIdx.x * ROWS + threadIdx.x; i < end; i += THREADS) {
        double weight = 0;
        if (present == nullptr || present[i] >= 0) {
            const double difference = double(T(scores[i] - scores[n + i]));
            const double small = exp(-fabs(difference));
            total += fmax(-difference, 0.0) + log1p(small);
            // sigma(-difference), by the exponential that cannot overflow
            weight = factor * ((difference > 0 ? small : 1.0) / (1.0 + small));
        }
        d_scores[i] = T(-weight);
        d_scores[n + i] = T(weight);
    }
    total = block_sum<THREADS>(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

// loss = factor * (sum of the partial sums); one block.
__global__ void __launch_bounds__(THREADS)
    total(const double* partial, int n, double factor, const int* count, double* loss) {
    double sum = 0;
    for (int i = threadIdx.x; i < n; i += THREADS) sum += partial[i];
    sum = block_sum<THREADS>(sum);
    if (threadIdx.x == 0) *loss = sum * row_factor(factor, count);
}
