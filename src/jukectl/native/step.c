/* Decoding step of a prior on CPUs: samples codes one after another and reads every weight once per code, in the order
 * of use, since memory bandwidth limits the speed of small batches.
 *
 * compiling.py compiles it once for each instruction set, and library.py loads the best variant that the CPU supports.
 * There is no state here: everything is in the structures that packing.py fills. The arithmetic of a row (a sample, or
 * a position of a prefix) does not depend on the rows beside it, so codes have the same bits in every batch and chunk.
 *
 * Needs the vector extensions of GCC or Clang, which split these vectors into registers of any width.
 */
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
#define ROWS 4            /* rows that share one pass over a panel: as many as have registers for their sums */

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
} stack;

typedef struct {
    double temperature, top_p; /* temperature 0 takes the most likely id */
    int64_t top_k;             /* 0: all */
    double guidance;           /* of classifier-free guidance; 1: there are no unconditional rows */
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
 * whatever the number of rows. The bounds are constants where it is inlined, so the sums stay in registers; four rows
 * take the panel in two halves, since all their sums at once would not fit. */
#define AFFINE(NAME, TYPE, LOAD)                                                                                      \
    static inline __attribute__((always_inline)) void NAME##_part(const matrix *m, const TYPE *w, const float *x,     \
                                                                  int x_stride, float *y, int y_stride, int panel,    \
                                                                  const int rows, const int first, const int count) { \
        vec sum[ROWS][VECTORS];                                                                                       \
        for (int r = 0; r < rows; r++)                                                                                \
            for (int j = 0; j < count; j++) sum[r][j] = (vec){0};                                                     \
        w += first * LANES;                                                                                           \
        for (int i = 0; i < m->in; i++, w += PANEL)                                                                   \
            for (int j = 0; j < count; j++) {                                                                         \
                vec weights = LOAD(w + j * LANES);                                                                    \
                for (int r = 0; r < rows; r++) sum[r][j] += weights * x[(size_t)r * x_stride + i];                    \
            }                                                                                                         \
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
    static void NAME(const matrix *m, const float *x, int rows, int x_stride, float *y, int y_stride) {               \
        const TYPE *w = m->weight;                                                                                    \
        const int half = VECTORS / 2;                                                                                 \
        for (int panel = 0; panel < m->out; panel += PANEL, w += (size_t)m->in * PANEL) {                             \
            int r = 0;                                                                                                \
            for (; r + ROWS <= rows; r += ROWS) {                                                                     \
                const float *from = x + (size_t)r * x_stride;                                                         \
                float *to = y + (size_t)r * y_stride;                                                                 \
                NAME##_part(m, w, from, x_stride, to, y_stride, panel, ROWS, 0, half);                                \
                NAME##_part(m, w, from, x_stride, to, y_stride, panel, ROWS, half, half);                             \
            }                                                                                                         \
            for (; r < rows; r++)                                                                                     \
                NAME##_part(m, w, x + (size_t)r * x_stride, x_stride, y + (size_t)r * y_stride, y_stride, panel, 1,   \
                            0, VECTORS);                                                                              \
        }                                                                                                             \
    }

AFFINE(affine_f32, float, load_f32)
AFFINE(affine_bf16, uint16_t, load_bf16)

#if !defined(__AVX512VNNI__)

AFFINE(affine_i8, int8_t, load_i8)
static const int bytes_together = 1;

#else

static const int bytes_together = 4;

/* Activations are rounded to 16 bits, as two planes of bytes. The instruction (VNNI) multiplies unsigned by signed
 * bytes and adds four products, so two of them give the product with byte weights, high plane and low plane. 8 bits
 * would be too coarse for activations, whose largest values are far above the others. */
