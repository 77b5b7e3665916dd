// propagate in CUDA C++. Contract: __init__.py.
//
// A warp takes a row of the pattern. Its lanes hold the row's columns, N values of 16 bytes each;
// where a row needs fewer lanes than a warp has, the warp works on several edges at a time and adds
// their sums at the end. Both streams are summed in one pass over the indices, and residual,
// fusion and layer sums are done while the messages are in registers.
//
// A row of more edges than SEGMENT (cuda.py) is cut: each segment leaves a partial sum, and a
// second launch adds a row's in order. No two warps ever add to one number, so results are the same
// bits from run to run.
#include "../cuda/common.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / WARP;
// Blocks that a multiprocessor must have room for. Without this bound the assembler aims at more of
// them and spills registers.
constexpr int BLOCKS = 4;
constexpr double EPSILON = 1e-12;

enum Fusion { PROJECTION, SUMMATION, PLAIN };  // PLAIN: nothing is added (none; linear, vanilla: later)

__device__ __forceinline__ int global_warp() { return blockIdx.x * WARPS + threadIdx.x / WARP; }
// ---- tables that neighbour sums read: as they are, or in 16 bits ----------------------------------

struct Same {};
struct Bf16 {};
struct Half {};

template <typename T, typename As>
struct Table {
    typedef T Stored;
    static __device__ __forceinline__ T wide(T x) { return x; }
};
template <>
struct Table<float, Bf16> {
    typedef uint16 Stored;
    static __device__ __forceinline__ float wide(uint16 x) { return bf16_to_float(x); }
    static __device__ __forceinline__ uint16 narrow(float x) { return float_to_bf16(x); }
};
template <>
struct Table<float, Half> {
    typedef uint16 Stored;
    static __device__ __forceinline__ float wide(uint16 x) { return half_to_float(x); }
    static __device__ __forceinline__ uint16 narrow(float x) { return float_to_half(x); }
};

template <typename As>
__global__ void __launch_bounds__(THREADS) narrow(const float* x, uint16* y, int64 n) {
    const int64 i = global_thread<THREADS>();
    if (i < n) y[i] = Table<float, As>::narrow(x[i]);
}

// ---- the sum over a row's edges -------------------------------------------------------------------

// Adds the edges begin…end of a row: sum[s][i] += scale_in[m]·x_s[m] over neighbours m, at the
// columns first + (i·lanes + lane % lanes)·N. Afterwards all groups of `lanes` lanes hold the sums.
// scale_in may be null: ones. The whole warp must call.
template <typename T, typename As, int N, int CHUNKS, int STREAMS>
__device__ __forceinline__ void add_edges(Vec<T, N> (&sum)[STREAMS][CHUNKS], const int* indices,
                                          int begin, int end, const T* scale_in,
                                          const typename Table<T, As>::Stored* x0,
                                          const typename Table<T, As>::Stored* x1, int d,
                                          int lanes, int first) {
    typedef Table<T, As> Gathered;
    const int lane = threadIdx.x % WARP, group = lane / lanes, groups = WARP / lanes;
    const int column = first + lane % lanes * N;
    for (int base = begin; base < end; base += WARP) {
        const int count = min(end - base, WARP);
        const int own = lane < count ? indices[base + lane] : -1;  // no edge, as dropped ones
        const T own_scale = scale_in && own >= 0 ? scale_in[own] : T(1);
        // Four turns of two streams of doubles spill on sm_100.
#pragma unroll (CHUNKS > 1 ? 1 : sizeof(T) == 8 && STREAMS == 2 ? 2 : 4)
        for (int turn = 0; turn < count; turn += groups) {
            const int edge = turn + group;
            const int64 m = __shfl_sync(FULL_MASK, own, edge);
            const T scale = scale_in ? __shfl_sync(FULL_MASK, own_scale, edge) : T(1);
            if (m >= 0) {
#pragma unroll
                for (int i = 0; i < CHUNKS; ++i) {
                    const int at = column + i * lanes * N;
                    if (at < d) {
                        const auto v = load_vec<N>(x0 + m * d + at);
#pragma unroll
                        for (int j = 0; j < N; ++j) sum[0][i][j] += scale * Gathered::wide(v[j]);
                        if (STREAMS == 2) {
                            const auto w = load_vec<N>(x1 + m * d + at);
#pragma unroll
                            for (int j = 0; j < N; ++j)
                                sum[STREAMS - 1][i][j] += scale * Gathered::wide(w[j]);
                        }
                    }
                }
            }
        }
    }
    for (int step = lanes; step < WARP; step *= 2)
#pragma unroll
        for (int s = 0; s < STREAMS; ++s)
#pragma unroll
            for (int i = 0; i < CHUNKS; ++i)
#pragma unroll
                for (int j = 0; j < N; ++j)
                    sum[s][i][j] += __shfl_xor_sync(FULL_MASK, sum[s][i][j], step);
}

