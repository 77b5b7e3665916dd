// gate in CUDA C++. Contract: __init__.py.
//
// The axis of the softmax is short, so a thread takes a row of it; a mix's adjoint needs inner
// products of length d, so a warp takes a row there.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;  // four blocks a multiprocessor: 64 registers a thread, no spills

template <typename T>
__global__ void __launch_bounds__(THREADS, 4) softmax(const T* x, T* y, int n, int s) {
    const int64 row = global_thread<THREADS>();
    if (row >= n) return;
    x += row * s;
    y += row * s;
    T top = x[0];
    for (int i = 1; i < s; ++i) top = x[i] > top ? x[i] : top;
    T total = 0;
    for (int i = 0; i < s; ++i) total += y[i] = exp(x[i] - top);
    for (int i = 0; i < s; ++i) y[i] /= total;
}

template <typename T>
__global__ void __launch_bounds__(THREADS, 4)
    softmax_adjoint(const T* d_y, const T* y, T* d_x, int n, int s) {
    const int64 row = global_thread<THREADS>();
    if (row >= n) return;
    d_y += row * s;
    y += row * s;
    d_x += row * s;
    T mean = 0;
    for (int i = 0; i < s; ++i) mean += d_y[i] * y[i];
    for (int i = 0; i < s; ++i) d_x[i] = y[i] * (d_y[i] - mean);
}

template <typename T>
__global__ void __launch_bounds__(THREADS, 4)
    shares(const T* counts, const T* weights, T small, T* y, int n, int s) {
    const int64 row = global_thread<THREADS>();
    if (row >= n) return;
    counts += row * s;
    y += row * s;
    T total = small;
    for (int i = 0; i < s; ++i) total += counts[i] * weights[i];
    for (int i = 0; i < s; ++i) y[i] = counts[i] * weights[i] / total;
}

// partial (blocks, s): the sums of a block's rows.
template <typename T>
__global__ void __launch_bounds__(THREADS, 4)
    shares_adjoint(const T* d_y, const T* counts, const T* y, const T* weights, T small,
                   T* partial, int n, int s) {
    const int64 row = global_thread<THREADS>();
    T total = small, mean = 0;
    for (int i = 0; row < n && i < s; ++i) {
        total += counts[row * s + i] * weights[i];
        mean += d_y[row * s + i] * y[row * s + i];
    }
    for (int i = 0; i < s; ++i) {
        const T mine = row < n ? counts[row * s + i] / total * (d_y[row * s + i] - mean) : T(0);
        const T sum = block_sum<THREADS>(mine);
        if (threadIdx.x == 0) partial[int64(blockIdx.x) * s + i] = sum;
    }
}

template <typename T>
__global__ void __launch_bounds__(THREADS, 4)
    mix(const T* weights, const T* parts, T* y, int n, int s, int d) {
    const int64 size = int64(n) * d, at = global_thread<THREADS>();
    if (at >= size) return;
    weights += at / d * s;
    T total = 0;
    for (int i = 0; i < s; ++i) total += weights[i] * parts[i * size + at];
    y[at] = total;
}

template <typename T>
__global__ void __launch_bounds__(THREADS, 4)
    mix_adjoint(const T* d_y, const T* weights, const T* parts, T* d_weights, T* d_parts, int n,
                int s, int d) {
    const int64 row = global_thread<THREADS>() / WARP;
    const int lane = threadIdx.x % WARP;
    if (row >= n) return;  // a whole warp at once
    for (int i = 0; i < s; ++i) {
        const T weight = weights[row * s + i];
        const int64 start = (int64(i) * n + row) * d;
        T total = 0;
        for (int j = lane; j < d; j += WARP) {
            const T g = d_y[row * d + j];
            total += g * parts[start + j];
            d_parts[start + j] = weight * g;
        }
        total = warp_sum(total);
        if (lane == 0) d_weights[row * s + i] = total;
    }
}
