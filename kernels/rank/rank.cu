// rank in CUDA. Contract: __init__.py; launcher: cuda.py.
//
// `features` lays out what is multiplied, a column a user or an item, so that the sweep is a matrix
// product in tiles whose epilogue ends the score and counts it or writes it. The softmax is taken in
// full for every pair: K exponentials beside d multiply-adds cost less here than factors
// exp(a)·exp(b), which would need another way where they underflow.
//
// A score is the same bits wherever it is computed, in a tile or for a pair alone: products run over
// the features in order, in fused steps, and nothing else here may be contracted.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;
constexpr int SIDE = 16;      // threads along either side of a tile
constexpr int DEPTH = 8;      // features of a slice in shared memory
constexpr int DIGITS = 256;   // of the radix select, one a thread
constexpr int MIN_BLOCKS = 2; // of an SM, so 128 registers: ptxas would rather spill a few

enum Kind { DOT, GATED, INTERACTION, EXPERTS };
enum Use { SCORES, RANKS };

template <typename T>
constexpr T EPSILON = T(1e-12);

// Blocks of an SM that a sweep asks for: none (0) in float, where ptxas finds its best, and one in
// double and for experts, where it would else spill on sm_120.
template <typename T, int KIND>
constexpr int SWEEP_BLOCKS = sizeof(T) == 8 || KIND == EXPERTS ? 1 : 0;

// Users (and items) of a thread: as many as the accumulators of a kind leave registers for.
template <typename T, int KIND>
constexpr int MICRO = (KIND == INTERACTION || KIND == EXPERTS ? 16 : 32) / int(sizeof(T));

