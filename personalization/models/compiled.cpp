// What decoding computes most, in float32, for the processor that compiles it. `compiled.py` says why, compiles, checks
// and calls it. All arrays are contiguous; sizes are counts of numbers.

#include <omp.h>

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
// cache for all rows; meanwhile what is read next is fetched, `step` bytes for each input that a block of rows reads.
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
                          bool is_more, const char* next, long bytes) {
  const long blocks = rows / ROWS, parts = blocks < 1 ? 1 : blocks < 4 ? blocks : 4;
  const long step = next ? bytes / parts / count : 0;
  for (long b = 0; b < blocks; b++)
    block<ROWS>(x + b * ROWS * in, in, panel, count, y + b * ROWS * out, out, is_more, next + b * count * step,
                b < parts ? step : 0);
  const float* left = x + blocks * ROWS * in;
  float* there = y + blocks * ROWS * out;
  const long rest = blocks ? 0 : step;
  switch (rows % ROWS) {
    case 7: return block<7>(left, in, panel, count, there, out, is_more, next, rest);
    case 6: return block<6>(left, in, panel, count, there, out, is_more, next, rest);
    case 5: return block<5>(left, in, panel, count, there, out, is_more, next, rest);
    case 4: return block<4>(left, in, panel, count, there, out, is_more, next, rest);
    case 3: return block<3>(left, in, panel, count, there, out, is_more, next, rest);
    case 2: return block<2>(left, in, panel, count, there, out, is_more, next, rest);
    case 1: return block<1>(left, in, panel, count, there, out, is_more, next, rest);
  }
}

// What an adapter of a row's own has at one product, in `bits` (32: float32, 16: bfloat16): down (in, columns) and up,
// layer by layer (rank, its outputs), of those of the layers side by side whose bit is set. No down: nothing.
// `placed.py` makes these.
struct Term {
  const char *down, *up;
  int64_t rank, bits, acts_on;
  double strength;

  long columns() const { return rank * __builtin_popcountll(acts_on); }
};

// Every row's terms, from starts[row] on; outs (layers).
struct Own {
  const Term* terms;
  const int64_t *starts, *outs;
  long layers;

  long bytes(const Term& term, long in) const {
    long numbers = term.columns() * in;
    for (long l = 0; l < layers; l++) numbers += term.acts_on >> l & 1 ? term.rank * outs[l] : 0;
    return numbers * term.bits / 8;
  }
};

// Memory that is read soon, term by term, asked for bit by bit while the processor multiplies what it has.
struct Ahead {
  const Own* own;
  const Term *term, *last;
  const char *at, *end;
  long in, step;

  // What rows first to last of `own` read, to be fetched in so many steps.
  static Ahead of(const Own& own, long first, long last, long in, long steps) {
    Ahead all = {&own, own.terms + own.starts[first], own.terms + own.starts[last], nullptr, nullptr, in, 0};
    long bytes = 0;
    for (const Term* term = all.term; term < all.last; term++) bytes += own.bytes(*term, in);
    all.step = bytes / steps + 64;
    return all;
  }
  inline const char* next() {
    while (at + step > end) {
      if (term == last) return nullptr;
      at = term->down, end = at + own->bytes(*term++, in);
    }
    return (at += step) - step;
  }
};

