/*
 * The type leadstream.rule: text and binary I/O, equality, order, hash, casts.
 */

create type leadstream.rule;

create function leadstream.rule_in(cstring) returns leadstream.rule
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_in';

create function leadstream.rule_out(leadstream.rule) returns cstring
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_out';

create function leadstream.rule_recv(internal) returns leadstream.rule
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_recv';

create function leadstream.rule_send(leadstream.rule) returns bytea
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_send';

create type leadstream.rule (
	input = leadstream.rule_in,
	output = leadstream.rule_out,
	receive = leadstream.rule_recv,
	send = leadstream.rule_send,
	internallength = variable,
	alignment = int4,
	storage = extended
);

comment on type leadstream.rule is
	'a condition on a contact and its activities, true or false at every instant';
comment on function leadstream.rule_in(cstring) is 'I/O';
comment on function leadstream.rule_out(leadstream.rule) is 'I/O';
comment on function leadstream.rule_recv(internal) is 'I/O';
comment on function leadstream.rule_send(leadstream.rule) is 'I/O';

create function leadstream.rule_eq(leadstream.rule, leadstream.rule) returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_eq';

create function leadstream.rule_ne(leadstream.rule, leadstream.rule) returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_ne';

create function leadstream.rule_lt(leadstream.rule, leadstream.rule) returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_lt';

create function leadstream.rule_le(leadstream.rule, leadstream.rule) returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_le';

create function leadstream.rule_gt(leadstream.rule, leadstream.rule) returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_gt';

create function leadstream.rule_ge(leadstream.rule, leadstream.rule) returns boolean
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_ge';

create function leadstream.rule_cmp(leadstream.rule, leadstream.rule) returns integer
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_cmp';

create function leadstream.rule_hash(leadstream.rule) returns integer
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_hash';

create function leadstream.rule_hash_extended(leadstream.rule, bigint) returns bigint
	language c immutable strict parallel safe
	as 'MODULE_PATHNAME', 'leadstream_rule_hash_extended';

comment on function leadstream.rule_eq(leadstream.rule, leadstream.rule) is 'implementation of = operator';
comment on function leadstream.rule_ne(leadstream.rule, leadstream.rule) is 'implementation of <> operator';
comment on function leadstream.rule_lt(leadstream.rule, leadstream.rule) is 'implementation of < operator';
comment on function leadstream.rule_le(leadstream.rule, leadstream.rule) is 'implementation of <= operator';
comment on function leadstream.rule_gt(leadstream.rule, leadstream.rule) is 'implementation of > operator';
comment on function leadstream.rule_ge(leadstream.rule, leadstream.rule) is 'implementation of >= operator';
comment on function leadstream.rule_cmp(leadstream.rule, leadstream.rule) is 'less-equal-greater by canonical text';
comment on function leadstream.rule_hash(leadstream.rule) is 'hash of the canonical text';
comment on function leadstream.rule_hash_extended(leadstream.rule, bigint) is 'hash of the canonical text, with a seed';

create operator leadstream.= (
	function = leadstream.rule_eq,
	leftarg = leadstream.rule, rightarg = leadstream.rule,
	commutator = operator(leadstream.=), negator = operator(leadstream.<>),
	restrict = pg_catalog.eqsel, join = pg_catalog.eqjoinsel,
	hashes, merges
);

create operator leadstream.<> (
	function = leadstream.rule_ne,
	leftarg = leadstream.rule, rightarg = leadstream.rule,
	commutator = operator(leadstream.<>), negator = operator(leadstream.=),
	restrict = pg_catalog.neqsel, join = pg_catalog.neqjoinsel
);

create operator leadstream.< (
	function = leadstream.rule_lt,
	leftarg = leadstream.rule, rightarg = leadstream.rule,
	commutator = operator(leadstream.>), negator = operator(leadstream.>=),
	restrict = pg_catalog.scalarltsel, join = pg_catalog.scalarltjoinsel
);

create operator leadstream.<= (
	function = leadstream.rule_le,
	leftarg = leadstream.rule, rightarg = leadstream.rule,
	commutator = operator(leadstream.>=), negator = operator(leadstream.>),
	restrict = pg_catalog.scalarlesel, join = pg_catalog.scalarlejoinsel
);

create operator leadstream.> (
	function = leadstream.rule_gt,
	leftarg = leadstream.rule, rightarg = leadstream.rule,
	commutator = operator(leadstream.<), negator = operator(leadstream.<=),
	restrict = pg_catalog.scalargtsel, join = pg_catalog.scalargtjoinsel
);

create operator leadstream.>= (
	function = leadstream.rule_ge,
	leftarg = leadstream.rule, rightarg = leadstream.rule,
	commutator = operator(leadstream.<=), negator = operator(leadstream.<),
	restrict = pg_catalog.scalargesel, join = pg_catalog.scalargejoinsel
);

comment on operator leadstream.= (leadstream.rule, leadstream.rule) is 'same canonical text';
comment on operator leadstream.<> (leadstream.rule, leadstream.rule) is 'other canonical text';
comment on operator leadstream.< (leadstream.rule, leadstream.rule) is 'canonical text sorts before, byte by byte';
comment on operator leadstream.<= (leadstream.rule, leadstream.rule) is 'canonical text is the same or sorts before, byte by byte';
comment on operator leadstream.> (leadstream.rule, leadstream.rule) is 'canonical text sorts after, byte by byte';
comment on operator leadstream.>= (leadstream.rule, leadstream.rule) is 'canonical text is the same or sorts after, byte by byte';

create operator family leadstream.rule_btree_ops using btree;
create operator class leadstream.rule_btree_ops
	default for type leadstream.rule using btree family leadstream.rule_btree_ops as
	operator 1 leadstream.<,
	operator 2 leadstream.<=,
	operator 3 leadstream.=,
	operator 4 leadstream.>=,
	operator 5 leadstream.>,
	function 1 leadstream.rule_cmp(leadstream.rule, leadstream.rule),
	function 4 pg_catalog.btequalimage(pg_catalog.oid);

create operator family leadstream.rule_hash_ops using hash;
create operator class leadstream.rule_hash_ops
	default for type leadstream.rule using hash family leadstream.rule_hash_ops as
	operator 1 leadstream.=,
	function 1 leadstream.rule_hash(leadstream.rule),
	function 2 leadstream.rule_hash_extended(leadstream.rule, bigint);

comment on operator family leadstream.rule_btree_ops using btree is 'rules by canonical text';
comment on operator class leadstream.rule_btree_ops using btree is 'rules by canonical text';
comment on operator family leadstream.rule_hash_ops using hash is 'rules by canonical text';
comment on operator class leadstream.rule_hash_ops using hash is 'rules by canonical text';

/*
 * Text becomes a rule where it is stored in a column of that type, and never
 * unasked elsewhere: an implicit cast would make f(text) and f(rule) compete,
 * and turn a comparison of a rule with a text into one of two rules.  A
 * parameter of unknown type needs no cast at all.
 */
create cast (text as leadstream.rule) with inout as assignment;
create cast (character varying as leadstream.rule) with inout as assignment;
create cast (leadstream.rule as text) with inout as assignment;

comment on cast (text as leadstream.rule) is 'read a rule';
comment on cast (character varying as leadstream.rule) is 'read a rule';
comment on cast (leadstream.rule as text) is 'canonical text of a rule';
