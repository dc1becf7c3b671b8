/* Decoding step of a prior on CPUs: samples codes one after another and reads every weight once per code, in the order
 * of use, since memory bandwidth limits the speed of small batches.
 *
 * compiling.py compiles it once for each instruction set, and library.py loads the best variant that the CPU supports.
 * All state but the threads is in the structures that packing.py fills. The arithmetic of a row (a sample, or a position
 * of a prefix) depends neither on the rows beside it nor on the threads, so codes have the same bits in every batch,
 * with every number of threads.
 *
 * Needs the vector extensions of GCC or Clang, which split these vectors into registers of any width.
 */
#include "threads.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

#define LANES 16          /* floats of a vector: one AVX-512 register, two of AVX2, four of SSE or NEON */
#define PANEL 128         /* outputs whose weights are contiguous, see packing.py */
#define VECTORS (PANEL / LANES)
#define UNIT (VECTORS / 2) /* vectors of outputs that one thread computes at least: half a panel */

/* aligned(4) and the like: rows and heads may begin anywhere, so all loads are unaligned ones */
typedef float vec __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t halves __attribute__((vector_size(32), aligned(2), may_alias));
typedef int8_t bytes __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint8_t ubytes __attribute__((vector_size(16), aligned(1), may_alias));

enum { FP32, BF16, INT8 };
enum { DENSE, ROW, COLUMN, PREVIOUS_ROW, LYRICS, ENCODER, WINDOW }; /* the order of AttentionKind */

/* These structures are mirrored field by field in packing.py: raise jukectl_interface when they change. */

typedef struct {
    const void *weight;  /* (out / PANEL, in, PANEL); INT8 with dot products: (out / PANEL, in / 4, PANEL, 4) */
    const float *scale;  /* (out,) for INT8, or NULL */
    const int32_t *sums; /* (out,) of each output's weights, for INT8 with dot products, or NULL */
    const float *bias;   /* (out,) or NULL */
    int32_t in, out;     /* a multiple of 4, a multiple of PANEL */
} matrix;

typedef struct {
    int32_t kind, keys; /* keys that LYRICS, ENCODER and WINDOW attend to at most */
    int64_t slots;
    const float *norm_gain, *norm_bias, *mlp_norm_gain, *mlp_norm_bias;
    matrix qkv, project, mlp_in, mlp_out; /* qkv is the query alone for ENCODER */
    float *cache;                         /* (rows, 2, heads, slots, head_width) */
} layer;

typedef struct {
    int32_t precision, depth, width, heads, head_width, mlp, block, length;
    float scale; /* of the residual branches; 1 if they are not scaled */
    const layer *layers;
    matrix head;
    int32_t ids;            /* that may be sampled: the first of the head's outputs; the others are padding */
    int32_t tied;           /* the head is the embedding, and gets the conditioning again */
    int32_t lyric_tokens;   /* positions before the first code */
    const float *embedding; /* (ids or more, width) */
    const float *positions; /* (length, width), or NULL for rotary positions */
    const float *rotations; /* (length, head_width), cosines and then sines, or NULL for learned positions */
    float *scratch;         /* see jukectl_scratch */
    int32_t threads;        /* at most this many */
} stack;

typedef struct {
    double temperature, top_p; /* temperature 0 takes the most likely id */
    int64_t top_k;             /* 0: all */
    double guidance;           /* of classifier-free guidance; 1: there are no unconditional rows */
    const float *vectors;      /* (ids, vector_width) of a quantizer of several stages: choose, do not draw; or NULL */
    int32_t stages, vector_width;
} settings;

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors are passed only between functions of this file */
#endif

static inline vec load(const float *p) { return *(const vec *)p; }
static inline void store(float *p, vec v) { *(vec *)p = v; }
static inline vec load_f32(const float *p) { return *(const vec *)p; }
/* bfloat16 is the upper half of a float32 */
static inline vec load_bf16(const uint16_t *p) {
    return (vec)(__builtin_convertvector(*(const halves *)p, uvec) << 16);
}
static inline vec load_i8(const int8_t *p) {
    return __builtin_convertvector(__builtin_convertvector(*(const bytes *)p, ivec), vec);
}
static inline vec choose(ivec which, vec yes, vec no) { return (vec)(((ivec)yes & which) | ((ivec)no & ~which)); }

static int padded(int n) { return (n + PANEL - 1) / PANEL * PANEL; }

/* y = x W + b for rows of x: vectors first .. first + count of one panel. Each sum is in the order of the inputs,
 * whatever the number of rows. The bounds are constants where it is inlined, so the sums stay in registers. */
