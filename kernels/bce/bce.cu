// bce in CUDA C++. Contract: __init__.py.
//
// A block takes fixed rows and leaves one partial sum; `total` adds those in order, as for bpr.
#include "../cuda/losses.cuh"

constexpr int ROWS = 1024;

// Where `present` is given, rows with a negative entry are not there: no loss, zero gradients.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    rows(const T* scores, const T* labels, int n, double factor, const int* present,
         const int* count, T* d_scores, double* partial) {
    factor = row_factor(factor, count);
    double total = 0;
    const int end = min(n, (int(blockIdx.x) + 1) * ROWS);
    for (int r = blockIdx.x * ROWS + threadIdx.x; r < end; r += THREADS) {
        double slope = 0;
        if (present == nullptr || present[r] >= 0) {
            const double s = scores[r], y = labels[r];
            const double small = exp(-fabs(s));  // the exponential that cannot overflow
            total += (s > 0 ? s : 0.0) - y * s + log1p(small);
            const double large = 1.0 / (1.0 + small), little = small / (1.0 + small);
            slope = s >= 0 ? large * (1.0 - y) - little * y : little * (1.0 - y) - large * y;
        }
        d_scores[r] = T(factor * slope);
    }
    total = block_sum<THREADS>(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}
