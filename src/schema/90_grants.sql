-- 90_grants.sql
--
-- Everyone may use the type and the pure functions, so that the query shown by
-- rule_sql() runs; whatever writes is granted by name, as are the tables.

grant usage on schema leadstream to public;

revoke execute on function
	leadstream.attach_contacts(regclass, name, name, name, name, name, name, text),
	leadstream.attach_activity(regclass, name, text, name, leadstream.rule, name, boolean, text[]),
	leadstream.detach(regclass),
	leadstream.drop_views(),
	leadstream.create_views(),
	leadstream.create_stream(text, leadstream.rule, text[], text, interval),
	leadstream.alter_stream(text, leadstream.rule, text[], text, text, interval, boolean),
	leadstream.drop_stream(text),
	leadstream.create_segment(text, leadstream.rule, text),
	leadstream.alter_segment(text, leadstream.rule, text, text),
	leadstream.drop_segment(text),
	leadstream.enable(text),
	leadstream.disable(text),
	leadstream.clear(text),
	leadstream.fetch_history(text),
	leadstream.fetch_history(text[]),
	leadstream.create_team(text),
	leadstream.drop_team(text)
from public;
