/* The scalar and the vector of one build: REAL is float or double, and the
   vector is as wide as the instruction set that the compiler was told. */
#ifndef MINIDL_SIMD_H
#define MINIDL_SIMD_H
#include <string.h>
#include <sys/types.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#ifdef MINIDL_DOUBLE
typedef double real;
typedef long long mask_t;
#else
typedef float real;
typedef int mask_t;
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define MR 14 /* 14 x 2 accumulators, 2 weights, 1 input: 31 of 32 registers */
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#define MR 6 /* 6 x 2 accumulators, 2 weights, 1 input: 15 of 16 registers */
#else
#define VECTOR_BYTES 16
#define MR 6
#endif

#define LANES ((int)(VECTOR_BYTES / sizeof(real)))
#define NR (2 * LANES)

/* Accumulators of a dot product of rows with rows: 24 of 32 registers, 8 of 16.
   Rows of weights, two vectors of each, that stay in registers: 16 of 32, 8 of 16. */
#ifdef __AVX512F__
#define DOT_ROWS 6
#define DOT_COLUMNS 4
#define W_ROWS 8
#else
#define DOT_ROWS 4
#define DOT_COLUMNS 2
#define W_ROWS 4
#endif

/* Rows of a block of a product: their pointers and data stay in the L2 cache. */
#define BLOCK (16 * MR)
/* Pixels of one pass of a weight adjoint: a packed panel of 16 KiB, for the L1 cache. */
#define CHUNK 128

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef mask_t vmask __attribute__((vector_size(VECTOR_BYTES)));
/* the same vector at any address */
typedef real vecu __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

#define INLINE static inline __attribute__((always_inline))
INLINE vec splat(real a) { return a - (vec){0}; }
INLINE vec load(const real *p) { return *(const vecu *)p; }
INLINE void store(real *p, vec v) { *(vecu *)p = v; }
/* ask for the cache line at p, which need not exist */
INLINE void prefetch(const real *p) { __builtin_prefetch(p); }
/* the same, as far as the L2 cache */
INLINE void prefetch_far(const real *p) { __builtin_prefetch(p, 0, 2); }
/* the same, to be written */
INLINE void prefetch_write(const real *p) { __builtin_prefetch(p, 1); }
/* past the caches, for what is not read soon; p is aligned to a vector */
INLINE void stream(real *p, vec v) {
#if defined(__AVX512F__) && defined(MINIDL_DOUBLE)
  __builtin_ia32_movntpd512(p, v);
#elif defined(__AVX512F__)
  __builtin_ia32_movntps512(p, v);
#elif defined(__AVX__) && defined(MINIDL_DOUBLE)
  __builtin_ia32_movntpd256(p, v);
#elif defined(__AVX__)
  __builtin_ia32_movntps256(p, v);
#else
  store(p, v);
#endif
}
/* a where m holds, else b */
INLINE vec pick(vmask m, vec a, vec b) {
  return (vec)(((vmask)a & m) | ((vmask)b & ~m));
}
INLINE vmask greater(vec a, vec b) { return a > b; }
INLINE vmask less(vec a, vec b) { return a < b; }
INLINE vmask unequal(vec a, vec b) { return a != b; }
INLINE vec relu(vec v) { return pick(less(v, splat(0)), splat(0), v); }
/* exp and its kin work on the bits: adding 1.5 * 2^MANTISSA rounds to a whole number
   and leaves it in the low bits, where a shift makes an exponent of it */