#define AFFINE(NAME, TYPE, LOAD)                                                                                      \
    static inline __attribute__((always_inline)) void NAME##_part(                                                    \
        const matrix *m, const TYPE *w, const float *x, int x_stride, float *y, int y_stride, int panel, int first,   \
        const int rows, const int count, const int ahead) {                                                           \
        vec sum[MOST_ROWS][VECTORS];                                                                                  \
        for (int r = 0; r < rows; r++)                                                                                \
            for (int j = 0; j < count; j++) sum[r][j] = (vec){0};                                                     \
        w += first * LANES;                                                                                           \
        for (int i = 0; i < m->in; i++, w += PANEL) {                                                                 \
            if (ahead) /* by all outputs of the panel: the others are read after these, from the cache */             \
                for (size_t j = 0; j < PANEL * sizeof(TYPE); j += 64)                                                 \
                    __builtin_prefetch((const char *)w + AHEAD + j);                                                  \
            for (int j = 0; j < count; j++) {                                                                         \
                vec weights = LOAD(w + j * LANES);                                                                    \
                for (int r = 0; r < rows; r++) sum[r][j] += weights * x[(size_t)r * x_stride + i];                    \
            }                                                                                                         \
        }                                                                                                             \
        for (int j = 0; j < count; j++) {                                                                             \
            int at = panel + (first + j) * LANES;                                                                     \
            for (int r = 0; r < rows; r++) {                                                                          \
                vec value = sum[r][j];                                                                                \
                if (m->scale) value *= load(m->scale + at);                                                           \
                if (m->bias) value += load(m->bias + at);                                                             \
                store(y + (size_t)r * y_stride + at, value);                                                          \
            }                                                                                                         \
        }                                                                                                             \
    }                                                                                                                 \
    static void NAME(const matrix *m, const float *x, int rows, int x_stride, float *y, int y_stride, int unit,       \
                     int stop) {                                                                                      \
        for (int count; unit < stop; unit += count / UNIT) {                                                          \
            const int first = unit * UNIT % VECTORS, panel = unit * UNIT / VECTORS * PANEL;                           \
            const TYPE *w = (const TYPE *)m->weight + (size_t)panel * m->in;                                          \
            count = first || unit + 1 == stop ? UNIT : VECTORS;                                                       \
            int r = 0;                                                                                                \
            if (rows == 1) { /* in the order of memory */                                                             \
                if (count == VECTORS)                                                                                 \
                    NAME##_part(m, w, x, x_stride, y, y_stride, panel, 0, 1, VECTORS, 1);                             \
                else                                                                                                  \
                    NAME##_part(m, w, x, x_stride, y, y_stride, panel, first, 1, UNIT, 0);                            \
                continue;                                                                                             \
            }                                                                                                         \
            for (; r + MOST_ROWS <= rows; r += MOST_ROWS) {                                                           \
                const float *from = x + (size_t)r * x_stride;                                                         \
                float *to = y + (size_t)r * y_stride;                                                                 \
                int j = first;                                                                                        \
                if (!r) {                                                                                             \
                    NAME##_part(m, w, from, x_stride, to, y_stride, panel, j, MOST_ROWS, AT_ONCE, 1);                 \
                    j += AT_ONCE;                                                                                     \
                }                                                                                                     \
                for (; j < first + count; j += AT_ONCE)                                                               \
                    NAME##_part(m, w, from, x_stride, to, y_stride, panel, j, MOST_ROWS, AT_ONCE, 0);                 \
            }                                                                                                         \
            for (int some; r < rows; r += some) { /* a few rows: more outputs at a time */                            \
                const float *from = x + (size_t)r * x_stride;                                                         \
                float *to = y + (size_t)r * y_stride;                                                                 \
                some = MOST_ROWS > 4 && r + 4 <= rows ? 4 : r + 2 <= rows ? 2 : 1;                                    \
                for (int j = first; j < first + count; j += UNIT) {                                                   \
                    if (some == 4)                                                                                    \
                        NAME##_part(m, w, from, x_stride, to, y_stride, panel, j, 4, UNIT, 0);                        \
                    else if (some == 2)                                                                               \
                        NAME##_part(m, w, from, x_stride, to, y_stride, panel, j, 2, UNIT, 0);                        \
                    else                                                                                              \
                        NAME##_part(m, w, from, x_stride, to, y_stride, panel, j, 1, UNIT, 0);                        \
                }                                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
    }

/* rows, and vectors of outputs, whose sums are in registers together: of 16 numbers, 32 registers of AVX-512 have one
 * each, 16 of AVX2 half of one, 32 of NEON and 16 of SSE a quarter */
#if defined(__AVX512F__)
enum { MOST_ROWS = 8, AT_ONCE = 2 };
#elif defined(__AVX2__) || defined(__aarch64__)
enum { MOST_ROWS = 4, AT_ONCE = 1 };
#else
enum { MOST_ROWS = 2, AT_ONCE = 1 };
#endif
enum { AHEAD = 8192 }; /* bytes of weights that are on the way: the processor alone reads 7 % slower */

AFFINE(affine_f32, float, load_f32)
AFFINE(affine_bf16, uint16_t, load_bf16)

/* Rows rounded to 16 bits, as two planes of bytes, for dot products of bytes. Each row ends in zeros, up to a multiple of
 * TILE. 8 bits would be too coarse for activations, whose largest values are far above the others. */
typedef struct {
    uint8_t *high, *low;
    float *unit; /* of each row */
    int stride;
} planes;

enum { TILE = 64 }; /* bytes of a row of a tile, see below */

#if !defined(__AVX512VNNI__)

AFFINE(affine_i8, int8_t, load_i8)
static const int bytes_together = 1;

#else

static const int bytes_together = 4;

static void split(const float *from, int in, const planes *p, int row) {
    uint8_t *high = p->high + (size_t)row * p->stride, *low = p->low + (size_t)row * p->stride;
    /* one unit for the row: its largest value becomes 32000 of 32767, which leaves room for rounding */
    vec largest_of = {0};
    int i = 0;
    for (; i + LANES <= in; i += LANES) {
        const vec size = (vec)((ivec)load(from + i) & 0x7fffffff);
        largest_of = choose(size > largest_of, size, largest_of);
    }
    float largest = 0;
    for (int k = 0; k < LANES; k++) largest = fmaxf(largest, largest_of[k]);
    for (int k = i; k < in; k++) largest = fmaxf(largest, fabsf(from[k]));
    const float unit = largest > 0 ? largest / 32000.0f : 1.0f, inverse = 1.0f / unit;
    for (i = 0; i + LANES <= in; i += LANES) { /* rounded and offset to unsigned, 768 .. 64768 */
        const ivec value = __builtin_convertvector(load(from + i) * inverse + 32768.5f, ivec);
        *(ubytes *)(high + i) = __builtin_convertvector(value >> 8, ubytes);
        *(ubytes *)(low + i) = __builtin_convertvector(value & 255, ubytes);
    }
    for (; i < in; i++) {
        const int value = (int)(from[i] * inverse + 32768.5f);
        high[i] = (uint8_t)(value >> 8), low[i] = (uint8_t)value;
    }
    for (; i % TILE; i++) high[i] = low[i] = 0;
    p->unit[row] = unit;
}

/* Write one vector of outputs from the sums of both planes. The product is 256 high + low - 32768 sums, without the
 * offset; it may exceed 2^31, so 256 (high - 128 sums) is formed in floats, after the difference of integers that is
 * exact. The sums are exact too, so they have the same bits in every order, and on every unit of the processor. */
static inline __attribute__((always_inline)) void finish(const matrix *m, __m512i high, __m512i low, float unit, int at,
                                                         float *y) {
    const __m512i over = _mm512_slli_epi32(_mm512_loadu_si512(m->sums + at), 7);
    __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(high, over));
    value = _mm512_fmadd_ps(value, _mm512_set1_ps(256.0f), _mm512_cvtepi32_ps(low));
    value = _mm512_mul_ps(_mm512_mul_ps(value, _mm512_set1_ps(unit)), _mm512_loadu_ps(m->scale + at));
    if (m->bias) value = _mm512_add_ps(value, _mm512_loadu_ps(m->bias + at));
    _mm512_storeu_ps(y + at, value);
}

/* The instruction (VNNI) multiplies unsigned by signed bytes and adds four products, so two of them give the product
 * with byte weights, high plane and low plane. */
static inline __attribute__((always_inline)) void i8_part(const matrix *m, const planes *p, int row, float *y,
                                                          int y_stride, int panel, int first, const int rows,
                                                          const int count) {
    const int8_t *w = (const int8_t *)m->weight + (size_t)panel * m->in + 4 * LANES * first;
    const uint8_t *highs = p->high + (size_t)row * p->stride, *lows = p->low + (size_t)row * p->stride;
    __m512i high[4][VECTORS], low[4][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < count; j++) high[r][j] = low[r][j] = _mm512_setzero_si512();
    for (int i = 0; i < m->in; i += 4, w += 4 * PANEL) {
        __m512i weights[VECTORS];
        if (rows == 1)
            for (int j = 0; j < count; j++) __builtin_prefetch(w + AHEAD + 4 * LANES * j);
        for (int j = 0; j < count; j++) weights[j] = _mm512_loadu_si512(w + 4 * LANES * j);
        for (int r = 0; r < rows; r++) {
            int32_t four_high, four_low;
            memcpy(&four_high, highs + (size_t)r * p->stride + i, 4);
            memcpy(&four_low, lows + (size_t)r * p->stride + i, 4);
            const __m512i both[] = {_mm512_set1_epi32(four_high), _mm512_set1_epi32(four_low)};
            for (int j = 0; j < count; j++) {
                high[r][j] = _mm512_dpbusd_epi32(high[r][j], both[0], weights[j]);
                low[r][j] = _mm512_dpbusd_epi32(low[r][j], both[1], weights[j]);
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < count; j++)
            finish(m, high[r][j], low[r][j], p->unit[row + r], panel + LANES * (first + j),
                   y + (size_t)(row + r) * y_stride);
}

#if defined(__linux__) && defined(__x86_64__) && ((defined(__GNUC__) && __GNUC__ >= 11) || defined(__clang__))
#define TILES 1
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Tiles (AMX) multiply 16 rows by 16 outputs, 64 inputs at a time. The system gives their registers on request. */
static int has_tiles(void) {
    static atomic_int known; /* 0 unknown, 1 no, 2 yes */
    int answer = atomic_load(&known);
    if (!answer) {
        unsigned a, b, c, d = 0;
        const int there = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1) && (d >> 25 & 1);
        const int request = 0x1023, tile_data = 18; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
        answer = there && !syscall(SYS_arch_prctl, request, tile_data) ? 2 : 1;
        atomic_store(&known, answer);
    }
    return answer == 2;
}

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16]; /* of each row of a tile */
    uint8_t rows[16];
} tile_shapes;

