/* The register tile: up to MR rows by NR columns of a product, kept in registers.

     forward_tile  x[r, f] = sum_t sum_l a[t][r][l] b[t run + l, f]   rows by pointers
     point_tile    x[r, f] = sum_l a[r][l] b[l, f]   rows side by side, LANES of each
     adjoint_tile  g[l, f] = sum_m a[m][l] e[m, f]   over pixels m; `add`: to g

   b and e are panels of NR columns, filled up with zeros; a narrow one has LANES. Every
   accumulator has a name, for GCC keeps arrays in registers only when it feels like it.
   There is a copy of each tile for each height, and for narrow panels.

   The panel read after this one comes from far away: the first two tiles ask for it,
   a cache line a step. */
#ifndef MINIDL_TILE_H
#define MINIDL_TILE_H
#include "simd.h"

#if MR > 6
#define ROWS(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) \
  do(11) do(12) do(13)
#define HEIGHTS(do) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) \
  do(12) do(13) do(14)
#else
#define ROWS(do) do(0) do(1) do(2) do(3) do(4) do(5)
#define HEIGHTS(do) do(1) do(2) do(3) do(4) do(5) do(6)
#endif

/* row i of the accumulators: p and q are its halves */
#define ZERO(i) vec p##i = {0}, q##i = {0};
#define ROW(i) const real *a##i;
#define FROM(i) a##i = i < height ? rows[i] : 0;
/* Eight pointers have a register. GCC 12 would keep some of the others in vector registers
   that are free, and to move one back takes the place of a multiply-add. */
#define SPILL(i) if (8 <= i && i < height) __asm__("" : "+m"(a##i));
#define STEP(i, entry) \
  if (i < height) { \
    vec v = splat(entry); \
    p##i = p##i + v * b0; \
    if (halves == 2) q##i = q##i + v * b1; \
  }
#define BY_POINTER(i) STEP(i, a##i[k])
#define BY_POINTER_TWICE(i) STEP(i, a##i[k]) \
  if (i < height) p##i = p##i + splat(a##i[k + 1]) * b1;
