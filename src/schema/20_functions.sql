--
-- 20_functions: instants, values and timelines
--
-- Pure functions that the queries made of rules are built from.  All of them
-- are immutable and parallel safe, anybody may call them, and none raises an
-- error for any data: a value that does not read as what it is compared with,
-- and a result out of range, is null.  What a rule fixes (a time zone, a
-- unit, a comparison) is checked, with SQLSTATE 22023.
--

-- Instants

create function leadstream.shift(t timestamptz, by interval, zone text)
	returns timestamptz
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_shift';
comment on function leadstream.shift(timestamptz, interval, text) is
	'Adds an interval to an instant: months by the calendar of the time zone, days as 24 hours, whatever TimeZone the session has. Null on overflow.';

create function leadstream.as_instant(value text, zone text)
	returns timestamptz
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_instant_text';
comment on function leadstream.as_instant(text, text) is
	'Reads an instant written in strict ISO 8601; without an offset it is local time in the time zone given, whatever TimeZone and DateStyle the session has. Null if the text is no such.';

create function leadstream.as_instant(value jsonb, zone text)
	returns timestamptz
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_instant_jsonb';
comment on function leadstream.as_instant(jsonb, text) is
	'Reads an instant from a JSON string as as_instant(text, text) does. Null of any other JSON value.';

create function leadstream.as_instant(value date, zone text)
	returns timestamptz
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_instant_date';
comment on function leadstream.as_instant(date, text) is
	'Gives the instant at which a date starts in the time zone given, whatever TimeZone and DateStyle the session has. Null on overflow.';

create function leadstream.as_instant(value timestamp, zone text)
	returns timestamptz
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_instant_timestamp';
comment on function leadstream.as_instant(timestamp, text) is
	'Gives the instant of a local time in the time zone given, whatever TimeZone and DateStyle the session has. Null on overflow.';

create function leadstream.as_instant(value timestamptz, zone text)
	returns timestamptz
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_instant_timestamptz';
comment on function leadstream.as_instant(timestamptz, text) is
	'Gives the instant itself, so that any column that holds a time can be read in the same way.';

-- Values

create function leadstream.as_number(value text)
	returns numeric
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_number_text';
comment on function leadstream.as_number(text) is
	'Reads a decimal number of at most 1000 characters, blanks around it allowed. Null if the text is none, so that comparing it is never an error.';

create function leadstream.as_number(value jsonb)
	returns numeric
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_number_jsonb';
comment on function leadstream.as_number(jsonb) is
	'Reads a JSON number, or a JSON string as as_number(text) does. Null of any other JSON value.';

create function leadstream.as_number(value double precision)
	returns numeric
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_number_float8';
comment on function leadstream.as_number(double precision) is
	'Gives a floating point number as numeric, to 15 digits as the cast does, so that sums are exact and independent of their order.';

create function leadstream.as_boolean(value text)
	returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_boolean_text';
comment on function leadstream.as_boolean(text) is
	'Reads a boolean as the cast from text does. Null if the text is none, so that comparing it is never an error.';

create function leadstream.as_boolean(value jsonb)
	returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_boolean_jsonb';
comment on function leadstream.as_boolean(jsonb) is
	'Reads a JSON boolean, or a JSON string as as_boolean(text) does. Null of any other JSON value.';

create function leadstream.as_text(value jsonb)
	returns text
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_as_text';
comment on function leadstream.as_text(jsonb) is
	'Gives the text form of a JSON value: strings without their quotes. JSON null is missing, so it is null.';

create function leadstream.is_blank(value text)
	returns boolean
	language c immutable parallel safe
	as 'MODULE_PATHNAME', 'leadstream_is_blank_text';
comment on function leadstream.is_blank(text) is
	'Is the text null or nothing but white space? What rules mean by "is empty".';

create function leadstream.is_blank(value jsonb)
	returns boolean
	language c immutable parallel safe
	as 'MODULE_PATHNAME', 'leadstream_is_blank_jsonb';
