// pme in CUDA. Contract: __init__.py; launcher: cuda.py.
//
// Forward: a node stage (scalars a node), then a pair stage; both give LANES lanes to a node or a
// pair, so that a warp has four of them in flight and a lane holds one slot of the gate. Adjoint:
// the pair stage turns score gradients into weights a pair; then one owner sums every node over the
// pairs it takes part in, which a stable radix sort has put side by side. No floating-point atomics.
//
// Rows that a fixed capacity leaves over have left = right = -1; nodes that are left over are -1.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;
constexpr int LANES = 8;  // of a pair or a node in the forward; as many slots can a gate have
constexpr int GROUPS = THREADS / LANES;
constexpr int OWNERS = THREADS / WARP;  // nodes of a block in the adjoint
constexpr int TEAM = WARP / 2;          // lanes that sum one slot: 64 floats in vectors of four
constexpr int MIN_BLOCKS = 2;           // of an SM, so 128 registers: ptxas would rather spill a few
constexpr int HEAVY = 64;               // slots from which on a node has its whole block

constexpr int DIGITS = 256;  // of the radix sort, one a thread
constexpr int ROUNDS = 8;    // keys a thread, and so 2048 keys a block
constexpr int SORTED_BY_BLOCK = THREADS * ROUNDS;

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

// A lane's part of the inner product of two rows.
template <int V, typename T>
__device__ __forceinline__ T inner(const T* x, const T* y, int d, int lane) {
    T total = 0;
    for (int a = lane * V; a < d; a += LANES * V) {
        const Vec<T, V> p = load_vec<V>(x + a), q = load_vec<V>(y + a);
#pragma unroll
        for (int i = 0; i < V; ++i) total += p[i] * q[i];
    }
    return total;
}

// The pair of this thread's group; an absent one (beyond the end, or of negative nodes) reads no
// row, but takes part in shuffles.
struct PairHere {
    int row, left, right;
    bool inside, present;
    __device__ PairHere(const int* lefts, const int* rights, int rows) {
        row = blockIdx.x * GROUPS + threadIdx.x / LANES;
        inside = row < rows;
        left = inside ? lefts[row] : -1;
        right = inside ? rights[row] : -1;
        present = left >= 0 && right >= 0;
    }
};

// ---- nodes of a batch ----------------------------------------------------------------------------

// An empty set of nodes, 32 a word, and no numbered ones.
__global__ void __launch_bounds__(THREADS) clear(uint32* bits, int n_words, int* nodes, int capacity) {
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n_words) bits[i] = 0;
    if (i < capacity) nodes[i] = -1;
}

// Adds the lists to the set.
__global__ void __launch_bounds__(THREADS)
mark(const __grid_constant__ Pointers<const int> lists, int length, uint32* bits) {
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= length) return;
    const int n = lists.at[blockIdx.y][i];
    if (n >= 0) atomicOr(bits + n / 32, 1u << (n % 32));
}

// before[w] = members in the words before w; nodes = the members, rising. Every block counts all the
// words before its own by itself: they are few, a million nodes have 31,250.
__global__ void __launch_bounds__(THREADS)
number_nodes(const uint32* bits, int* before, int* nodes, int n_words, int capacity) {
    const int first = blockIdx.x * THREADS, word = first + threadIdx.x;
    int count = 0;
    for (int i = threadIdx.x; i < first; i += THREADS) count += __popc(bits[i]);
    const int base = block_sum<THREADS>(count);
    uint32 mine = word < n_words ? bits[word] : 0u;
    count = __popc(mine);
    int total;
    int number = base + block_scan<THREADS>(count, total) - count;
    if (word < n_words) before[word] = number;
    for (; mine; mine &= mine - 1, ++number)
        if (number < capacity) nodes[number] = word * 32 + __ffs(int(mine)) - 1;
}

