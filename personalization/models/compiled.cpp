// What a step of decoding computes most, in float32, for the processor that compiles it. `compiled.py` says why,
// compiles, checks and calls it. All arrays are contiguous; sizes are counts of floats.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__AVX512F__)
constexpr long BYTES = 64;
#else
constexpr long BYTES = 32;
#endif
// The sums of ROWS x VECTORS vectors fit into the registers (32, or 16) beside what is multiplied.
constexpr long LANES = BYTES / sizeof(float), VECTORS = 3, WIDTH = VECTORS * LANES, ROWS = BYTES / 8, BLOCK = 32;
typedef float Vector __attribute__((vector_size(BYTES), aligned(4)));

// A panel holds WIDTH outputs' weights, input by input. It is read from memory once and stays in the second-level
// cache for all rows; meanwhile the next one is fetched, `step` bytes for each input that a block of rows reads.
// y (rows, WIDTH of out) is x (rows, count of in) panel, or more by that.
template <int rows>
static inline void block(const float* x, long in, const float* panel, long count, float* y, long out, bool is_more,
                         const char* next, long step) {
  Vector sums[rows][VECTORS] = {};
  if (is_more)
    for (int r = 0; r < rows; r++) std::memcpy(sums[r], y + r * out, sizeof(sums[r]));
  for (long i = 0; i < count; i++) {
    const Vector* weights = (const Vector*)(panel + i * WIDTH);
    if (step && i % 4 == 0)
      for (long byte = 0; byte < 4 * step; byte += 64) __builtin_prefetch(next + i * step + byte, 0, 2);
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < VECTORS; v++) sums[r][v] += weights[v] * x[r * in + i];
  }
  for (int r = 0; r < rows; r++) std::memcpy(y + r * out, sums[r], sizeof(sums[r]));
}

static void rows_of_panel(const float* x, long rows, long in, const float* panel, long count, float* y, long out,
                          bool is_more = false, const float* next = nullptr) {
  const long blocks = rows / ROWS, parts = blocks < 4 ? blocks : 4;
  const long step = parts && next ? WIDTH * sizeof(float) / parts : 0;
  for (long b = 0; b < blocks; b++) {
    const char* fetched = (const char*)next + b * in * step;
    block<ROWS>(x + b * ROWS * in, in, panel, count, y + b * ROWS * out, out, is_more, fetched, b < parts ? step : 0);
  }
  const float* left = x + blocks * ROWS * in;
  float* there = y + blocks * ROWS * out;
  switch (rows % ROWS) {
    case 7: return block<7>(left, in, panel, count, there, out, is_more, nullptr, 0);
    case 6: return block<6>(left, in, panel, count, there, out, is_more, nullptr, 0);
    case 5: return block<5>(left, in, panel, count, there, out, is_more, nullptr, 0);
    case 4: return block<4>(left, in, panel, count, there, out, is_more, nullptr, 0);
    case 3: return block<3>(left, in, panel, count, there, out, is_more, nullptr, 0);
    case 2: return block<2>(left, in, panel, count, there, out, is_more, nullptr, 0);
    case 1: return block<1>(left, in, panel, count, there, out, is_more, nullptr, 0);
  }
}

// A panel of codes: for each BLOCK of inputs the outputs' scales and offsets, then words that hold the codes of several
// inputs each. Its weights, scale code + offset, are exact (`codes.py`), and stay in the first-level cache for all rows.
template <int bits>
static void rows_of_codes(const float* x, long rows, long in, const uint8_t* panel, float* y) {
  typedef int32_t Integers __attribute__((vector_size(BYTES), aligned(4)));
  typedef uint32_t Words __attribute__((vector_size(BYTES), aligned(4)));
  for (long start = 0; start < in; start += BLOCK) {
    const Vector *scales = (const Vector*)panel, *offsets = scales + VECTORS;
    const Words* words = (const Words*)(offsets + VECTORS);
    Vector weights[BLOCK * VECTORS], *to = weights;
    for (int word = 0; word < BLOCK * bits / 32; word++, words += VECTORS)
      for (int shift = 0; shift < 32; shift += bits, to += VECTORS)
        for (int v = 0; v < VECTORS; v++) {
          const Integers codes = (Integers)(words[v] >> shift & ((1 << bits) - 1));
          to[v] = __builtin_convertvector(codes, Vector) * scales[v] + offsets[v];
        }
    rows_of_panel(x + start, rows, in, (const float*)weights, BLOCK, y, WIDTH, start > 0);
    panel = (const uint8_t*)words;
  }
}

