// attention in CUDA C++. Contract: __init__.py.
//
// `memory` is one matrix product over M·d numbers a row, whose left operand, relu(p_m)·x_i, is made
// as its tiles are loaded; its adjoint makes d_t·R_mᵀ tile by tile and keeps none of it. What mixes
// the rows of a node takes a warp a node.
#include "../cuda/products.cuh"

constexpr int WARPS = THREADS / WARP;
constexpr int MOST = 8;  // behaviours

// A closed slot gives 0 whatever x is; a NaN is not closed.
template <typename T>
__device__ __forceinline__ T through(T p, T x) {
    return p <= 0 ? T(0) : p * x;
}

// t (n, d) = [relu(p_1)·x | … | relu(p_M)·x] (n, M·d) · R (M·d, d).
template <typename T>
__global__ void __launch_bounds__(THREADS)
    memory(const T* x, const T* p, const T* R, T* t, int n, int slots, int d) {
    __shared__ T tile_a[DEPTH][TILE + 1];
    __shared__ T tile_b[DEPTH][TILE + 1];
    const int first_n = blockIdx.x * TILE, first_d = blockIdx.y * TILE;
    const int row = threadIdx.x / 16, column = threadIdx.x % 16;
    T sum[EACH][EACH] = {};
    for (int m = 0; m < slots; ++m)
        for (int at = 0; at < d; at += DEPTH) {
#pragma unroll
            for (int i = 0; i < TILE * DEPTH / THREADS; ++i) {
                const int k = i * THREADS + threadIdx.x;
                const int l = at + k % DEPTH, o = first_n + k / DEPTH;
                tile_a[k % DEPTH][k / DEPTH] =
                    o < n && l < d ? through(p[int64(o) * slots + m], x[int64(o) * d + l]) : T(0);
                const int across = first_d + k % TILE, along = at + k / TILE;
                tile_b[k / TILE][k % TILE] =
                    across < d && along < d ? R[(int64(m) * d + along) * d + across] : T(0);
            }
            __syncthreads();
            add_products(tile_a, tile_b, row, column, sum);
            __syncthreads();
        }
#pragma unroll
    for (int i = 0; i < EACH; ++i)
#pragma unroll
        for (int j = 0; j < EACH; ++j) {
            const int o = first_n + row + 16 * i, c = first_d + column + 16 * j;
            if (o < n && c < d) t[int64(o) * d + c] = sum[i][j];
        }
}

// With S_m = d_t·R_mᵀ: d_x = Σ_m relu(p_m)·S_m, d_p_m = ⟨x, S_m⟩ where the slot is open. A block
// has 64 rows and all their columns, 64 of them at a time; d_p grows by each of these, in order.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    memory_back(const T* d_t, const T* x, const T* p, const T* R, T* d_x, T* d_p, int n, int slots,
                int d) {
    __shared__ T tile_a[DEPTH][TILE + 1];
    __shared__ T tile_b[DEPTH][TILE + 1];
    const int first_n = blockIdx.x * TILE;
    const int row = threadIdx.x / 16, column = threadIdx.x % 16;
    for (int first_d = 0; first_d < d; first_d += TILE) {
        T back[EACH][EACH] = {};
        for (int m = 0; m < slots; ++m) {
            T sum[EACH][EACH] = {};
            for (int at = 0; at < d; at += DEPTH) {
#pragma unroll
                for (int i = 0; i < TILE * DEPTH / THREADS; ++i) {
                    const int k = i * THREADS + threadIdx.x;
                    const int l = at + k % DEPTH, o = first_n + k / DEPTH;
                    tile_a[k % DEPTH][k / DEPTH] = o < n && l < d ? d_t[int64(o) * d + l] : T(0);
                    const int c = first_d + k / DEPTH;
                    tile_b[k % DEPTH][k / DEPTH] =
                        c < d && l < d ? R[(int64(m) * d + c) * d + l] : T(0);
                }
                __syncthreads();
                add_products(tile_a, tile_b, row, column, sum);
                __syncthreads();
            }
#pragma unroll
            for (int i = 0; i < EACH; ++i) {
                const int o = first_n + row + 16 * i;
                const bool open = o < n && !(p[int64(o) * slots + m] <= 0);
                const T factor = open ? p[int64(o) * slots + m] : T(0);
                T dot = 0;
#pragma unroll
                for (int j = 0; j < EACH; ++j) {
                    const int c = first_d + column + 16 * j;
                    if (open && c < d) {
                        back[i][j] += factor * sum[i][j];
                        dot += x[int64(o) * d + c] * sum[i][j];
                    }
                }
                dot = warp_sum<16>(dot);
                if (column == 0 && o < n) {
                    T* to = d_p + int64(o) * slots + m;
                    *to = first_d == 0 ? dot : *to + dot;
                }
            }
        }
#pragma unroll
        for (int i = 0; i < EACH; ++i)
#pragma unroll
            for (int j = 0; j < EACH; ++j) {
                const int o = first_n + row + 16 * i, c = first_d + column + 16 * j;
                if (o < n && c < d) d_x[int64(o) * d + c] = back[i][j];
            }
    }
}

