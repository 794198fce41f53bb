-- 73_hand_out.sql
--
-- Whose turn it is, in the teams that hand out their leads: see hand_out.c.

create table leadstream.hand_out (
	team_id			integer primary key,
	sales_user_id	integer
);
comment on table leadstream.hand_out is
'the teams that have handed out leads; written as their transactions commit';
comment on column leadstream.hand_out.sales_user_id is
'the member who was given the last one; the next is the one behind him by id';
select pg_extension_config_dump('leadstream.hand_out', '');