__global__ void __launch_bounds__(THREADS)
renumber(const __grid_constant__ Pointers<const int> lists, int length, const uint32* bits,
         const int* before, int capacity, int* out) {
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= length) return;
    const int n = lists.at[blockIdx.y][i];
    int number = -1;
    if (n >= 0) {
        number = before[n / 32] + __popc(bits[n / 32] & ((1u << (n % 32)) - 1));
        if (number >= capacity) number = -1;
    }
    out[int64(blockIdx.y) * length + i] = number;
}

// ---- ends of pairs, sorted by node: a stable radix sort, a digit of eight bits a pass ---------------

// Node of end i; n_nodes where its pair is absent, so that it goes last.
__device__ __forceinline__ uint32 end_node(const int* left, const int* right, const int* keys, int i,
                                           int rows, int n_nodes) {
    if (keys) return keys[i];
    const int l = left[i % rows], r = right[i % rows];
    return l < 0 || r < 0 ? n_nodes : i < rows ? l : r;
}

// counts[block, digit] of this block's keys. `keys` is null in the first pass.
__global__ void __launch_bounds__(THREADS)
count_digits(const int* left, const int* right, const int* keys, int rows, int n_nodes, int shift,
             int* counts) {
    __shared__ int count[DIGITS];
    count[threadIdx.x] = 0;
    __syncthreads();
    const int first = blockIdx.x * SORTED_BY_BLOCK, last = min(first + SORTED_BY_BLOCK, 2 * rows);
    for (int i = first + threadIdx.x; i < last; i += THREADS)
        atomicAdd(count + (end_node(left, right, keys, i, rows, n_nodes) >> shift) % DIGITS, 1);
    __syncthreads();
    counts[blockIdx.x * DIGITS + threadIdx.x] = count[threadIdx.x];
}

// Puts keys and slots where the digit's order has them, equal digits in the order they came in.
__global__ void __launch_bounds__(THREADS)
place_by_digit(const int* left, const int* right, const int* keys, const int* slots, int rows,
               int n_nodes, int shift, const int* counts, int* out_keys, int* out_slots, bool last) {
    __shared__ int cursor[OWNERS][DIGITS];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, own_digit = threadIdx.x;
    int earlier = 0, total = 0;
    for (int block = 0; block < gridDim.x; ++block) {
        const int count = counts[block * DIGITS + own_digit];
        total += count;
        if (block < blockIdx.x) earlier += count;
    }
    int all;
    const int start = block_scan<THREADS>(total, all) - total + earlier;
    for (int w = 0; w < OWNERS; ++w) cursor[w][own_digit] = 0;
    __syncthreads();

    const int first = blockIdx.x * SORTED_BY_BLOCK + warp * (WARP * ROUNDS);
    uint32 key[ROUNDS];
    int rank[ROUNDS];
#pragma unroll
    for (int round = 0; round < ROUNDS; ++round) {
        const int i = first + round * WARP + lane;
        if (i - lane >= 2 * rows) break;  // the same for all lanes
        const bool present = i < 2 * rows;
        key[round] = present ? end_node(left, right, keys, i, rows, n_nodes) : 0;
        const uint32 digit = (key[round] >> shift) % DIGITS;
        uint32 peers = __ballot_sync(FULL_MASK, present);
#pragma unroll
        for (int bit = 1; bit < DIGITS; bit *= 2) {
            const uint32 set = __ballot_sync(FULL_MASK, (digit & bit) != 0);
            peers &= digit & bit ? set : ~set;
        }
        const int below = __popc(peers & ((1u << lane) - 1));
        const int counted = cursor[warp][digit];
        __syncwarp();
        if (present && below == 0) cursor[warp][digit] = counted + __popc(peers);
        __syncwarp();
        rank[round] = counted + below;
    }
    __syncthreads();
    for (int w = 0, running = start; w < OWNERS; ++w) {
        const int count = cursor[w][own_digit];
        cursor[w][own_digit] = running;
        running += count;
    }
    __syncthreads();
#pragma unroll
    for (int round = 0; round < ROUNDS; ++round) {
        const int i = first + round * WARP + lane;
        if (i >= 2 * rows) break;
        const int place = cursor[warp][(key[round] >> shift) % DIGITS] + rank[round];
        const int slot = slots ? slots[i] : i;
        out_keys[place] = key[round];
        out_slots[place] = last && key[round] == n_nodes ? -1 : slot;
    }
}

