-- 68_json.sql
--
-- Rules as the JSON that rule builders on web pages read and write, and the
-- fields that such a builder offers.

create function leadstream.rule_from_jsonb(rule jsonb) returns leadstream.rule
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_rule_from_jsonb';
comment on function leadstream.rule_from_jsonb(jsonb) is
'reads a rule from the JSON of react-querybuilder; the cast from jsonb';

create function leadstream.rule_to_jsonb(rule leadstream.rule) returns jsonb
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_rule_to_jsonb';
comment on function leadstream.rule_to_jsonb(leadstream.rule) is
'writes a rule as the JSON of react-querybuilder, from which the same rule is read again; the cast to jsonb';

create function leadstream.rule_from_jquery(rules jsonb) returns leadstream.rule
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'leadstream_rule_from_jquery';
comment on function leadstream.rule_from_jquery(jsonb) is
'reads a rule from the JSON that getRules() of jQuery QueryBuilder gives';

-- As for text: unasked where it is stored, never elsewhere.
create cast (jsonb as leadstream.rule) with function leadstream.rule_from_jsonb(jsonb) as assignment;
create cast (leadstream.rule as jsonb) with function leadstream.rule_to_jsonb(leadstream.rule) as assignment;

comment on cast (jsonb as leadstream.rule) is 'read a rule from the JSON of react-querybuilder';
comment on cast (leadstream.rule as jsonb) is 'a rule as the JSON of react-querybuilder';
