// pme in CUDA. Contract: __init__.py; launcher: cuda.py; who does what: ../pairs/pairs.cuh.
//
// Forward: a node stage (scalars a node), then a pair stage, in which a lane holds one slot of the
// gate. Adjoint: the pair stage turns score gradients into weights a pair; then one owner sums every
// node over the pairs it takes part in.
#include "../pairs/pairs.cuh"

template <typename T>
constexpr T EPSILON = T(1e-12);

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }
__device__ __forceinline__ float root(float x) { return sqrtf(x); }
__device__ __forceinline__ double root(double x) { return sqrt(x); }

// Slot of behaviour j under gate k: own first, then the others in order.
__device__ __forceinline__ int gate_slot(int j, int k) { return j == k ? 0 : j < k ? j + 1 : j; }

template <typename T>
__device__ __forceinline__ T of_lane(T x, int lane) {
    return __shfl_sync(FULL_MASK, x, lane, LANES);
}

// ---- gate ----------------------------------------------------------------------------------------

// logits (n, K) = the node's part of its gate's logits; with `norm` also norm = ⟨Z^k,Z^k⟩ + ε and
// c (n, K): 1 in slot 0, t·⟨Z^j,Z^k⟩/norm for the others. Nodes without pairs are left out.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
node_stage(const T* tables, const int* ptr, const int* slots, int rows, int n_nodes, int d,
           int n_behaviors, int k, const T* weight, T projection_scale, T* norm, T* c, T* logits) {
    const int n = blockIdx.x * GROUPS + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    const bool present = n < n_nodes && ptr[n] < ptr[n + 1];
    const int width = present ? d : 0;
    const T* own = tables + (int64(k) * n_nodes + n) * d;
    const bool item = present && slots[ptr[n]] >= rows;
    weight += item ? d * n_behaviors : 0;

    T logit = 0;
    for (int s = 0; s < n_behaviors; ++s) {
        T total = 0;
        for (int a = lane * V; a < width; a += LANES * V) {
            const Vec<T, V> x = load_vec<V>(own + a);
#pragma unroll
            for (int i = 0; i < V; ++i) total += x[i] * weight[(a + i) * n_behaviors + s];
        }
        total = warp_sum<LANES>(total);
        if (lane == s) logit = total;
    }
    if (present && lane < n_behaviors) logits[n * n_behaviors + lane] = logit;
    if (!norm) return;

    const T length = warp_sum<LANES>(inner<V>(own, own, width, lane)) + EPSILON<T>;
    if (present && lane == 0) norm[n] = length;
    T share = 1;
    for (int j = 0; j < n_behaviors; ++j) {
        if (j == k) continue;
        const T* other = tables + (int64(j) * n_nodes + n) * d;
        const T along = warp_sum<LANES>(inner<V>(other, own, width, lane));
        if (lane == gate_slot(j, k)) share = projection_scale * along / length;
    }
    if (present && lane < n_behaviors) c[n * n_behaviors + lane] = share;
}

// The node of this warp after its sums, whether it is one of the batch's, takes part in a pair, and is
// an item; the first lane notes its side: 0 a user, 1 an item, 2 in no pair.
struct SidedNode {
    int n;
    bool inside, present, item;
    __device__ SidedNode(const int* ptr, const int* slots, int rows, int n_nodes, signed char* side) {
        present = own_node(ptr, n_nodes, n);
        inside = n < n_nodes;
        item = present && slots[ptr[n]] >= rows;
        if (inside && threadIdx.x % WARP == 0) side[n] = present ? item : 2;
    }
};

// A lane's gate: softmax over the lanes below n_slots, each of which brings its logit.
template <typename T>
__device__ __forceinline__ T softmax_of_lanes(T logit, bool takes_part) {
    const T first = of_lane(logit, 0);
    const T top = warp_max<LANES>(takes_part ? logit : first);
    const T power = takes_part ? exponential(logit - top) : T(0);
    return power / warp_sum<LANES>(power);
}

