// normalise in CUDA C++. Contract: __init__.py.
//
// LANES lanes take a row, in vectors of V values: 64 floats are two loads a lane, and a warp has four
// rows in flight. The second look at a row finds it in the L1. Loops are unrolled twice, which is all
// of 64 floats; by itself the compiler unrolls them four times and spills.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;
constexpr int LANES = 8;
constexpr int ROWS = THREADS / LANES;  // of a block

// This group's row, and its lane in it. A row beyond the end reads nothing, but takes part in sums.
struct Here {
    int row, lane;
    bool inside;
    __device__ Here(int rows) {
        row = blockIdx.x * ROWS + threadIdx.x / LANES;
        lane = threadIdx.x % LANES;
        inside = row < rows;
    }
};

// ⟨x, y⟩ of the group's row, in all its lanes. The whole warp must call.
template <typename T, int V>
__device__ __forceinline__ T inner(const T* x, const T* y, int d, const Here& here) {
    T total = 0;
#pragma unroll 2
    for (int a = here.inside ? here.lane * V : d; a < d; a += LANES * V) {
        const Vec<T, V> p = load_vec<V>(x + a), q = load_vec<V>(y + a);
#pragma unroll
        for (int i = 0; i < V; ++i) total += p[i] * q[i];
    }
    return warp_sum<LANES>(total);
}

template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
    normalise(const T* x, T* y, T* inverse, int rows, int d, bool clamp, T epsilon) {
    const Here here(rows);
    x += int64(here.row) * d;
    y += int64(here.row) * d;
    const T squares = inner<T, V>(x, x, d, here);
    if (!here.inside) return;
    T length = clamp ? sqrt(squares) : epsilon + sqrt(epsilon + squares);
    if (clamp && length < epsilon) length = epsilon;  // a NaN stays one
    const T factor = T(1) / length;
#pragma unroll 2
    for (int a = here.lane * V; a < d; a += LANES * V) {
        Vec<T, V> row = load_vec<V>(x + a);
#pragma unroll
        for (int i = 0; i < V; ++i) row[i] *= factor;
        store_vec<V>(y + a, row);
    }
    if (here.lane == 0) inverse[here.row] = factor;
}

// `most` is 1 / epsilon, the factor of a row whose length was clamped; it does not depend on x.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
    normalise_adjoint(const T* d_y, const T* y, const T* inverse, T* d_x, int rows, int d,
                      bool clamp, T epsilon, T most) {
    const Here here(rows);
    const int64 start = int64(here.row) * d;
    const T factor = here.inside ? inverse[here.row] : T(0);
    // The division comes first: in double it is a call, and what is in registers then is spilled.
    const T t = clamp ? T(factor < most) : T(1) / (T(1) - epsilon * factor);
    const T along = t * inner<T, V>(d_y + start, y + start, d, here);
    if (!here.inside) return;
#pragma unroll 2
    for (int a = here.lane * V; a < d; a += LANES * V) {
        const Vec<T, V> unit = load_vec<V>(y + start + a);
        Vec<T, V> g = load_vec<V>(d_y + start + a);
#pragma unroll
        for (int i = 0; i < V; ++i) g[i] = factor * (g[i] - along * unit[i]);
        store_vec<V>(d_x + start + a, g);
    }
}
