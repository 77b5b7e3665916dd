// Holds 96 sums a thread where a block of 1024 threads leaves each 64 registers: it must spill.
template <bool BUG>
__global__ void __launch_bounds__(BUG ? 1024 : 128) many_sums(const float* x, float* out, int n) {
    float sum[96];
#pragma unroll
    for (int j = 0; j < 96; ++j) sum[j] = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
#pragma unroll
        for (int j = 0; j < 96; ++j) sum[j] += x[i] * x[i + j];
    }
#pragma unroll
    for (int j = 0; j < 96; ++j) out[j * blockDim.x + threadIdx.x] = sum[j];
}

__global__ void too_much_shared(float* out) {
    __shared__ float tile[12 * 1024];
    tile[threadIdx.x] = out[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[255 - threadIdx.x];
}