__device__ __forceinline__ float fused(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ __forceinline__ double fused(double a, double b, double c) { return __fma_rn(a, b, c); }
__device__ __forceinline__ float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ __forceinline__ double plus(double a, double b) { return __dadd_rn(a, b); }
__device__ __forceinline__ float root(float x) { return sqrtf(x); }
__device__ __forceinline__ double root(double x) { return sqrt(x); }
__device__ __forceinline__ float power_of_two(float x) { return exp2f(x); }
__device__ __forceinline__ double power_of_two(double x) { return exp2(x); }

// Scores of −inf are never listed; NaN neither.
__device__ __forceinline__ float no_score(float) { return __int_as_float(0xff800000); }
__device__ __forceinline__ double no_score(double) {
    return __longlong_as_double(0xfff0000000000000ll);
}

// The gate over a pair's slots, whose largest logit is `top`: Σ weight·share / Σ weight.
template <typename T>
struct Mixture {
    T total = 0, mixed = 0;
    __device__ __forceinline__ void add(T logit, T top, T share) {
        const T weight = power_of_two(logit - top);
        total = plus(total, weight);
        mixed = fused(weight, share, mixed);
    }
    __device__ __forceinline__ T of(T product) const { return product * (mixed / total); }
};

template <typename T>
__device__ __forceinline__ T cosine_share(T projection_scale, T along, T own_square, T square) {
    const T lengths = root(plus(own_square, EPSILON<T>)) * root(plus(square, EPSILON<T>));
    return projection_scale * (along / lengths);
}

// Where a column's parts start: products of `depth` features each (d and zeros up to a multiple of
// DEPTH), then a value a slot: logits in units of log 2, for GATED the scales, for EXPERTS what is
// linear in the side.
//     DOT          the vector
//     GATED        the vector
//     INTERACTION  Z^own; Z^own∘Z^j of the other slots; (Z^j)² of all slots
//     EXPERTS      left, or −right, of each slot's expert: not multiplied, the larger counts
struct Columns {
    int depth, n_slots;
    __device__ int products(int kind) const {
        return kind == INTERACTION ? 2 * n_slots : kind == EXPERTS ? n_slots : 1;
    }
    __device__ int logit(int kind, int slot) const { return products(kind) * depth + slot; }
    __device__ int scale(int kind, int slot) const { return logit(kind, n_slots + slot); }
    __device__ int expert(int slot) const { return slot * depth; }
    __device__ int along(int slot) const { return slot * depth; }
    __device__ int square(int slot) const { return (n_slots + slot) * depth; }
};

// out (width, stride): columns of the rows `rows`, or of all rows where null; those from `count` on
// repeat the last one. EXPERTS: vectors times `sign`, and what is linear is factor·⟨tower,vector⟩ +
// shift.
template <typename T>
__global__ void __launch_bounds__(THREADS)
features(int kind, const T* vectors, const T* logits, const T* scale, const int* rows, int count,
         int stride, int table_rows, int d, int depth, int n_slots, int own, const T* tower, T factor,
         T shift, T sign, T* out) {
    const int column = blockIdx.x * THREADS + threadIdx.x, feature = blockIdx.y;
    if (column >= stride) return;
    const int at = min(column, count - 1), row = rows ? rows[at] : at;
    const Columns columns{depth, n_slots};
    const int products = columns.products(kind);
    T value = 0;
    if (feature < products * depth) {
        const int part = feature / depth, a = feature % depth;
        if (a < d) {
            const auto table = [&](int slot) {
                const int j = slot == 0 ? own : slot <= own ? slot - 1 : slot;
                return vectors[(int64(j) * table_rows + row) * d + a];
            };
            if (kind == EXPERTS)
                value = sign * vectors[(int64(row) * n_slots + part) * d + a];
            else if (kind != INTERACTION)
                value = vectors[int64(row) * d + a];
            else if (part == 0)
                value = table(0);
            else if (part < n_slots)
                value = table(0) * table(part);
            else
                value = table(part - n_slots) * table(part - n_slots);
        }
    } else {
        const int slot = feature - products * depth;
        if (slot < n_slots) {
            value = logits[row * n_slots + slot] * T(1.4426950408889634074);
        } else if (kind == EXPERTS) {
            const T* vector = vectors + (int64(row) * n_slots + slot - n_slots) * d;
            for (int a = 0; a < d; ++a) value = fused(tower[a], vector[a], value);
            value = fused(factor, value, shift);
        } else {
            value = scale[row * n_slots + slot - n_slots];
        }
    }
    out[int64(feature) * stride + column] = value;
}

// ---- a pair alone --------------------------------------------------------------------------------

template <typename T>
__device__ __forceinline__ T pair_product(const T* user, const T* item, int user_stride,
                                          int item_stride, int first, int depth) {
    T total = 0;
#pragma unroll 4
    for (int a = first; a < first + depth; ++a)
        total = fused(user[int64(a) * user_stride], item[int64(a) * item_stride], total);
    return total;
}

// Σ_a tower_a·max(user_a, item_a) over an expert's features.
template <typename T>
__device__ __forceinline__ T pair_maxima(const T* user, const T* item, int user_stride,
                                         int item_stride, int first, int depth, const T* tower) {
    T total = 0;
#pragma unroll 4
    for (int a = 0; a < depth; ++a) {
        const T x = user[int64(first + a) * user_stride], y = item[int64(first + a) * item_stride];
        total = fused(tower[a], max(x, y), total);
    }
    return total;
}

// Score of the user and the item whose columns start at `user` and `item`.
template <typename T, int KIND>
__device__ T pair_score(const T* user, const T* item, int user_stride, int item_stride,
                        Columns columns, const T* tower, T projection_scale, T score_scale) {
    const auto product = [&](int first) {
        return pair_product(user, item, user_stride, item_stride, first, columns.depth);
    };
    const T dot = KIND == EXPERTS ? T(0) : product(0);
    if (KIND == DOT) return dot;
    const auto user_at = [&](int feature) { return user[int64(feature) * user_stride]; };
    const auto item_at = [&](int feature) { return item[int64(feature) * item_stride]; };
    const auto logit = [&](int slot) {
        const int feature = columns.logit(KIND, slot);
        return plus(user_at(feature), item_at(feature));
    };
    T top = logit(0);
    for (int slot = 1; slot < columns.n_slots; ++slot) top = max(top, logit(slot));
    const T own_square = KIND == INTERACTION ? product(columns.square(0)) : T(0);
    Mixture<T> mixture;
    for (int slot = 0; slot < columns.n_slots; ++slot) {
        T share = 1;
        if (KIND == GATED)
            share = user_at(columns.scale(KIND, slot)) * item_at(columns.scale(KIND, slot));
        else if (KIND == EXPERTS)
            share = plus(plus(user_at(columns.scale(KIND, slot)), item_at(columns.scale(KIND, slot))),
                         pair_maxima(user, item, user_stride, item_stride, columns.expert(slot),
                                     columns.depth, tower));
        else if (slot)
            share = cosine_share(projection_scale, product(columns.along(slot)), own_square,
                                 product(columns.square(slot)));
        mixture.add(logit(slot), top, share);
    }
    return mixture.of(KIND == EXPERTS ? T(1) : score_scale * dot);
}

// ---- a tile of users and items ---------------------------------------------------------------------

// Where number i of a thread's users (or items) lies in the tile, `at` the thread's place along that
// side: vectors of 16 bytes, so that neighbouring threads load neighbouring ones.
template <typename T>
__device__ __forceinline__ int place(int i, int at) {
    constexpr int V = 16 / sizeof(T);
    return i / V * (SIDE * V) + at * V + i % V;
}

// The thread's share of a row of the tile in shared memory.
template <typename T, int N>
__device__ __forceinline__ void load_share(const T* row, int at, T (&out)[N]) {
    constexpr int V = 16 / sizeof(T);
#pragma unroll
    for (int i = 0; i < N; i += V) {
        const Vec<T, V> x = load_vec<V>(row + place<T>(i, at));
#pragma unroll
        for (int j = 0; j < V; ++j) out[i + j] = x[j];
    }
}

template <typename T, int N>
struct Tile {
    static constexpr int WIDTH = SIDE * N;
    alignas(16) T left[2][DEPTH][WIDTH];
    alignas(16) T right[2][DEPTH][WIDTH];
};

// out = inner products over features first … first + depth, in slices that are loaded while the one
// before is multiplied; with a tower, its products with the larger of the two. users and items start
// at the tile's first column. Whole blocks call.
template <typename T, int N, bool MAXIMA = false>
__device__ __forceinline__ void multiply(const T* users, const T* items, int user_stride,
                                         int item_stride, int first, int depth, Tile<T, N>& tile,
                                         T (&out)[N][N], const T* tower = nullptr) {
    constexpr int V = 16 / sizeof(T), WIDTH = SIDE * N, VECTORS = DEPTH * WIDTH / V;
    static_assert(VECTORS <= THREADS, "a thread loads one vector of a slice");
    const bool loads = threadIdx.x < VECTORS;
    const int slice_row = threadIdx.x / (WIDTH / V), slice_column = threadIdx.x % (WIDTH / V) * V;
    const int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE;
#pragma unroll
    for (int i = 0; i < N; ++i)
#pragma unroll
        for (int j = 0; j < N; ++j) out[i][j] = 0;
    Vec<T, V> l, r;
    const auto load = [&](int feature) {
        if (!loads) return;
        l = load_vec<V>(users + int64(feature + slice_row) * user_stride + slice_column);
        r = load_vec<V>(items + int64(feature + slice_row) * item_stride + slice_column);
    };
    const auto keep = [&](int buffer) {
        if (!loads) return;
        store_vec<V>(&tile.left[buffer][slice_row][slice_column], l);
        store_vec<V>(&tile.right[buffer][slice_row][slice_column], r);
    };
    load(first);
    keep(0);
    __syncthreads();
    for (int a = 0, buffer = 0; a < depth; a += DEPTH, buffer ^= 1) {
        const bool more = a + DEPTH < depth;
        if (more) load(first + a + DEPTH);
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            T u[N], v[N];
            load_share<T, N>(tile.left[buffer][k], y, u);
            load_share<T, N>(tile.right[buffer][k], x, v);
            const T t = MAXIMA ? tower[a + k] : T(0);
#pragma unroll
            for (int i = 0; i < N; ++i)
#pragma unroll
                for (int j = 0; j < N; ++j)
                    out[i][j] = MAXIMA ? fused(t, max(u[i], v[j]), out[i][j])
                                       : fused(u[i], v[j], out[i][j]);
        }
        if (more) keep(buffer ^ 1);
        __syncthreads();
    }
}