#define TILE_ZERO(N) __asm__ volatile("tilezero %%tmm" #N ::)
#define TILE_LOAD(N, FROM, STRIDE)                                                                                    \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #N ::"r"(FROM), "r"((size_t)(STRIDE)) : "memory")
#define TILE_STORE(N, TO, STRIDE)                                                                                     \
    __asm__ volatile("tilestored %%tmm" #N ", (%0,%1,1)" ::"r"(TO), "r"((size_t)(STRIDE)) : "memory")
#define TILE_DOT(SUM, ROWS, WEIGHTS)                                                                                  \
    __asm__ volatile("tdpbusd %%tmm" #WEIGHTS ", %%tmm" #ROWS ", %%tmm" #SUM ::)

/* Two vectors of outputs of up to 16 rows. `ahead` is weights that are needed later, as many as these: they are fetched
 * meanwhile. */
__attribute__((target("amx-tile,amx-int8"))) static inline void i8_tile(const matrix *m, const planes *p, int row,
                                                                        int rows, float *y, int y_stride, int panel,
                                                                        int first, const int8_t *ahead) {
    const int in = m->in, line = 4 * PANEL;
    const int8_t *w = (const int8_t *)m->weight + (size_t)panel * in + 4 * LANES * first;
    const uint8_t *highs = p->high + (size_t)row * p->stride, *lows = p->low + (size_t)row * p->stride;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    int i = 0;
    for (; i + TILE <= in; i += TILE, w += TILE / 4 * line) {
        TILE_LOAD(4, highs + i, p->stride);
        TILE_LOAD(6, w, line);
        TILE_DOT(0, 4, 6);
        TILE_LOAD(7, w + 4 * LANES, line);
        TILE_DOT(1, 4, 7);
        TILE_LOAD(5, lows + i, p->stride);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
        if (ahead)
            for (int k = 0; k < 2 * 4 * LANES * TILE / 4; k += 64) __builtin_prefetch(ahead + k, 0, 2);
        ahead += ahead ? 2 * 4 * LANES * TILE / 4 : 0;
    }
    if (i < in) { /* the weights of the last inputs, and zeros, which the zeros of the planes meet */
        int8_t rest[2][TILE / 4][4 * LANES] __attribute__((aligned(64))) = {{{0}}};
        for (int k = 0; k < (in - i) / 4; k++)
            for (int j = 0; j < 2; j++) memcpy(rest[j][k], w + (size_t)k * line + 4 * LANES * j, 4 * LANES);
        TILE_LOAD(4, highs + i, p->stride);
        TILE_LOAD(5, lows + i, p->stride);
        TILE_LOAD(6, rest[0], 4 * LANES);
        TILE_LOAD(7, rest[1], 4 * LANES);
        TILE_DOT(0, 4, 6);
        TILE_DOT(1, 4, 7);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
    }
    int32_t sums[4][16][LANES] __attribute__((aligned(64)));
    TILE_STORE(0, sums[0], 64);
    TILE_STORE(1, sums[1], 64);
    TILE_STORE(2, sums[2], 64);
    TILE_STORE(3, sums[3], 64);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 2; j++)
            finish(m, _mm512_load_si512(sums[j][r]), _mm512_load_si512(sums[2 + j][r]), p->unit[row + r],
                   panel + LANES * (first + j), y + (size_t)(row + r) * y_stride);
}

/* As affine_i8, by tiles. */
__attribute__((target("amx-tile,amx-int8"))) static void affine_tiles(const matrix *m, const planes *p, int rows, float *y,
                                                                      int y_stride, int unit, int stop) {
    tile_shapes shapes = {.palette = 1};
    for (int t = 0; t < 8; t++) shapes.bytes[t] = 64, shapes.rows[t] = t > 5 || rows > 16 ? 16 : rows;
    __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
    for (; unit < stop; unit++) {
        const int panel = unit * UNIT / VECTORS * PANEL, from = unit * UNIT % VECTORS;
        for (int r = 0; r < rows; r += 16) {
            const int some = rows - r < 16 ? rows - r : 16;
            for (int j = 0; j < UNIT; j += 2) {
                /* the panels are one after another, and the share of a thread ends with a unit */
                const int8_t *here = (const int8_t *)m->weight + (size_t)panel * m->in;
                const int8_t *next = here + (size_t)(PANEL + LANES * (from + j)) * m->in;
                i8_tile(m, p, r, some, y, y_stride, panel, from + j, r || unit + VECTORS / UNIT >= stop ? NULL : next);
            }
        }
    }
    __asm__ volatile("tilerelease");
}
#endif

#if defined(TILES)
static int tiles_wanted = 1;
#endif

static void affine_i8(const matrix *m, const planes *p, int rows, float *y, int y_stride, int unit, int stop) {
#if defined(TILES)
    if (rows >= 2 && tiles_wanted && has_tiles()) {
        affine_tiles(m, p, rows, y, y_stride, unit, stop);
        return;
    }
#endif
    for (int count; unit < stop; unit += count / UNIT) {
        const int first = unit * UNIT % VECTORS, panel = unit * UNIT / VECTORS * PANEL;
        count = first || unit + 1 == stop ? UNIT : VECTORS;
        int r = 0;
        for (; r + 4 <= rows; r += 4)
            for (int j = first; j < first + count; j += 2) i8_part(m, p, r, y, y_stride, panel, j, 4, 2);
        for (; r + 2 <= rows; r += 2)
            for (int j = first; j < first + count; j += UNIT) i8_part(m, p, r, y, y_stride, panel, j, 2, UNIT);
        if (r < rows && count == VECTORS)
            i8_part(m, p, r, y, y_stride, panel, 0, 1, VECTORS);
        else if (r < rows)
            i8_part(m, p, r, y, y_stride, panel, first, 1, UNIT);
    }
}

#endif

static inline float add_up(vec v) { /* by halves: in the same order for every width of register */
    typedef float v8 __attribute__((vector_size(32)));
    typedef float v4 __attribute__((vector_size(16)));
    union { vec whole; v8 half[2]; } a = {v};
    union { v8 whole; v4 half[2]; } b = {a.half[0] + a.half[1]};
    v4 c = b.half[0] + b.half[1];
    return (c[0] + c[2]) + (c[1] + c[3]);
}

/* e^x for -126 log 2 < x < 88, and 0 below: 2^n times a polynomial in the remainder (the method of Cephes' expf). The
 * library's expf is not vectorised everywhere, and its last bit differs between systems. */
static inline vec exponential(vec x) {
    const ivec low = x < -87.3f; /* -inf of masked keys among them */
    x = choose(low, (vec){0}, x);
    /* the conversion truncates, so it rounds only positive numbers: 192 keeps all of them above 0 */
    const ivec whole = __builtin_convertvector(x * 1.44269504088896341f + 192.5f, ivec) - 192;
    const vec n = __builtin_convertvector(whole, vec);
    const vec r = x - n * 0.693359375f + n * 2.12194440e-4f; /* x - n log 2, with log 2 in two parts for precision */
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return choose(low, (vec){0}, p * (vec)((whole + 127) << 23));
}

/* The variance is of the differences from the mean: E[x^2] - mean^2 would cancel when the mean is large. */
static void layer_norm(const float *x, const float *gain, const float *bias, int width, float *y) {
    vec sum = {0}, squares = {0};
    int i = 0;
    for (; i + LANES <= width; i += LANES) sum += load(x + i);
    float mean = add_up(sum), variance;
    for (int k = i; k < width; k++) mean += x[k];
    mean /= width;
    for (i = 0; i + LANES <= width; i += LANES) {
        vec d = load(x + i) - mean;
        squares += d * d;
    }
    variance = add_up(squares);
    for (int k = i; k < width; k++) variance += (x[k] - mean) * (x[k] - mean);
    const float inverse = 1.0f / sqrtf(variance / width + 1e-5f);
    for (i = 0; i + LANES <= width; i += LANES)
        store(y + i, (load(x + i) - mean) * inverse * load(gain + i) + load(bias + i));
    for (; i < width; i++) y[i] = (x[i] - mean) * inverse * gain[i] + bias[i];
}

/* x sigmoid(1.702 x) = x / (1 + e^-1.702x), see prior/transformer.py; count is a multiple of LANES. */
static void quick_gelu(float *x, int count) {
    for (int i = 0; i < count; i += LANES) {
        const vec v = load(x + i), t = v * -1.702f; /* limited below, since e^x is defined up to 88 */
        store(x + i, v / (exponential(choose(t < 87.0f, t, (vec){0} + 87.0f)) + 1.0f));
    }
}

/* The slot of a position's key, -1 if it is not cached, and the range of slots that the position attends to: the same
 * index arithmetic as CacheLayout in prior/attention.py, with the reasons there. */
static void find_slots(const layer *l, const stack *s, int64_t p, int64_t *slot, int64_t *start, int64_t *stop) {
    const int64_t block = s->block, rows = s->length / s->block;
    switch (l->kind) {
    case DENSE: *slot = p, *start = 0, *stop = p + 1; break;
    case ROW: *slot = p % block, *start = 0, *stop = *slot + 1; break;
    case COLUMN: *slot = p % block * rows + p / block, *start = *slot - p / block, *stop = *slot + 1; break;
    case PREVIOUS_ROW:
        *slot = p % (2 * block), *start = *slot < block ? block : 0, *stop = p >= block ? *start + block : *start;
        break;
    case WINDOW: *slot = p, *start = p < l->keys ? 0 : p + 1 - l->keys, *stop = p + 1; break;
    case LYRICS: *slot = p < l->keys ? p : -1, *start = 0, *stop = p + 1 < l->keys ? p + 1 : l->keys; break;
    default: *slot = -1, *start = 0, *stop = l->keys;
    }
}

/* Turn one head by the angles of its position: elements i and i + width / 2 are a pair, see prior/rotary.py. */
static void rotate(float *head, const float *rotation, int width) {
    const int half = width / 2;
    float *first = head, *second = head + half;
    const float *cosines = rotation, *sines = rotation + half;
    int i = 0;
    for (; i + LANES <= half; i += LANES) {
        const vec a = load(first + i), b = load(second + i), c = load(cosines + i), s = load(sines + i);
        store(first + i, a * c - b * s);
        store(second + i, b * c + a * s);
    }
    for (; i < half; i++) {
        const float a = first[i], b = second[i];
        first[i] = a * cosines[i] - b * sines[i];
        second[i] = b * cosines[i] + a * sines[i];
    }
}

/* Memory of `forward`: the activations of its rows. */
typedef struct {
    float *x, *normed, *qkv, *attended, *a, *hidden;
    float *shared, *own; /* scores of attention: of all threads together, and of each one, `room` numbers each */
    size_t room;
    planes planes;
} workspace;

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Lay out a workspace for that many rows in scratch memory, and return the number of floats that it takes. */
static int64_t lay_out(const stack *s, int rows, float *memory, workspace *w) {
    const int64_t inner = s->heads * s->head_width, width = padded(s->width);
    const int64_t most = (larger(larger(padded(inner), padded(s->mlp)), width) + TILE - 1) / TILE * TILE;
    const int64_t tall = (rows + 15) / 16 * 16; /* tiles read sixteen rows of planes */
    float *at = memory;
    w->x = at, at += rows * width;
    w->normed = at, at += rows * width;
    w->qkv = at, at += rows * padded(3 * inner);
    w->attended = at, at += rows * padded(inner);
    w->a = at, at += rows * width;
    w->hidden = at, at += rows * padded(s->mlp);
    w->room = padded(s->length) + PANEL;
    w->shared = at, at += w->room;
    w->own = at, at += w->room * (s->threads > 1 ? s->threads : 1);
    w->planes.stride = (int)most;
    w->planes.unit = at, at += tall;
    w->planes.high = (uint8_t *)at, at += tall * most / sizeof(float);
    w->planes.low = (uint8_t *)at, at += tall * most / sizeof(float);
    return at - memory;
}

/* Number of floats of scratch for that many rows. */
int64_t jukectl_scratch(const stack *s, int rows) {
    workspace w;
    return lay_out(s, rows, (float *)(uintptr_t)4096, &w); /* only differences of addresses are formed */
}

/* Make row `row` of x (rows, stride) ready for the products that follow. */
static inline void ready(const stack *s, const workspace *w, const float *x, int stride, int in, int row) {
#if defined(__AVX512VNNI__)
    if (s->precision == INT8) split(x + (size_t)row * stride, in, &w->planes, row);
#else
    (void)s, (void)w, (void)x, (void)stride, (void)in, (void)row;
#endif
}

/* A member's share of the outputs of a product: y = x W + b for all rows, which are `ready`. Returns the outputs. */
static void product(const member *who, const stack *s, const workspace *w, const matrix *m, const float *x, int rows,
                    int x_stride, float *y, int y_stride, int *first, int *stop) {
    share(who, m->out / (UNIT * LANES), first, stop);
    if (s->precision == FP32)
        affine_f32(m, x, rows, x_stride, y, y_stride, *first, *stop);
    else if (s->precision == BF16)
        affine_bf16(m, x, rows, x_stride, y, y_stride, *first, *stop);
    else
#if defined(__AVX512VNNI__)
        affine_i8(m, &w->planes, rows, y, y_stride, *first, *stop);
#else
        affine_i8(m, x, rows, x_stride, y, y_stride, *first, *stop);
    (void)w;
#endif
    *first *= UNIT * LANES, *stop *= UNIT * LANES;
}

/* Keys and values of a head, and the slots that a position attends to. */
typedef struct {
    float *keys, *values;
    int64_t slot, start, stop;
} span;

static span span_of(const layer *l, const stack *s, float *cache, int64_t position, int head) {
    span a;
    find_slots(l, s, position, &a.slot, &a.start, &a.stop);
    a.keys = cache + (size_t)head * l->slots * s->head_width;
    a.values = a.keys + (size_t)s->heads * l->slots * s->head_width;
    return a;
}

/* Store the key and value of one head of a row. With rotary positions queries and keys are turned in place first, and
 * keys are cached turned: a position has the same angle for every later query. */
static void store_key(const layer *l, const stack *s, const span *a, int64_t position, float *query) {
    const int D = s->head_width, inner = s->heads * D;
    if (s->rotations && l->kind != ENCODER) { /* states of the lyrics are not positions of this sequence */
        rotate(query, s->rotations + position * D, D);
        rotate(query + inner, s->rotations + position * D, D);
    }
    if (a->slot >= 0) {
        memcpy(a->keys + a->slot * D, query + inner, D * sizeof(float));
        memcpy(a->values + a->slot * D, query + 2 * inner, D * sizeof(float));
    }
}

/* Scores of a query with keys (count, n): four at a time, so that one addition need not wait for the other. Each is
 * summed in the same order whatever the count. */
static inline __attribute__((always_inline)) void dots(const float *query, const float *keys, int n, float scale,
                                                       float *scores, const int count) {
    vec sum[4] = {{0}};
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vec q = load(query + i);
        for (int k = 0; k < count; k++) sum[k] += q * load(keys + (size_t)k * n + i);
    }
    for (int k = 0; k < count; k++) {
        float t = i ? add_up(sum[k]) : 0;
        for (int d = i; d < n; d++) t += query[d] * keys[(size_t)k * n + d];
        scores[k] = scale * t;
    }
}