static void affine_i8(const matrix *m, const float *x, int rows, int x_stride, float *y, int y_stride) {
    const int in = m->in;
    uint8_t high_plane[in], low_plane[in];
    for (int r = 0; r < rows; r++) {
        const float *from = x + (size_t)r * x_stride;
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
            *(ubytes *)(high_plane + i) = __builtin_convertvector(value >> 8, ubytes);
            *(ubytes *)(low_plane + i) = __builtin_convertvector(value & 255, ubytes);
        }
        for (; i < in; i++) {
            const int value = (int)(from[i] * inverse + 32768.5f);
            high_plane[i] = (uint8_t)(value >> 8), low_plane[i] = (uint8_t)value;
        }
        const int8_t *w = m->weight;
        for (int panel = 0; panel < m->out; panel += PANEL) {
            __m512i high[VECTORS], low[VECTORS];
            for (int j = 0; j < VECTORS; j++) high[j] = low[j] = _mm512_setzero_si512();
            for (int i = 0; i < in; i += 4, w += 4 * PANEL) {
                int32_t four_high, four_low;
                memcpy(&four_high, high_plane + i, 4), memcpy(&four_low, low_plane + i, 4);
                const __m512i highs = _mm512_set1_epi32(four_high), lows = _mm512_set1_epi32(four_low);
                for (int j = 0; j < VECTORS; j++) {
                    const __m512i weights = _mm512_loadu_si512(w + 4 * LANES * j);
                    high[j] = _mm512_dpbusd_epi32(high[j], highs, weights);
                    low[j] = _mm512_dpbusd_epi32(low[j], lows, weights);
                }
            }
            /* the product is 256 high + low - 32768 sums, without the offset; it may exceed 2^31, so 256 (high - 128
             * sums) is formed in floats, after the difference of integers that is exact */
            for (int j = 0; j < VECTORS; j++) {
                const int at = panel + LANES * j;
                const __m512i over = _mm512_slli_epi32(_mm512_loadu_si512(m->sums + at), 7);
                __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(high[j], over));
                value = _mm512_fmadd_ps(value, _mm512_set1_ps(256.0f), _mm512_cvtepi32_ps(low[j]));
                value = _mm512_mul_ps(_mm512_mul_ps(value, _mm512_set1_ps(unit)), _mm512_loadu_ps(m->scale + at));
                if (m->bias) value = _mm512_add_ps(value, _mm512_loadu_ps(m->bias + at));
                _mm512_storeu_ps(y + (size_t)r * y_stride + at, value);
            }
        }
    }
}

#endif

static void affine(int precision, const matrix *m, const float *x, int rows, int x_stride, float *y, int y_stride) {
    if (precision == FP32)
        affine_f32(m, x, rows, x_stride, y, y_stride);
    else if (precision == BF16)
        affine_bf16(m, x, rows, x_stride, y, y_stride);
    else
        affine_i8(m, x, rows, x_stride, y, y_stride);
}

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

static inline float dot(const float *a, const float *b, int n) {
    vec sum = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES) sum += load(a + i) * load(b + i);
    float t = i ? add_up(sum) : 0;
    for (; i < n; i++) t += a[i] * b[i];
    return t;
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

/* Attention of one row: stores its key and value in `cache`, that of its sample, and writes the attended values. With
 * rotary positions queries and keys are turned in place first, and keys are cached turned: a position has the same
 * angle for every later query. One pass for scores, one for the softmax, one for values: a row has few enough keys that
 * the scores stay in the cache. */
