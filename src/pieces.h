/*-------------------------------------------------------------------------
 *
 * pieces.h
 *	  Aggregates over time: step functions in one sweep.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LS_PIECES_H
#define LS_PIECES_H

#include "utils/array.h"

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
 * Sweep over the spans, an array of tstzmultirange: spans[i] is when row i
 * counts (null: never).  The pieces have no gap and cover all time.
 */
extern void ls_pieces_sweep(ArrayType *spans, PieceSet *set,
							PieceConsumer consumer, void *arg);

#endif							/* LS_PIECES_H */