// The edges of a warp: segment `warp` of a heavy row, n = -1, or after those the whole of row n.
struct Edges {
    int n, begin, end;
    __device__ Edges(int warp, const int* rows, const int* bounds, int segments, const int* indptr) {
        n = warp < segments ? -1 : rows[warp - segments];
        begin = n < 0 ? bounds[2 * warp] : indptr[n];
        end = n < 0 ? bounds[2 * warp + 1] : indptr[n + 1];
    }
};

// Partial sums of a segment: (segments, STREAMS, d).
template <typename T, int N, int CHUNKS, int STREAMS>
__device__ __forceinline__ void store_partial(T* partial, int segment,
                                              const Vec<T, N> (&sum)[STREAMS][CHUNKS], int d,
                                              int lanes, int first) {
    const int lane = threadIdx.x % WARP;
    if (lane >= lanes) return;
#pragma unroll
    for (int s = 0; s < STREAMS; ++s)
#pragma unroll
        for (int i = 0; i < CHUNKS; ++i) {
            const int at = first + (i * lanes + lane) * N;
            if (at < d) store_vec(partial + (int64(segment) * STREAMS + s) * d + at, sum[s][i]);
        }
}

// ---- one layer --------------------------------------------------------------------------------------

template <typename T>
struct Layer {
    const T *scale_in, *scale_out;  // scale_in null: ones
    int self_loop;
    const T *p, *z, *p_before, *z_before;  // …before: the sums so far
    T *p_sum, *z_sum, *p_out, *z_out, *a_out, *c_out, *r_out, *inverse_out;
    T fusion_scale;
    int fusion, from_state, both, d;
};

// Everything after the sums over the edges, which `of` gives: of.c(i), of.e(i). All groups of `lanes`
// lanes compute the same and the first one writes. CHUNKS = 0: their number is `chunks`.
template <typename T, int N, int CHUNKS, typename Messages>
__device__ __forceinline__ void finish(const Messages& of, const Layer<T>& to, int n, int lanes,
                                       int chunks) {
    const int count = CHUNKS ? CHUNKS : chunks;
    const int lane = threadIdx.x % WARP, column = lane % lanes * N, d = to.d;
    const int64 row = int64(n) * d;
    T r = 0;
    if (to.fusion == PROJECTION) {
        T ac = 0, cc = 0;
#pragma unroll
        for (int i = 0; i < count; ++i) {
            const int at = column + i * lanes * N;
            if (at >= d) continue;
            const Vec<T, N> c = of.c(i);
            Vec<T, N> a = of.e(i);
            if (to.from_state) {
                const Vec<T, N> p = load_vec<N>(to.p + row + at);
#pragma unroll
                for (int j = 0; j < N; ++j) a[j] += p[j];
            }
#pragma unroll
            for (int j = 0; j < N; ++j) {
                ac += a[j] * c[j];
                cc += c[j] * c[j];
            }
        }
        for (int step = lanes / 2; step > 0; step /= 2) {
            ac += __shfl_xor_sync(FULL_MASK, ac, step);
            cc += __shfl_xor_sync(FULL_MASK, cc, step);
        }
        cc += T(EPSILON);
        r = ac / cc;
        if (to.r_out && lane == 0) {
            to.r_out[n] = r;
            to.inverse_out[n] = 1 / cc;
        }
    }
    if (lane >= lanes) return;
    const T by_c = to.fusion == PROJECTION ? to.fusion_scale * r : T(0);
    const T by_a = to.fusion == SUMMATION ? to.fusion_scale : T(0);
#pragma unroll
    for (int i = 0; i < count; ++i) {
        const int at = column + i * lanes * N;
        if (at >= d) continue;
        const Vec<T, N> c = of.c(i);
        Vec<T, N> z = load_vec<N>(to.z + row + at);
#pragma unroll
        for (int j = 0; j < N; ++j) z[j] += c[j] + by_c * c[j];
        if (to.both) {
            const Vec<T, N> e = of.e(i);
            Vec<T, N> p = load_vec<N>(to.p + row + at);
#pragma unroll
            for (int j = 0; j < N; ++j) {
                p[j] += e[j];
                z[j] += by_a * (to.from_state ? p[j] : e[j]);
            }
            store_vec(to.p_out + row + at, p);
            if (to.a_out) store_vec(to.a_out + row + at, e);
            if (to.p_sum) {
                Vec<T, N> sum = load_vec<N>(to.p_before + row + at);
#pragma unroll
                for (int j = 0; j < N; ++j) sum[j] += p[j];
                store_vec(to.p_sum + row + at, sum);
            }
        }
        if (to.c_out) store_vec(to.c_out + row + at, c);
        store_vec(to.z_out + row + at, z);
        if (to.z_sum) {
            Vec<T, N> sum = load_vec<N>(to.z_before + row + at);
#pragma unroll
            for (int j = 0; j < N; ++j) sum[j] += z[j];
            store_vec(to.z_sum + row + at, sum);
        }
    }
}