// Position of the first of `count` rising numbers that is not below x.
__device__ __forceinline__ int first_not_below(const int* numbers, int count, uint32 x) {
    int low = 0;
    while (low < count) {
        const int middle = low + (count - low) / 2;
        if (uint32(numbers[middle]) < x)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

// ptr[n] = ends of nodes below n.
__global__ void __launch_bounds__(THREADS)
owner_starts(const int* keys, int ends, int n_nodes, int* ptr) {
    const int n = blockIdx.x * THREADS + threadIdx.x;
    if (n <= n_nodes) ptr[n] = first_not_below(keys, ends, uint32(n));
}

// ---- rows of tables ------------------------------------------------------------------------------

// out (tables, rows, d) = rows `nodes` of each table, zero where the node is -1.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
take_rows(const __grid_constant__ Pointers<const T> tables, const int* nodes, int rows, int d, T* out) {
    const int row = blockIdx.x * GROUPS + threadIdx.x / LANES;
    if (row >= rows) return;
    const int n = nodes[row];
    const T* from = tables.at[blockIdx.y] + int64(n) * d;
    T* to = out + (int64(blockIdx.y) * rows + row) * d;
    for (int a = threadIdx.x % LANES * V; a < d; a += LANES * V)
        store_vec<V>(to + a, n < 0 ? Vec<T, V>{} : load_vec<V>(from + a));
}

// tables (n_tables, n_nodes, d) = from (n_tables, rows, d) in rows `nodes`, zero in all others. A
// search in the nodes, which rise (-1 as the largest unsigned number), writes every row but once.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
put_rows(const T* from, const int* nodes, int rows, int n_tables, int n_nodes, int d, T* tables) {
    const int n = blockIdx.x * GROUPS + threadIdx.x / LANES;
    if (n >= n_nodes) return;
    const int row = first_not_below(nodes, rows, uint32(n));
    const bool present = row < rows && nodes[row] == n;
    for (int table = 0; table < n_tables; ++table) {
        const T* mine = from + (int64(table) * rows + row) * d;
        T* to = tables + (int64(table) * n_nodes + n) * d;
        for (int a = threadIdx.x % LANES * V; a < d; a += LANES * V)
            store_vec<V>(to + a, present ? load_vec<V>(mine + a) : Vec<T, V>{});
    }
}

// ---- sums by owner -------------------------------------------------------------------------------

// The owners' sums: out[n, c] = Σ over n's slots of term(n, slot, c), c < columns; V columns a lane.
// Two teams of a warp take turns at the slots of a node; a heavy node gets all teams of its block.
// Whole blocks call; afterwards a barrier lets every warp read its node's sums.
template <int V, typename T, typename Term>
__device__ __forceinline__ void sum_slots(const int* ptr, const int* slots, int n_nodes, int columns,
                                          T* out, const Term& term) {
    __shared__ Vec<T, V> partial[OWNERS][TEAM];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, team = lane / TEAM;
    const int own_column = lane % TEAM * V, block_first = blockIdx.x * OWNERS;

    const auto warp_total = [&](int n, int c, int first, int last, int teams) {
        Vec<T, V> sum{};
        if (c < columns) {
#pragma unroll 4
            for (int s = first; s < last; s += teams) {
                const Vec<T, V> x = term(n, slots[s], c);
#pragma unroll
                for (int i = 0; i < V; ++i) sum[i] += x[i];
            }
        }
#pragma unroll
        for (int i = 0; i < V; ++i) sum[i] += __shfl_xor_sync(FULL_MASK, sum[i], TEAM);
        return sum;
    };

    const int mine = block_first + warp;
    if (mine < n_nodes) {
        const int first = ptr[mine], last = ptr[mine + 1];
        if (last - first < HEAVY) {
            for (int start = 0; start < columns; start += TEAM * V) {
                const int c = start + own_column;
                const Vec<T, V> sum = warp_total(mine, c, first + team, last, 2);
                if (team == 0 && c < columns) store_vec<V>(out + int64(mine) * columns + c, sum);
            }
        }
    }
    for (int n = block_first; n < min(block_first + OWNERS, n_nodes); ++n) {
        const int first = ptr[n], last = ptr[n + 1];
        if (last - first < HEAVY) continue;
        for (int start = 0; start < columns; start += TEAM * V) {
            const int c = start + own_column;
            const Vec<T, V> part = warp_total(n, c, first + 2 * warp + team, last, 2 * OWNERS);
            if (team == 0) partial[warp][lane] = part;
            __syncthreads();
            if (warp == 0 && team == 0 && c < columns) {
                Vec<T, V> sum = partial[0][lane];
#pragma unroll
                for (int w = 1; w < OWNERS; ++w)
#pragma unroll
                    for (int i = 0; i < V; ++i) sum[i] += partial[w][lane][i];
                store_vec<V>(out + int64(n) * columns + c, sum);
            }
            __syncthreads();
        }
    }
    __syncthreads();
}

// One end of a pair: slot e < rows is the left end of pair e, e >= rows the right one of e - rows.
struct End {
    int pair, partner;
    bool right_end;
    __device__ End(int slot, const int* left, const int* right, int rows) {
        right_end = slot >= rows;
        pair = right_end ? slot - rows : slot;
        partner = right_end ? left[pair] : right[pair];
    }
};

template <int V, typename T>
__device__ __forceinline__ Vec<T, V> scaled_row(const T* row, T factor) {
    Vec<T, V> x = load_vec<V>(row);
#pragma unroll
    for (int i = 0; i < V; ++i) x[i] *= factor;
    return x;
}

// The node of this warp, and whether it takes part in any pair.
__device__ __forceinline__ bool own_node(const int* ptr, int n_nodes, int& n) {
    n = blockIdx.x * OWNERS + threadIdx.x / WARP;
    return n < n_nodes && ptr[n] < ptr[n + 1];
}

// ---- dot -----------------------------------------------------------------------------------------

// scores = m·Σ_a x_la x_ra r_a; relation r null: all ones.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
pair_dots(const T* x, const T* relation, const int* left, const int* right, int rows, int d, T m,
          T* scores) {
    const PairHere pair(left, right, rows);
    const int lane = threadIdx.x % LANES;
    T total = 0;
    if (pair.present) {
        const T *l = x + int64(pair.left) * d, *r = x + int64(pair.right) * d;
        if (relation) {
            for (int a = lane * V; a < d; a += LANES * V) {
                const Vec<T, V> p = load_vec<V>(l + a), q = load_vec<V>(r + a);
                const Vec<T, V> w = load_vec<V>(relation + a);
#pragma unroll
                for (int i = 0; i < V; ++i) total += p[i] * q[i] * w[i];
            }
        } else {
            total = inner<V>(l, r, d, lane);
        }
    }
    total = warp_sum<LANES>(total);
    if (pair.inside && lane == 0) scores[pair.row] = m * total;
}

// out_n = Σ over n's pairs of m·d_score·x_partner.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
owner_dots(const T* x, const T* d_scores, const int* left, const int* right, const int* ptr,
           const int* slots, int rows, int n_nodes, int d, T m, T* out) {
    sum_slots<V>(ptr, slots, n_nodes, d, out, [&](int, int slot, int c) {
        const End end(slot, left, right, rows);
        return scaled_row<V>(x + int64(end.partner) * d + c, m * d_scores[end.pair]);
    });
}

// partial (pieces, d): ½ Σ over a piece of the nodes of x∘sums, as each pair is met at both its ends;
// then sums become sums∘relation.
template <typename T>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
relation_pieces(const T* x, const T* relation, int n_nodes, int d, T* sums, T* partial) {
    const int first = int64(blockIdx.x) * n_nodes / gridDim.x;
    const int last = int64(blockIdx.x + 1) * n_nodes / gridDim.x;
    for (int a = threadIdx.x; a < d; a += THREADS) {
        T total = 0;
        const T r = relation[a];
#pragma unroll 4
        for (int n = first; n < last; ++n) {
            const int64 at = int64(n) * d + a;
            const T sum = sums[at];
            total += x[at] * sum;
            sums[at] = sum * r;
        }
        partial[int64(blockIdx.x) * d + a] = T(0.5) * total;
    }
}

// out (columns,) = Σ over pieces of partial (pieces, columns): a warp a column.
template <typename T>
__global__ void __launch_bounds__(THREADS)
sum_pieces(const T* partial, int pieces, int columns, T* out) {
    const int column = blockIdx.x * OWNERS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    T total = 0;
    if (column < columns)
        for (int i = lane; i < pieces; i += WARP) total += partial[int64(i) * columns + column];
    total = warp_sum(total);
    if (column < columns && lane == 0) out[column] = total;
}

// ---- gate ----------------------------------------------------------------------------------------

// logits (n, K) = the node's part of its gate's logits; with `norm` also norm = ⟨Z^k,Z^k⟩ + ε and
// c (n, K): 1 in slot 0, t·⟨Z^j,Z^k⟩/norm for the others. Nodes without pairs are left out.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
node_stage(const T* tables, const int* ptr, const int* slots, int rows, int n_nodes, int d,
           int n_behaviors, int k, const T* weight, T t, T* norm, T* c, T* logits) {
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
        if (lane == gate_slot(j, k)) share = t * along / length;
    }
    if (present && lane < n_behaviors) c[n * n_behaviors + lane] = share;
}

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
           const T* bias, int rows, int d, int n_behaviors, T m, T* gates, T* products, T* mixes,
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
        scores[pair.row] = m * product * mix;
    }
}

