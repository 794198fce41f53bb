/*-------------------------------------------------------------------------
 *
 * pieces.h
 *	  Aggregates over time: step functions in one sweep.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_PIECES_H
#define LS_PIECES_H

#include "timeline.h"

/*
 * What a sweep keeps of the rows that count at an instant.  Implementations
 * embed it as their first field.
 *
 * enter and leave tell that a row, by its number from 0, begins or ends to
 * count.  mark names the value at hand: two neighbouring pieces with the same
 * mark are made one.  value makes the value in the current memory context.
 */
typedef struct PieceSet PieceSet;
struct PieceSet
{
	void		(*enter) (PieceSet *set, int row);
	void		(*leave) (PieceSet *set, int row);
	int64		(*mark) (PieceSet *set);
	Datum		(*value) (PieceSet *set, bool *isnull);
};

/* Receives the pieces in order; the value is gone when it returns. */
typedef void (*PieceConsumer) (void *arg, Span piece, Datum value, bool isnull);

/*
 * When rows count: a row may have many spans, which do not overlap.  Lives in
 * the current memory context until the sweep frees it; room is a guess.
 */
typedef struct PieceBounds PieceBounds;

extern PieceBounds *ls_pieces_bounds(int64 room);
extern void ls_pieces_add(PieceBounds *bounds, int row, Span span);

/* Sweep over the spans.  The pieces have no gap and cover all time. */
extern void ls_pieces_sweep(PieceBounds *bounds, PieceSet *set,
							PieceConsumer consumer, void *arg);

/* The values of the rows; a row at or behind nvalues has none. */
typedef struct PieceValues
{
	int			nrows;
	int			nvalues;
	Datum	   *values;
	bool	   *nulls;
} PieceValues;

/*
 * The sets of the aggregates, palloc'd; the values must live as long.  count
 * and count(distinct) give a bigint, sum and avg take and give a numeric, min,
 * max, first and last what they are given.  Rows are first and last by their
 * number.
 */
extern PieceSet *ls_count_set(void);
extern PieceSet *ls_distinct_set(const PieceValues *rows, Oid type, Oid collation);
extern PieceSet *ls_sum_set(const PieceValues *rows, bool is_average);
extern PieceSet *ls_min_max_set(const PieceValues *rows, Oid type, Oid collation,
								bool is_max);
extern PieceSet *ls_first_last_set(const PieceValues *rows, bool is_last);

#endif							/* LS_PIECES_H */
