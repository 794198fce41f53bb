# LeadCatalog: what an extension is made of, as text to compare.

package LeadCatalog;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(catalog_of difference);

# One line for each thing that belongs to leadstream, in the order of the lines:
# whatever CREATE EXTENSION and ALTER EXTENSION UPDATE may make differently.
# Columns are told by their numbers, for C reads them so.
sub catalog_of
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		$database, q{
		with member as (
			select d.classid, d.objid
			from pg_depend d join pg_extension e on e.oid = d.refobjid
			where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and e.extname = 'leadstream'),
		relation as (
			select c.* from pg_class c join member m on m.classid = 'pg_class'::regclass and m.objid = c.oid)
		select 'member', pg_describe_object(m.classid, m.objid, 0), '', '' from member m
		union all
		select 'function', p.oid::regprocedure::text, pg_get_function_result(p.oid) || ' ' || pg_get_functiondef(p.oid), p.proacl::text
		from pg_proc p join member m on m.classid = 'pg_proc'::regclass and m.objid = p.oid
		where p.prokind in ('f', 'p')
		union all
		select 'aggregate', p.oid::regprocedure::text, to_jsonb(a)::text, p.proacl::text
		from pg_proc p join member m on m.classid = 'pg_proc'::regclass and m.objid = p.oid
		join (select aggfnoid, aggtransfn, aggfinalfn, aggcombinefn, aggtranstype::regtype, agginitval from pg_aggregate) a on a.aggfnoid = p.oid
		union all
		select 'relation', r.oid::regclass::text, concat_ws(' ', r.relkind, r.relpersistence, r.reloptions), r.relacl::text
		from relation r
		union all
		select 'column', r.oid::regclass || ' ' || a.attnum, concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
			a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)), a.attacl::text
		from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
		left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		where r.relkind in ('r', 'v')
		union all
		select 'constraint', r.oid::regclass::text, c.conname || ' ' || pg_get_constraintdef(c.oid), ''
		from relation r join pg_constraint c on c.conrelid = r.oid
		union all
		select 'index', r.oid::regclass::text, pg_get_indexdef(i.indexrelid), ''
		from relation r join pg_index i on i.indrelid = r.oid
		union all
		select 'trigger', r.oid::regclass::text, pg_get_triggerdef(t.oid), t.tgenabled::text
		from relation r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
		union all
		select 'view', r.oid::regclass::text, pg_get_viewdef(r.oid), '' from relation r where r.relkind = 'v'
		union all
		select 'sequence', r.oid::regclass::text, format_type(s.seqtypid, null), concat_ws(' ', s.seqstart, s.seqincrement, s.seqmax)
		from relation r join pg_sequence s on s.seqrelid = r.oid
		union all
		select 'type', t.oid::regtype::text, concat_ws(' ', t.typlen, t.typbyval, t.typtype, t.typcategory, t.typinput, t.typoutput,
			t.typreceive, t.typsend, t.typalign, t.typstorage), t.typacl::text
		from pg_type t join member m on m.classid = 'pg_type'::regclass and m.objid = t.oid
		union all
		select 'operator', o.oid::regoperator::text, concat_ws(' ', o.oprcode, o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge,
			o.oprcom::regoperator, o.oprnegate::regoperator), ''
		from pg_operator o join member m on m.classid = 'pg_operator'::regclass and m.objid = o.oid
		union all
		select 'operator class', o.opcname, concat_ws(' ', o.opcmethod, o.opcdefault, o.opcintype::regtype), ''
		from pg_opclass o join member m on m.classid = 'pg_opclass'::regclass and m.objid = o.oid
		union all
		select 'member of a family', f.opfname, concat_ws(' ', o.amopstrategy, o.amopopr::regoperator), ''
		from pg_opfamily f join member m on m.classid = 'pg_opfamily'::regclass and m.objid = f.oid
		join pg_amop o on o.amopfamily = f.oid
		union all
		select 'support of a family', f.opfname, concat_ws(' ', p.amprocnum, p.amproc::regprocedure), ''
		from pg_opfamily f join member m on m.classid = 'pg_opfamily'::regclass and m.objid = f.oid
		join pg_amproc p on p.amprocfamily = f.oid
		union all
		select 'cast', c.castsource::regtype || ' ' || c.casttarget::regtype, concat_ws(' ', c.castfunc::regprocedure, c.castcontext, c.castmethod), ''
		from pg_cast c join member m on m.classid = 'pg_cast'::regclass and m.objid = c.oid
		union all
		select 'event trigger', e.evtname, concat_ws(' ', e.evtevent, e.evtfoid::regprocedure, e.evttags), e.evtenabled::text
		from pg_event_trigger e join member m on m.classid = 'pg_event_trigger'::regclass and m.objid = e.oid
		union all
		select 'comment', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description, ''
		from pg_description d
		where exists (select from member m where (m.classid, m.objid) = (d.classoid, d.objoid))
		   or exists (select from pg_trigger t join relation r on r.oid = t.tgrelid
					  where d.classoid = 'pg_trigger'::regclass and d.objoid = t.oid)
		union all
		select 'dumped', c::regclass::text, w, '' from pg_extension e, unnest(e.extconfig, e.extcondition) as u(c, w) where e.extname = 'leadstream'
		union all
		select 'extension', e.extname, concat_ws(' ', e.extversion, e.extrelocatable, e.extnamespace::regnamespace), '' from pg_extension e where e.extname = 'leadstream'
		union all
		select 'schema', n.nspname, obj_description(n.oid, 'pg_namespace'), n.nspacl::text from pg_namespace n where n.nspname = 'leadstream'
		order by 1, 2, 3, 4});
}

# The first lines that differ; nothing where all are the same.
sub difference
{
	my ($one, $other) = @_;
	my %is_in;

	$is_in{$_} |= 1 foreach split /\n/, $one;
	$is_in{$_} |= 2 foreach split /\n/, $other;
	my @lines = sort grep { $is_in{$_} != 3 } keys %is_in;
	return join("\n", map { ($is_in{$_} == 1 ? '- ' : '+ ') . $_ } @lines[ 0 .. ($#lines > 19 ? 19 : $#lines) ]);
}

1;