// Messages in registers: the cascade's, and the parallel stream's where that is another one.
template <typename T, int N, int CHUNKS, int STREAMS>
struct Registers {
    const Vec<T, N> (&sum)[STREAMS][CHUNKS];
    __device__ __forceinline__ const Vec<T, N>& c(int i) const { return sum[0][i]; }
    __device__ __forceinline__ const Vec<T, N>& e(int i) const { return sum[STREAMS - 1][i]; }
};

// From sums over the edges to messages: the self-loop, then the outer scale.
template <typename T, int N, int CHUNKS, int STREAMS>
__device__ __forceinline__ void to_messages(Vec<T, N> (&sum)[STREAMS][CHUNKS], const Layer<T>& by,
                                            int n, int lanes) {
    const int lane = threadIdx.x % WARP;
    const T loop = !by.self_loop ? T(0) : by.scale_in ? by.scale_in[n] : T(1);
    const T out = by.scale_out[n];
#pragma unroll
    for (int i = 0; i < CHUNKS; ++i) {
        const int at = (i * lanes + lane % lanes) * N;
        if (at >= by.d) continue;
#pragma unroll
        for (int s = 0; s < STREAMS; ++s) {
            if (by.self_loop) {
                const Vec<T, N> x = load_vec<N>((s ? by.p : by.z) + int64(n) * by.d + at);
#pragma unroll
                for (int j = 0; j < N; ++j) sum[s][i][j] += loop * x[j];
            }
#pragma unroll
            for (int j = 0; j < N; ++j) sum[s][i][j] *= out;
        }
    }
}