static void score(const stack *s, const span *a, const float *query, float *scores, int64_t from, int64_t to) {
    const int D = s->head_width;
    const float scale = 1.0f / sqrtf((float)D), *keys = a->keys + a->start * D;
    for (; from + 4 <= to; from += 4) dots(query, keys + from * D, D, scale, scores + from, 4);
    for (; from < to; from++) dots(query, keys + from * D, D, scale, scores + from, 1);
}

/* Turn n scores into weights, which may be the same memory; return one over their sum. Both have room for whole vectors. */
static float softmax(const float *scores, float *weights, int64_t n) {
    const int64_t whole = (n + LANES - 1) / LANES * LANES;
    float largest = -INFINITY;
    for (int64_t j = 0; j < n; j++) largest = fmaxf(largest, scores[j]);
    if (weights != scores) memcpy(weights, scores, n * sizeof(float));
    for (int64_t j = n; j < whole; j++) weights[j] = -INFINITY; /* weight 0: whole vectors need no remainder */
    vec sums = {0};
    for (int64_t j = 0; j < whole; j += LANES) {
        const vec e = exponential(load(weights + j) - largest);
        store(weights + j, e);
        sums += e;
    }
    return 1.0f / add_up(sums);
}

/* Mean of `count` vectors of the values of n slots: of two chains of sums, so that one addition need not wait for the
 * other. */