#define SIDE_BY_SIDE(i) STEP(i, a[i * LANES + l])
#define IN_A_ROW(i) STEP(i, a[i])
#define WRITE(i) \
  if (i < height) { \
    store(x + i * apart, p##i); \
    if (halves == 2) store(x + i * apart + LANES, q##i); \
  }
#define ADD(i) \
  if (i < height) { \
    store(x + i * apart, load(x + i * apart) + p##i); \
    if (halves == 2) store(x + i * apart + LANES, load(x + i * apart + LANES) + q##i); \
  }

/* Where the columns of a tile go, and as what: x[at] = relu(factor v + offset + add[at]);
   without add where that is NULL, and then without relu unless `rectified`. Each of the
   three has code of its own: asked row by row, it is slower than by way of memory. */
struct goal {
  const real *factor, *offset, *add;
  real *x;
  int rectified;
};
#define END(i, result) \
  if (i < height) { \
    store(into + at[i], result(p##i * f0 + o0, at[i])); \
    if (halves == 2) store(into + at[i] + LANES, result(q##i * f1 + o1, at[i] + LANES)); \
  }
#define AS_IT_IS(v, at) (v)
#define RECTIFIED(v, at) relu(v)
#define ADDED(v, at) relu(v + load(add + at))
#define END_AS_IT_IS(i) END(i, AS_IT_IS)
#define END_RECTIFIED(i) END(i, RECTIFIED)
#define END_ADDED(i) END(i, ADDED)

/* `count` tiles [height, NR], of rows [count][taps, height], or [count][height] where tap
   t of any row lies jump[t] on; each asks for the memory from asks[tile] on, `by` entries
   a step. They go to x, or if there is a goal, row by row to where `at` says. */
INLINE void forward_of(const int height, const int halves, ssize_t count, ssize_t taps,
                       ssize_t run, const real **rows, const ssize_t *jump,
                       const real *panel, const real **asks, ssize_t by, real *x,
                       const struct goal *to, const ssize_t *at) {
  const ssize_t apart = NR;
  for (ssize_t tile = 0; tile < count; tile++, x += height * apart, at += height) {
    const real *b = panel, *ask = asks[tile];
    ROWS(ZERO)
    ROWS(ROW)
    for (ssize_t t = 0; t < taps; t++) {
      ssize_t k = jump ? jump[t] : 0, stop = k + run;
      if (!jump || !t) {
        ROWS(FROM)
        rows += height;
      }
      /* a narrow one takes two entries of each row at a time: fewer pointers to load */
      for (; halves == 1 && k + 2 <= stop; k += 2, b += 2 * LANES) {
        vec b0 = load(b), b1 = load(b + LANES);
        ROWS(SPILL)
        ROWS(BY_POINTER_TWICE)
      }
      for (; k < stop; k++, b += halves * LANES, ask += by) {
        vec b0 = load(b), b1 = halves == 2 ? load(b + LANES) : b0;
        if (halves == 2) prefetch_far(ask);
        ROWS(SPILL)
        ROWS(BY_POINTER)
      }
    }
    if (to) {
      const real *add = to->add;
      real *into = to->x;
      vec f0 = load(to->factor), f1 = halves == 2 ? load(to->factor + LANES) : f0;
      vec o0 = load(to->offset), o1 = halves == 2 ? load(to->offset + LANES) : o0;
      if (add) { ROWS(END_ADDED) }
      else if (to->rectified) { ROWS(END_RECTIFIED) }
      else { ROWS(END_AS_IT_IS) }
    } else {
      ROWS(WRITE)
    }
  }
}

/* `count` tiles [height, halves LANES], x_apart from each other, of
   a [depth / LANES][height, LANES], a_apart from each other */
INLINE void point_of(const int height, const int halves, ssize_t count, ssize_t depth,
                     const real *from, ssize_t a_apart, const real *panel,
                     const real *next, real *x, ssize_t x_apart) {
  const ssize_t apart = halves * LANES;
  for (ssize_t tile = 0; tile < count; tile++, from += a_apart, x += x_apart) {
    const real *a = from, *b = panel, *ask = tile < 2 ? next + tile * depth * LANES : b;
    ROWS(ZERO)
    for (ssize_t k = depth; k > 0; k -= LANES, a += height * LANES) {
      ssize_t stop = k < LANES ? k : LANES;
      for (ssize_t l = 0; l < stop; l++, b += halves * LANES, ask += LANES) {
        vec b0 = load(b), b1 = halves == 2 ? load(b + LANES) : b0;
        if (halves == 2) prefetch_far(ask);
        ROWS(SIDE_BY_SIDE)
      }
    }
    ROWS(WRITE)
  }
}

/* g [height, NR], its rows `apart`. Pixel m's entries are at a + m stride, or at
   rows[m] + stride if there are rows. Each asks for the entry at `ask`, which moves on
   by `by`. */
INLINE void adjoint_of(const int height, const int halves, ssize_t pixels,
                       const real **rows, ssize_t stride, const real *a, const real *e,
                       ssize_t e_apart, const real *ask, ssize_t by, real *x,
                       ssize_t apart, int add) {
  ROWS(ZERO)
  for (ssize_t m = 0; m < pixels; m++, e += e_apart, ask += by) {
    prefetch_far(ask);
    vec b0 = load(e), b1 = halves == 2 ? load(e + LANES) : b0;
    if (rows) a = rows[m] + stride;
    ROWS(IN_A_ROW)
    if (!rows) a += stride;
  }
  if (add) { ROWS(ADD) } else { ROWS(WRITE) }
}

#define FORWARD(h) \
  case h: \
    if (narrow) forward_of(h, 1, count, taps, run, rows, jump, b, asks, by, x, to, at); \
    else forward_of(h, 2, count, taps, run, rows, jump, b, asks, by, x, to, at); \
    break;
static void forward_tile(ssize_t height, int narrow, ssize_t count, ssize_t taps,
                         ssize_t run, const real **rows, const ssize_t *jump,
                         const real *b, const real **asks, ssize_t by, real *x,
                         const struct goal *to, const ssize_t *at) {
  switch (height) { HEIGHTS(FORWARD) }
}

#define POINT(h) \
  case h: \
    if (narrow) point_of(h, 1, count, depth, a, a_apart, b, next, x, x_apart); \
    else point_of(h, 2, count, depth, a, a_apart, b, next, x, x_apart); \
    break;
static void point_tile(ssize_t height, int narrow, ssize_t count, ssize_t depth,
                       const real *a, ssize_t a_apart, const real *b,
                       const real *next, real *x, ssize_t x_apart) {
  switch (height) { HEIGHTS(POINT) }
}

#define BY_ROWS(h) \
  case h: \
    if (narrow) adjoint_of(h, 1, pixels, rows, l, 0, e, LANES, ask, by, g, apart, add); \
    else adjoint_of(h, 2, pixels, rows, l, 0, e, NR, ask, by, g, apart, add); \
    break;
static void adjoint_by_rows(ssize_t height, int narrow, ssize_t pixels,
                            const real **rows, ssize_t l, const real *e,
                            const real *ask, ssize_t by, real *g, ssize_t apart,
                            int add) {
  switch (height) { HEIGHTS(BY_ROWS) }
}

#define BY_STRIDE(h) \
  case h: \
    if (narrow) adjoint_of(h, 1, pixels, 0, stride, a, e, e_apart, ask, by, g, apart, add); \
    else adjoint_of(h, 2, pixels, 0, stride, a, e, e_apart, ask, by, g, apart, add); \
    break;
static void adjoint_by_stride(ssize_t height, int narrow, ssize_t pixels, const real *a,
                              ssize_t stride, const real *e, ssize_t e_apart,
                              const real *ask, ssize_t by, real *g, ssize_t apart,
                              int add) {
  switch (height) { HEIGHTS(BY_STRIDE) }
}
#endif
