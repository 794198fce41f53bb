-- The contract of the functions by which sales work: what they are called with,
-- what they return, who may call them, and the SQLSTATE of what goes wrong.

begin;
set local client_min_messages = warning;
select no_plan();

create temporary table contract (name name, arguments text[], result text);
insert into contract values
	('create_team', '{text}', 'integer'),
	('alter_team', '{text,text,boolean,boolean}', 'void'),
	('activate_team', '{text}', 'void'),
	('deactivate_team', '{text}', 'void'),
	('drop_team', '{text}', 'void'),
	('create_sales_user', '{text,text,regrole}', 'integer'),
	('alter_sales_user', '{text,text,text,regrole,boolean}', 'void'),
	('activate_sales_user', '{text}', 'void'),
	('deactivate_sales_user', '{text}', 'void'),
	('drop_sales_user', '{text}', 'void'),
	('add_member', '{text,text,integer}', 'void'),
	('alter_member', '{text,text,integer}', 'void'),
	('pause_member', '{text,text}', 'void'),
	('resume_member', '{text,text}', 'void'),
	('remove_member', '{text,text}', 'void'),
	('create_stage', '{text,integer,boolean}', 'void'),
	('alter_stage', '{text,text,integer,boolean}', 'void'),
	('drop_stage', '{text}', 'void'),
	('create_lead', '{text,text}', 'bigint'),
	('move', '{bigint,text,text}', 'void'),
	('move_contact', '{text,text,text}', 'bigint'),
	('move_contact', '{anyelement,text,text}', 'bigint'),
	('assign', '{bigint,text}', 'void'),
	('unassign', '{bigint}', 'void'),
	('hide', '{bigint,text}', 'void'),
	('unhide', '{bigint}', 'void'),
	('delete_lead', '{bigint,text}', 'void'),
	('add_note', '{bigint,text}', 'void'),
	('merge_contacts', '{text,text}', 'bigint'),
	('merge_contacts', '{anycompatible,anycompatible}', 'bigint');
create role pgtap_nobody;

select has_function('leadstream', name, arguments::name[], format('%s(%s) is there', name, array_to_string(arguments, ', '))) from contract;
select function_returns('leadstream', name, arguments::name[], result) from contract;
select volatility_is('leadstream', name, arguments::name[], 'volatile') from contract;
create temporary view function as
	select p.* from contract c
	join pg_proc p on p.oid = to_regprocedure(format('leadstream.%I(%s)', c.name, array_to_string(c.arguments, ',')));
select is((select count(*) from function), (select count(*) from contract), 'each is the one that is called');
select is(proparallel::text, 'u', format('%s is for no parallel plan', oid::regprocedure)) from function;
select isnt(obj_description(oid, 'pg_proc'), null, format('%s says what it does', oid::regprocedure)) from function;
select ok('' <> all (proargnames), format('%s names its parameters', oid::regprocedure)) from function;
select function_privs_are('leadstream', name, arguments, 'pgtap_nobody', '{}'::text[]) from contract;
select table_privs_are('leadstream', t, 'pgtap_nobody', '{}'::name[])
from unnest('{team,sales_user,team_member,stage,hand_out}'::name[]) t;

--
-- What goes wrong
--
create table contact (id bigint primary key);
\o /dev/null
insert into contact values (1), (2), (3);
select leadstream.attach_contacts('contact');
select leadstream.create_team(t) from unnest('{one,idle}'::text[]) t;
select leadstream.create_sales_user(u) from unnest('{Ann,Bob}'::text[]) u;
select leadstream.add_member('one', 'Ann');
select leadstream.assign(leadstream.create_lead(1, 'one'), 'Ann');
select max(lead_id) as lead from leadstream.leads \gset
\o