static inline __attribute__((always_inline)) void mean(const float *v, int D, const float *weights, int64_t n,
                                                       float inverse, float *to, const int count) {
    vec even[4] = {{0}}, odd[4] = {{0}};
    int64_t j = 0;
    for (; j + 2 <= n; j += 2)
        for (int k = 0; k < count; k++) {
            even[k] += load(v + j * D + k * LANES) * weights[j];
            odd[k] += load(v + (j + 1) * D + k * LANES) * weights[j + 1];
        }
    if (j < n)
        for (int k = 0; k < count; k++) even[k] += load(v + j * D + k * LANES) * weights[j];
    for (int k = 0; k < count; k++) store(to + k * LANES, (even[k] + odd[k]) * inverse);
}

/* The attended values of one head, from number `d` up to but not including `stop`: a multiple of LANES, or all. */
static void weigh(const stack *s, const span *a, const float *weights, float inverse, float *to, int d, int stop) {
    const int D = s->head_width;
    const int64_t n = a->stop - a->start;
    const float *values = a->values + a->start * D;
    if (n == 0) { /* the first block of PREVIOUS_ROW */
        memset(to + d, 0, (stop - d) * sizeof(float));
        return;
    }
    for (; d + 4 * LANES <= stop; d += 4 * LANES) mean(values + d, D, weights, n, inverse, to + d, 4);
    for (; d + LANES <= stop; d += LANES) mean(values + d, D, weights, n, inverse, to + d, 1);
    for (; d < stop; d++) {
        float sum = 0;
        for (int64_t j = 0; j < n; j++) sum += values[j * D + d] * weights[j];
        to[d] = sum * inverse;
    }
}