// partial (pieces, (2d + 1)·K): weight and bias gradients of a piece of the nodes. side: 0 a user,
// 1 an item, 2 in no pair. Every pair's logit gradient is met once at its user: the bias.
template <typename T>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
gate_pieces(const T* own, const signed char* side, const T* d_logits, int stride, int n_nodes, int d,
            int n_behaviors, T* partial) {
    const int first = int64(blockIdx.x) * n_nodes / gridDim.x;
    const int last = int64(blockIdx.x + 1) * n_nodes / gridDim.x;
    partial += int64(blockIdx.x) * (2 * d + 1) * n_behaviors;
    for (int o = threadIdx.x; o < (d + 1) * n_behaviors; o += THREADS) {
        const int a = o / n_behaviors, s = o % n_behaviors;
        T users = 0, items = 0;
#pragma unroll 4
        for (int n = first; n < last; ++n) {
            if (side[n] == 2) continue;
            const T x = a < d ? own[int64(n) * d + a] : T(1);
            const T g = x * d_logits[int64(n) * stride + s];
            if (side[n] == 0)
                users += g;
            else
                items += g;
        }
        if (a < d) partial[(d + a) * n_behaviors + s] = items;
        partial[(a < d ? a : 2 * d) * n_behaviors + s] = users;
    }
}

// ---- gated scores, experts projected for users and items apart ------------------------------------

template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
side_pairs(const T* own, const int* left, const int* right, const T* c, const T* logits,
           const T* bias, int rows, int d, int n_behaviors, T score_scale, T* gates, T* products,
           T* mixes,
           T* scores) {
    const PairHere pair(left, right, rows);
    const int lane = threadIdx.x % LANES;
    const bool slot = pair.present && lane < n_behaviors;
    T product = 0, logit = 0, share = 0;
    if (pair.present)
        product = inner<V>(own + int64(pair.left) * d, own + int64(pair.right) * d, d, lane);
    product = warp_sum<LANES>(product);
    if (slot) {
        const int u = pair.left * n_behaviors + lane, v = pair.right * n_behaviors + lane;
        logit = logits[u] + logits[v] + bias[lane];
        share = c[u] * c[v];
    }
    T gate = softmax_of_lanes(logit, lane < n_behaviors);
    if (!pair.present) gate = 0;
    const T mix = warp_sum<LANES>(gate * share);
    if (pair.inside && lane < n_behaviors) gates[int64(pair.row) * n_behaviors + lane] = gate;
    if (pair.inside && lane == 0) {
        products[pair.row] = product;
        mixes[pair.row] = mix;
        scores[pair.row] = score_scale * product * mix;
    }
}

// Of each pair: w, the weight of its inner product; scalars (rows, 3K): gradients of its logits, of
// c at its left end, of c at its right end.
template <typename T>
__global__ void __launch_bounds__(THREADS)
side_pairs_adjoint(const T* d_scores, const int* left, const int* right, const T* c, const T* gates,
                   const T* products, const T* mixes, int rows, int n_behaviors, T score_scale, T* w,
                   T* scalars) {
    const PairHere pair(left, right, rows);
    const int lane = threadIdx.x % LANES;
    const bool slot = pair.present && lane < n_behaviors;
    T gate = 0, c_left = 0, c_right = 0, g = 0;
    if (pair.present) {
        g = score_scale * d_scores[pair.row];
        if (lane == 0) w[pair.row] = g * mixes[pair.row];
        g *= products[pair.row];
    }
    if (slot) {
        gate = gates[int64(pair.row) * n_behaviors + lane];
        c_left = c[pair.left * n_behaviors + lane];
        c_right = c[pair.right * n_behaviors + lane];
    }
    const T d_gate = g * c_left * c_right;
    const T mean = warp_sum<LANES>(gate * d_gate);
    if (!slot) return;
    scalars += int64(pair.row) * 3 * n_behaviors + lane;
    scalars[0] = gate * (d_gate - mean);
    scalars[n_behaviors] = g * gate * c_right;
    scalars[2 * n_behaviors] = g * gate * c_left;
}