static long panel_bytes(long in, int bits) {
  return bits == 32 ? in * WIDTH * sizeof(float) : in / BLOCK * WIDTH * (2 * sizeof(float) + BLOCK * bits / 8);
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

// sums (n) += x (in) down (in, n). An input has few columns: several of them at once, or each would wait for the last.
template <int n>
static inline void narrow(const float* x, const float* down, float* sums, long in) {
  typedef float Eight __attribute__((vector_size(32), aligned(4)));
  constexpr int AT_ONCE = n < 3 ? 4 : 2;
  Eight parts[AT_ONCE][n] = {};
  long i = 0;
  for (; i + AT_ONCE <= in; i += AT_ONCE) {
    for (int b = 0; b < AT_ONCE * 32 * n; b += 64) __builtin_prefetch((const char*)(down + i * 8 * n) + 4096 + b, 0, 3);
    for (int k = 0; k < AT_ONCE; k++)
      for (int v = 0; v < n; v++) parts[k][v] += ((const Eight*)(down + (i + k) * 8 * n))[v] * x[i + k];
  }
  for (; i < in; i++)
    for (int v = 0; v < n; v++) parts[0][v] += ((const Eight*)(down + i * 8 * n))[v] * x[i];
  for (int k = 1; k < AT_ONCE; k++)
    for (int v = 0; v < n; v++) parts[0][v] += parts[k][v];
  std::memcpy(sums, parts[0], sizeof(parts[0]));
}

static inline void lowered(const float* x, const float* down, float* sums, long in, long columns) {
  switch (columns) {
    case 8: return narrow<1>(x, down, sums, in);
    case 16: return narrow<2>(x, down, sums, in);
    case 24: return narrow<3>(x, down, sums, in);
    case 32: return narrow<4>(x, down, sums, in);
    case 48: return narrow<6>(x, down, sums, in);
  }
  std::memset(sums, 0, columns * sizeof(float));
  for (long i = 0; i < in; i++)
#pragma omp simd
    for (long c = 0; c < columns; c++) sums[c] += x[i] * down[i * columns + c];
}

extern "C" {

long panels_bytes(long out, long in, int bits) { return (out + WIDTH - 1) / WIDTH * panel_bytes(in, bits); }

// weight (out, in) -> panels (out / WIDTH, in, WIDTH), the last one filled up with zeros
void pack(const float* weight, float* panels, long out, long in) {
  for (long o = 0; o < (out + WIDTH - 1) / WIDTH * WIDTH; o++)
    for (long i = 0; i < in; i++)
      panels[(o / WIDTH * in + i) * WIDTH + o % WIDTH] = o < out ? weight[o * in + i] : 0;
}

// scales and offsets (out, in / BLOCK), codes (out, in) -> panels of codes, the last one filled up with zeros
void pack_codes(const float* scales, const float* offsets, const uint8_t* codes, uint8_t* panels, long out, long in,
                int bits) {
  for (long first = 0; first < out; first += WIDTH)
    for (long block = 0; block < in / BLOCK; block++) {
      float* numbers = (float*)panels;
      for (long o = 0; o < WIDTH; o++) {
        const long at = (first + o) * (in / BLOCK) + block;
        numbers[o] = first + o < out ? scales[at] : 0;
        numbers[WIDTH + o] = first + o < out ? offsets[at] : 0;
      }
      panels += 2 * WIDTH * sizeof(float);
      uint32_t* words = (uint32_t*)panels;
      std::memset(words, 0, BLOCK * WIDTH * bits / 8);
      for (long i = 0; i < BLOCK; i++)
        for (long o = 0; o < WIDTH && first + o < out; o++)
          words[i * bits / 32 * WIDTH + o] |= (uint32_t)codes[(first + o) * in + block * BLOCK + i] << i * bits % 32;
      panels += BLOCK * WIDTH * bits / 8;
    }
}

// x (rows, in), panels of weights (32 bits) or of codes -> y (rows, out) = x weightT
void multiply(const float* x, const void* panels, float* y, long rows, long in, long out, int bits, int threads) {
  const long count = (out + WIDTH - 1) / WIDTH, size = panel_bytes(in, bits);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long p = 0; p < count; p++) {
    const uint8_t* held = (const uint8_t*)panels + p * size;
    const float *panel = (const float*)held, *next = p + 1 < count ? panel + in * WIDTH : panel;
    const long width = out - p * WIDTH < WIDTH ? out - p * WIDTH : WIDTH;
    if (bits == 32 && width == WIDTH) {
      rows_of_panel(x, rows, in, panel, in, y + p * WIDTH, out, false, next);
      continue;
    }
    static thread_local std::vector<float> whole;
    whole.resize(rows * WIDTH);
    if (bits == 4) rows_of_codes<4>(x, rows, in, held, whole.data());
    if (bits == 8) rows_of_codes<8>(x, rows, in, held, whole.data());
    if (bits == 32) rows_of_panel(x, rows, in, panel, in, whole.data(), WIDTH);
    for (long r = 0; r < rows; r++) std::memcpy(y + r * out + p * WIDTH, whole.data() + r * WIDTH, width * sizeof(float));
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

// Each row's own LoRA, read from memory once and in its order: mid (rows, columns) = x (rows, in) down (rows, in,
// columns); y (rows, blocks, width) += mid's part of the block's owner (blocks; null: its number) times up (rows,
// blocks, rank, width).
void adapt(const float* x, const float* down, const float* up, const int64_t* owners, float* mid, float* y, long rows,
           long in, long columns, long blocks, long rank, long width, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long r = 0; r < rows; r++) {
    float* sums = mid + r * columns;
    lowered(x + r * in, down + r * in * columns, sums, in, columns);
    for (long b = 0; b < blocks; b++) {
      const float *part = sums + (owners ? owners[b] : b) * rank, *from = up + (r * blocks + b) * rank * width;
      float* to = y + (r * blocks + b) * width;
      for (long k = 0; k < rank; k++) {
        for (long i = 0; i < width; i += 16) __builtin_prefetch(from + k * width + 1024 + i, 0, 3);
#pragma omp simd
        for (long i = 0; i < width; i++) to[i] += part[k] * from[k * width + i];
      }
    }
  }
}
}