/* Rows of `forward`: samples, all at `position`; or, if `reading`, successive positions of the sample `first`. */
typedef struct {
    int count;
    int64_t position;
    int first, reading;
} batch;

static float *cache_of(const layer *l, const stack *s, const batch *b, int row) {
    return l->cache + (size_t)2 * s->heads * s->head_width * l->slots * (b->reading ? b->first : b->first + row);
}

/* Attention of all rows. Members take heads of rows where there are enough of them, and else parts of each head. */
static void attend(const member *who, const layer *l, const stack *s, const workspace *w, const batch *b) {
    const int D = s->head_width, H = s->heads, parts = padded(3 * H * D), heads = padded(H * D);
    float *own = w->own + w->room * who->number;
    /* rows of one block at a time: the keys of a later block may take the slots of this one's */
    for (int from = 0, to = b->count; from < b->count; from = to, to = b->count) {
        if (b->reading && b->position + from + s->block - (b->position + from) % s->block < b->position + to)
            to = from + (int)(s->block - (b->position + from) % s->block);
        int task, stop;
        const int whole = (to - from) * H >= who->count;
        share(who, (to - from) * H, &task, &stop);
        for (int t = task; t < stop; t++) {
            const int row = from + t / H, head = t % H;
            const int64_t position = b->reading ? b->position + row : b->position;
            const span a = span_of(l, s, cache_of(l, s, b, row), position, head);
            store_key(l, s, &a, position, w->qkv + (size_t)row * parts + head * D);
        }
        if (b->reading || !whole) meet(who); /* a row of a prefix sees the keys of rows before it */
        for (int t = whole ? task : 0; t < (whole ? stop : (to - from) * H); t++) {
            const int row = from + t / H, head = t % H;
            const int64_t position = b->reading ? b->position + row : b->position;
            const span a = span_of(l, s, cache_of(l, s, b, row), position, head);
            const int64_t n = a.stop - a.start;
            const float *query = w->qkv + (size_t)row * parts + head * D;
            float *out = w->attended + (size_t)row * heads + head * D;
            if (whole) {
                score(s, &a, query, own, 0, n);
                weigh(s, &a, own, n ? softmax(own, own, n) : 0, out, 0, D);
                continue;
            }
            int begin, end;
            share(who, (int)n, &begin, &end);
            score(s, &a, query, w->shared, begin, end);
            meet(who);
            const float inverse = n ? softmax(w->shared, own, n) : 0;
            share(who, (D + LANES - 1) / LANES, &begin, &end);
            weigh(s, &a, own, inverse, out, begin * LANES, end * LANES < D ? end * LANES : D);
            meet(who); /* the scores are overwritten by the next head */
        }
        if (b->reading && to < b->count) meet(who);
    }
}

/* Transform the rows x of a workspace in place by all blocks. Rows attend in order, so a position finds the keys of those
 * before it in the cache. A member finds its own rows of x done; those of others after a meeting. */
static void forward(const member *who, const stack *s, const workspace *w, const batch *b) {
    const int inner = s->heads * s->head_width, rows = b->count;
    const int width = padded(s->width), parts = padded(3 * inner), heads = padded(inner), mlp = padded(s->mlp);
    const int plain = s->scale == 1.0f;
    int begin, end, first, stop;
    share(who, rows, &begin, &end);
    for (int n = 0; n < s->depth; n++) {
        const layer *l = s->layers + n;
        for (int r = begin; r < end; r++) {
            layer_norm(w->x + (size_t)r * width, l->norm_gain, l->norm_bias, s->width, w->normed + (size_t)r * width);
            ready(s, w, w->normed, width, l->qkv.in, r);
        }
        meet(who);
        product(who, s, w, &l->qkv, w->normed, rows, width, w->qkv, parts, &first, &stop);
        meet(who);
        attend(who, l, s, w, b);
        meet(who);
        if (s->precision == INT8 && bytes_together > 1) {
            for (int r = begin; r < end; r++) ready(s, w, w->attended, heads, l->project.in, r);
            meet(who);
        }
        product(who, s, w, &l->project, w->attended, rows, heads, w->a, width, &first, &stop);
        meet(who);
        for (int r = begin; r < end; r++) { /* x + a, in x itself if branches are not scaled */
            float *middle = (plain ? w->x : w->a) + (size_t)r * width;
            const float *other = (plain ? w->a : w->x) + (size_t)r * width;
            for (int i = 0; i < width; i += LANES) store(middle + i, load(middle + i) + load(other + i));
            layer_norm(middle, l->mlp_norm_gain, l->mlp_norm_bias, s->width, w->normed + (size_t)r * width);
            ready(s, w, w->normed, width, l->mlp_in.in, r);
        }
        meet(who);
        product(who, s, w, &l->mlp_in, w->normed, rows, width, w->hidden, mlp, &first, &stop);
        for (int r = 0; r < rows; r++) quick_gelu(w->hidden + (size_t)r * mlp + first, stop - first);
        meet(who);
        if (s->precision == INT8 && bytes_together > 1) {
            for (int r = begin; r < end; r++) ready(s, w, w->hidden, mlp, l->mlp_out.in, r);
            meet(who);
        }
        product(who, s, w, &l->mlp_out, w->hidden, rows, mlp, w->normed, width, &first, &stop);
        meet(who);
        for (int r = begin; r < end; r++) {
            float *to = w->x + (size_t)r * width;
            const float *m = w->normed + (size_t)r * width, *middle = w->a + (size_t)r * width;
            for (int i = 0; i < width; i += LANES) { /* middle holds x + a here, so a = middle - x */
                const vec from = load(to + i);
                store(to + i, plain ? from + load(m + i) : from + s->scale * (load(middle + i) - from + load(m + i)));
            }
        }
    }
}

