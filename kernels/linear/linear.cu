// linear in CUDA C++. Contract: __init__.py.
//
// One matrix product serves the map and its adjoint: tiles of 64 × 64 outputs a block, 4 × 4 a
// thread, operands through shared memory. A product over many rows (the weight's gradient) is cut
// into pieces of rows that `column_sums` adds in order: deterministic without atomics.
#include "../cuda/products.cuh"

// The tile (TILE along the outputs, DEPTH along the sum) of an operand, zero beyond its edges. The
// operand is stored (outputs, sum), or (sum, outputs) where ACROSS. The extra column keeps the
// writes of neighbouring threads in different banks.
template <typename T, bool ACROSS>
__device__ __forceinline__ void load_tile(T (*tile)[TILE + 1], const T* x, int outputs, int length,
                                          int first, int from, int to) {
#pragma unroll
    for (int i = 0; i < TILE * DEPTH / THREADS; ++i) {
        const int t = i * THREADS + threadIdx.x;
        const int o = ACROSS ? t % TILE : t / DEPTH, k = ACROSS ? t / TILE : t % DEPTH;
        T value = 0;
        if (first + o < outputs && from + k < to) {
            value = ACROSS ? x[int64(from + k) * outputs + first + o]
                           : x[int64(first + o) * length + from + k];
        }
        tile[k][o] = value;
    }
}

// c (m, n) = a·b + bias; a is stored (m, k) or (k, m), b (k, n) or (n, k). bias (n,) may be null.
// Block z sums over its piece of k and writes c[z].
template <typename T, bool A_ACROSS, bool B_ACROSS>
__global__ void __launch_bounds__(THREADS)
    product(const T* a, const T* b, const T* bias, T* c, int m, int n, int k) {
    __shared__ T tile_a[DEPTH][TILE + 1];
    __shared__ T tile_b[DEPTH][TILE + 1];
    const int first_m = blockIdx.x * TILE, first_n = blockIdx.y * TILE;
    const int from = int(int64(k) * blockIdx.z / gridDim.z);
    const int to = int(int64(k) * (blockIdx.z + 1) / gridDim.z);
    const int row = threadIdx.x / 16, column = threadIdx.x % 16;
    T sum[EACH][EACH] = {};
    for (int at = from; at < to; at += DEPTH) {
        load_tile<T, A_ACROSS>(tile_a, a, m, k, first_m, at, to);
        load_tile<T, B_ACROSS>(tile_b, b, n, k, first_n, at, to);
        __syncthreads();
        add_products(tile_a, tile_b, row, column, sum);
        __syncthreads();
    }
    c += int64(blockIdx.z) * m * n;
#pragma unroll
    for (int i = 0; i < EACH; ++i)
#pragma unroll
        for (int j = 0; j < EACH; ++j) {
            const int y = first_m + row + 16 * i, x = first_n + column + 16 * j;
            if (y < m && x < n) c[int64(y) * n + x] = sum[i][j] + (bias ? bias[x] : T(0));
        }
}

// ---- the same on tensor cores: operands rounded to TF32, sums in float32 -----------------------

__device__ __forceinline__ uint32 to_tf32(float x) {
#ifdef CUDA_EMULATOR
    // 10 bits of mantissa stay; to nearest, ties away from zero, as cvt.rna rounds.
    const uint32 bits = __float_as_uint(x);
    if ((bits & 0x7f800000u) == 0x7f800000u) return bits;  // infinity, NaN
    return (bits + 0x1000u) & 0xffffe000u;
#elif __CUDA_ARCH__ >= 800
    uint32 bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
#else
    return __float_as_uint(x);  // no tensor cores for TF32: the launcher never comes here
#endif
}

