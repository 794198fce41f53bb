-- 66_explain.sql
--
-- Why is a contact a lead, or why not?  Everybody may ask, and is told what he
-- could find out by himself: he needs SELECT on the columns that the rule names,
-- and for a stream on leadstream.stream.

create function leadstream.explain(rule leadstream.rule, contact "any")
returns table (
	node integer, depth integer, missing integer, is_true boolean, condition text, value text,
	since timestamptz, until timestamptz, row_count bigint, row_keys text, line text
)
language c stable parallel restricted rows 10
as 'MODULE_PATHNAME', 'leadstream_explain_rule';
comment on function leadstream.explain(leadstream.rule, "any") is
'why is the rule true of this contact now, or why not? A row for each condition in the order of reading: is it true, what was seen, since and until when '
'(judged by the rows that exist now, time alone turning it), how many rows are behind it and the keys of the newest ten. '
'missing numbers the conditions that keep the rule from being true, nearest first; line is the row for people, 77 characters wide';

create function leadstream.explain(rule leadstream.rule, contact text)
returns table (
	node integer, depth integer, missing integer, is_true boolean, condition text, value text,
	since timestamptz, until timestamptz, row_count bigint, row_keys text, line text
)
language c stable parallel restricted rows 10
as 'MODULE_PATHNAME', 'leadstream_explain_rule';
comment on function leadstream.explain(leadstream.rule, text) is
'as explain(rule, "any"), the key given as text or as a parameter of no type';

create function leadstream.explain(stream text, contact "any")
returns table (
	node integer, depth integer, missing integer, is_true boolean, condition text, value text,
	since timestamptz, until timestamptz, row_count bigint, row_keys text, line text
)
language c stable parallel restricted rows 10
as 'MODULE_PATHNAME', 'leadstream_explain_stream';
comment on function leadstream.explain(text, "any") is
'the same of the rule of a stream, with a row for each lead that the stream made or found of the contact: node is null, since is matched_at, row_keys the evidence';

create function leadstream.explain(stream text, contact text)
returns table (
	node integer, depth integer, missing integer, is_true boolean, condition text, value text,
	since timestamptz, until timestamptz, row_count bigint, row_keys text, line text
)
language c stable parallel restricted rows 10
as 'MODULE_PATHNAME', 'leadstream_explain_stream';
comment on function leadstream.explain(text, text) is
'as explain(stream, "any"), the key given as text or as a parameter of no type';