// The thread's scores in a tile; users and items start at the tile's first column.
template <typename T, int KIND, int N>
__device__ __forceinline__ void tile_scores(const T* users, const T* items, int user_stride,
                                            int item_stride, Columns columns, const T* tower,
                                            T projection_scale, T score_scale, Tile<T, N>& tile,
                                            T (&score)[N][N]) {
    const int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE, n_slots = columns.n_slots;
    const auto user_at = [&](int feature, int i) {
        return users[int64(feature) * user_stride + place<T>(i, y)];
    };
    const auto item_row = [&](int feature, T(&out)[N]) {
        load_share<T, N>(items + int64(feature) * item_stride, x, out);
    };
    const auto largest_logits = [&](T(&top)[N][N]) {
        for (int slot = 0; slot < n_slots; ++slot) {
            T b[N];
            item_row(columns.logit(KIND, slot), b);
#pragma unroll
            for (int i = 0; i < N; ++i) {
                const T a = user_at(columns.logit(KIND, slot), i);
#pragma unroll
                for (int j = 0; j < N; ++j) {
                    const T logit = plus(a, b[j]);
                    top[i][j] = slot ? max(top[i][j], logit) : logit;
                }
            }
        }
    };
    if (KIND == EXPERTS) {
        // Slot after slot, so that no more than four numbers a pair are alive.
        T top[N][N];
        Mixture<T> mixture[N][N];
        largest_logits(top);
        for (int slot = 0; slot < n_slots; ++slot) {
            T b[N], linear[N];
            multiply<T, N, true>(users, items, user_stride, item_stride, columns.expert(slot),
                                 columns.depth, tile, score, tower);
            item_row(columns.logit(KIND, slot), b);
            item_row(columns.scale(KIND, slot), linear);
#pragma unroll
            for (int i = 0; i < N; ++i) {
                const T a = user_at(columns.logit(KIND, slot), i);
                const T own = user_at(columns.scale(KIND, slot), i);
#pragma unroll
                for (int j = 0; j < N; ++j)
                    mixture[i][j].add(plus(a, b[j]), top[i][j],
                                      plus(plus(own, linear[j]), score[i][j]));
            }
        }
#pragma unroll
        for (int i = 0; i < N; ++i)
#pragma unroll
            for (int j = 0; j < N; ++j) score[i][j] = mixture[i][j].of(T(1));
        return;
    }
    if (KIND == INTERACTION) {
        // Slot after slot, so that no more than five numbers a pair are alive.
        T own_square[N][N], top[N][N];
        Mixture<T> mixture[N][N];
        multiply<T, N>(users, items, user_stride, item_stride, columns.square(0), columns.depth, tile,
                       own_square);
        largest_logits(top);
        for (int slot = 0; slot < n_slots; ++slot) {
            T share[N][N], b[N];
            if (slot) {
                multiply<T, N>(users, items, user_stride, item_stride, columns.square(slot),
                               columns.depth, tile, share);
                multiply<T, N>(users, items, user_stride, item_stride, columns.along(slot),
                               columns.depth, tile, score);
            }
            item_row(columns.logit(KIND, slot), b);
#pragma unroll
            for (int i = 0; i < N; ++i) {
                const T a = user_at(columns.logit(KIND, slot), i);
#pragma unroll
                for (int j = 0; j < N; ++j) {
                    const T of_pair =
                        slot ? cosine_share(projection_scale, score[i][j], own_square[i][j],
                                            share[i][j])
                             : T(1);
                    mixture[i][j].add(plus(a, b[j]), top[i][j], of_pair);
                }
            }
        }
        multiply<T, N>(users, items, user_stride, item_stride, 0, columns.depth, tile, score);
#pragma unroll
        for (int i = 0; i < N; ++i)
#pragma unroll
            for (int j = 0; j < N; ++j) score[i][j] = mixture[i][j].of(score_scale * score[i][j]);
        return;
    }
    multiply<T, N>(users, items, user_stride, item_stride, 0, columns.depth, tile, score);
    if (KIND == DOT) return;
#pragma unroll
    for (int i = 0; i < N; ++i) {  // a user at a time: few registers beside the products
        T top[N], b[N], scale[N];
        Mixture<T> mixture[N];
        for (int slot = 0; slot < n_slots; ++slot) {
            const T a = user_at(columns.logit(KIND, slot), i);
            item_row(columns.logit(KIND, slot), b);
#pragma unroll
            for (int j = 0; j < N; ++j) {
                const T logit = plus(a, b[j]);
                top[j] = slot ? max(top[j], logit) : logit;
            }
        }
        for (int slot = 0; slot < n_slots; ++slot) {
            const T a = user_at(columns.logit(KIND, slot), i), c = user_at(columns.scale(KIND, slot), i);
            item_row(columns.logit(KIND, slot), b);
            item_row(columns.scale(KIND, slot), scale);
#pragma unroll
            for (int j = 0; j < N; ++j) mixture[j].add(plus(a, b[j]), top[j], c * scale[j]);
        }
#pragma unroll
        for (int j = 0; j < N; ++j) score[i][j] = mixture[j].of(score_scale * score[i][j]);
    }
}

