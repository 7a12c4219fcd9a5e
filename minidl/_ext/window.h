/* Beside the vectors of simd.h: parts of them, and whole numbers in their lanes. */
#ifndef MINIDL_WINDOW_H
#define MINIDL_WINDOW_H
#include "simd.h"

/* `n` <= LANES numbers from p, and zeros; `give` writes as many. Pooling works pixel by
   pixel, so parts are usual: a memcpy of n numbers took most of its time. */
#if defined(__AVX2__)
#include <immintrin.h>
#ifdef MINIDL_DOUBLE
#define OF(width, what, ...) _mm##width##_##what##_pd##__VA_ARGS__
#else
#define OF(width, what, ...) _mm##width##_##what##_ps##__VA_ARGS__
#endif
#endif
#if defined(__AVX512F__)
#define PART(n) ((1u << (n)) - 1)
#define TAKE(p, n) OF(512, maskz_loadu)(PART(n), p)
#define GIVE(p, v, n) OF(512, mask_storeu)(p, PART(n), v)
#elif defined(__AVX2__)
INLINE __m256i part_(ssize_t n) {
  static const mask_t border[2 * LANES] = {[0 ... LANES - 1] = -1};
  return _mm256_loadu_si256((const __m256i *)(border + LANES - n));
}
#define TAKE(p, n) OF(256, maskload)(p, part_(n))
#define GIVE(p, v, n) OF(256, maskstore)(p, part_(n), v)
#elif defined(MINIDL_DOUBLE) /* LANES is 2 */
#define TAKE(p, n) (vec){p[0]}
#define GIVE(p, v, n) p[0] = v[0]
#else /* LANES is 4 */
#define TAKE(p, n) (vec){p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0}
#define GIVE(p, v, n) (p[0] = v[0], n > 1 ? p[1] = v[1] : 0, n > 2 ? p[2] = v[2] : 0)
#endif
INLINE vec take(const real *p, ssize_t n) {
  return n == LANES ? load(p) : (vec)TAKE(p, n);
}
INLINE void give(real *p, vec v, ssize_t n) {
  if (n == LANES) store(p, v);
  else GIVE(p, v, n);
}

/* v and its seat in place of `best` and its where v is at least as large, or NaN: so NaN
   wins and stays. GCC would make vectors of the masks. */
INLINE void challenge(vec v, vec number, vec *best, vec *seat) {
#if defined(__AVX512F__)
  int won = OF(512, cmp, _mask)(v, *best, _CMP_GE_OQ);
  won |= OF(512, cmp, _mask)(v, v, _CMP_UNORD_Q);
  *best = OF(512, mask_mov)(*best, won, v);
  *seat = OF(512, mask_mov)(*seat, won, number);
#else
  vmask won = (v >= *best) | (v != v);
  *best = pick(won, v, *best);
  *seat = pick(won, number, *seat);
#endif
}
/* The same without seats, in few steps that wait for each other: of NaN, best may keep
   none, but odd does. */
INLINE void climb(vec v, vec *best, vec *odd) {
#if defined(__AVX512F__)
  *best = OF(512, max)(*best, v);
  *odd = OF(512, mask_mov)(*odd, OF(512, cmp, _mask)(v, v, _CMP_UNORD_Q), v);
#elif defined(__AVX2__)
  *best = OF(256, max)(*best, v);
  *odd = pick(v != v, v, *odd);
#else
  *best = pick(v < *best, *best, v);
  *odd = pick(v != v, v, *odd);
#endif
}
INLINE vec summit(vec best, vec odd) { return pick(odd != odd, odd, best); }
/* where v is `best`, or NaN */
INLINE vmask meets(vec v, vec best) { return (v == best) | (v != v); }

/* Small numbers, several in a lane: of `bits` bits, beginning at bit `low` */
INLINE vec lanes(mask_t t) { return (vec)(t - (vmask){0}); }
INLINE vec pack(vec word, vec number, int low) {
  return (vec)((vmask)word | ((vmask)number << low));
}
INLINE vec unpack(vec word, int low, int bits) {
  return (vec)(((vmask)word >> low) & (mask_t)(((long long)1 << bits) - 1));
}
/* sum, and e added where the lanes of `seat` hold `number` */
INLINE vec plus_where(vec sum, vec seat, mask_t number, vec e) {
#if defined(__AVX512F__) && defined(MINIDL_DOUBLE)
  int here = _mm512_cmpeq_epi64_mask((__m512i)seat, _mm512_set1_epi64(number));
  return (vec)_mm512_mask_add_pd(sum, here, sum, e);
#elif defined(__AVX512F__)
  int here = _mm512_cmpeq_epi32_mask((__m512i)seat, _mm512_set1_epi32(number));
  return (vec)_mm512_mask_add_ps(sum, here, sum, e);
#else
  return sum + pick((vmask)seat == number, e, splat(0));
#endif
}
#endif
