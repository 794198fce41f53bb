-- 74_merge.sql
--
-- Two contacts that are one person: what leadstream knows of them becomes one.
-- Whose the activities are and whether the row of the contact merged away goes
-- is the application's business, best in the same transaction: both contacts are
-- locked until its end, so no lead of either is made meanwhile, and the one that
-- goes is locked as if it were deleted, for then it cannot deadlock with a row that
-- comes.

create function leadstream._hold_contacts(from_contact text, into_contact text) returns void
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_hold_contacts';
comment on function leadstream._hold_contacts(text, text) is
'locks contacts of the current account, in everybody''s order, until the end of the transaction: no leads of them are made meanwhile, nor do rows come that refer to the first';

-- The first closed stage is the goal, Won; those behind it are ways out, and
-- behind every open one, so that a lead that is worked does not vanish because
-- another was lost.
create function leadstream._stage_ranks(account text, out stage text, out rank bigint) returns setof record
language sql stable
set search_path = pg_catalog, pg_temp
as $$
	select r.stage, row_number() over (order by r.goal, not r.is_closed, r.place)
	from (
		select s.stage, s.is_closed, s.place,
			   s.is_closed and s.place = min(s.place) filter (where s.is_closed) over () as goal
		from (
			select u.stage, u.place,
				   coalesce((select o.is_closed from leadstream.stage o
							 where o.stage = u.stage and o.account in (_stage_ranks.account, '')
							 order by o.account = '' limit 1), false) as is_closed
			from unnest(leadstream._stages(_stage_ranks.account)) with ordinality as u(stage, place)
		) as s
	) as r
$$;
comment on function leadstream._stage_ranks(text) is
'how far a lead has come: ways out, open stages in their order, the first closed stage';

-- The lead of one team that both contacts have.
create function leadstream._merge_leads(into_lead bigint, from_lead bigint) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	moment constant timestamptz := leadstream.clock();
	survivor bigint;
	loser	bigint;
	kept	record;
	gone	record;
