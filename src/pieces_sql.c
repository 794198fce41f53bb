/*-------------------------------------------------------------------------
 *
 * pieces_sql.c
 *	  Aggregates over time as SQL functions.
 *
 * For the queries of rule_sql.c: arrays of the rows' spans, and of their values,
 * come in; pieces of constant value (pieces.c) go out as rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "pieces.h"

PG_FUNCTION_INFO_V1(leadstream_count_pieces);
PG_FUNCTION_INFO_V1(leadstream_distinct_pieces);
PG_FUNCTION_INFO_V1(leadstream_sum_pieces);
PG_FUNCTION_INFO_V1(leadstream_avg_pieces);
PG_FUNCTION_INFO_V1(leadstream_min_pieces);
PG_FUNCTION_INFO_V1(leadstream_max_pieces);
PG_FUNCTION_INFO_V1(leadstream_first_pieces);
PG_FUNCTION_INFO_V1(leadstream_last_pieces);

/* Read the elements of an array; *nulls may be NULL where none is null. */
static int
read_array(ArrayType *array, Datum **values, bool **nulls)
{
	int16		typlen;
	bool		typbyval;
	char		typalign;
	int			n;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign,
					  values, nulls, &n);
	return n;
}

/* Collect the bounds of an array of timelines: of row i the i-th. */
static PieceBounds *
collect_bounds(ArrayType *spans)
{
	TypeCacheEntry *range_type = ls_timeline_range_type();
	PieceBounds *bounds;
	Datum	   *values;
	bool	   *nulls;
	int			nrows = read_array(spans, &values, &nulls);
	int64		nparts = 0;

	for (int row = 0; row < nrows; row++)
	{
		if (!nulls[row])
		{
			values[row] = PointerGetDatum(DatumGetMultirangeTypeP(values[row]));
			nparts += ((MultirangeType *) DatumGetPointer(values[row]))->rangeCount;
		}
	}

	bounds = ls_pieces_bounds(nparts);
	for (int row = 0; row < nrows; row++)
	{
		MultirangeType *timeline;

		CHECK_FOR_INTERRUPTS();
		if (nulls[row])
			continue;
		timeline = (MultirangeType *) DatumGetPointer(values[row]);
		for (int i = 0; i < timeline->rangeCount; i++)
			ls_pieces_add(bounds, row, ls_timeline_part(range_type, timeline, i));
	}
	pfree(values);
	pfree(nulls);
	return bounds;
}

/* Where the pieces of an SQL function go. */
typedef struct PieceStore
{
	Tuplestorestate *store;
	TupleDesc	desc;
	TypeCacheEntry *range_type;
} PieceStore;

/* Put one piece into the result of an SQL function. */
static void
store_piece(void *arg, Span piece, Datum value, bool isnull)
{
	PieceStore *self = (PieceStore *) arg;
	RangeType  *range = ls_timeline_range(self->range_type, piece);
	Datum		values[2];
	bool		nulls[2];

	values[0] = RangeTypePGetDatum(range);
	nulls[0] = false;
	values[1] = value;
	nulls[1] = isnull;
	tuplestore_putvalues(self->store, self->desc, values, nulls);
	pfree(range);
}

/* Sweep and return the pieces as the result of an SQL function. */
static Datum
return_pieces(FunctionCallInfo fcinfo, ArrayType *spans, PieceSet *set)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PieceStore	store;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	store.store = rsinfo->setResult;
	store.desc = rsinfo->setDesc;
	store.range_type = ls_timeline_range_type();
	ls_pieces_sweep(collect_bounds(spans), set, store_piece, &store);
	return (Datum) 0;
}

/* The spans of a piece function: no rows where the argument is null. */
static ArrayType *
spans_of_call(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		return construct_empty_array(TSTZMULTIRANGEOID);
	return PG_GETARG_ARRAYTYPE_P(0);
}

/* The values that belong to the spans. */
static PieceValues
values_of_call(FunctionCallInfo fcinfo, ArrayType *spans)
{
	PieceValues rows = {.nrows = ArrayGetNItems(ARR_NDIM(spans), ARR_DIMS(spans))};

	if (!PG_ARGISNULL(1))
		rows.nvalues = read_array(PG_GETARG_ARRAYTYPE_P(1), &rows.values, &rows.nulls);
	return rows;
}

/* The type of the values, which polymorphism has resolved. */
static Oid
value_type_of_call(FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(1))
		return ARR_ELEMTYPE(PG_GETARG_ARRAYTYPE_P(1));
	return get_base_element_type(get_fn_expr_argtype(fcinfo->flinfo, 1));
}

/* count_pieces(spans tstzmultirange[]) -> (piece tstzrange, value bigint) */
Datum
leadstream_count_pieces(PG_FUNCTION_ARGS)
{
	return return_pieces(fcinfo, spans_of_call(fcinfo), ls_count_set());
}

/*
 * distinct_pieces(spans tstzmultirange[], vals anyarray)
 * -> (piece tstzrange, value bigint)
 */
Datum
leadstream_distinct_pieces(PG_FUNCTION_ARGS)
{
	ArrayType  *spans = spans_of_call(fcinfo);
	PieceValues rows = values_of_call(fcinfo, spans);

	return return_pieces(fcinfo, spans,
						 ls_distinct_set(&rows, value_type_of_call(fcinfo),
										 PG_GET_COLLATION()));
}

/*
 * sum_pieces(spans tstzmultirange[], vals numeric[])
 * -> (piece tstzrange, value numeric)
 */
Datum
leadstream_sum_pieces(PG_FUNCTION_ARGS)
{
	ArrayType  *spans = spans_of_call(fcinfo);
	PieceValues rows = values_of_call(fcinfo, spans);

	return return_pieces(fcinfo, spans, ls_sum_set(&rows, false));
}

/*
 * avg_pieces(spans tstzmultirange[], vals numeric[])
 * -> (piece tstzrange, value numeric)
 */
Datum
leadstream_avg_pieces(PG_FUNCTION_ARGS)
{
	ArrayType  *spans = spans_of_call(fcinfo);
	PieceValues rows = values_of_call(fcinfo, spans);

	return return_pieces(fcinfo, spans, ls_sum_set(&rows, true));
}

/* The common part of min_, max_, first_ and last_pieces. */
static Datum
extreme_pieces(FunctionCallInfo fcinfo, bool by_value, bool last)
{
	ArrayType  *spans = spans_of_call(fcinfo);
	PieceValues rows = values_of_call(fcinfo, spans);

	return return_pieces(fcinfo, spans,
						 by_value ? ls_min_max_set(&rows, value_type_of_call(fcinfo),
												   PG_GET_COLLATION(), last) :
						 ls_first_last_set(&rows, last));
}

/*
 * min_pieces(spans tstzmultirange[], vals anyarray)
 * -> (piece tstzrange, value anyelement)
 */
Datum
leadstream_min_pieces(PG_FUNCTION_ARGS)
{
	return extreme_pieces(fcinfo, true, false);
}

/* max_pieces: as min_pieces. */
Datum
leadstream_max_pieces(PG_FUNCTION_ARGS)
{
	return extreme_pieces(fcinfo, true, true);
}

/*
 * first_pieces(spans tstzmultirange[], vals anyarray)
 * -> (piece tstzrange, value anyelement)
 */
Datum
leadstream_first_pieces(PG_FUNCTION_ARGS)
{
	return extreme_pieces(fcinfo, false, false);
}

/* last_pieces: as first_pieces. */
Datum
leadstream_last_pieces(PG_FUNCTION_ARGS)
{
	return extreme_pieces(fcinfo, false, true);
}