// d (16 × 8) += a (16 × 8)·b (8 × 8) of a warp, in the layout of mma.m16n8k8: with g = lane / 4 and
// t = lane % 4 a lane holds a[g][t], a[g + 8][t], a[g][t + 4], a[g + 8][t + 4]; b[t][g],
// b[t + 4][g]; d[g][2t], d[g][2t + 1], d[g + 8][2t], d[g + 8][2t + 1].
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32 (&a)[4],
                                             const uint32 (&b)[2]) {
#ifdef CUDA_EMULATOR
    const int lane = threadIdx.x % WARP, g = lane / 4, t = lane % 4;
    for (int l = 0; l < 8; ++l) {
        const int from = g * 4 + l % 4;  // who holds a[g][l]
        const float low = __uint_as_float(__shfl_sync(FULL_MASK, a[l / 4 * 2], from));
        const float high = __uint_as_float(__shfl_sync(FULL_MASK, a[l / 4 * 2 + 1], from));
        for (int j = 0; j < 2; ++j) {
            const int owner = (2 * t + j) * 4 + l % 4;  // who holds b[l][2t + j]
            const float right = __uint_as_float(__shfl_sync(FULL_MASK, b[l / 4], owner));
            d[j] += low * right;
            d[2 + j] += high * right;
        }
    }
#elif __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// As `product`; a warp has 16 × 32 of the block's 64 × 64 outputs.
template <bool A_ACROSS, bool B_ACROSS>
__global__ void __launch_bounds__(THREADS)
    product_tf32(const float* a, const float* b, const float* bias, float* c, int m, int n, int k) {
    __shared__ float tile_a[DEPTH][TILE + 1];
    __shared__ float tile_b[DEPTH][TILE + 1];
    const int first_m = blockIdx.x * TILE, first_n = blockIdx.y * TILE;
    const int from = int(int64(k) * blockIdx.z / gridDim.z);
    const int to = int(int64(k) * (blockIdx.z + 1) / gridDim.z);
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
    const int row = warp / 2 * 16, column = warp % 2 * 32;
    float sum[4][4] = {};
    for (int at = from; at < to; at += DEPTH) {
        load_tile<float, A_ACROSS>(tile_a, a, m, k, first_m, at, to);
        load_tile<float, B_ACROSS>(tile_b, b, n, k, first_n, at, to);
        __syncthreads();
#pragma unroll
        for (int l = 0; l < DEPTH; l += 8) {
            const uint32 left[4] = {
                to_tf32(tile_a[l + t][row + g]), to_tf32(tile_a[l + t][row + g + 8]),
                to_tf32(tile_a[l + t + 4][row + g]), to_tf32(tile_a[l + t + 4][row + g + 8])};
#pragma unroll
            for (int part = 0; part < 4; ++part) {
                const int x = column + 8 * part + g;
                const uint32 right[2] = {to_tf32(tile_b[l + t][x]), to_tf32(tile_b[l + t + 4][x])};
                multiply_add(sum[part], left, right);
            }
        }
        __syncthreads();
    }
    c += int64(blockIdx.z) * m * n;
#pragma unroll
    for (int part = 0; part < 4; ++part)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int y = first_m + row + g + i / 2 * 8;
            const int x = first_n + column + 8 * part + 2 * t + i % 2;
            if (y < m && x < n) c[int64(y) * n + x] = sum[part][i] + (bias ? bias[x] : 0.0f);
        }
}

// ---- activations and sums of tables -------------------------------------------------------------

enum Kind { IDENTITY, RELU, LEAKY_RELU, SIGMOID };

template <typename T>
__global__ void __launch_bounds__(THREADS)
    activate(const T* x, T* y, int64 n, int kind, T slope) {
    const int64 i = global_thread<THREADS>();
    if (i >= n) return;
    T value = x[i];
    if (kind == RELU) {
        value = value > 0 ? value : value * 0;  // a NaN stays one
    } else if (kind == LEAKY_RELU) {
        value = value > 0 ? value : slope * value;
    } else if (kind == SIGMOID) {  // by the exponential that cannot overflow
        const T small = exp(-fabs(value));
        value = (value >= 0 ? T(1) : small) / (T(1) + small);
    }
    y[i] = value;
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    activate_adjoint(const T* d_y, const T* y, T* d_x, int64 n, int kind, T slope) {
    const int64 i = global_thread<THREADS>();
    if (i >= n) return;
    T g = d_y[i];
    if (kind == RELU)
        g = y[i] > 0 ? g : g * 0;
    else if (kind == LEAKY_RELU)
        g = y[i] > 0 ? g : slope * g;
    else if (kind == SIGMOID)
        g = g * y[i] * (1 - y[i]);
    d_x[i] = g;
}

// y = (a + b) + c; c may be null.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    total(const T* a, const T* b, const T* c, T* y, int64 n) {
    const int64 i = global_thread<THREADS>();
    if (i >= n) return;
    const T sum = a[i] + b[i];
    y[i] = c ? sum + c[i] : sum;
}

// y = x + bias in each of n rows; a warp a row.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    shift(const T* x, const T* bias, T* y, int n, int columns) {
    const int64 row = global_thread<THREADS>() / WARP;
    if (row >= n) return;
    for (int j = threadIdx.x % WARP; j < columns; j += WARP)
        y[row * columns + j] = x[row * columns + j] + bias[j];
}