// Of each pair: w, the weight of its inner product; scalars (rows, 3K): gradients of its logits, of
// c at its left end, of c at its right end.
template <typename T>
__global__ void __launch_bounds__(THREADS)
side_pairs_adjoint(const T* d_scores, const int* left, const int* right, const T* c, const T* gates,
                   const T* products, const T* mixes, int rows, int n_behaviors, T m, T* w,
                   T* scalars) {
    const PairHere pair(left, right, rows);
    const int lane = threadIdx.x % LANES;
    const bool slot = pair.present && lane < n_behaviors;
    T gate = 0, c_left = 0, c_right = 0, g = 0;
    if (pair.present) {
        g = m * d_scores[pair.row];
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
           int n_nodes, int d, int n_behaviors, int k, T t, T* node_scalars, signed char* side,
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

    int n;
    const bool present = own_node(ptr, n_nodes, n);
    if (n >= n_nodes) return;
    const bool item = present && slots[ptr[n]] >= rows;
    const int lane = threadIdx.x % WARP;
    if (lane == 0) side[n] = present ? item : 2;
    const T* sums = node_scalars + int64(n) * 2 * n_behaviors;
    weight += item ? d * n_behaviors : 0;
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
                    d_other[i] = t * pull * x[i];
                    total[i] += t * pull * other[i] - back * x[i];
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
unique_nodes(const T* table_j, const T* table_k, const int* ptr, int n_nodes, int d, T t, T* unique,
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
        for (int i = 0; i < V; ++i) p[i] = t * (p[i] - share * q[i]);
        store_vec<V>(unique + int64(n) * d + a, p);
    }
}

template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
owner_unique_side(const T* table_j, const T* table_k, const T* unique, const T* c, const T* norm,
                  const T* d_scores, const int* left, const int* right, const int* ptr,
                  const int* slots, int rows, int n_nodes, int d, T t, T m, T* d_j, T* d_k) {
    sum_slots<V>(ptr, slots, n_nodes, d, d_j, [&](int, int slot, int column) {
        const End end(slot, left, right, rows);
        return scaled_row<V>(unique + int64(end.partner) * d + column, m * d_scores[end.pair]);
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
    const T pull = present ? -t * along / norm[n] : T(0), share = present ? c[n] : T(0);
    for (int a = lane * V; a < d; a += WARP * V) {
        Vec<T, V> of_j{}, of_k{};
        if (present) {
            const Vec<T, V> g = load_vec<V>(d_j + at + a), x = load_vec<V>(table_j + at + a);
            const Vec<T, V> y = load_vec<V>(table_k + at + a);
#pragma unroll
            for (int i = 0; i < V; ++i) {
                of_j[i] = t * g[i] + pull * y[i];
                of_k[i] = pull * x[i] - share * (t * g[i] + 2 * pull * y[i]);
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
                  T t, T m, T* sums, T* roots, T* cosines, T* gates, T* mixes, T* scores) {
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
        const T score = m * (of_lane(sum, 0) - t * of_lane(cosine, 0) * own_sum);
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
    const T mix = warp_sum<LANES>(lane == k ? gate : t * gate * cosine);
    if (behavior) gates[at + slot] = gate;
    if (pair.inside && lane == 0) {
        mixes[pair.row] = mix;
        scores[pair.row] = m * own_sum * mix;
    }
}

// Of each pair: gradient of q^j = flat_j + across_j·q^k + along_j·q^j for j ≠ k, and of
// q^k = flat_k + Σ_j across_j·q^j + along_k·q^k; d_logits by slot if there are gates.
template <typename T>
__global__ void __launch_bounds__(THREADS)
interaction_weights(const T* d_scores, const T* sums, const T* roots, const T* cosines,
                    const T* gates, const T* mixes, int rows, int n_behaviors, int k, T t, T m,
                    T* flat, T* across, T* along, T* d_logits) {
    const int row = blockIdx.x * GROUPS + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    const bool behavior = row < rows && lane < n_behaviors, own = lane == k;
    const int64 at = int64(row) * n_behaviors;
    const T w = row < rows ? m * d_scores[row] : T(0);
    const T sum = behavior ? sums[at + lane] : T(0);
    const T length = behavior ? roots[at + lane] : T(1);
    const T cosine = behavior ? cosines[at + lane] : T(0);
    const T own_sum = of_lane(sum, k), own_length = of_lane(length, k);
    const T first_cosine = of_lane(cosine, 0);
    T d_cosine = 0, constant = 0;
    if (gates) {
        const int slot = gate_slot(lane, k);
        const T gate = behavior ? gates[at + slot] : T(0), pull = w * own_sum;
        const T d_gate = own ? pull : pull * t * cosine;
        const T mean = warp_sum<LANES>(gate * d_gate);
        if (behavior) d_logits[at + slot] = gate * (d_gate - mean);
        if (own && row < rows) constant = w * mixes[row];
        d_cosine = pull * t * gate;
    } else {
        constant = own ? -w * t * first_cosine : w;
        d_cosine = -w * t * own_sum;
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

    int n;
    const bool present = own_node(ptr, n_nodes, n);
    if (n >= n_nodes) return;
    const bool item = present && slots[ptr[n]] >= rows;
    const int lane = threadIdx.x % WARP;
    if (lane == 0) side[n] = present ? item : 2;
    if (!present) return;
    weight += item ? d * n_behaviors : 0;
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