#ifdef MINIDL_DOUBLE
#define MANTISSA 52
#define BIAS 1023
#define MAGIC 6755399441055744.0
#define SIGN ((mask_t)1 << 63)
#else
#define MANTISSA 23
#define BIAS 127
#define MAGIC 12582912.0f
#define SIGN ((mask_t)1 << 31)
#endif
/* the whole number nearest to v, |v| < 2^(MANTISSA - 2) */
INLINE vec nearest(vec v) { return (v + MAGIC) - MAGIC; }
/* 2^k for a whole k of a normal result */
INLINE vec two_to(vec k) { return (vec)((vmask)(k + (MAGIC + BIAS)) << MANTISSA); }
INLINE vec magnitude(vec v) { return (vec)((vmask)v & ~SIGN); }
/* v, which is not negative, with the sign of s */
INLINE vec with_sign(vec v, vec s) { return (vec)((vmask)v | ((vmask)s & SIGN)); }
INLINE vec square_root(vec v) {
#if defined(__AVX512F__) && defined(MINIDL_DOUBLE)
  return (vec)_mm512_sqrt_pd((__m512d)v);
#elif defined(__AVX512F__)
  return (vec)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__) && defined(MINIDL_DOUBLE)
  return (vec)_mm256_sqrt_pd((__m256d)v);
#elif defined(__AVX2__)
  return (vec)_mm256_sqrt_ps((__m256)v);
#else
  for (int i = 0; i < LANES; i++) v[i] = __builtin_sqrt(v[i]);
  return v;
#endif
}
static const mask_t LANE[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
/* the lanes before n */
INLINE vmask before(ssize_t n) {
  vmask lane;
  memcpy(&lane, LANE, sizeof lane);
  return lane < (mask_t)n;
}
/* the first n lanes of v, and zeros */
INLINE vec first(vec v, ssize_t n) { return (vec)((vmask)v & before(n)); }
/* the next n numbers: a vector of them, or what is left, and zeros */
INLINE vec load_part(const real *p, ssize_t n) {
  if (n >= LANES) return load(p);
#if defined(__AVX512F__) && defined(MINIDL_DOUBLE)
  return (vec)_mm512_maskz_loadu_pd((1u << n) - 1, p);
#elif defined(__AVX512F__)
  return (vec)_mm512_maskz_loadu_ps((1u << n) - 1, p);
#elif defined(__AVX2__) && defined(MINIDL_DOUBLE)
  return (vec)_mm256_maskload_pd(p, (__m256i)before(n));
#elif defined(__AVX2__)
  return (vec)_mm256_maskload_ps(p, (__m256i)before(n));
#else
  vec v = {0};
  memcpy(&v, p, n * sizeof(real));
  return v;
#endif
}
INLINE void store_part(real *p, vec v, ssize_t n) {
  if (n >= LANES) {
    store(p, v);
    return;
  }
#if defined(__AVX512F__) && defined(MINIDL_DOUBLE)
  _mm512_mask_storeu_pd(p, (1u << n) - 1, (__m512d)v);
#elif defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (1u << n) - 1, (__m512)v);
#elif defined(__AVX2__) && defined(MINIDL_DOUBLE)
  _mm256_maskstore_pd(p, (__m256i)before(n), (__m256d)v);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, (__m256i)before(n), (__m256)v);
#else
  memcpy(p, &v, n * sizeof(real));
#endif
}
/* r, LANES vectors, as a matrix: its transpose. The bits of row and lane are exchanged one
   by one. */
INLINE void transpose(vec *r) {
#pragma GCC unroll 4
  for (int bit = 1; bit < LANES; bit *= 2) {
    vmask even, odd;
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) {
      even[l] = l & bit ? LANES + l - bit : l;
      odd[l] = l & bit ? LANES + l : l + bit;
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
      if (!(i & bit)) {
        vec a = r[i], b = r[i + bit];
        r[i] = __builtin_shuffle(a, b, even);
        r[i + bit] = __builtin_shuffle(a, b, odd);
      }
  }
}
/* the sum of all lanes, and the largest: by halves, always in the same order */
INLINE real total(vec v) {
  real sum[LANES];
  memcpy(sum, &v, sizeof v);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) sum[i] += sum[i + half];
  return sum[0];
}
INLINE real largest(vec v) {
  real top[LANES];
  memcpy(top, &v, sizeof v);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++)
      if (top[i] < top[i + half]) top[i] = top[i + half];
  return top[0];
}
#endif
