-- replay.sql: what the statements were, for the judge that replays them
--
-- nv.point has a row for each contact that a statement wrote to: the event
-- and the instant judged.  That is the clock, or the time of a new row of
-- the contact that is up to five seconds ahead of it (DESIGN 3, "clock").

create table nv.log (ev int, clock timestamptz, what text);

create function nv.note_event(ev int, clock timestamptz, what text) returns void
language plpgsql as $$
begin
	insert into nv.log values (ev, clock, what);
	execute format($q$
		insert into nv.point
		select key, $1, greatest($2, max(t) filter (where t <= $2 + interval '5 seconds'))
		from (select contact_id as key, at as t from sh.visit where arrived = $1 and is_new
			union all select person, sent at time zone %1$L from sh."Mail Box" where arrived = $1 and is_new
			union all select contact_id, day::timestamp at time zone %1$L from sh.event where arrived = $1 and is_new
			union all select contact_id, null from sh.badge where arrived = $1 and is_new
			union all select id, null from sh.contact where arrived = $1 and is_new) x
		where key is not null
		group by key
	$q$, nv.zone()) using ev, clock;
end $$;