// COMBINE false: warp w < segments sums edges bounds[2w]…bounds[2w+1] into `partial`, later warps
// do the whole of rows[w − segments]. COMBINE true: warp w adds the partial sums
// bounds[w]…bounds[w+1] of the heavy row rows[w] and does the rest.
// Tables x_p, x_z are p, z, or those in 16 bits. STREAMS 1: no parallel stream, or both are one.
template <typename T, typename As, int N, int CHUNKS, int STREAMS, bool COMBINE>
__global__ void __launch_bounds__(THREADS, CHUNKS == 1 ? BLOCKS : 1)
    layer(const int* rows, int n_rows, const int* bounds, int segments, const int* indptr,
          const int* indices, const T* scale_in, const T* scale_out, int self_loop,
          const typename Table<T, As>::Stored* x_p, const typename Table<T, As>::Stored* x_z,
          const T* p, const T* z, const T* p_before, const T* z_before, T* p_sum, T* z_sum,
          T* p_out, T* z_out, T* a_out, T* c_out, T* r_out, T* inverse_out, T* partial,
          T fusion_scale, int fusion, int from_state, int d, int lanes) {
    const int warp = global_warp();
    if (warp >= n_rows + (COMBINE ? 0 : segments)) return;
    Vec<T, N> sum[STREAMS][CHUNKS] = {};
    int n;
    if (COMBINE) {
        n = rows[warp];
        const int lane = threadIdx.x % WARP;
        for (int part = bounds[warp]; part < bounds[warp + 1]; ++part)
#pragma unroll
            for (int s = 0; s < STREAMS; ++s)
#pragma unroll
                for (int i = 0; i < CHUNKS; ++i) {
                    const int at = (i * lanes + lane % lanes) * N;
                    if (at >= d) continue;
                    const Vec<T, N> v =
                        load_vec<N>(partial + (int64(part) * STREAMS + s) * d + at);
#pragma unroll
                    for (int j = 0; j < N; ++j) sum[s][i][j] += v[j];
                }
    } else {
        const Edges of(warp, rows, bounds, segments, indptr);
        n = of.n;
        add_edges<T, As, N, CHUNKS, STREAMS>(sum, indices, of.begin, of.end, scale_in, x_z, x_p, d,
                                             lanes, 0);
        if (n < 0) {
            store_partial<T, N, CHUNKS, STREAMS>(partial, warp, sum, d, lanes, 0);
            return;
        }
    }
    const Layer<T> to = {scale_in, scale_out, self_loop,  p,     z,     p_before,
                         z_before, p_sum,     z_sum,      p_out, z_out, a_out,
                         c_out,    r_out,     inverse_out, fusion_scale, fusion, from_state,
                         p_out != nullptr, d};
    to_messages<T, N, CHUNKS, STREAMS>(sum, to, n, lanes);
    finish<T, N, CHUNKS>(Registers<T, N, CHUNKS, STREAMS>{sum}, to, n, lanes, CHUNKS);
}

// Messages that lie in memory; the parallel stream's are the cascade's where e is c.
template <typename T>
struct Memory {
    const T *c_row, *e_row;
    __device__ __forceinline__ Vec<T, 1> c(int i) const {
        return load_vec<1>(c_row + i * WARP + threadIdx.x % WARP);
    }
    __device__ __forceinline__ Vec<T, 1> e(int i) const {
        return load_vec<1>(e_row + i * WARP + threadIdx.x % WARP);
    }
};

// The rest of a layer for rows too wide for registers, from messages c and e (n_rows, d).
template <typename T>
__global__ void __launch_bounds__(THREADS)
    finish_wide(const T* c, const T* e, int n_rows, const T* p, const T* z, const T* p_before,
                const T* z_before, T* p_sum, T* z_sum, T* p_out, T* z_out, T* a_out, T* c_out,
                T* r_out, T* inverse_out, T fusion_scale, int fusion, int from_state, int d) {
    const int n = global_warp();
    if (n >= n_rows) return;
    const Layer<T> to = {nullptr,  nullptr, 0,           p,     z,      p_before,
                         z_before, p_sum,   z_sum,       p_out, z_out,  a_out,
                         c_out,    r_out,   inverse_out, fusion_scale, fusion, from_state,
                         p_out != nullptr, d};
    const int64 row = int64(n) * d;
    finish<T, 1, 0>(Memory<T>{c + row, e + row}, to, n, WARP, ceil_div(d, WARP));
}

// ---- messages alone, with what is added to them -----------------------------------------------------

