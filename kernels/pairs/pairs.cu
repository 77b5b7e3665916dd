// pairs in CUDA. Contract: __init__.py; launcher: cuda.py; who does what: pairs.cuh.
#include "pairs.cuh"

constexpr int DIGITS = 256;  // of the radix sort, one a thread
constexpr int ROUNDS = 8;    // keys a thread, and so 2048 keys a block
constexpr int SORTED_BY_BLOCK = THREADS * ROUNDS;
constexpr int PENALTY_ROWS = 256;  // of a block

// ---- nodes of a batch ----------------------------------------------------------------------------

// Empties the set of nodes, a bit each, and marks all places of `nodes` as free.
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

// before[w] = members in the words before w; nodes = the members, rising. Every block counts the
// members of all words before its own again: the words are few, a million nodes have 31,250.
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

// Moves keys and slots to their places by this digit; equal digits stay in the order they came in.
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

// tables (n_tables, n_nodes, d) = from (n_tables, rows, d) in rows `nodes`, zero in all others. The
// nodes rise (-1 as the largest unsigned number), so a search finds a row's source, and every row is
// written once.
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

// ---- dot -----------------------------------------------------------------------------------------

// scores = score_scale·Σ_a x_la x_ra r_a; relation r null: all ones.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
pair_dots(const T* x, const T* relation, const int* left, const int* right, int rows, int d,
          T score_scale, T* scores) {
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
    if (pair.inside && lane == 0) scores[pair.row] = score_scale * total;
}

// out_n = Σ over n's pairs of score_scale·d_score·x_partner.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
owner_dots(const T* x, const T* d_scores, const int* left, const int* right, const int* ptr,
           const int* slots, int rows, int n_nodes, int d, T score_scale, T* out) {
    sum_slots<V>(ptr, slots, n_nodes, d, out, [&](int, int slot, int c) {
        const End end(slot, left, right, rows);
        return scaled_row<V>(x + int64(end.partner) * d + c, score_scale * d_scores[end.pair]);
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

// ---- rows of pairs -------------------------------------------------------------------------------

// out = x_l ∘ x_r or x_l + x_r of each pair, zero where it is absent.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
join_rows(const T* x, const int* left, const int* right, int rows, int d, bool product, T* out) {
    const PairHere pair(left, right, rows);
    if (!pair.inside) return;
    const T *l = x + int64(pair.left) * d, *r = x + int64(pair.right) * d;
    for (int a = threadIdx.x % LANES * V; a < d; a += LANES * V) {
        Vec<T, V> y{};
        if (pair.present) {
            const Vec<T, V> p = load_vec<V>(l + a), q = load_vec<V>(r + a);
#pragma unroll
            for (int i = 0; i < V; ++i) y[i] = product ? p[i] * q[i] : p[i] + q[i];
        }
        store_vec<V>(out + int64(pair.row) * d + a, y);
    }
}

// out_n = Σ over n's pairs of d_y, times the partner's row where a join was a product.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
owner_joins(const T* x, const T* d_y, const int* left, const int* right, const int* ptr,
            const int* slots, int rows, int n_nodes, int d, bool product, T* out) {
    sum_slots<V>(ptr, slots, n_nodes, d, out, [&](int, int slot, int c) {
        const End end(slot, left, right, rows);
        Vec<T, V> g = load_vec<V>(d_y + int64(end.pair) * d + c);
        if (product) {
            const Vec<T, V> partner = load_vec<V>(x + int64(end.partner) * d + c);
#pragma unroll
            for (int i = 0; i < V; ++i) g[i] *= partner[i];
        }
        return g;
    });
}

// ---- penalty -------------------------------------------------------------------------------------

// partial[block] = Σ over its rows of weight·⟨x,x⟩: a row in T, the rows in double.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
penalty_pieces(const T* x, const T* weights, int rows, int d, double* partial) {
    const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES;
    double total = 0;
    for (int first = blockIdx.x * PENALTY_ROWS; first < (blockIdx.x + 1) * PENALTY_ROWS;
         first += GROUPS) {
        const int n = first + group;
        const T* row = x + int64(n) * d;
        const T squares = warp_sum<LANES>(inner<V>(row, row, n < rows ? d : 0, lane));
        if (n < rows && lane == 0) total += double(weights[n]) * double(squares);
    }
    total = block_sum<THREADS>(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

// out = half of the sum of the pieces; one block.
__global__ void __launch_bounds__(THREADS)
penalty_total(const double* partial, int pieces, double* out) {
    const double total = sum_in_order<THREADS>(partial, pieces);
    if (threadIdx.x == 0) *out = 0.5 * total;
}

// d_x = d_out·weight·x, row by row.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS)
penalty_rows(const double* d_out, const T* x, const T* weights, int rows, int d, T* d_x) {
    const int n = blockIdx.x * GROUPS + threadIdx.x / LANES;
    if (n >= rows) return;
    const T factor = T(*d_out * double(weights[n]));
    const int64 first = int64(n) * d;
    for (int a = threadIdx.x % LANES * V; a < d; a += LANES * V)
        store_vec<V>(d_x + first + a, scaled_row<V>(x + first + a, factor));
}