// A panel of codes: for each BLOCK of inputs the outputs' scales and offsets, then words that hold the codes of several
// inputs each. Its weights, scale code + offset, are exact (`codes.py`), and stay in the first-level cache for all rows.
template <int bits>
static void rows_of_codes(const float* x, long rows, long in, const uint8_t* panel, float* y, Ahead& ahead) {
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
    rows_of_panel(x + start, rows, in, (const float*)weights, BLOCK, y, WIDTH, start > 0, ahead.next(), ahead.step);
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

// Numbers as they are held: in float32, or in bfloat16, which is float32's upper half.
typedef float Eight __attribute__((vector_size(32), aligned(4)));
static inline Eight eight(const float* from) { return *(const Eight*)from; }
static inline Eight eight(const uint16_t* from) {
  typedef uint16_t Shorts __attribute__((vector_size(16), aligned(2)));
  typedef uint32_t Words __attribute__((vector_size(32)));
  return (Eight)(__builtin_convertvector(*(const Shorts*)from, Words) << 16);
}
static inline Vector lanes(const float* from) { return *(const Vector*)from; }
static inline Vector lanes(const uint16_t* from) {
  typedef uint16_t Shorts __attribute__((vector_size(BYTES / 2), aligned(2)));
  typedef uint32_t Words __attribute__((vector_size(BYTES)));
  return (Vector)(__builtin_convertvector(*(const Shorts*)from, Words) << 16);
}
static inline float one(float from) { return from; }
static inline float one(uint16_t from) {
  const uint32_t word = (uint32_t)from << 16;
  float number;
  std::memcpy(&number, &word, sizeof(number));
  return number;
}

constexpr long TOKENS = 4;  // of a row at once, where it has several: a matrix is read once for all of them

// sums (tokens, 8n of columns) = x (tokens, in) down (in, 8n of columns). An input has few columns: where there is one
// token, several inputs at once, or each would wait for the last.
template <int n, int tokens, typename Held>
static inline void narrow(const float* x, const Held* down, float* sums, long in, long columns) {
  constexpr int AT_ONCE = tokens > 1 ? 1 : n < 3 ? 4 : 2;
  Eight parts[AT_ONCE][tokens][n] = {};
  long i = 0;
  for (; i + AT_ONCE <= in; i += AT_ONCE) {
    const char* soon = (const char*)(down + i * columns) + 4096;
    if (tokens == 1)
      for (size_t b = 0; b < AT_ONCE * columns * sizeof(Held); b += 64) __builtin_prefetch(soon + b, 0, 3);
    for (int k = 0; k < AT_ONCE; k++)
      for (int v = 0; v < n; v++) {
        const Eight weights = eight(down + (i + k) * columns + v * 8);
        for (int t = 0; t < tokens; t++) parts[k][t][v] += weights * x[t * in + i + k];
      }
  }
  for (; i < in; i++)
    for (int v = 0; v < n; v++) parts[0][0][v] += eight(down + i * columns + v * 8) * x[i];
  for (int k = 1; k < AT_ONCE; k++)
    for (int v = 0; v < n; v++) parts[0][0][v] += parts[k][0][v];
  for (int t = 0; t < tokens; t++) std::memcpy(sums + t * columns, parts[0][t], sizeof(parts[0][t]));
}

// sums (tokens, columns) = x (tokens, in) down (in, columns), as many columns at once as there are registers for
template <int tokens, typename Held>
static inline void lowered(const float* x, const Held* down, float* sums, long in, long columns) {
  constexpr int MOST = tokens > 1 ? 3 : 6;
  for (long c = 0; c < columns;) {
    const long left = (columns - c) / 8;
    if (left >= MOST)
      narrow<MOST, tokens>(x, down + c, sums + c, in, columns), c += 8 * MOST;
    else if (left >= 3)
      narrow<3, tokens>(x, down + c, sums + c, in, columns), c += 24;
    else if (left == 2)
      narrow<2, tokens>(x, down + c, sums + c, in, columns), c += 16;
    else if (left == 1)
      narrow<1, tokens>(x, down + c, sums + c, in, columns), c += 8;
    else {
      for (int t = 0; t < tokens; t++) sums[t * columns + c] = 0;
      for (long i = 0; i < in; i++)
        for (int t = 0; t < tokens; t++) sums[t * columns + c] += x[t * in + i] * one(down[i * columns + c]);
      c++;
    }
  }
}

// y (tokens, all outputs) += x (tokens, in) down up, of one term
template <int tokens, typename Held>
static void add_term(const Own& own, const Term& term, const float* x, float* y, long in, long out) {
  static thread_local std::vector<float> sums;
  const long rank = term.rank, columns = term.columns();
  sums.resize(tokens * columns);
  lowered<tokens>(x, (const Held*)term.down, sums.data(), in, columns);
  for (long s = 0; s < tokens * columns; s++) sums[s] *= term.strength;
  const Held* up = (const Held*)term.up;
  const float* part = sums.data();
  for (long l = 0; l < own.layers; y += own.outs[l], l++) {
    if (!(term.acts_on >> l & 1)) continue;
    const long width = own.outs[l];
    long i = 0;
    for (; i + LANES <= width; i += LANES) {
      Vector found[tokens];
      for (int t = 0; t < tokens; t++) found[t] = *(const Vector*)(y + t * out + i);
      for (long k = 0; k < rank; k++) {
        const Vector weights = lanes(up + k * width + i);
        for (int t = 0; t < tokens; t++) found[t] += weights * part[t * columns + k];
      }
      for (int t = 0; t < tokens; t++) *(Vector*)(y + t * out + i) = found[t];
    }
    for (; i < width; i++)
      for (int t = 0; t < tokens; t++)
        for (long k = 0; k < rank; k++) y[t * out + i] += part[t * columns + k] * one(up[k * width + i]);
    part += rank, up += rank * width;
  }
}

// y (tokens, out) += what a row's own adapters make of x (tokens, in)
template <int tokens>
static void add_own(const Own& own, long row, const float* x, float* y, long in, long out) {
  for (const Term* term = own.terms + own.starts[row]; term < own.terms + own.starts[row + 1]; term++) {
    if (!term->down) continue;
    if (term->bits == 16)
      add_term<tokens, uint16_t>(own, *term, x, y, in, out);
    else
      add_term<tokens, float>(own, *term, x, y, in, out);
  }
}

// to (dim) = factor (from cos + from's other half sin), the halves of a head turned against each other
static inline void turned(const float* from, const float* cos, const float* sin, float factor, float* to, long dim) {
  const long half = dim / 2;
#pragma omp simd
  for (long i = 0; i < half; i++) {
    to[i] = factor * (from[i] * cos[i] + from[i + half] * sin[i]);
    to[i + half] = factor * (from[i + half] * cos[i + half] + from[i] * sin[i + half]);
  }
}

// out (heads, dim) = softmax(queries keysT) values, of count keys and values (count, dim), each of which is read once
constexpr long SOON = 8;  // tokens that are fetched ahead
static inline void found(const float* queries, const float* keys, const float* values, float* weights, float* out,
                         long heads, long count, long dim) {
  for (long t = 0; t < count; t++) {
    for (long i = 0; i < dim; i += 16) __builtin_prefetch(keys + (t + SOON) * dim + i, 0, 3);
    for (long h = 0; h < heads; h++) {
      float score = 0;
#pragma omp simd reduction(+ : score)
      for (long i = 0; i < dim; i++) score += queries[h * dim + i] * keys[t * dim + i];
      weights[h * count + t] = score;
    }
  }
  for (long h = 0; h < heads; h++) {
    float *mine = weights + h * count, most = -INFINITY, sum = 0;
    for (long t = 0; t < count; t++) most = mine[t] > most ? mine[t] : most;
#pragma omp simd reduction(+ : sum)
    for (long t = 0; t < count; t++) sum += mine[t] = exponential(mine[t] - most);
    for (long t = 0; t < count; t++) mine[t] /= sum;
  }
  std::memset(out, 0, heads * dim * sizeof(float));
  long t = 0;
  for (; t + 4 <= count; t += 4) {
    for (long i = 0; i < 4 * dim; i += 16) __builtin_prefetch(values + (t + SOON) * dim + i, 0, 3);
    for (long h = 0; h < heads; h++) {
      const float *w = weights + h * count + t, *v = values + t * dim;
      float* to = out + h * dim;
#pragma omp simd
      for (long i = 0; i < dim; i++)
        to[i] += w[0] * v[i] + w[1] * v[dim + i] + w[2] * v[2 * dim + i] + w[3] * v[3 * dim + i];
    }
  }
  for (; t < count; t++)
    for (long h = 0; h < heads; h++)
      for (long i = 0; i < dim; i++) out[h * dim + i] += weights[h * count + t] * values[t * dim + i];
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

// x (rows, in), panels of weights (32 bits) or of codes -> y (rows, out) = x weightT, and what each row adds of its own
// (no terms: nothing). A product of codes waits for no memory, so each thread asks meanwhile for what its rows add.
void multiply(const float* x, const void* panels, float* y, long rows, long in, long out, int bits, const void* terms,
              const int64_t* starts, const int64_t* outs, long layers, int threads) {
  const long count = (out + WIDTH - 1) / WIDTH, size = panel_bytes(in, bits);
  const Own own = {(const Term*)terms, starts, outs, layers};
#pragma omp parallel num_threads(threads)
  {
    const long me = omp_get_thread_num(), team = omp_get_num_threads();
    const long first = rows * me / team, last = rows * (me + 1) / team;
    Ahead ahead = {};
    if (terms && bits < 32) ahead = Ahead::of(own, first, last, in, (count + team - 1) / team * (in / BLOCK));
#pragma omp for schedule(static)
    for (long p = 0; p < count; p++) {
      const uint8_t* held = (const uint8_t*)panels + p * size;
      const float* panel = (const float*)held;
      const char* next = (const char*)(p + 1 < count ? panel + in * WIDTH : panel);
      const long wide = out - p * WIDTH < WIDTH ? out - p * WIDTH : WIDTH;
      if (bits == 32 && wide == WIDTH) {
        rows_of_panel(x, rows, in, panel, in, y + p * WIDTH, out, false, next, size);
        continue;
      }
      static thread_local std::vector<float> whole;
      whole.resize(rows * WIDTH);
      if (bits == 4) rows_of_codes<4>(x, rows, in, held, whole.data(), ahead);
      if (bits == 8) rows_of_codes<8>(x, rows, in, held, whole.data(), ahead);
      if (bits == 32) rows_of_panel(x, rows, in, panel, in, whole.data(), WIDTH, false, nullptr, 0);
      for (long r = 0; r < rows; r++)
        std::memcpy(y + r * out + p * WIDTH, whole.data() + r * WIDTH, wide * sizeof(float));
    }
    if (terms)
      for (long r = first; r < last; r++) add_own<1>(own, r, x + r * in, y + r * out, in, out);
  }
}

// y (rows, tokens, out) += what each row's own adapters make of x (rows, tokens, in)
void add(const float* x, float* y, long rows, long tokens, long in, long out, const void* terms, const int64_t* starts,
         const int64_t* outs, long layers, int threads) {
  const Own own = {(const Term*)terms, starts, outs, layers};
  const long parts = (tokens + TOKENS - 1) / TOKENS;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long task = 0; task < rows * parts; task++) {
    const long row = task / parts, first = task % parts * TOKENS, at = row * tokens + first;
    const float* from = x + at * in;
    float* to = y + at * out;
    if (tokens - first >= TOKENS)
      add_own<TOKENS>(own, row, from, to, in, out);
    else
      for (long t = 0; t < tokens - first; t++) add_own<1>(own, row, from + t * in, to + t * out, in, out);
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

// What one new token of each row finds in what was said: states (rows, heads + 2 key_heads, dim) are its queries, keys
// and values. Queries and keys are turned by cos and sin (rows, dim; the sine's first half with its sign), key and value
// written at lengths (rows) of keys and values (rows, key_heads, space, dim), and read up to there -> out (rows, heads,
// dim).
void attend(const float* states, const float* cos, const float* sin, float* keys, float* values, const int64_t* lengths,
            float* out, long rows, long heads, long key_heads, long dim, long space, float scale, int threads) {
  const long sharing = heads / key_heads;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long task = 0; task < rows * key_heads; task++) {
    const long r = task / key_heads, k = task % key_heads, count = lengths[r] + 1;
    const float *asked = states + r * (heads + 2 * key_heads) * dim, *told = asked + (heads + k) * dim;
    const float *turn = cos + r * dim, *over = sin + r * dim;
    float *key = keys + task * space * dim, *value = values + task * space * dim;
    turned(told, turn, over, 1, key + (count - 1) * dim, dim);
    std::memcpy(value + (count - 1) * dim, told + key_heads * dim, dim * sizeof(float));
    static thread_local std::vector<float> queries, weights;
    queries.resize(sharing * dim);
    weights.resize(sharing * count);
    for (long h = 0; h < sharing; h++)
      turned(asked + (k * sharing + h) * dim, turn, over, scale, queries.data() + h * dim, dim);
    found(queries.data(), key, value, weights.data(), out + task * sharing * dim, sharing, count, dim);
  }
}
}
