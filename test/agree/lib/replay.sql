-- replay.sql: what the statements were, for the judge that replays them
--
-- nv.point has a row for each contact that a statement wrote to: the event
-- and the instant judged.  That is the clock, or the time of a new row of
-- the contact that is up to five seconds ahead of it (DESIGN 3, "clock").

create table nv.log (ev int, clock timestamptz, what text);

-- Where changes of activities are captured, they are written to those whose rows
-- they were, too; and a row that stays where it was moves no clock.
create function nv.note_event(ev int, clock timestamptz, what text) returns void
language plpgsql as $$
begin
	insert into nv.log values (ev, clock, what);
	execute format($q$
		insert into nv.point
		select key, $1, greatest($2, max(t) filter (where t <= $2 + interval '5 seconds'))
		from (select contact_id as key, at as t from sh.visit v where arrived = $1 and is_new
				and not exists (select from sh.visit o where o.id = v.id and o.gone = $1 and o.contact_id = v.contact_id and o.at = v.at)
			union all select person, sent at time zone %1$L from sh."Mail Box" v where arrived = $1 and is_new
				and not exists (select from sh."Mail Box" o where o.ref = v.ref and o.gone = $1 and o.person = v.person and o.sent = v.sent)
			union all select contact_id, day::timestamp at time zone %1$L from sh.event v where arrived = $1 and is_new
				and not exists (select from sh.event o where o.id = v.id and o.gone = $1 and o.contact_id = v.contact_id and o.day = v.day)
			union all select contact_id, null from sh.badge where arrived = $1 and is_new
			union all select contact_id, null from sh.visit where gone = $1 and nv.has_events()
			union all select person, null from sh."Mail Box" where gone = $1 and nv.has_events()
			union all select contact_id, null from sh.event where gone = $1 and nv.has_events()
			union all select contact_id, null from sh.badge where gone = $1 and nv.has_events()
			union all select id, null from sh.contact where arrived = $1 and is_new) x
		where key is not null
		group by key
	$q$, nv.zone()) using ev, clock;
end $$;