static void attend(const layer *l, const stack *s, float *cache, int64_t position, float *qkv, float *out,
                   float *weights) {
    const int D = s->head_width, inner = s->heads * D;
    const float scale = 1.0f / sqrtf((float)D);
    int64_t slot, start, stop;
    find_slots(l, s, position, &slot, &start, &stop);
    const int64_t n = stop - start, whole = (n + LANES - 1) / LANES * LANES;
    for (int h = 0; h < s->heads; h++) {
        float *keys = cache + (size_t)h * l->slots * D, *values = keys + (size_t)s->heads * l->slots * D;
        float *query = qkv + h * D, *to = out + h * D;
        if (s->rotations && l->kind != ENCODER) { /* states of the lyrics are not positions of this sequence */
            rotate(query, s->rotations + position * D, D);
            rotate(query + inner, s->rotations + position * D, D);
        }
        if (slot >= 0) {
            memcpy(keys + slot * D, query + inner, D * sizeof(float));
            memcpy(values + slot * D, query + 2 * inner, D * sizeof(float));
        }
        if (n == 0) { /* the first block of PREVIOUS_ROW */
            memset(to, 0, D * sizeof(float));
            continue;
        }
        float largest = -INFINITY;
        for (int64_t j = 0; j < n; j++) {
            weights[j] = scale * dot(query, keys + (start + j) * D, D);
            largest = fmaxf(largest, weights[j]);
        }
        for (int64_t j = n; j < whole; j++) weights[j] = -INFINITY; /* weight 0: whole vectors need no remainder */
        vec sums = {0};
        for (int64_t j = 0; j < whole; j += LANES) {
            const vec e = exponential(load(weights + j) - largest);
            store(weights + j, e);
            sums += e;
        }
        const float inverse = 1.0f / add_up(sums);
        int d = 0;
        for (; d + LANES <= D; d += LANES) {
            vec even = {0}, odd = {0}; /* two chains of sums, so that one addition need not wait for the other */
            const float *v = values + start * D + d;
            int64_t j = 0;
            for (; j + 2 <= n; j += 2) {
                even += load(v + j * D) * weights[j];
                odd += load(v + (j + 1) * D) * weights[j + 1];
            }
            if (j < n) even += load(v + j * D) * weights[j];
            store(to + d, (even + odd) * inverse);
        }
        for (; d < D; d++) {
            float sum = 0;
            for (int64_t j = 0; j < n; j++) sum += values[(start + j) * D + d] * weights[j];
            to[d] = sum * inverse;
        }
    }
}

/* Number of floats of scratch for that many rows: the activations of `forward`, its input, and one row of scores. */
int64_t jukectl_scratch(const stack *s, int rows) {
    const int64_t width = padded(s->width), inner = s->heads * s->head_width;
    const int64_t each = 3 * width + padded(3 * inner) + padded(inner) + padded(s->mlp);
    return rows * each + padded(s->length) + PANEL;
}

/* Transform rows (rows, padded width) in place by all blocks. The rows are samples, all at `position`; or, if
 * `reading`, successive positions of the sample `first`, from `position` on. Rows attend in order, so a position finds
 * the keys of those before it in the cache. */
static void forward(const stack *s, float *x, int rows, int64_t position, int first, int reading) {
    const int inner = s->heads * s->head_width;
    const int width = padded(s->width), parts = padded(3 * inner), heads = padded(inner), mlp = padded(s->mlp);
    float *normed = s->scratch, *qkv = normed + (size_t)rows * width, *attended = qkv + (size_t)rows * parts;
    float *a = attended + (size_t)rows * heads, *hidden = a + (size_t)rows * width;
    float *weights = hidden + (size_t)rows * mlp;
    const int plain = s->scale == 1.0f;
    for (int n = 0; n < s->depth; n++) {
        const layer *l = s->layers + n;
        const size_t one = (size_t)2 * inner * l->slots; /* floats of one sample's cache */
        for (int r = 0; r < rows; r++)
            layer_norm(x + (size_t)r * width, l->norm_gain, l->norm_bias, s->width, normed + (size_t)r * width);
        affine(s->precision, &l->qkv, normed, rows, width, qkv, parts);
        for (int r = 0; r < rows; r++)
            attend(l, s, l->cache + (size_t)(reading ? first : first + r) * one, reading ? position + r : position,
                   qkv + (size_t)r * parts, attended + (size_t)r * heads, weights);
        affine(s->precision, &l->project, attended, rows, heads, a, width);
        for (int r = 0; r < rows; r++) { /* x + a, in x itself if branches are not scaled */
            float *middle = (plain ? x : a) + (size_t)r * width;
            const float *other = (plain ? a : x) + (size_t)r * width;
            for (int i = 0; i < width; i += LANES) store(middle + i, load(middle + i) + load(other + i));
            layer_norm(middle, l->mlp_norm_gain, l->mlp_norm_bias, s->width, normed + (size_t)r * width);
        }
        affine(s->precision, &l->mlp_in, normed, rows, width, hidden, mlp);
        for (int r = 0; r < rows; r++) quick_gelu(hidden + (size_t)r * mlp, mlp);
        affine(s->precision, &l->mlp_out, hidden, rows, mlp, normed, width);
        for (int r = 0; r < rows; r++) {
            float *to = x + (size_t)r * width;
            const float *m = normed + (size_t)r * width, *middle = a + (size_t)r * width;
            for (int i = 0; i < width; i += LANES) { /* middle holds x + a here, so a = middle - x */
                const vec from = load(to + i);
                store(to + i, plain ? from + load(m + i) : from + s->scale * (load(middle + i) - from + load(m + i)));
            }
        }
    }
}