// y0 = the sum of the first count0 tables added + Â x0 and, where STREAMS is 2, y1 = that of the next
// count1 + Â x1. Warps as in `layer`; block y has the columns from y·32·N on.
template <typename T, typename As, int N, int STREAMS>
__global__ void __launch_bounds__(THREADS, BLOCKS)
    messages(const int* rows, int n_rows, const int* bounds, int segments, const int* indptr,
             const int* indices, const T* scale_in, const T* scale_out, int self_loop,
             const typename Table<T, As>::Stored* stored0,
             const typename Table<T, As>::Stored* stored1, const T* x0, const T* x1,
             const __grid_constant__ Pointers<const T> added, int count0, int count1, T* y0, T* y1,
             T* partial, int d, int lanes) {
    const int warp = global_warp(), first = blockIdx.y * WARP * N;
    if (warp >= n_rows + segments) return;
    Vec<T, N> sum[STREAMS][1] = {};
    const Edges of(warp, rows, bounds, segments, indptr);
    const int n = of.n;
    add_edges<T, As, N, 1, STREAMS>(sum, indices, of.begin, of.end, scale_in, stored0, stored1, d,
                                    lanes, first);
    if (n < 0) {
        store_partial<T, N, 1, STREAMS>(partial, warp, sum, d, lanes, first);
        return;
    }
    const int lane = threadIdx.x % WARP, column = first + lane * N;
    if (lane >= lanes || column >= d) return;
    const T loop = !self_loop ? T(0) : scale_in ? scale_in[n] : T(1), out = scale_out[n];
    const int64 at = int64(n) * d + column;
#pragma unroll
    for (int s = 0; s < STREAMS; ++s) {
        Vec<T, N> y;
        if (self_loop) {
            const Vec<T, N> x = load_vec<N>((s ? x1 : x0) + at);
#pragma unroll
            for (int j = 0; j < N; ++j) sum[s][0][j] += loop * x[j];
        }
#pragma unroll
        for (int j = 0; j < N; ++j) y[j] = out * sum[s][0][j];
#pragma unroll 1  // unrolled it takes half as many registers again, and fewer warps fit
        for (int i = s ? count0 : 0; i < (s ? count0 + count1 : count0); ++i) {
            const Vec<T, N> b = load_vec<N>(added.at[i] + at);
#pragma unroll
            for (int j = 0; j < N; ++j) y[j] += b[j];
        }
        store_vec((s ? y1 : y0) + at, y);
    }
}

// The same of the heavy rows, from their segments' partial sums; block (x, y): row x, stream y.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    messages_combine(const int* rows, const int* bounds, const T* scale_in, const T* scale_out,
                     int self_loop, const T* x0, const T* x1,
                     const __grid_constant__ Pointers<const T> added, int count0, int count1,
                     T* y0, T* y1, const T* partial, int d) {
    const int row = blockIdx.x, s = blockIdx.y, streams = gridDim.y, n = rows[row];
    const T loop = !self_loop ? T(0) : scale_in ? scale_in[n] : T(1), out = scale_out[n];
    for (int column = threadIdx.x; column < d; column += THREADS) {
        const int64 at = int64(n) * d + column;
        T sum = 0;
        for (int part = bounds[row]; part < bounds[row + 1]; ++part)
            sum += partial[(int64(part) * streams + s) * d + column];
        if (self_loop) sum += loop * (s ? x1 : x0)[at];
        sum *= out;
        for (int i = s ? count0 : 0; i < (s ? count0 + count1 : count0); ++i)
            sum += added.at[i][at];
        (s ? y1 : y0)[at] = sum;
    }
}

// ---- the adjoint, row by row ------------------------------------------------------------------------

// The vector of a table at `at`; zeros where there is no table.
template <int N, typename T>
__device__ __forceinline__ Vec<T, N> or_zeros(const T* x, int64 at) {
    return x ? load_vec<N>(x + at) : Vec<T, N>{};
}