// d_R (M·d, d) = [relu(p_m)·x]ᵀ·d_t of piece z of the rows; `column_sums` adds the pieces.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    memory_weights(const T* d_t, const T* x, const T* p, T* d_R, int n, int slots, int d) {
    __shared__ T tile_a[DEPTH][TILE + 1];
    __shared__ T tile_b[DEPTH][TILE + 1];
    const int height = slots * d;
    const int first_a = blockIdx.x * TILE, first_b = blockIdx.y * TILE;
    const int from = int(int64(n) * blockIdx.z / gridDim.z);
    const int to = int(int64(n) * (blockIdx.z + 1) / gridDim.z);
    const int row = threadIdx.x / 16, column = threadIdx.x % 16;
    T sum[EACH][EACH] = {};
    for (int at = from; at < to; at += DEPTH) {
#pragma unroll
        for (int i = 0; i < TILE * DEPTH / THREADS; ++i) {
            const int k = i * THREADS + threadIdx.x;
            const int o = at + k / TILE, a = first_a + k % TILE, b = first_b + k % TILE;
            tile_a[k / TILE][k % TILE] =
                o < to && a < height ? through(p[int64(o) * slots + a / d], x[int64(o) * d + a % d])
                                     : T(0);
            tile_b[k / TILE][k % TILE] = o < to && b < d ? d_t[int64(o) * d + b] : T(0);
        }
        __syncthreads();
        add_products(tile_a, tile_b, row, column, sum);
        __syncthreads();
    }
    d_R += int64(blockIdx.z) * height * d;
#pragma unroll
    for (int i = 0; i < EACH; ++i)
#pragma unroll
        for (int j = 0; j < EACH; ++j) {
            const int a = first_a + row + 16 * i, b = first_b + column + 16 * j;
            if (a < height && b < d) d_R[int64(a) * d + b] = sum[i][j];
        }
}

// ---- attention over behaviours: a warp a node, head after head ---------------------------------

// ⟨a[0 : h], b[0 : h]⟩ in all lanes.
template <typename T>
__device__ __forceinline__ T dot(const T* a, const T* b, int h, int lane) {
    T sum = 0;
#pragma unroll 1
    for (int e = lane; e < h; e += WARP) sum += a[e] * b[e];
    return warp_sum(sum);
}

// w[i][j] = softmax over j of ⟨q_i, k_j⟩ / h, of the head whose q of behaviour 0 begins at `qkv`;
// `next` is from one behaviour's row to the next one's.
template <typename T>
__device__ __forceinline__ void head_weights(const T* qkv, int64 next, int behaviors, int d, int h,
                                             int lane, T (*w)[MOST]) {
#pragma unroll 1
    for (int i = 0; i < behaviors; ++i)
#pragma unroll 1
        for (int j = 0; j < behaviors; ++j) {
            const T score = dot(qkv + i * next, qkv + j * next + d, h, lane) / T(h);
            if (lane == 0) w[i][j] = score;
        }
    __syncwarp();
    if (lane < behaviors) {
        T* row = w[lane];
        T top = row[0], total = 0;
#pragma unroll 1
        for (int j = 1; j < behaviors; ++j) top = row[j] > top ? row[j] : top;
#pragma unroll 1
        for (int j = 0; j < behaviors; ++j) total += row[j] = exp(row[j] - top);
#pragma unroll 1
        for (int j = 0; j < behaviors; ++j) row[j] /= total;
    }
    __syncwarp();
}