/* Logits (rows, head.out) of the last hidden states. With a tied head the conditioning `after` is added first. */
static void logits_of(const stack *s, float *x, int rows, const float *after, int64_t after_stride, float *logits) {
    const int width = padded(s->width);
    if (s->tied && after)
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < s->width; i++) x[(size_t)r * width + i] += after[(size_t)r * after_stride + i];
    affine(s->precision, &s->head, x, rows, width, logits, s->head.out);
}

/* Read inputs (count, width) of one sample at successive positions from `position` on, which fills its cache. Unless it
 * is NULL, write to `logits` those after the last input, with `after` (width,) added. */
void jukectl_read(const stack *s, int sample, const float *inputs, int count, int64_t position, const float *after,
                  float *logits) {
    const int width = padded(s->width), most = 64; /* READ_AT_ONCE in sampling/decoders/native.py: they share scratch */
    float *x = s->scratch + jukectl_scratch(s, most) - (size_t)most * width; /* after what `forward` uses */
    for (int from = 0; from < count; from += most) {
        const int rows = count - from < most ? count - from : most;
        for (int r = 0; r < rows; r++) {
            memcpy(x + (size_t)r * width, inputs + (size_t)(from + r) * s->width, s->width * sizeof(float));
            memset(x + (size_t)r * width + s->width, 0, (width - s->width) * sizeof(float));
        }
        forward(s, x, rows, position + from, sample, 1);
        if (logits && from + rows == count) logits_of(s, x + (size_t)(rows - 1) * width, 1, after, 0, logits);
    }
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

/* Sample one id as sampling/draw.py does: the first whose cumulative probability exceeds `number`, uniform in 0..1.
 * Sums are in double, as there. Returns -1 if memory is exhausted. */
static int64_t draw(const float *logits, int ids, const settings *d, double number) {
    int best = 0;
    for (int k = 1; k < ids; k++)
        if (logits[k] > logits[best]) best = k;
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
    const int width = padded(s->width);
    float *x = s->scratch + jukectl_scratch(s, rows) - (size_t)rows * width;
    const size_t stride = (size_t)positions * s->width; /* floats of one row's conditioning */
    const float strength = (float)d->guidance;
    const int samples = strength == 1 ? rows : rows / 2;
    for (int n = 0; n < count; n++) {
        /* computed only when an id is requested: the last id of a window costs no step */
        if (!pending) {
            position++;
            for (int r = 0; r < rows; r++) {
                float *to = x + (size_t)r * width;
                const float *id = s->embedding + (size_t)last[r] * s->width;
                const size_t at = (size_t)(s->lyric_tokens + position) * s->width;
                const float *place = s->positions ? s->positions + at : NULL;
                const float *more = conditioning ? conditioning + r * stride + (size_t)position * s->width : NULL;
                for (int i = 0; i < s->width; i++) to[i] = id[i] + (place ? place[i] : 0) + (more ? more[i] : 0);
                memset(to + s->width, 0, (width - s->width) * sizeof(float));
            }
            forward(s, x, rows, s->lyric_tokens + position, 0, 0);
            logits_of(s, x, rows, conditioning ? conditioning + (size_t)position * s->width : NULL, stride, logits);
        }
        pending = 0;
        for (int r = 0; r < samples; r++) {
            float *own = logits + (size_t)r * s->head.out;
            if (samples < rows) {
                const float *unconditional = own + (size_t)samples * s->head.out;
                for (int k = 0; k < s->ids; k++) own[k] = unconditional[k] + strength * (own[k] - unconditional[k]);
            }
            last[r] = draw(own, s->ids, d, uniform[(size_t)r * count + n]);
            if (last[r] < 0) return -1;
            if (samples < rows) last[samples + r] = last[r];
            sampled[(size_t)r * count + n] = last[r];
        }
    }
    return 0;
}

/* Version of the structures and functions here, compared with INTERFACE in library.py. */
int jukectl_interface(void) { return 3; }

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