-- the statement after "select leadstream.", SQLSTATE, and what is said
create temporary table wrong (call text, state text, message text);
insert into wrong values
	('alter_team(''none'')', '42704', 'team "none" does not exist'),
	('alter_team(''one'', new_name => ''idle'')', '42710', 'team "idle" exists already'),
	('alter_team(''one'', new_name => '''')', '42602', 'parameter "new_name" must not be blank'),
	('activate_team(''none'')', '42704', 'team "none" does not exist'),
	('deactivate_team(null)', '22004', 'parameter "team" must not be null'),
	('create_sales_user(null)', '22004', 'parameter "name" must not be null'),
	('create_sales_user(''Ann'')', '42710', 'sales user "Ann" exists already'),
	('create_sales_user(repeat(''x'', 201))', '42622', 'parameter "name" is too long'),
	('create_sales_user(''Cid'', role => ''pgtap_none'')', '42704', 'role "pgtap_none" does not exist'),
	('alter_sales_user(''Cid'')', '42704', 'sales user "Cid" does not exist'),
	('alter_sales_user(''Ann'', role => ''pgtap_nobody'', no_role => true)', '22023', 'role and no_role contradict each other'),
	('drop_sales_user(''Ann'')', '55000', 'sales user "Ann" has open leads'),
	('add_member(''one'', ''Bob'', -1)', '22023', 'max_open must not be negative'),
	('add_member(''none'', ''Bob'')', '42704', 'team "none" does not exist'),
	('pause_member(''one'', ''Bob'')', '42704', 'sales user "Bob" is not a member of team "one"'),
	('remove_member(''one'', ''Ann'')', '55000', 'sales user "Ann" has open leads of team "one"'),
	('create_stage(''MQL'')', '42710', 'stage "MQL" exists already'),
	('create_stage(''x'', 0)', '22023', 'place must be at least 1'),
	('create_stage(''x'', 1, true)', '55000', 'the first stage must be an open one'),
	('alter_stage(''MQL'', is_closed => true)', '55000', 'the first stage must be an open one'),
	('alter_stage(''SQL'', new_name => ''Won'')', '42710', 'stage "Won" exists already'),
	('drop_stage(''none'')', '42704', 'stage "none" does not exist'),
	('drop_stage(''MQL'')', '55000', 'stage "MQL" is the first'),
	('move(-1, ''SQL'')', 'P0002', 'lead -1 does not exist'),
	('move(1, ''none'')', '42704', 'stage "none" does not exist'),
	('move_contact(2, ''SQL'')', 'P0002', 'contact "2" has no leads'),
	('move_contact(''x'', ''SQL'')', '22P02', 'invalid input syntax for type bigint: "x"'),
	('move_contact(null::bigint, ''SQL'')', '22004', 'parameter "contact" must not be null'),
	('merge_contacts(null, 1)', '22004', 'parameter "from_contact" must not be null'),
	('merge_contacts(1, null)', '22004', 'parameter "into_contact" must not be null'),
	('assign(1, ''Bob'')', '55000', 'sales user "Bob" is not a member of team "one"'),
	('assign(1, ''none'')', '42704', 'sales user "none" does not exist'),
	('unassign(-1)', 'P0002', 'lead -1 does not exist'),
	('hide(null)', '22004', 'parameter "lead" must not be null'),
	('delete_lead(-1)', 'P0002', 'lead -1 does not exist'),
	('add_note(1, '' '')', '22023', 'the note is blank'),
	('merge_contacts(1, 1)', '22023', 'contact "1" cannot be merged with itself'),
	('merge_contacts(1, 99)', '23503', 'contact "99" does not exist'),
	('merge_contacts(''x'', ''1'')', '22P02', 'invalid input syntax for type bigint: "x"');
update wrong set call = replace(call, '(1, ''none'')', format('(%s, ''none'')', :'lead')) where call ~ '^(move|assign)\(1,';
update wrong set call = replace(call, '(1,', format('(%s,', :'lead')) where call ~ '^(assign|add_note)\(1,';
select throws_ok('select leadstream.' || call, state, message, format('%s: %s', state, call)) from wrong;

-- whoever has no right gets no further than that
set local role pgtap_nobody;
select throws_ok(format('select leadstream.%I(%s)', name,
		array_to_string(array(select 'null::' || case a when 'anyelement' then 'bigint' when 'anycompatible' then 'bigint' else a end
							  from unnest(arguments) a), ', ')),
	'42501', format('permission denied for function %s', name), format('%s is granted by name', name))
from (values ('alter_team', '{text,text,boolean,boolean}'::text[]), ('create_sales_user', '{text,text,regrole}'),
	('remove_member', '{text,text}'), ('drop_stage', '{text}'), ('move', '{bigint,text,text}'),
	('move_contact', '{anyelement,text,text}'), ('assign', '{bigint,text}'), ('delete_lead', '{bigint,text}'),
	('merge_contacts', '{anycompatible,anycompatible}')) as v(name, arguments);
reset role;

select * from finish();
rollback;
