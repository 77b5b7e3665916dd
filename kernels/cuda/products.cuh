// Matrix products by tiles in shared memory: what a block of 16 × 16 threads adds for one of them.
#include "common.cuh"

constexpr int THREADS = 256;
constexpr int TILE = 64;   // of outputs, along either side
constexpr int DEPTH = 16;  // of the products that are in shared memory at a time
constexpr int EACH = 4;    // outputs of a thread along either side

// sum += a tile's products; thread (row, column) has the outputs row + 16·i, column + 16·j.
template <typename T>
__device__ __forceinline__ void add_products(T (*tile_a)[TILE + 1], T (*tile_b)[TILE + 1], int row,
                                             int column, T (&sum)[EACH][EACH]) {
#pragma unroll
    for (int l = 0; l < DEPTH; ++l) {
        T left[EACH], right[EACH];
#pragma unroll
        for (int i = 0; i < EACH; ++i) {
            left[i] = tile_a[l][row + 16 * i];
            right[i] = tile_b[l][column + 16 * i];
        }
#pragma unroll
        for (int i = 0; i < EACH; ++i)
#pragma unroll
            for (int j = 0; j < EACH; ++j) sum[i][j] += left[i] * right[j];
    }
}