// With g = d_z + d_z_sum: the gradients d_e, d_c of the messages, and g_p = d_p + d_p_sum where its
// array is given (from "state" d_e is what the residual passes on too). Where `merged`, d_c becomes
// the sum of both, since one table took both messages. `lanes` lanes a row, by vectors of N.
template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    messages_adjoint(const T* d_p, const T* d_z, const T* d_p_sum, const T* d_z_sum, int n_rows,
                     int d, int fusion, int merged, T fusion_scale, const T* a, const T* c,
                     const T* r, const T* inverse, T* g_p, T* d_e, T* d_c, int lanes) {
    const int lane = threadIdx.x % WARP, groups = WARP / lanes;
    const int n = global_warp() * groups + lane / lanes;
    const int64 row = int64(n) * d;
    const int first = n < n_rows ? lane % lanes * N : d;  // a group beyond the rows has no columns
    T t = 0, rs = 0, rt2 = 0;
    if (fusion == PROJECTION) {
        for (int i = first; i < d; i += lanes * N) {
            const Vec<T, N> g = or_zeros<N>(d_z, row + i), more = or_zeros<N>(d_z_sum, row + i);
            const Vec<T, N> c_i = load_vec<N>(c + row + i);
#pragma unroll
            for (int j = 0; j < N; ++j) t += (g[j] + more[j]) * c_i[j];
        }
        for (int step = lanes / 2; step > 0; step /= 2) t += __shfl_xor_sync(FULL_MASK, t, step);
        if (n < n_rows) {
            t *= fusion_scale * inverse[n];
            rs = r[n] * fusion_scale;
            rt2 = 2 * r[n] * t;
        }
    }
    for (int i = first; i < d; i += lanes * N) {
        const int64 at = row + i;
        Vec<T, N> g = or_zeros<N>(d_z, at), e = or_zeros<N>(d_p, at), to_c;
        const Vec<T, N> more_z = or_zeros<N>(d_z_sum, at), more_p = or_zeros<N>(d_p_sum, at);
#pragma unroll
        for (int j = 0; j < N; ++j) {
            to_c[j] = g[j] += more_z[j];
            e[j] += more_p[j];
        }
        if (g_p) store_vec(g_p + at, e);
        if (fusion == PROJECTION) {
            const Vec<T, N> a_i = load_vec<N>(a + at), c_i = load_vec<N>(c + at);
#pragma unroll
            for (int j = 0; j < N; ++j) {
                e[j] += t * c_i[j];
                to_c[j] += rs * g[j] + t * a_i[j] - rt2 * c_i[j];
            }
        } else if (fusion == SUMMATION) {
#pragma unroll
            for (int j = 0; j < N; ++j) e[j] += fusion_scale * g[j];
        }
        if (d_e) store_vec(d_e + at, e);
        if (merged)
#pragma unroll
            for (int j = 0; j < N; ++j) to_c[j] += e[j];
        store_vec(d_c + at, to_c);
    }
}

// ---- projection by itself -----------------------------------------------------------------------------

template <typename T>
__global__ void __launch_bounds__(THREADS)
    project(const T* a, const T* c, int n_rows, int d, T* out, T* r, T* inverse) {
    const int n = global_warp(), lane = threadIdx.x % WARP;
    if (n >= n_rows) return;
    const int64 begin = int64(n) * d + lane, end = int64(n + 1) * d;
    T ac = 0, cc = 0;
    for (int64 i = begin; i < end; i += WARP) {
        ac += a[i] * c[i];
        cc += c[i] * c[i];
    }
    ac = warp_sum(ac);
    cc = warp_sum(cc) + T(EPSILON);
    if (lane == 0) {
        r[n] = ac / cc;
        inverse[n] = 1 / cc;
    }
    for (int64 i = begin; i < end; i += WARP) out[i] = ac / cc * c[i];
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    project_adjoint(const T* d_out, const T* a, const T* c, const T* r, const T* inverse,
                    int n_rows, int d, T* d_a, T* d_c) {
    const int n = global_warp(), lane = threadIdx.x % WARP;
    if (n >= n_rows) return;
    const int64 begin = int64(n) * d + lane, end = int64(n + 1) * d;
    T t = 0;
    for (int64 i = begin; i < end; i += WARP) t += d_out[i] * c[i];
    t = warp_sum(t) * inverse[n];
    const T rt2 = 2 * r[n] * t;
    for (int64 i = begin; i < end; i += WARP) {
        d_a[i] = t * c[i];
        d_c[i] = r[n] * d_out[i] + t * a[i] - rt2 * c[i];
    }
}

// ---- the fusions with weights ---------------------------------------------------------------------------

// z_out += fusion_scale·fused, then z_sum += z_out (z_sum may be null).
template <typename T>
__global__ void __launch_bounds__(THREADS)
    add_fused(const T* fused, T fusion_scale, T* z_out, T* z_sum, int64 size) {
    const int64 i = global_thread<THREADS>();
    if (i >= size) return;
    const T z = z_out[i] + fusion_scale * fused[i];
    z_out[i] = z;
    if (z_sum) z_sum[i] += z;
}

constexpr int PARTS = 4;  // c, a, c − a, c∘a

template <typename T>
__device__ __forceinline__ void features(T a, T c, T (&f)[PARTS]) {
    f[0] = c;
    f[1] = a;
    f[2] = c - a;
    f[3] = c * a;
}

// Attention w over the four parts of a row and z_out += fusion_scale·Σ_j w_j f_j; a warp a row.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    vanilla(const T* a, const T* c, const T* weight, const T* bias, T fusion_scale, int n_rows, int d,
            T* w_out, T* z_out, T* z_sum) {
    const int n = global_warp(), lane = threadIdx.x % WARP;
    if (n >= n_rows) return;
    const int64 row = int64(n) * d;
    T w[PARTS] = {}, f[PARTS];
    for (int i = lane; i < d; i += WARP) {
        features(a[row + i], c[row + i], f);
#pragma unroll
        for (int part = 0; part < PARTS; ++part)
#pragma unroll
            for (int j = 0; j < PARTS; ++j) w[j] += f[part] * weight[(part * d + i) * PARTS + j];
    }
    T top = 0, total = 0;
#pragma unroll
    for (int j = 0; j < PARTS; ++j) {
        w[j] = warp_sum(w[j]) + bias[j];
        top = j == 0 || w[j] > top ? w[j] : top;
    }
#pragma unroll
    for (int j = 0; j < PARTS; ++j) total += w[j] = exp(w[j] - top);
#pragma unroll
    for (int j = 0; j < PARTS; ++j) {
        w[j] /= total;
        if (lane == 0) w_out[n * int64(PARTS) + j] = w[j];
    }
    for (int i = lane; i < d; i += WARP) {
        features(a[row + i], c[row + i], f);
        T z = z_out[row + i];
#pragma unroll
        for (int j = 0; j < PARTS; ++j) z += fusion_scale * w[j] * f[j];
        z_out[row + i] = z;
        if (z_sum) z_sum[row + i] += z;
    }
}