// Whether a score puts its item before one of score `own`: higher, or either of them is NaN.
template <typename T>
__device__ __forceinline__ bool before(T score, T own) {
    return !(score <= own);
}

// All pairs of the users and the items, a tile of users and `tiles` tiles of items a block. SCORES:
// scores (n_users, n_items). RANKS: counts, over all items, of what comes before each user's own item
// and of what ties with it, that item and the seen ones included; `settle` takes those away.
template <typename T, int KIND, int USE>
__global__ void __launch_bounds__(THREADS, SWEEP_BLOCKS<T, KIND>)
sweep(const T* users, const T* items, int n_users, int n_items, int user_stride, int item_stride,
      int depth, int n_slots, const T* tower, T projection_scale, T score_scale, int tiles, T* scores,
      const T* own, const int* own_item, int* rank, int* tied) {
    constexpr int N = MICRO<T, KIND>, WIDTH = SIDE * N, V = 16 / sizeof(T);
    __shared__ Tile<T, N> tile;
    const int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE;
    const int first_user = blockIdx.x * WIDTH;
    const Columns columns{depth, n_slots};
    int more[N], equal[N];
#pragma unroll
    for (int i = 0; i < N; ++i) more[i] = equal[i] = 0;

    const int stop = min(int(blockIdx.y + 1) * tiles * WIDTH, n_items);
    for (int first = blockIdx.y * tiles * WIDTH; first < stop; first += WIDTH) {
        T score[N][N];
        tile_scores<T, KIND, N>(users + first_user, items + first, user_stride, item_stride, columns,
                                tower, projection_scale, score_scale, tile, score);
#pragma unroll
        for (int i = 0; i < N; ++i) {
            const int u = first_user + place<T>(i, y);
            if (u >= n_users) continue;
            if (USE == SCORES) {
                T* out = scores + int64(u) * n_items;
#pragma unroll
                for (int j = 0; j < N; j += V) {
                    const int v = first + place<T>(j, x);
                    Vec<T, V> some;
#pragma unroll
                    for (int e = 0; e < V; ++e) some[e] = score[i][j + e];
                    if (n_items % V == 0) {
                        if (v < n_items) store_vec<V>(out + v, some);
                    } else {
#pragma unroll
                        for (int e = 0; e < V; ++e)
                            if (v + e < n_items) out[v + e] = some[e];
                    }
                }
            } else {
                const T mine = own[u];
                const int item = own_item[u];
#pragma unroll
                for (int j = 0; j < N; ++j) {
                    const int v = first + place<T>(j, x);
                    const bool same = v < n_items && score[i][j] == mine;
                    more[i] += v < n_items && (before(score[i][j], mine) || (same && v < item));
                    equal[i] += same;
                }
            }
        }
    }
    if (USE == RANKS) {
#pragma unroll
        for (int i = 0; i < N; ++i) {
            const int u = first_user + place<T>(i, y);
            const int all = warp_sum<SIDE>(more[i]), ties = warp_sum<SIDE>(equal[i]);
            if (x == 0 && u < n_users) {
                if (all) atomicAdd(rank + u, all);
                if (ties) atomicAdd(tied + u, ties);
            }
        }
    }
}