/* Logits (rows, head.out) of the last hidden states, the rows from `from` on. With a tied head the conditioning `after`
 * is added first. All of them are there after a meeting. */
static void logits_of(const member *who, const stack *s, const workspace *w, int from, int rows, const float *after,
                      int64_t after_stride, float *logits) {
    const int width = padded(s->width);
    float *x = w->x + (size_t)from * width;
    int begin, end, first, stop;
    if (from) meet(who); /* the row may be another member's */
    share(who, rows, &begin, &end);
    for (int r = begin; r < end; r++) {
        if (s->tied && after)
            for (int i = 0; i < s->width; i++) x[(size_t)r * width + i] += after[(size_t)r * after_stride + i];
        ready(s, w, x, width, s->head.in, r);
    }
    meet(who);
    product(who, s, w, &s->head, x, rows, width, logits, s->head.out, &first, &stop);
}

/* Arguments of jukectl_read. */
typedef struct {
    const stack *s;
    int sample, count;
    const float *inputs, *after;
    int64_t position;
    float *logits;
} prefix;

static void read_prefix(const member *who, void *what) {
    const prefix *p = what;
    const stack *s = p->s;
    const int width = padded(s->width), most = 64; /* READ_AT_ONCE in sampling/decoders/native.py: they share scratch */
    workspace w;
    lay_out(s, most, s->scratch, &w);
    for (int from = 0; from < p->count; from += most) {
        const int rows = p->count - from < most ? p->count - from : most;
        int begin, end;
        share(who, rows, &begin, &end);
        if (from) meet(who); /* the last rows are shared out in another way */
        for (int r = begin; r < end; r++) {
            memcpy(w.x + (size_t)r * width, p->inputs + (size_t)(from + r) * s->width, s->width * sizeof(float));
            memset(w.x + (size_t)r * width + s->width, 0, (width - s->width) * sizeof(float));
        }
        const batch b = {rows, p->position + from, p->sample, 1};
        forward(who, s, &w, &b);
        if (p->logits && from + rows == p->count) logits_of(who, s, &w, rows - 1, 1, p->after, 0, p->logits);
    }
}

/* Read inputs (count, width) of one sample at successive positions from `position` on, which fills its cache. Unless it
 * is NULL, write to `logits` those after the last input, with `after` (width,) added. */
void jukectl_read(const stack *s, int sample, const float *inputs, int count, int64_t position, const float *after,
                  float *logits) {
    prefix p = {s, sample, count, inputs, after, position, logits};
    work_together(s->threads, read_prefix, &p);
}

typedef struct { double scaled; int32_t id; } candidate; /* (logit - largest) / temperature */

/* Equal logits are in the order of their ids, as in a stable sort, so that both decoders choose the same. */
static inline int before(candidate a, candidate b) {
    return a.scaled > b.scaled || (a.scaled == b.scaled && a.id < b.id);
}

static void sink(candidate *heap, int count, int at) { /* restore the heap below `at`: the most likely id on top */
    for (int child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], heap[at])) return;
        const candidate swapped = heap[at];
        heap[at] = heap[child], heap[child] = swapped;
    }
}

/* The id whose vector is nearest to the expected one, of the stage of the most likely id `best`, as expected() in
 * sampling/draw.py. Returns -1 if memory is exhausted. */
static int64_t expected(const float *logits, int ids, const settings *d, int best) {
    const int size = ids / d->stages, first = best / size * size, width = d->vector_width;
    const float *vectors = d->vectors + (size_t)first * width;
    double *mean = calloc(width, sizeof(double)), total = 0, nearest = INFINITY;
    if (!mean) return -1;
    for (int k = 0; k < size; k++) {
        const double weight = exp((logits[first + k] - (double)logits[best]) / d->temperature);
        total += weight;
        for (int i = 0; i < width; i++) mean[i] += weight * vectors[(size_t)k * width + i];
    }
    int64_t found = best;
    for (int k = 0; k < size; k++) {
        double distance = 0;
        for (int i = 0; i < width; i++) {
            const double apart = vectors[(size_t)k * width + i] - mean[i] / total;
            distance += apart * apart;
        }
        if (distance < nearest) nearest = distance, found = first + k;
    }
    free(mean);
    return found;
}

/* Sample one id as sampling/draw.py does: the first whose cumulative probability exceeds `number`, uniform in 0..1.
 * Sums are in double, as there. Returns -1 if memory is exhausted. */
static int64_t draw(const float *logits, int ids, const settings *d, double number) {
    int best = 0;
    for (int k = 1; k < ids; k++)
        if (logits[k] > logits[best]) best = k;
    if (d->vectors && d->temperature > 0) return expected(logits, ids, d, best);
    if (d->temperature == 0 || d->top_k == 1) return best;
    const double largest = logits[best];
    double total = 0, sum = 0;
    /* without top-k and nucleus no order is needed: the usual case, apart for speed */
    if (d->top_p >= 1 && !(0 < d->top_k && d->top_k < ids)) {
        double *weights = malloc(ids * sizeof(double));
        if (!weights) return -1;
        for (int k = 0; k < ids; k++) total += weights[k] = exp((logits[k] - largest) / d->temperature);
        int64_t found = ids - 1;
        for (int k = 0; k < ids; k++)
            if ((sum += weights[k]) > number * total) {
                found = k;
                break;
            }
        free(weights);
        return found;
    }
    /* the most likely ids first, until there are top_k, or until they hold top_p of all: a heap yields the few that are
     * needed without sorting the others */
    candidate *heap = malloc(ids * sizeof(candidate));
    double *weights = calloc(ids, sizeof(double)), kept = 0;
    int *order = malloc(ids * sizeof(int)), count = ids, taken = 0;
    int64_t found = -1;
    if (heap && weights && order) {
        const int most = d->top_k > 0 && d->top_k < ids ? (int)d->top_k : ids;
        for (int k = 0; k < ids; k++) heap[k] = (candidate){(logits[k] - largest) / d->temperature, k};
        for (int k = ids / 2; k-- > 0;) sink(heap, ids, k);
        if (most == ids)
            for (int k = 0; k < ids; k++) kept += exp((logits[k] - largest) / d->temperature);
        while (taken < most && (most < ids || sum < d->top_p * kept || !taken)) {
            order[taken] = heap[0].id;
            sum += weights[taken++] = exp(heap[0].scaled);
            heap[0] = heap[--count];
            sink(heap, count, 0);
        }
        if (most < ids) { /* top-k comes first, and the nucleus is a part of what it kept */
            const double all = sum;
            sum = 0;
            int inside = 0;
            while (inside < taken && (sum < d->top_p * all || !inside)) sum += weights[inside++];
            taken = inside;
        }
        /* back in the order of ids, which the cumulative sum follows */
        double *by_id = calloc(ids, sizeof(double));
        if (by_id) {
            for (int k = 0; k < taken; k++) by_id[order[k]] = weights[k];
            for (int k = 0; k < ids; k++) total += by_id[k];
            sum = 0;
            for (int k = 0; k < ids && found < 0; k++)
                if (by_id[k] > 0 && (sum += by_id[k]) > number * total) found = k;
            for (int k = ids; found < 0 && k-- > 0;) /* rounding may leave the sum just below: the last id then */
                if (by_id[k] > 0) found = k;
            free(by_id);
        }
    }
    free(heap), free(weights), free(order);
    return found;
}