template <typename T>
__global__ void __launch_bounds__(THREADS, 2)
    attend(const T* qkv, T* o, int n, int behaviors, int heads, int d) {
    __shared__ T weights[WARPS][MOST][MOST];
    const int64 node = global_thread<THREADS>() / WARP;
    const int lane = threadIdx.x % WARP, h = d / heads;
    T(*w)[MOST] = weights[threadIdx.x / WARP];
    if (node >= n) return;  // a whole warp at once
    const int64 next = int64(n) * 3 * d;
#pragma unroll 1
    for (int first = 0; first < d; first += h) {
        const T* head = qkv + node * 3 * d + first;
        head_weights(head, next, behaviors, d, h, lane, w);
#pragma unroll 1
        for (int i = 0; i < behaviors; ++i)
#pragma unroll 1
            for (int e = lane; e < h; e += WARP) {
                T sum = 0;
#pragma unroll 1
                for (int j = 0; j < behaviors; ++j) sum += w[i][j] * head[j * next + 2 * d + e];
                o[(int64(i) * n + node) * d + first + e] = sum;
            }
        __syncwarp();  // the weights are written again
    }
}

template <typename T>
__global__ void __launch_bounds__(THREADS, 2)
    attend_adjoint(const T* d_o, const T* qkv, T* d_qkv, int n, int behaviors, int heads, int d) {
    __shared__ T weights[WARPS][MOST][MOST];
    __shared__ T slopes[WARPS][MOST][MOST];
    const int64 node = global_thread<THREADS>() / WARP;
    const int lane = threadIdx.x % WARP, h = d / heads;
    T(*w)[MOST] = weights[threadIdx.x / WARP];
    T(*d_s)[MOST] = slopes[threadIdx.x / WARP];
    if (node >= n) return;
    const int64 next = int64(n) * 3 * d, next_o = int64(n) * d;
#pragma unroll 1
    for (int first = 0; first < d; first += h) {
        const T* head = qkv + node * 3 * d + first;
        const T* out = d_o + node * d + first;
        T* back = d_qkv + node * 3 * d + first;
        head_weights(head, next, behaviors, d, h, lane, w);
#pragma unroll 1
        for (int i = 0; i < behaviors; ++i)
#pragma unroll 1
            for (int j = 0; j < behaviors; ++j) {
                const T d_w = dot(out + i * next_o, head + j * next + 2 * d, h, lane);
                if (lane == 0) d_s[i][j] = d_w;
            }
        __syncwarp();
        if (lane < behaviors) {
            T mean = 0;
#pragma unroll 1
            for (int j = 0; j < behaviors; ++j) mean += w[lane][j] * d_s[lane][j];
#pragma unroll 1
            for (int j = 0; j < behaviors; ++j)
                d_s[lane][j] = w[lane][j] * (d_s[lane][j] - mean) / T(h);
        }
        __syncwarp();
#pragma unroll 1
        for (int i = 0; i < behaviors; ++i)
#pragma unroll 1
            for (int e = lane; e < h; e += WARP) {
                T d_q = 0, d_k = 0, d_v = 0;
#pragma unroll 1
                for (int j = 0; j < behaviors; ++j) {
                    d_q += d_s[i][j] * head[j * next + d + e];
                    d_k += d_s[j][i] * head[j * next + e];
                    d_v += w[j][i] * out[j * next_o + e];
                }
                back[i * next + e] = d_q;
                back[i * next + d + e] = d_k;
                back[i * next + 2 * d + e] = d_v;
            }
        __syncwarp();
    }
}

// ---- the pool over behaviours: a warp a node ----------------------------------------------------

