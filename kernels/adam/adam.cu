// adam in CUDA C++. Contract: __init__.py.
//
// One pass: 16 bytes of each of the four arrays are read, and of three written, per four float32
// parameters. A block takes PIECE of them whatever the device, so the sum of squares has a fixed
// order.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;
constexpr int PIECE = 4096;  // parameters of a block

template <typename T>
struct Scalars {
    T grad_scale, decay, rate, root, beta1, rest1, beta2, rest2, epsilon;
};

template <typename T>
__device__ __forceinline__ double one(T& theta, T grad, T& m, T& v, const Scalars<T>& by) {
    const double wide = double(theta);
    const T g = by.grad_scale * grad + by.decay * theta;
    m = by.beta1 * m + by.rest1 * g;
    v = by.beta2 * v + by.rest2 * (g * g);
    theta -= by.rate * m / (by.root * sqrt(v) + by.epsilon);
    return wide * wide;
}

// Where `rates` (steps, 2) is given, rate and root scale are those of the step in clock[0].
// grad may be null: zeros. N = 16 / sizeof(T) where n is a multiple of it, else 1.
template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    update(T* theta, const T* grad, T* m, T* v, int64 n, const double* rates, const uint32* clock,
           T decay, T rate, T root, T beta1, T rest1, T beta2, T rest2, T epsilon,
           double* partial) {
    if (rates != nullptr) {
        rate = T(rates[2 * clock[0]]);
        root = T(rates[2 * clock[0] + 1]);
    }
    const Scalars<T> by = {T(grad == nullptr ? 0 : 1), decay, rate,  root,    beta1,
                           rest1,                      beta2, rest2, epsilon};
    const T* slope = grad == nullptr ? theta : grad;  // read, and weighed by zero
    const int64 start = int64(blockIdx.x) * PIECE, end = start + PIECE < n ? start + PIECE : n;
    double squares = 0;
    for (int64 i = start + threadIdx.x * N; i < end; i += THREADS * N) {
        Vec<T, N> theta_i = load_vec<N>(theta + i), m_i = load_vec<N>(m + i),
                  v_i = load_vec<N>(v + i);
        const Vec<T, N> g_i = load_vec<N>(slope + i);
#pragma unroll
        for (int j = 0; j < N; ++j) squares += one(theta_i[j], g_i[j], m_i[j], v_i[j], by);
        store_vec(theta + i, theta_i);
        store_vec(m + i, m_i);
        store_vec(v + i, v_i);
    }
    squares = block_sum<THREADS>(squares);
    if (threadIdx.x == 0) partial[blockIdx.x] = squares;
}

// mean += (theta - mean) * max(1 - decay, 1 / step); where `clock` is given, step = clock[1] + 1.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    average(const T* theta, T* mean, int64 n, double rest, double share, const uint32* clock) {
    if (clock != nullptr) share = fmax(rest, 1.0 / (double(clock[1]) + 1.0));
    const T weight = T(share);
    const int64 i = int64(blockIdx.x) * THREADS + threadIdx.x;
    if (i < n) mean[i] += (theta[i] - mean[i]) * weight;
}

// squares = sum of the partial sums; one block.
__global__ void __launch_bounds__(THREADS) total(const double* partial, int n, double* squares) {
    const double sum = sum_in_order<THREADS>(partial, n);
    if (threadIdx.x == 0) *squares = sum;
}