// Scores of every user's own item; ranks start at 0.
template <typename T, int KIND>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
own_scores(const T* users, const T* items, const int* own_item, int n_users, int user_stride,
           int item_stride, int depth, int n_slots, const T* tower, T projection_scale, T score_scale,
           T* own, int* rank, int* tied) {
    const int u = blockIdx.x * THREADS + threadIdx.x;
    if (u >= n_users) return;
    own[u] = pair_score<T, KIND>(users + u, items + own_item[u], user_stride, item_stride,
                                 Columns{depth, n_slots}, tower, projection_scale, score_scale);
    rank[u] = tied[u] = 0;
}

// Takes the own item and the seen ones out of the counts: a warp a user.
template <typename T, int KIND>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
settle(const T* users, const T* items, const int* user, const int* own_item, const T* own,
       const int* seen_indptr, const int* seen_indices, int n_users, int user_stride, int item_stride,
       int depth, int n_slots, const T* tower, T projection_scale, T score_scale, int* rank,
       int* tied) {
    const int u = blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (u >= n_users) return;
    const T mine = own[u];
    const int item = own_item[u], row = user[u];
    int more = 0, equal = 0;
    if (lane == 0) {
        more = before(mine, mine);
        equal = mine == mine;
    }
    for (int e = seen_indptr[row] + lane; e < seen_indptr[row + 1]; e += WARP) {
        const int v = seen_indices[e];
        if (v == item) continue;
        const T score = pair_score<T, KIND>(users + u, items + v, user_stride, item_stride,
                                            Columns{depth, n_slots}, tower, projection_scale,
                                            score_scale);
        more += before(score, mine) || (score == mine && v < item);
        equal += score == mine;
    }
    more = warp_sum(more);
    equal = warp_sum(equal);
    if (lane == 0) {
        rank[u] -= more;
        tied[u] -= equal;
    }
}