begin
	select l.lead_id into survivor
	from leadstream.lead l
	join leadstream.team t on t.team_id = l.team_id
	left join lateral leadstream._stage_ranks(t.account) as r on r.stage = l.stage
	where l.lead_id in (into_lead, from_lead)
	order by coalesce(r.rank, 0) desc, l.created_at, l.lead_id
	limit 1;
	loser := case survivor when into_lead then from_lead else into_lead end;
	select l.is_manual, l.assignee_id, l.is_hidden, l.stage into kept
	from leadstream.lead l where l.lead_id = survivor;
	select l.is_manual, l.assignee_id, l.is_hidden, l.stage into gone
	from leadstream.lead l where l.lead_id = loser;

	insert into leadstream.lead_event (lead_id, contact_id, team_id, at, actor, what, old, note, stream_id)
	select l.lead_id, l.contact_id, l.team_id, moment, leadstream._actor(), 'matched',
		   (select to_char(min(coalesce(e.old::timestamptz, e.at)) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ')
			from leadstream.lead_event e
			where e.lead_id = loser and e.stream_id = o.stream_id
			  and e.what in ('created', 'matched')),
		   format('%s (merged)', s.stream), o.stream_id
	from leadstream.lead l, leadstream.lead_match o
	join leadstream.stream s on s.stream_id = o.stream_id
	where l.lead_id = survivor and o.lead_id = loser
	  and not exists (select from leadstream.lead_match m
					  where m.lead_id = survivor and m.stream_id = o.stream_id)
	order by o.stream_id;
	-- Of a match that both have the later one stays: it is what a new one is
	-- measured by.
	insert into leadstream.lead_match as m
		(lead_id, stream_id, rule_version, matched_at, created_at, origin, evidence)
	select survivor, o.stream_id, o.rule_version, o.matched_at, o.created_at, o.origin, o.evidence
	from leadstream.lead_match o where o.lead_id = loser
	on conflict (lead_id, stream_id) do update
	set rule_version = excluded.rule_version, matched_at = excluded.matched_at,
		created_at = excluded.created_at, origin = excluded.origin, evidence = excluded.evidence
	where excluded.matched_at > m.matched_at;

	perform leadstream._note_event(loser, moment, 'deleted', gone.stage, survivor::text,
								   format('merged with lead %s', survivor));
	delete from leadstream.lead l where l.lead_id = loser;
	update leadstream.lead l
	set is_manual = kept.is_manual or gone.is_manual,
		assignee_id = coalesce(kept.assignee_id, gone.assignee_id),
		is_hidden = kept.is_hidden and gone.is_hidden
	where l.lead_id = survivor
	  and (l.is_manual, l.assignee_id, l.is_hidden) is distinct from
		  (kept.is_manual or gone.is_manual, coalesce(kept.assignee_id, gone.assignee_id),
		   kept.is_hidden and gone.is_hidden);
	if kept.assignee_id is null and gone.assignee_id is not null then
		perform leadstream._note_event(survivor, moment, 'assigned', null,
									   leadstream._sales_user_name(gone.assignee_id), 'merged');
	end if;
	if kept.is_hidden and not gone.is_hidden then
		perform leadstream._note_event(survivor, moment, 'unhidden', null, null, 'merged');
	end if;
	return survivor;
end
$$;
comment on function leadstream._merge_leads(bigint, bigint) is
'makes one of two leads of a team, the more advanced one, with the matches of both; returns it';

create function leadstream._await_scores(contact text) returns void
language c volatile strict parallel unsafe
as 'MODULE_PATHNAME', 'leadstream_await_scores';
comment on function leadstream._await_scores(text) is
'has the scores of a contact judged anew by whoever comes next';

create function leadstream.merge_contacts(from_contact text, into_contact text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
	equals	text;
	from_key text;
	into_key text;
	is_same	boolean;
	r		record;
	lead	bigint;
	stayed	bigint[] := '{}';
	notes	text[] := '{}';
begin
	perform leadstream._not_null('from_contact', from_contact is null);
	perform leadstream._not_null('into_contact', into_contact is null);
	perform leadstream._need_fresh('merge_contacts()');
	perform leadstream._raise_not_attached();
	equals := leadstream._key_operator();
	from_key := leadstream._key_literal(from_contact);
	into_key := leadstream._key_literal(into_contact);
	execute format('select %s %s %s', from_key, equals, into_key) into is_same;
	if is_same then
		raise exception 'contact "%" cannot be merged with itself', from_contact
			using errcode = 'invalid_parameter_value';
	end if;
	perform leadstream._hold_contacts(from_contact, into_contact);
	lock table leadstream.lead in row exclusive mode;
	perform from leadstream.lead l
	where l.lead_id in (select leadstream._leads_of(from_contact)
						union all select leadstream._leads_of(into_contact))
	order by l.lead_id for update;

	for r in
		select f.lead_id as from_lead, i.lead_id as into_lead
		from leadstream.lead f
		left join leadstream.lead i
			on i.team_id = f.team_id and i.lead_id in (select leadstream._leads_of(into_contact))
		where f.lead_id in (select leadstream._leads_of(from_contact))
		order by f.team_id
	loop
		if r.into_lead is null then
			stayed := stayed || r.from_lead;
			notes := notes || null::text;
		else
			lead := leadstream._merge_leads(r.into_lead, r.from_lead);
			stayed := stayed || lead;
			notes := notes || format('with lead %s', r.into_lead + r.from_lead - lead);
		end if;
	end loop;
	execute format('update leadstream.lead set contact_id = %s where contact_id %s %s',
				   into_key, equals, from_key);
	-- Also of leads that went before; those written just now had to bear the
	-- key of their lead.
	execute format('update leadstream.lead_event set contact_id = %s where contact_id %s %s',
				   into_key, equals, from_key);
	for i in 1 .. cardinality(stayed) loop
		perform leadstream._note_event(stayed[i], leadstream.clock(), 'merged', from_contact, null, notes[i]);
	end loop;
	-- activities may be moved past capture, and after this
	perform leadstream._await_scores(from_contact), leadstream._await_scores(into_contact);
	return cardinality(stayed);
end
$$;
comment on function leadstream.merge_contacts(text, text) is
'the same, for drivers that send the keys as parameters of no type';

create function leadstream.merge_contacts(from_contact anycompatible, into_contact anycompatible) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
	perform leadstream._not_null('from_contact', from_contact is null);
	perform leadstream._not_null('into_contact', into_contact is null);
	return leadstream.merge_contacts(format('%s', from_contact), format('%s', into_contact));
end
$$;
comment on function leadstream.merge_contacts(anycompatible, anycompatible) is
'gives the leads, matches and events of a contact to another; returns how many leads came. Where both have a lead of a team, the more advanced one stays, '
'with the matches of both: the first closed stage, such as Won, comes before the open stages from the last to the first, and these before all other closed ones. '
'Activities are moved, and the row of the contact merged away is deleted, by the application, best in the same transaction.';

revoke execute on function
	leadstream._hold_contacts(text, text),
	leadstream._await_scores(text),
	leadstream.merge_contacts(text, text),
	leadstream.merge_contacts(anycompatible, anycompatible)
from public;