comment on function leadstream.is_blank(jsonb) is
	'Is the value null, JSON null, an empty object or array, or a string of nothing but white space? What rules mean by "is empty".';

create function leadstream.is_blank(value anyarray)
	returns boolean
	language c immutable parallel safe
	as 'MODULE_PATHNAME', 'leadstream_is_blank_array';
comment on function leadstream.is_blank(anyarray) is
	'Is the array null or without elements? What rules mean by "is empty".';

create function leadstream.json_element(value jsonb, subscript integer)
returns jsonb
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_json_element';
comment on function leadstream.json_element(jsonb, integer) is
'the element of a jsonb array, counted from 0; null where there is none, also where the value is no array (to the operator -> a scalar is one)';

create function leadstream.json_has(container jsonb, member text)
	returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_json_has_text';
comment on function leadstream.json_has(jsonb, text) is
	'Does a JSON array have a member of that text form, or a JSON string have that part, ignoring case? What rules mean by "contains".';

create function leadstream.json_has(container jsonb, member numeric)
	returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_json_has_numeric';
comment on function leadstream.json_has(jsonb, numeric) is
	'Does a JSON array have a member that reads as that number?';

create function leadstream.json_has(container jsonb, member boolean)
	returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_json_has_boolean';
comment on function leadstream.json_has(jsonb, boolean) is
	'Does a JSON array have a member that reads as that boolean?';

create function leadstream.times(a numeric, b numeric)
	returns numeric
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_times';
comment on function leadstream.times(numeric, numeric) is
	'Multiplies two numbers. Null on overflow, which the operator raises as an error.';

-- Timelines of single conditions

create function leadstream.always(is_true boolean)
	returns tstzmultirange
	language c immutable parallel safe
	as 'MODULE_PATHNAME', 'leadstream_always';
comment on function leadstream.always(boolean) is
	'Gives the timeline of a condition without the clock in it: all instants if it is true, none if it is false or null.';

create function leadstream.clock_timeline(f timestamptz, op text, clock text, zone text)
	returns tstzmultirange
	language c immutable parallel safe
	as 'MODULE_PATHNAME', 'leadstream_clock_timeline';
comment on function leadstream.clock_timeline(timestamptz, text, text, text) is
	'Gives the instants n at which f compares so with the clock: with n itself for the clock now, with the start of the day of n in the time zone for the clock today. No instant if f is null.';

create function leadstream.period_timeline(f timestamptz, unit text, steps integer, zone text)
	returns tstzmultirange
	language c immutable parallel safe
	as 'MODULE_PATHNAME', 'leadstream_period_timeline';
comment on function leadstream.period_timeline(timestamptz, text, integer, text) is
	'Gives the instants n at which f lies in the calendar unit (day, ISO week, month, quarter, year of the time zone) that is so many units after the one n lies in. No instant if f is null or infinite.';

create function leadstream.row_span(t timestamptz, older interval, within interval, zone text)
	returns tstzmultirange
	language c immutable parallel safe
	as 'MODULE_PATHNAME', 'leadstream_row_span';
comment on function leadstream.row_span(timestamptz, interval, interval, text) is
	'Gives the instants at which a row of time t counts: from t + older (null: t) until before t + within (null: for ever). No instant if t is null.';

create function leadstream.beginnings(timeline tstzmultirange)
	returns tstzmultirange
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_beginnings';
comment on function leadstream.beginnings(tstzmultirange) is
	'Gives the instants at which a timeline begins to be true, each as a part of one microsecond. A part without a beginning has none.';

create function leadstream.first_instant(timeline tstzmultirange, upto timestamptz)
	returns timestamptz
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_first_instant';
comment on function leadstream.first_instant(tstzmultirange, timestamptz) is
	'Gives the first instant of the earliest part of a timeline that begins by then; a part without a beginning counts only if it reaches then, and gives that. Null if there is none.';

