// What a step of decoding computes most, in float32, for the processor that compiles it. `compiled.py` says why,
// compiles, checks and calls it. All arrays are contiguous; sizes are counts of floats.

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
constexpr long BYTES = 64;
#else
constexpr long BYTES = 32;
#endif
// The sums of ROWS x VECTORS vectors fit into 16 registers beside what is multiplied.
constexpr long LANES = BYTES / sizeof(float), VECTORS = 3, WIDTH = VECTORS * LANES, ROWS = 4;
typedef float Vector __attribute__((vector_size(BYTES), aligned(4)));

// A panel holds WIDTH outputs' weights, input by input. It is read from memory once and stays in the second-level
// cache for all rows; meanwhile the next one is fetched, `step` bytes for each input that a block of rows reads.
template <int rows>
static inline void block(const float* x, long in, const float* panel, float* y, long out, const char* next, long step) {
  Vector sums[rows][VECTORS] = {};
  for (long i = 0; i < in; i++) {
    const Vector* weights = (const Vector*)(panel + i * WIDTH);
    if (step && i % 4 == 0)
      for (long byte = 0; byte < 4 * step; byte += 64) __builtin_prefetch(next + i * step + byte, 0, 2);
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < VECTORS; v++) sums[r][v] += weights[v] * x[r * in + i];
  }
  for (int r = 0; r < rows; r++) std::memcpy(y + r * out, sums[r], sizeof(sums[r]));
}

static void rows_of_panel(const float* x, long rows, long in, const float* panel, float* y, long out, const float* next) {
  const long blocks = rows / ROWS, parts = blocks < 4 ? blocks : 4, step = parts ? WIDTH * sizeof(float) / parts : 0;
  for (long b = 0; b < blocks; b++) {
    const char* fetched = (const char*)next + b * in * step;
    block<ROWS>(x + b * ROWS * in, in, panel, y + b * ROWS * out, out, fetched, b < parts ? step : 0);
  }
  const float* left = x + blocks * ROWS * in;
  float* there = y + blocks * ROWS * out;
  switch (rows % ROWS) {
    case 3: return block<3>(left, in, panel, there, out, nullptr, 0);
    case 2: return block<2>(left, in, panel, there, out, nullptr, 0);
    case 1: return block<1>(left, in, panel, there, out, nullptr, 0);
  }
}

// e to the x within 2 units of the last place (the polynomial of the Cephes library), in any number of lanes.
static inline float exponential(float x) {
  x = x < -87 ? -87 : x > 88 ? 88 : x;
  const float n = std::nearbyint(x * 1.44269504f), f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1;
  const int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof(power));
  return p * power;
}

extern "C" {

long panel_width() { return WIDTH; }

// weight (out, in) -> panels (out / WIDTH, in, WIDTH), the last one filled up with zeros
void pack(const float* weight, float* panels, long out, long in) {
  for (long o = 0; o < (out + WIDTH - 1) / WIDTH * WIDTH; o++)
    for (long i = 0; i < in; i++)
      panels[(o / WIDTH * in + i) * WIDTH + o % WIDTH] = o < out ? weight[o * in + i] : 0;
}

// x (rows, in), panels -> y (rows, out) = x weightT
void multiply(const float* x, const float* panels, float* y, long rows, long in, long out, int threads) {
  const long count = (out + WIDTH - 1) / WIDTH;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long p = 0; p < count; p++) {
    const float *panel = panels + p * in * WIDTH, *next = p + 1 < count ? panel + in * WIDTH : panel;
    const long width = out - p * WIDTH;
    if (width >= WIDTH) {
      rows_of_panel(x, rows, in, panel, y + p * WIDTH, out, next);
      continue;
    }
    for (long r = 0; r < rows; r++) {
      float whole[WIDTH];
      block<1>(x + r * in, in, panel, whole, WIDTH, nullptr, 0);
      std::memcpy(y + r * out + p * WIDTH, whole, width * sizeof(float));
    }
  }
}

// x (rows, width) -> y = x / sqrt(mean(x^2) + epsilon) * weight
void normalise(const float* x, const float* weight, float* y, long rows, long width, float epsilon, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (rows * width > 65536)
  for (long r = 0; r < rows; r++) {
    const float* from = x + r * width;
    float* to = y + r * width;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (long i = 0; i < width; i++) sum += from[i] * from[i];
    const float factor = 1 / std::sqrt(sum / width + epsilon);
#pragma omp simd
    for (long i = 0; i < width; i++) to[i] = weight[i] * (from[i] * factor);
  }
}

// x (rows, 2, width), gates before values -> y (rows, width) = silu(gate) value
void gate(const float* x, float* y, long rows, long width, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (rows * width > 16384)
  for (long r = 0; r < rows; r++) {
    const float *gates = x + 2 * r * width, *values = gates + width;
    float* to = y + r * width;
#pragma omp simd
    for (long i = 0; i < width; i++) to[i] = gates[i] / (1 + exponential(-gates[i])) * values[i];
  }
}
}
