// What every kernel over the pairs of a batch shares: who does which pair, and sums by owner.
//
// A forward gives LANES lanes to a node or a pair, so that a warp has four of them in flight. An
// adjoint sums every node by one owner over the pairs it takes part in, which a stable radix sort has
// put side by side. No floating-point atomics.
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