// node_scalars (n, 2K): sums of the logits' and of c's gradients; out (K, n, d): the tables'.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
owner_side(const T* tables, const int* left, const int* right, const int* ptr, const int* slots,
           const T* weight, const T* norm, const T* c, const T* w, const T* scalars, int rows,
           int n_nodes, int d, int n_behaviors, int k, T projection_scale, T* node_scalars,
           signed char* side,
           T* out) {
    const T* own = tables + int64(k) * n_nodes * d;
    T* d_own = out + int64(k) * n_nodes * d;
    sum_slots<V>(ptr, slots, n_nodes, d, d_own, [&](int, int slot, int column) {
        const End end(slot, left, right, rows);
        return scaled_row<V>(own + int64(end.partner) * d + column, w[end.pair]);
    });
    sum_slots<1>(ptr, slots, n_nodes, 2 * n_behaviors, node_scalars, [&](int, int slot, int column) {
        const bool right_end = slot >= rows;
        const int64 pair = right_end ? slot - rows : slot;
        const int skip = column >= n_behaviors && right_end ? n_behaviors : 0;
        return load_vec<1>(scalars + pair * 3 * n_behaviors + column + skip);
    });

    const SidedNode node(ptr, slots, rows, n_nodes, side);
    if (!node.inside) return;
    const int n = node.n, lane = threadIdx.x % WARP;
    const bool present = node.present;
    const T* sums = node_scalars + int64(n) * 2 * n_behaviors;
    weight += node.item ? d * n_behaviors : 0;
    for (int a = lane * V; a < d; a += WARP * V) {
        const int64 at = int64(n) * d + a;
        Vec<T, V> total{}, x{};
        if (present) {
            total = load_vec<V>(d_own + at);
            x = load_vec<V>(own + at);
            for (int s = 0; s < n_behaviors; ++s)
#pragma unroll
                for (int i = 0; i < V; ++i) total[i] += sums[s] * weight[(a + i) * n_behaviors + s];
        }
        for (int j = 0; j < n_behaviors; ++j) {
            if (j == k) continue;
            const int64 there = int64(j) * n_nodes * d + at;
            Vec<T, V> d_other{};
            if (present) {
                const int s = gate_slot(j, k);
                const T pull = sums[n_behaviors + s] / norm[n];
                const T back = 2 * pull * c[n * n_behaviors + s];
                const Vec<T, V> other = load_vec<V>(tables + there);
#pragma unroll
                for (int i = 0; i < V; ++i) {
                    d_other[i] = projection_scale * pull * x[i];
                    total[i] += projection_scale * pull * other[i] - back * x[i];
                }
            }
            store_vec<V>(out + there, d_other);
        }
        store_vec<V>(d_own + at, total);
    }
}

// ---- unique scores, sides apart --------------------------------------------------------------------

// c = ⟨Z^j,Z^k⟩/norm, norm = ⟨Z^k,Z^k⟩ + ε, unique = t·(Z^j - c·Z^k), of nodes in pairs.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
unique_nodes(const T* table_j, const T* table_k, const int* ptr, int n_nodes, int d,
             T projection_scale, T* unique,
             T* c, T* norm) {
    const int n = blockIdx.x * GROUPS + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    const bool present = n < n_nodes && ptr[n] < ptr[n + 1];
    const int width = present ? d : 0;
    const T *x = table_j + int64(n) * d, *y = table_k + int64(n) * d;
    const T length = warp_sum<LANES>(inner<V>(y, y, width, lane)) + EPSILON<T>;
    const T share = warp_sum<LANES>(inner<V>(x, y, width, lane)) / length;
    if (present && lane == 0) {
        c[n] = share;
        norm[n] = length;
    }
    for (int a = lane * V; a < width; a += LANES * V) {
        Vec<T, V> p = load_vec<V>(x + a);
        const Vec<T, V> q = load_vec<V>(y + a);
#pragma unroll
        for (int i = 0; i < V; ++i) p[i] = projection_scale * (p[i] - share * q[i]);
        store_vec<V>(unique + int64(n) * d + a, p);
    }
}

template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
owner_unique_side(const T* table_j, const T* table_k, const T* unique, const T* c, const T* norm,
                  const T* d_scores, const int* left, const int* right, const int* ptr,
                  const int* slots, int rows, int n_nodes, int d, T projection_scale,
                  T score_scale, T* d_j, T* d_k) {
    sum_slots<V>(ptr, slots, n_nodes, d, d_j, [&](int, int slot, int column) {
        const End end(slot, left, right, rows);
        return scaled_row<V>(unique + int64(end.partner) * d + column,
        score_scale * d_scores[end.pair]);
    });
    int n;
    const bool present = own_node(ptr, n_nodes, n);
    if (n >= n_nodes) return;
    const int lane = threadIdx.x % WARP;
    const int64 at = int64(n) * d;
    T along = 0;
    if (present) {
        for (int a = lane * V; a < d; a += WARP * V) {
            const Vec<T, V> g = load_vec<V>(d_j + at + a), y = load_vec<V>(table_k + at + a);
#pragma unroll
            for (int i = 0; i < V; ++i) along += g[i] * y[i];
        }
    }
    along = warp_sum(along);
    const T pull = present ? -projection_scale * along / norm[n] : T(0),
    share = present ? c[n] : T(0);
    for (int a = lane * V; a < d; a += WARP * V) {
        Vec<T, V> of_j{}, of_k{};
        if (present) {
            const Vec<T, V> g = load_vec<V>(d_j + at + a), x = load_vec<V>(table_j + at + a);
            const Vec<T, V> y = load_vec<V>(table_k + at + a);
#pragma unroll
            for (int i = 0; i < V; ++i) {
                of_j[i] = projection_scale * g[i] + pull * y[i];
                of_k[i] = pull * x[i] - share * (projection_scale * g[i] + 2 * pull * y[i]);
            }
        }
        store_vec<V>(d_j + at + a, of_j);
        store_vec<V>(d_k + at + a, of_k);
    }
}