// d_c holds the gradient of z'. Adds the fusion's part to d_e and d_c, and writes what the weight's
// gradient is made of: the features (n_rows, 4d) and the logits' gradient (n_rows, 4).
template <typename T>
__global__ void __launch_bounds__(THREADS)
    vanilla_adjoint(const T* a, const T* c, const T* w, const T* weight, T fusion_scale,
                    int n_rows, int d, T* d_e, T* d_c, T* f_out, T* d_logits_out) {
    const int n = global_warp(), lane = threadIdx.x % WARP;
    if (n >= n_rows) return;
    const int64 row = int64(n) * d;
    T f[PARTS], d_logits[PARTS] = {}, mean = 0;
    for (int i = lane; i < d; i += WARP) {
        features(a[row + i], c[row + i], f);
#pragma unroll
        for (int j = 0; j < PARTS; ++j) {
            d_logits[j] += d_c[row + i] * f[j];
            f_out[(row * PARTS) + j * d + i] = f[j];
        }
    }
    T w_n[PARTS];
#pragma unroll
    for (int j = 0; j < PARTS; ++j) {
        w_n[j] = w[n * int64(PARTS) + j];
        d_logits[j] = fusion_scale * warp_sum(d_logits[j]);
        mean += w_n[j] * d_logits[j];
    }
#pragma unroll
    for (int j = 0; j < PARTS; ++j) {
        d_logits[j] = w_n[j] * (d_logits[j] - mean);
        if (lane == 0) d_logits_out[n * int64(PARTS) + j] = d_logits[j];
    }
    for (int i = lane; i < d; i += WARP) {
        const T g = d_c[row + i];
        T d_f[PARTS];
#pragma unroll
        for (int part = 0; part < PARTS; ++part) {
            d_f[part] = fusion_scale * w_n[part] * g;
#pragma unroll
            for (int j = 0; j < PARTS; ++j)
                d_f[part] += d_logits[j] * weight[(part * d + i) * PARTS + j];
        }
        d_e[row + i] += d_f[1] - d_f[2] + d_f[3] * c[row + i];
        d_c[row + i] = g + d_f[0] + d_f[2] + d_f[3] * a[row + i];
    }
}
