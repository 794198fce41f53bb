-- index_leads.sql: the steps of a world taken with keys, with half, with none

call ix.take_steps('keyed', true);
call ix.lose_keys(2);
\c
set client_min_messages = error;
select ix.resume() \g /dev/null
call ix.take_steps('some', false);
call ix.lose_keys(1);
\c
set client_min_messages = error;
select ix.resume() \g /dev/null
call ix.take_steps('all', false);
call ix.compare_leads();
select nv.lines();
