// What losses over the rows of a batch share: the factor of a mean, and the sum of the blocks' sums.
#include "common.cuh"

constexpr int THREADS = 256;  // of a block, as in the launchers

// The factor of a mean over the rows that are there, where only the device knows their number.
__device__ __forceinline__ double row_factor(double factor, const int* count) {
    if (count == nullptr) return factor;
    return factor / double(*count > 0 ? *count : 1);
}

// loss = factor * (sum of the partial sums); one block.
__global__ void __launch_bounds__(THREADS)
    total(const double* partial, int n, double factor, const int* count, double* loss) {
    const double sum = sum_in_order<THREADS>(partial, n);
    if (threadIdx.x == 0) *loss = sum * row_factor(factor, count);
}
