/* The scalar and the vector of one build: REAL is float or double, and the
   vector is as wide as the instruction set that the compiler was told. */
#ifndef MINIDL_SIMD_H
#define MINIDL_SIMD_H
#include <string.h>

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

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef mask_t vmask __attribute__((vector_size(VECTOR_BYTES)));
/* the same vector at any address */
typedef real vecu __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

#define INLINE static inline __attribute__((always_inline))
INLINE vec splat(real a) { return a - (vec){0}; }
INLINE vec load(const real *p) { return *(const vecu *)p; }
INLINE void store(real *p, vec v) { *(vecu *)p = v; }
/* a where m holds, else b */
INLINE vec pick(vmask m, vec a, vec b) {
  return (vec)(((vmask)a & m) | ((vmask)b & ~m));
}
INLINE vmask greater(vec a, vec b) { return a > b; }
INLINE vmask less(vec a, vec b) { return a < b; }
#endif