/* Arguments of jukectl_decode. */
typedef struct {
    const stack *s;
    int rows, count, pending;
    int64_t position;
    const settings *d;
    const float *conditioning;
    int64_t positions;
    const double *uniform;
    float *logits;
    int64_t *sampled, *last;
    atomic_int failed;
} sampling;

static void sample_ids(const member *who, void *what) {
    sampling *p = what;
    const stack *s = p->s;
    const int width = padded(s->width);
    const size_t stride = (size_t)p->positions * s->width; /* floats of one row's conditioning */
    const float strength = (float)p->d->guidance;
    const int samples = strength == 1 ? p->rows : p->rows / 2;
    workspace w;
    lay_out(s, p->rows, s->scratch, &w);
    int begin, end, first, stop;
    share(who, p->rows, &begin, &end);
    share(who, samples, &first, &stop);
    int64_t position = p->position;
    for (int n = 0; n < p->count; n++) {
        /* computed only when an id is requested: the last id of a window costs no step */
        if (n || !p->pending) {
            position++;
            for (int r = begin; r < end; r++) {
                float *to = w.x + (size_t)r * width;
                const float *id = s->embedding + (size_t)p->last[r] * s->width;
                const size_t at = (size_t)(s->lyric_tokens + position) * s->width;
                const float *place = s->positions ? s->positions + at : NULL;
                const float *more =
                    p->conditioning ? p->conditioning + r * stride + (size_t)position * s->width : NULL;
                for (int i = 0; i < s->width; i++) to[i] = id[i] + (place ? place[i] : 0) + (more ? more[i] : 0);
                memset(to + s->width, 0, (width - s->width) * sizeof(float));
            }
            const batch b = {p->rows, s->lyric_tokens + position, 0, 0};
            forward(who, s, &w, &b);
            const float *after = p->conditioning ? p->conditioning + (size_t)position * s->width : NULL;
            logits_of(who, s, &w, 0, p->rows, after, stride, p->logits);
            meet(who);
        }
        for (int r = first; r < stop; r++) {
            float *own = p->logits + (size_t)r * s->head.out;
            if (samples < p->rows) {
                const float *unconditional = own + (size_t)samples * s->head.out;
                for (int k = 0; k < s->ids; k++) own[k] = unconditional[k] + strength * (own[k] - unconditional[k]);
            }
            const int64_t id = draw(own, s->ids, p->d, p->uniform[(size_t)r * p->count + n]);
            if (id < 0) atomic_store(&p->failed, 1);
            p->last[r] = id;
            if (samples < p->rows) p->last[samples + r] = id;
            p->sampled[(size_t)r * p->count + n] = id;
        }
        meet(who); /* so that all see the ids, and whether one is missing */
        if (atomic_load(&p->failed)) return;
    }
}

/* Sample the next `count` ids of `rows` rows. `logits` (rows, head.out) are those at code `position`. Ids are written
 * to `sampled` (rows, count), chosen by the random numbers `uniform` (rows, count). `conditioning` is (rows, positions,
 * width) or NULL. `last` (rows,) holds the ids sampled last; the logits after them are computed first, unless logits
 * are `pending`, as after a prefix.
 *
 * Under classifier-free guidance the second half of the rows are the unconditional ones of the first half. Ids are
 * sampled for the first half, from the logits of both, and both halves continue with them. Returns 0, or -1 if memory
 * is exhausted. */
int jukectl_decode(const stack *s, int rows, int64_t position, int count, const settings *d, const float *conditioning,
                   int64_t positions, const double *uniform, float *logits, int64_t *sampled, int64_t *last,
                   int pending) {
    sampling p = {s,       rows,   count,   pending, position, d, conditioning, positions,
                  uniform, logits, sampled, last,    0};
    work_together(s->threads, sample_ids, &p);
    return atomic_load(&p.failed) ? -1 : 0;
}

/* Checksum of bytes, of sixteen lanes of multiplications and additions: it takes as long as reading them. */
uint64_t jukectl_checksum(const uint8_t *bytes, int64_t count) {
    uvec lanes[4] = {{0}};
    int64_t i = 0;
    for (; i + 256 <= count; i += 256)
        for (int j = 0; j < 4; j++) lanes[j] = lanes[j] * 0x9e3779b1u + *(const uvec *)(bytes + i + 64 * j);
    uint64_t sum = (uint64_t)count;
    for (; i < count; i++) sum = sum * 0x9e3779b97f4a7c15u + bytes[i];
    for (int j = 0; j < 4; j++)
        for (int k = 0; k < LANES; k++) sum = sum * 0x9e3779b97f4a7c15u + lanes[j][k];
    return sum;
}

/* Version of the structures and functions here, compared with INTERFACE in library.py. */
int jukectl_interface(void) { return 5; }

/* Use tiles where the processor has them (1, the default), or not (0). The results are the same. */
void jukectl_use_tiles(int use) {
#if defined(TILES)
    tiles_wanted = use;
#else
    (void)use;
#endif
}

/* Number of consecutive inputs whose INT8 weights are contiguous in a panel. */
int jukectl_bytes_together(void) { return bytes_together; }

/* Best instruction set that the CPU supports: 2 AVX-512 with dot products of bytes (VNNI), 1 AVX2, 0 the baseline. */
int jukectl_processor(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}