// ---- scores of experts projected as vectors of the pair --------------------------------------------

// Of each pair and behaviour: sums Σ q^j, roots √(⟨q^j,q^j⟩ + ε), cosines cos(q^j, q^k). A lane holds
// a behaviour. With `logits` the gated scores of behaviour k; without, two tables j, k: the unique.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
interaction_pairs(const __grid_constant__ Pointers<const T> tables, int n_behaviors, int k,
                  const int* left, const int* right, const T* logits, const T* bias, int rows, int d,
                  T projection_scale, T score_scale, T* sums, T* roots, T* cosines, T* gates,
                  T* mixes, T* scores) {
    const PairHere pair(left, right, rows);
    const int lane = threadIdx.x % LANES, width = pair.present ? d : 0;
    const bool behavior = pair.inside && lane < n_behaviors;
    const int64 u = int64(pair.left) * d, v = int64(pair.right) * d;
    const T* own = tables.at[k];
    T sum = 0, length = 0, along = 0;
    for (int j = 0; j < n_behaviors; ++j) {
        const T* table = tables.at[j];
        T plain = 0, square = 0, product = 0;
        for (int a = lane * V; a < width; a += LANES * V) {
            const Vec<T, V> x = load_vec<V>(table + u + a), y = load_vec<V>(table + v + a);
            const Vec<T, V> x_own = load_vec<V>(own + u + a), y_own = load_vec<V>(own + v + a);
#pragma unroll
            for (int i = 0; i < V; ++i) {
                const T q = x[i] * y[i];
                plain += q;
                square += q * q;
                product += q * (x_own[i] * y_own[i]);
            }
        }
        plain = warp_sum<LANES>(plain);
        square = warp_sum<LANES>(square);
        product = warp_sum<LANES>(product);
        if (lane == j) {
            sum = plain;
            length = root(square + EPSILON<T>);
            along = product;
        }
    }
    const T own_length = of_lane(length, k), own_sum = of_lane(sum, k);
    const T cosine = lane < n_behaviors ? along / (length * own_length) : T(0);
    const int64 at = int64(pair.row) * n_behaviors;
    if (behavior) {
        sums[at + lane] = sum;
        roots[at + lane] = length;
        cosines[at + lane] = cosine;
    }
    if (!logits) {
        const T share = projection_scale * of_lane(cosine, 0);
        const T score = score_scale * (of_lane(sum, 0) - share * own_sum);
        if (pair.inside && lane == 0) scores[pair.row] = score;
        return;
    }
    const int slot = gate_slot(lane, k);
    T logit = 0;
    if (pair.present && lane < n_behaviors)
        logit = logits[pair.left * n_behaviors + slot] + logits[pair.right * n_behaviors + slot] +
                bias[slot];
    T gate = softmax_of_lanes(logit, lane < n_behaviors);
    if (!pair.present) gate = 0;
    const T mix = warp_sum<LANES>(lane == k ? gate : projection_scale * gate * cosine);
    if (behavior) gates[at + slot] = gate;
    if (pair.inside && lane == 0) {
        mixes[pair.row] = mix;
        scores[pair.row] = score_scale * own_sum * mix;
    }
}

// Of each pair: gradient of q^j = flat_j + across_j·q^k + along_j·q^j for j ≠ k, and of
// q^k = flat_k + Σ_j across_j·q^j + along_k·q^k; d_logits by slot if there are gates.
template <typename T>
__global__ void __launch_bounds__(THREADS)
interaction_weights(const T* d_scores, const T* sums, const T* roots, const T* cosines,
                    const T* gates, const T* mixes, int rows, int n_behaviors, int k,
                    T projection_scale, T score_scale,
                    T* flat, T* across, T* along, T* d_logits) {
    const int row = blockIdx.x * GROUPS + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    const bool behavior = row < rows && lane < n_behaviors, own = lane == k;
    const int64 at = int64(row) * n_behaviors;
    const T w = row < rows ? score_scale * d_scores[row] : T(0);
    const T sum = behavior ? sums[at + lane] : T(0);
    const T length = behavior ? roots[at + lane] : T(1);
    const T cosine = behavior ? cosines[at + lane] : T(0);
    const T own_sum = of_lane(sum, k), own_length = of_lane(length, k);
    const T first_cosine = of_lane(cosine, 0);
    T d_cosine = 0, constant = 0;
    if (gates) {
        const int slot = gate_slot(lane, k);
        const T gate = behavior ? gates[at + slot] : T(0), pull = w * own_sum;
        const T d_gate = own ? pull : pull * projection_scale * cosine;
        const T mean = warp_sum<LANES>(gate * d_gate);
        if (behavior) d_logits[at + slot] = gate * (d_gate - mean);
        if (own && row < rows) constant = w * mixes[row];
        d_cosine = pull * projection_scale * gate;
    } else {
        constant = own ? -w * projection_scale * first_cosine : w;
        d_cosine = -w * projection_scale * own_sum;
    }
    if (own || !behavior) d_cosine = 0;
    const T pull = warp_sum<LANES>(d_cosine * cosine);
    if (!behavior) return;
    flat[at + lane] = constant;
    across[at + lane] = d_cosine / (length * own_length);
    along[at + lane] = -(own ? pull : d_cosine * cosine) / (length * length);
}

