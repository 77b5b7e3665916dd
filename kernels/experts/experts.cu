// experts in CUDA. Contract: __init__.py; launcher: cuda.py; who does what: ../pairs/pairs.cuh.
//
// Forward: eight lanes a pair go through the columns of one expert after the other; a lane keeps what
// one expert says, so that the softmax never leaves registers. Adjoint: the pair stage turns score
// gradients into weights a pair and expert; then one owner sums every node over the pairs it takes
// part in, and what it summed gives the node's gradient and its share of the tower's.
#include "../pairs/pairs.cuh"

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }

// A mixture's columns, as in `Columns` of __init__.py.
struct Columns {
    int own, n_own, shared, n_shared, gate, width;
    __device__ int count() const { return n_own + n_shared; }
    __device__ int start(int j) const {
        return j < n_own ? own + j * width : shared + (j - n_own) * width;
    }
};

// The rows of both sides: users first, items from n_users on.
template <typename T>
struct Sides {
    const T *users, *items;
    int n_users;
    int64 stride;
    __device__ const T* row(int n) const {
        return n < n_users ? users + n * stride : items + (n - n_users) * stride;
    }
};

// gates, parts (rows, n), scores (rows,): a lane holds an expert.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
mixture_pairs(const T* users, const T* items, const T* tower, const T* offset, const int* left,
              const int* right, int n_users, int stride, int own, int n_own, int shared,
              int n_shared, int gate, int width, int rows, T slope, T score_scale, T* gates, T* parts,
              T* scores) {
    const PairHere pair(left, right, rows);
    const Columns columns{own, n_own, shared, n_shared, gate, width};
    const Sides<T> sides{users, items, n_users, stride};
    const int lane = threadIdx.x % LANES, count = columns.count();
    const T* user = sides.row(pair.present ? pair.left : 0);
    const T* item = sides.row(pair.present ? pair.right : n_users);
    T part = 0;
    for (int j = 0; j < count; ++j) {
        T total = 0;
        if (pair.present) {
            const int first = columns.start(j);
            for (int a = lane * V; a < width; a += LANES * V) {
                const Vec<T, V> p = load_vec<V>(user + first + a), q = load_vec<V>(item + first + a);
                const Vec<T, V> t = load_vec<V>(tower + a);
#pragma unroll
                for (int i = 0; i < V; ++i) {
                    const T x = p[i] + q[i];
                    total += t[i] * (x > 0 ? x : slope * x);
                }
            }
        }
        total = warp_sum<LANES>(total);
        if (lane == j) part = total;
    }
    const bool takes_part = pair.present && lane < count;
    T logit = 0;
    if (takes_part && gate >= 0) logit = user[gate + lane] + item[gate + lane];
    const T first = __shfl_sync(FULL_MASK, logit, 0, LANES);
    const T top = warp_max<LANES>(takes_part ? logit : first);
    const T power = takes_part ? exponential(logit - top) : T(0);
    const T all = warp_sum<LANES>(power);
    const T weight = takes_part ? power / all : T(0);
    const T mixed = warp_sum<LANES>(weight * part);
    if (pair.inside && lane < count) {
        gates[int64(pair.row) * count + lane] = weight;
        parts[int64(pair.row) * count + lane] = part;
    }
    if (pair.inside && lane == 0)
        scores[pair.row] = pair.present ? score_scale * (mixed + offset[0]) : T(0);
}

// Of each pair and expert: the gradients of what it says and of its logit.
template <typename T>
__global__ void __launch_bounds__(THREADS)
mixture_weights(const T* d_scores, const int* left, const int* right, const T* gates, const T* parts,
                int rows, int count, T score_scale, T* weights, T* d_logits) {
    const PairHere pair(left, right, rows);
    const int lane = threadIdx.x % LANES;
    const int64 at = int64(pair.row) * count + lane;
    const bool expert = pair.inside && lane < count;
    const T gate = expert ? gates[at] : T(0), part = expert ? parts[at] : T(0);
    const T g = pair.present ? score_scale * d_scores[pair.row] : T(0);
    const T mean = warp_sum<LANES>(gate * part);
    if (!expert) return;
    weights[at] = g * gate;
    d_logits[at] = g * gate * (part - mean);
}

// sums (n, count·width): of the weights times the activation's slope; node_logits (n, count). The
// gradients of a node's columns are added to.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
owner_mixture(const T* users, const T* items, const T* tower, const int* left, const int* right,
              const int* ptr, const int* slots, const T* weights, const T* d_logits, int n_users,
              int n_nodes, int stride, int own, int n_own, int shared, int n_shared, int gate,
              int width, int rows, T slope, T* sums, T* node_logits, T* d_users, T* d_items) {
    const Columns columns{own, n_own, shared, n_shared, gate, width};
    const Sides<T> sides{users, items, n_users, stride};
    const int count = columns.count();
    sum_slots<V>(ptr, slots, n_nodes, count * width, sums, [&](int n, int slot, int column) {
        const End end(slot, left, right, rows);
        const int j = column / width, at = columns.start(j) + column - j * width;
        const T weight = weights[int64(end.pair) * count + j], low = slope * weight;
        Vec<T, V> x = load_vec<V>(sides.row(n) + at);
        const Vec<T, V> y = load_vec<V>(sides.row(end.partner) + at);
#pragma unroll
        for (int i = 0; i < V; ++i) x[i] = x[i] + y[i] > 0 ? weight : low;
        return x;
    });
    if (gate >= 0)
        sum_slots<1>(ptr, slots, n_nodes, count, node_logits, [&](int, int slot, int column) {
            const int64 pair = slot >= rows ? slot - rows : slot;
            return load_vec<1>(d_logits + pair * count + column);
        });
    int n;
    if (!own_node(ptr, n_nodes, n)) return;
    const int lane = threadIdx.x % WARP;
    T* d_row = n < n_users ? d_users + int64(n) * stride : d_items + int64(n - n_users) * stride;
    const T* mine = sums + int64(n) * count * width;
    for (int j = 0; j < count; ++j)
        for (int a = lane; a < width; a += WARP)
            d_row[columns.start(j) + a] += tower[a] * mine[j * width + a];
    if (gate >= 0 && lane < count) d_row[gate + lane] += node_logits[int64(n) * count + lane];
}

// partial (pieces, width): Σ over a piece of the nodes, and the experts, of h∘sums.
template <typename T>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
tower_pieces(const T* users, const T* items, const T* sums, int n_users, int n_nodes, int stride,
             int own, int n_own, int shared, int n_shared, int width, T* partial) {
    const Columns columns{own, n_own, shared, n_shared, -1, width};
    const Sides<T> sides{users, items, n_users, stride};
    const int count = columns.count();
    const int first = int64(blockIdx.x) * n_nodes / gridDim.x;
    const int last = int64(blockIdx.x + 1) * n_nodes / gridDim.x;
    for (int a = threadIdx.x; a < width; a += THREADS) {
        T total = 0;
        for (int n = first; n < last; ++n) {
            const T *row = sides.row(n) + a, *mine = sums + int64(n) * count * width + a;
            for (int j = 0; j < count; ++j) total += row[columns.start(j)] * mine[j * width];
        }
        partial[int64(blockIdx.x) * width + a] = total;
    }
}