// ---- the k best ------------------------------------------------------------------------------------

// A number that rises with the score; 0 for what is never listed.
__device__ __forceinline__ uint32 sort_key(float x) {
    if (!(x > no_score(x))) return 0;
    const uint32 bits = __float_as_uint(x == 0 ? 0.0f : x);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ uint64 sort_key(double x) {
    if (!(x > no_score(x))) return 0;
    const uint64 bits = __double_as_longlong(x == 0 ? 0.0 : x);
    return bits >> 63 ? ~bits : bits | 0x8000000000000000ull;
}

// Puts the first n of (values, items) in order, the best first: a bitonic sort whose steps all sort
// the same way, so that nothing need be filled up to a power of two. Whole blocks call.
template <typename T>
__device__ __forceinline__ void sort_best(T* values, int* items, int n) {
    const auto order = [&](int a, int b) {
        if (b >= n) return;
        const T x = values[a], y = values[b];
        const int v = items[a], w = items[b];
        if (y > x || (y == x && w < v)) {
            values[a] = y;
            values[b] = x;
            items[a] = w;
            items[b] = v;
        }
    };
    for (int half = 1; half < n; half *= 2) {
        for (int i = threadIdx.x; i < n; i += THREADS) {
            const int in_run = i % (2 * half);
            if (in_run < half) order(i, i - in_run + 2 * half - 1 - in_run);
        }
        __syncthreads();
        for (int step = half / 2; step > 0; step /= 2) {
            for (int i = threadIdx.x; i < n; i += THREADS)
                if (i % (2 * step) < step) order(i, i + step);
            __syncthreads();
        }
    }
}

// The k best of each row of scores (rows, n_items), seen items hidden first: radix select from the
// highest digit down, then the chosen ones in order. A block a row.
template <typename T>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
select_best(T* scores, const int* user, const int* seen_indptr, const int* seen_indices, int n_items,
            int k, int* best, T* values) {
    using Key = decltype(sort_key(T(0)));
    __shared__ int count[DIGITS];
    __shared__ int found_digit, found_before, found_count, chosen;
    scores += int64(blockIdx.x) * n_items;
    best += int64(blockIdx.x) * k;
    values += int64(blockIdx.x) * k;
    const int row = user[blockIdx.x];
    for (int e = seen_indptr[row] + threadIdx.x; e < seen_indptr[row + 1]; e += THREADS)
        scores[seen_indices[e]] = no_score(T(0));
    if (threadIdx.x == 0) chosen = 0;
    __syncthreads();

    // Of the keys whose digits so far are `prefix`, `wanted` are among the best.
    Key prefix = 0;
    int wanted = k, listed = 0, shift = 8 * sizeof(Key), ties = 0;
    do {
        shift -= 8;
        count[threadIdx.x] = 0;
        __syncthreads();
        for (int v = threadIdx.x; v < n_items; v += THREADS) {
            const Key key = sort_key(scores[v]);
            const bool here = key && (shift == 8 * sizeof(Key) - 8 || key >> shift >> 8 == prefix);
            if (here) atomicAdd(count + int((key >> shift) % DIGITS), 1);
        }
        __syncthreads();
        const int digit = DIGITS - 1 - threadIdx.x, mine = count[digit];
        int all;
        const int upto = block_scan<THREADS>(mine, all);
        if (shift == 8 * sizeof(Key) - 8) listed = wanted = min(k, all);
        if (upto - mine < wanted && wanted <= upto) {
            found_digit = digit;
            found_before = upto - mine;
            found_count = mine;
        }
        __syncthreads();
        if (listed == 0) break;
        prefix = prefix * DIGITS + found_digit;
        wanted -= found_before;
        ties = found_count;
        __syncthreads();
    } while (shift > 0 && ties > wanted);

    if (listed) {
        // All that are better, and of those that tie the first `wanted`, by number.
        for (int v = threadIdx.x; v < n_items; v += THREADS) {
            const T score = scores[v];
            const Key key = sort_key(score), high = key >> shift;
            if (key && (high > prefix || (high == prefix && ties == wanted))) {
                const int at = atomicAdd(&chosen, 1);
                values[at] = score;
                best[at] = v;
            }
        }
        __syncthreads();
        if (ties > wanted) {
            int at = listed - wanted;
            for (int first = 0; at < listed; first += THREADS) {
                const int v = first + threadIdx.x;
                const T score = v < n_items ? scores[v] : no_score(T(0));
                const Key key = sort_key(score);
                const bool takes_part = key && key >> shift == prefix;
                int all;
                const int mine = at + block_scan<THREADS>(int(takes_part), all) - 1;
                if (takes_part && mine < listed) {
                    values[mine] = score;
                    best[mine] = v;
                }
                at += all;
            }
            __syncthreads();
        }
        sort_best(values, best, listed);
    }
    for (int at = listed + threadIdx.x; at < k; at += THREADS) {
        values[at] = no_score(T(0));
        best[at] = -1;
    }
}