// out (K, n, d): every node's sum of partner∘d_q; with `weight` also what its gate's logits pass.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
owner_interaction(const __grid_constant__ Pointers<const T> tables, int n_behaviors, int k,
                  const int* left, const int* right, const int* ptr, const int* slots,
                  const T* flat, const T* across, const T* along, const T* weight, const T* d_logits,
                  int rows, int n_nodes, int d, T* node_logits, signed char* side, T* out) {
    const T* own = tables.at[k];
    T* d_own = out + int64(k) * n_nodes * d;
    for (int j = 0; j < n_behaviors; ++j) {
        if (j == k) continue;
        const T* table = tables.at[j];
        sum_slots<V>(ptr, slots, n_nodes, d, out + int64(j) * n_nodes * d,
                     [&](int n, int slot, int column) {
            const End end(slot, left, right, rows);
            const int64 mine = int64(n) * d + column, other = int64(end.partner) * d + column;
            const int64 at = int64(end.pair) * n_behaviors + j;
            const T x = flat[at], y = along[at], z = across[at];
            Vec<T, V> p = load_vec<V>(table + other);
            const Vec<T, V> q = load_vec<V>(table + mine), p_own = load_vec<V>(own + other);
            const Vec<T, V> q_own = load_vec<V>(own + mine);
#pragma unroll
            for (int i = 0; i < V; ++i) p[i] *= x + y * p[i] * q[i] + z * p_own[i] * q_own[i];
            return p;
        });
    }
    sum_slots<V>(ptr, slots, n_nodes, d, d_own, [&](int n, int slot, int column) {
        const End end(slot, left, right, rows);
        const int64 mine = int64(n) * d + column, other = int64(end.partner) * d + column;
        const int64 at = int64(end.pair) * n_behaviors;
        const T x = flat[at + k], y = along[at + k];
        const Vec<T, V> p_own = load_vec<V>(own + other), q_own = load_vec<V>(own + mine);
        Vec<T, V> total;
#pragma unroll
        for (int i = 0; i < V; ++i) total[i] = x + y * p_own[i] * q_own[i];
        for (int j = 0; j < n_behaviors; ++j) {
            if (j == k) continue;
            const T z = across[at + j];
            const Vec<T, V> p = load_vec<V>(tables.at[j] + other);
            const Vec<T, V> q = load_vec<V>(tables.at[j] + mine);
#pragma unroll
            for (int i = 0; i < V; ++i) total[i] += z * p[i] * q[i];
        }
#pragma unroll
        for (int i = 0; i < V; ++i) total[i] *= p_own[i];
        return total;
    });
    if (!weight) return;
    sum_slots<1>(ptr, slots, n_nodes, n_behaviors, node_logits, [&](int, int slot, int column) {
        const int64 pair = slot >= rows ? slot - rows : slot;
        return load_vec<1>(d_logits + pair * n_behaviors + column);
    });

    const SidedNode node(ptr, slots, rows, n_nodes, side);
    if (!node.present) return;
    const int n = node.n, lane = threadIdx.x % WARP;
    weight += node.item ? d * n_behaviors : 0;
    for (int a = lane * V; a < d; a += WARP * V) {
        Vec<T, V> total = load_vec<V>(d_own + int64(n) * d + a);
        for (int s = 0; s < n_behaviors; ++s) {
            const T g = node_logits[int64(n) * n_behaviors + s];
#pragma unroll
            for (int i = 0; i < V; ++i) total[i] += g * weight[(a + i) * n_behaviors + s];
        }
        store_vec<V>(d_own + int64(n) * d + a, total);
    }
}
