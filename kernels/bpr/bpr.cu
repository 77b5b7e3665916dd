// bpr in CUDA C++. Contract: __init__.py.
//
// A block takes fixed rows or groups and leaves one partial sum; `total` adds those in order. So the
// loss is the same bits for any grid, and no two blocks ever add to one number.
#include "../cuda/losses.cuh"

constexpr int ROWS = 1024;
constexpr int WARPS = THREADS / WARP;

// softplus(-difference), and in `weight` sigma(-difference), by the exponential that cannot overflow.
__device__ __forceinline__ double pair(double difference, double& weight) {
    const double small = exp(-fabs(difference));
    weight = (difference > 0 ? small : 1.0) / (1.0 + small);
    return fmax(-difference, 0.0) + log1p(small);
}

// max(0, 1 - difference), and in `weight` the negative of its slope; a NaN stays one.
__device__ __forceinline__ double margin(double difference, double& weight) {
    const double missed = 1.0 - difference;
    weight = missed > 0 ? 1.0 : 0.0;
    return missed <= 0 ? 0.0 : missed;
}

// Where `present` is given, rows with a negative entry are not there: no loss, zero gradients.
template <typename T, double (*LOSS)(double, double&)>
__device__ __forceinline__ void rows(const T* scores, int n, int negatives, double factor,
                                     const int* present, const int* count, T* d_scores,
                                     double* partial) {
    factor = row_factor(factor, count);
    double total = 0;
    const int end = min(n, (int(blockIdx.x) + 1) * ROWS);
    for (int i = blockIdx.x * ROWS + threadIdx.x; i < end; i += THREADS) {
        const bool there = present == nullptr || present[i] >= 0;
        double slope = 0;
#pragma unroll 1
        for (int j = 1; j <= negatives; ++j) {
            const int64 at = int64(j) * n + i;
            double weight = 0;
            if (there) total += LOSS(double(T(scores[i] - scores[at])), weight);
            slope += weight;
            d_scores[at] = T(factor * weight);
        }
        d_scores[i] = T(-factor * slope);
    }
    total = block_sum<THREADS>(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    pairs(const T* scores, int n, int negatives, double factor, const int* present,
          const int* count, T* d_scores, double* partial) {
    rows<T, pair>(scores, n, negatives, factor, present, count, d_scores, partial);
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    hinges(const T* scores, int n, int negatives, double factor, const int* present,
           const int* count, T* d_scores, double* partial) {
    rows<T, margin>(scores, n, negatives, factor, present, count, d_scores, partial);
}

// A warp a group: rows groups[g]..groups[g + 1], or where `groups` is null `width` slots of which
// those with present >= 0 are there.
template <typename T>
__global__ void __launch_bounds__(THREADS, 4)
    softmax(const T* scores, int n, int negatives, const int* groups, int n_groups, int width,
            double factor, const int* present, const int* count, T* d_scores, double* partial) {
    factor = row_factor(factor, count);
    const int group = blockIdx.x * WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    double total = 0;
    if (group < n_groups) {  // the same for all lanes of a warp
        const int start = groups == nullptr ? group * width : groups[group];
        const int stop = groups == nullptr ? start + width : groups[group + 1];
        double maximum = -1.7976931348623157e308;  // no score is less
#pragma unroll 1
        for (int i = start + lane; i < stop; i += WARP) {
            if (present != nullptr && present[i] < 0) continue;
#pragma unroll 1
            for (int j = 1; j <= negatives; ++j)
                maximum = fmax(maximum, double(scores[int64(j) * n + i]));
        }
        maximum = warp_max(maximum);
        double powers = 0;
#pragma unroll 1
        for (int i = start + lane; i < stop; i += WARP) {
            if (present != nullptr && present[i] < 0) continue;
#pragma unroll 1
            for (int j = 1; j <= negatives; ++j)
                powers += exp(double(scores[int64(j) * n + i]) - maximum);
        }
        powers = warp_sum(powers);
        const double bound = maximum + log(powers);
        double slope = 0;
#pragma unroll 1
        for (int i = start + lane; i < stop; i += WARP) {
            double weight = 0;
            if (present == nullptr || present[i] >= 0)
                total += pair(double(scores[i]) - bound, weight);
            slope += weight;
            d_scores[i] = T(-factor * weight);
        }
        slope = warp_sum(slope);
        if (powers > 0) slope *= factor / powers;  // 0: no row is there
#pragma unroll 1
        for (int i = start + lane; i < stop; i += WARP) {
            const bool there = present == nullptr || present[i] >= 0;
#pragma unroll 1
            for (int j = 1; j <= negatives; ++j) {
                const int64 at = int64(j) * n + i;
                d_scores[at] = there ? T(exp(double(scores[at]) - maximum) * slope) : T(0);
            }
        }
    }
    total = block_sum<THREADS>(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}