create function leadstream.first_count(times timestamptz[], n bigint, older interval, within interval, zone text, upto timestamptz)
	returns timestamptz
	language c immutable parallel safe
	as 'MODULE_PATHNAME', 'leadstream_first_count';
comment on function leadstream.first_count(timestamptz[], bigint, interval, interval, text, timestamptz) is
	'Gives the first_instant() of the timeline on which at least n of the rows of these times count, each as by row_span(). Null if there is none.';

-- Aggregates over time
--
-- spans[i] is when row i counts, vals[i] its value.  The pieces returned are in
-- order, cover all time without a gap, and each has one value.

create function leadstream.count_pieces(spans tstzmultirange[])
	returns table(piece tstzrange, value bigint)
	language c immutable parallel safe rows 20
	as 'MODULE_PATHNAME', 'leadstream_count_pieces';
comment on function leadstream.count_pieces(tstzmultirange[]) is
	'Gives the number of rows that count, as a step function of time.';

create function leadstream.distinct_pieces(spans tstzmultirange[], vals anyarray)
	returns table(piece tstzrange, value bigint)
	language c immutable parallel safe rows 20
	as 'MODULE_PATHNAME', 'leadstream_distinct_pieces';
comment on function leadstream.distinct_pieces(tstzmultirange[], anyarray) is
	'Gives the number of different values, nulls aside, of the rows that count, as a step function of time.';

create function leadstream.sum_pieces(spans tstzmultirange[], vals numeric[])
	returns table(piece tstzrange, value numeric)
	language c immutable parallel safe rows 20
	as 'MODULE_PATHNAME', 'leadstream_sum_pieces';
comment on function leadstream.sum_pieces(tstzmultirange[], numeric[]) is
	'Gives the sum of the values of the rows that count, as a step function of time: 0 where there is none, null on overflow.';

create function leadstream.avg_pieces(spans tstzmultirange[], vals numeric[])
	returns table(piece tstzrange, value numeric)
	language c immutable parallel safe rows 20
	as 'MODULE_PATHNAME', 'leadstream_avg_pieces';
comment on function leadstream.avg_pieces(tstzmultirange[], numeric[]) is
	'Gives the average of the values of the rows that count, as a step function of time: null where there is none.';

create function leadstream.min_pieces(spans tstzmultirange[], vals anyarray)
	returns table(piece tstzrange, value anyelement)
	language c immutable parallel safe rows 20
	as 'MODULE_PATHNAME', 'leadstream_min_pieces';
comment on function leadstream.min_pieces(tstzmultirange[], anyarray) is
	'Gives the least value of the rows that count, as a step function of time: null where there is none.';

create function leadstream.max_pieces(spans tstzmultirange[], vals anyarray)
	returns table(piece tstzrange, value anyelement)
	language c immutable parallel safe rows 20
	as 'MODULE_PATHNAME', 'leadstream_max_pieces';
comment on function leadstream.max_pieces(tstzmultirange[], anyarray) is
	'Gives the greatest value of the rows that count, as a step function of time: null where there is none.';

create function leadstream.first_pieces(spans tstzmultirange[], vals anyarray)
	returns table(piece tstzrange, value anyelement)
	language c immutable parallel safe rows 20
	as 'MODULE_PATHNAME', 'leadstream_first_pieces';
comment on function leadstream.first_pieces(tstzmultirange[], anyarray) is
	'Gives the value of the first row in the arrays that counts, null or not, as a step function of time.';

create function leadstream.last_pieces(spans tstzmultirange[], vals anyarray)
	returns table(piece tstzrange, value anyelement)
	language c immutable parallel safe rows 20
	as 'MODULE_PATHNAME', 'leadstream_last_pieces';
comment on function leadstream.last_pieces(tstzmultirange[], anyarray) is
	'Gives the value of the last row in the arrays that counts, null or not, as a step function of time.';