// w[k] = softmax over k of g[k·n + node].
template <typename T>
__device__ __forceinline__ void pool_weights(const T* g, int64 node, int n, int behaviors,
                                             T (&w)[MOST]) {
    T top = g[node], total = 0;
#pragma unroll 1
    for (int k = 1; k < behaviors; ++k) {
        const T one = g[int64(k) * n + node];
        top = one > top ? one : top;
    }
#pragma unroll
    for (int k = 0; k < MOST; ++k) {
        w[k] = k < behaviors ? exp(g[int64(k) * n + node] - top) : T(0);
        total += w[k];
    }
#pragma unroll
    for (int k = 0; k < MOST; ++k) w[k] /= total;
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    pool(const T* g, const T* o, T* y, int n, int behaviors, int d) {
    const int64 node = global_thread<THREADS>() / WARP;
    if (node >= n) return;
    T w[MOST];
    pool_weights(g, node, n, behaviors, w);
#pragma unroll 1
    for (int j = threadIdx.x % WARP; j < d; j += WARP) {
        T sum = 0;
#pragma unroll
        for (int k = 0; k < MOST; ++k)
            if (k < behaviors) sum += w[k] * o[(int64(k) * n + node) * d + j];
        y[node * d + j] = sum;
    }
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    pool_adjoint(const T* d_y, const T* g, const T* o, T* d_g, T* d_o, int n, int behaviors,
                 int d) {
    const int64 node = global_thread<THREADS>() / WARP;
    const int lane = threadIdx.x % WARP;
    if (node >= n) return;
    T w[MOST], d_w[MOST], mean = 0;
    pool_weights(g, node, n, behaviors, w);
#pragma unroll
    for (int k = 0; k < MOST; ++k) {
        d_w[k] = 0;
        if (k < behaviors) {  // the same for all lanes
            const int64 start = (int64(k) * n + node) * d;
#pragma unroll 1
            for (int j = lane; j < d; j += WARP) {
                d_w[k] += d_y[node * d + j] * o[start + j];
                d_o[start + j] = w[k] * d_y[node * d + j];
            }
            d_w[k] = warp_sum(d_w[k]);
        }
        mean += w[k] * d_w[k];
    }
    if (lane == 0)
#pragma unroll
        for (int k = 0; k < MOST; ++k)
            if (k < behaviors) d_g[int64(k) * n + node] = w[k] * (d_w[k] - mean);
}

// ---- scores of all pairs --------------------------------------------------------------------------

// s (n_left, n): block (x, y) has 64 rows of `right` and row y of `left`, 64 columns of W at a time.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    predict(const T* left, const T* right, const T* W, const T* b, const T* v, const T* c, T* s,
            int n, int d) {
    __shared__ T tile_a[DEPTH][TILE + 1];
    __shared__ T tile_b[DEPTH][TILE + 1];
    const int first_n = blockIdx.x * TILE;
    const int row = threadIdx.x / 16, column = threadIdx.x % 16;
    left += int64(blockIdx.y) * d;
    T score[EACH] = {};
    for (int first_d = 0; first_d < d; first_d += TILE) {
        T sum[EACH][EACH] = {};
        for (int at = 0; at < d; at += DEPTH) {
#pragma unroll
            for (int i = 0; i < TILE * DEPTH / THREADS; ++i) {
                const int k = i * THREADS + threadIdx.x;
                const int l = at + k % DEPTH, o = first_n + k / DEPTH;
                tile_a[k % DEPTH][k / DEPTH] =
                    o < n && l < d ? left[l] * right[int64(o) * d + l] : T(0);
                const int across = first_d + k % TILE, along = at + k / TILE;
                tile_b[k / TILE][k % TILE] =
                    across < d && along < d ? W[int64(along) * d + across] : T(0);
            }
            __syncthreads();
            add_products(tile_a, tile_b, row, column, sum);
            __syncthreads();
        }
#pragma unroll
        for (int j = 0; j < EACH; ++j) {
            const int across = first_d + column + 16 * j;
            if (across >= d) continue;
            const T factor = v[across], bias = b[across], own = left[across];
#pragma unroll
            for (int i = 0; i < EACH; ++i) {
                const int o = first_n + row + 16 * i;
                const T hidden = sum[i][j] + bias;
                const T x = o < n ? own * right[int64(o) * d + across] : T(0);
                score[i] += ((hidden <= 0 ? T(0) : hidden) + x) * factor;
            }
        }
    }
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
        const T total = warp_sum<16>(score[i]);
        const int o = first_n + row + 16 * i;
        if (column == 0 && o < n) s[int64(blockIdx.y) * n + o] = total + c[0];
    }
}
