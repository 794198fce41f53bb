// An application in node-postgres: from the form that somebody sends to the lead
// that is won.
//
//   node work.mjs FOLDER      FOLDER has pg in node_modules

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { equal, fails, ok } from './tap.mjs';

const require = createRequire(join(process.argv[2], 'package.json'));
const pg = require('pg');

const demo = "country in ('SE', 'NO') and exists(form_submit where form = 'Request a demo')";
const db = new pg.Client();
const notices = [];
db.on('notice', n => notices.push(n.code));
await db.connect();

const one = async (text, values) => {
  const { rows } = await db.query(typeof text === 'string' ? { text, values, rowMode: 'array' } : { rowMode: 'array', ...text });
  return rows.length ? rows[0][0] : null;
};
const contact = (name, country = 'SE') =>
  one('insert into contact (name, country, email) values ($1, $2, $3) returning contact_id', [name, country, `${name.toLowerCase()}@example.net`]);
const sendForm = (who, form = 'Request a demo') => db.query('insert into form_submit (contact_id, form) values ($1, $2)', [who, form]);
const leadsOf = who => one('select count(*)::integer from leadstream.leads where contact_id = $1', [who]);

// --------------------------------------------------------------------------
// A lead commits and rolls back with its cause
// --------------------------------------------------------------------------

await one('select leadstream.create_team($1)', ['Node']);
equal(typeof await one('select leadstream.create_stream($1, $2, $3, $4)', ['Js demo', demo, ['Node'], 'it\'s "quoted" – ünïcödé']),
  'number', 'create_stream returns a number');
await db.query('select leadstream.enable($1)', ['Js demo']);

const nils = await contact('Nils');
await db.query('begin');
await sendForm(nils);
equal(await leadsOf(nils), 1, 'the lead is there at once');
await db.query('rollback');
equal(await leadsOf(nils), 0, 'and goes with its transaction');
await db.query('begin');
await sendForm(nils);
await db.query('commit');
const { rows: [row] } = await db.query('select * from leadstream.board where contact_id = $1', [nils]);
const lead = row.lead_id;
equal([row.name, row.team, row.stage, row.streams, row.assigned_to, row.email], ['Nils', 'Node', 'MQL', 'Js demo', null, 'nils@example.net'], 'the board');
// bigint does not fit a number of JavaScript: pg gives it as a text, and takes it back
equal(typeof lead, 'string', 'lead_id is a text');
ok(Math.abs(Date.now() - row.created_at) < 600000, 'created_at is a Date');

// --------------------------------------------------------------------------
// The type rule: text, binary, JSON
// --------------------------------------------------------------------------

equal(await one('select $1::leadstream.rule', ["COUNTRY='SE'"]), "country = 'SE'", 'a rule comes as its text');
const oid = Number(await one("select 'leadstream.rule'::regtype::oid"));
const binary = rule => Buffer.concat([Buffer.from([1]), Buffer.from(rule)]);   // pg sends a Buffer in binary
db.setTypeParser(oid, 'binary', bytes => ({ version: bytes[0], rule: bytes.subarray(1).toString() }));
// as objects only: rows as arrays are not decoded, nor is what is no UTF-8
equal((await db.query({ text: 'select $1::leadstream.rule', values: [binary("country  =  'SÉ'")], binary: true })).rows,
  [{ rule: { version: 1, rule: "country = 'SÉ'" } }], 'a rule in binary, there and back');
equal(await one('select leadstream.is_match($1, $2)', [binary(demo), nils]), true, 'is_match of a rule in binary');
await fails(one('select $1::leadstream.rule', [binary(' and')]), 'a bad rule in binary',
  { code: '42601', message: 'syntax error in rule at or near "and"' });
await fails(one('select $1::leadstream.rule', [Buffer.from([2, 65])]), 'a version of the binary form that is none', { code: '22P03' });

const tree = await one('select rule::jsonb from leadstream.stream where stream = $1', ['Js demo']);
equal(tree.combinator, 'and', 'a rule as JSON is an object');
equal(await one('select $1::jsonb::leadstream.rule', [tree]), demo, 'and comes back as a parameter');
await db.query('select leadstream.create_stream($1, $2::jsonb::leadstream.rule, $3)', ['Js json', tree, ['Node']]);
equal(await one("select rule from leadstream.stream where stream = 'Js json'"), demo, 'a stream of a rule in JSON');
await fails(one('select $1::jsonb::leadstream.rule', [{ combinator: 'and', rules: [{ filed: 'a' }] }]), 'a mistake in the JSON',
  { code: '22023', detail: 'At $.rules[0].' });
ok((await one('select leadstream.builder_fields()')).some(f => f.name === 'country'), 'the fields of a rule builder are an array');

// --------------------------------------------------------------------------
// Keys, times, intervals, arrays: pg sends all of them without a type
// --------------------------------------------------------------------------

for (const [key, kind] of [[nils, 'a text'], [Number(nils), 'a number'], [BigInt(nils), 'a bigint']]) {
  equal(await one('select leadstream.is_match($1, $2)', [demo, key]), true, `is_match with ${kind}`);
  equal(await one('select leadstream.create_lead($1, $2)', [key, 'Node']), lead, `create_lead with ${kind}`);
  equal(await one('select leadstream.move_contact($1, $2)', [key, 'MQL']), '0', `move_contact with ${kind}`);
  equal(await one('select count(*) > 1 from leadstream.explain($1::leadstream.rule, $2)', [demo, key]), true, `explain with ${kind}`);
}
await db.query('select leadstream.alter_stream($1, requalify_after => $2)', ['Js demo', '30 days']);
equal(await one('select requalify_after from leadstream.streams where stream = $1', ['Js demo']), '30 days', 'an interval');
equal(await one('select leadstream.fetch_history($1::text[])', [['Js demo']]), '1', 'fetch_history of an array finds whom README has');
ok(Number(await one('select count(*) from leadstream.simulate($1::leadstream.rule, $2, $3)',
  [demo, new Date(Date.now() - 86400000), new Date(Date.now() + 60000)])) >= 1, 'simulate between Dates');

// --------------------------------------------------------------------------
// Prepared statements outlive a change of the stream
// --------------------------------------------------------------------------

const insert = (who, form) => db.query({ name: 'send', text: 'insert into form_submit (contact_id, form) values ($1, $2)', values: [who, form] });
const board = who => one({ name: 'board', text: 'select streams from leadstream.board where contact_id = $1', values: [who] });
const elsewhere = async (...query) => {
  const other = new pg.Client();
  await other.connect();
  await other.query(...query);
  await other.end();
};

for (let i = 0; i < 7; i++) {   // the sixth may be a generic plan
  const who = await contact(`Nora${i}`);
  await insert(who, 'Request a demo');
  equal(await board(who), 'Js demo', 'a lead by a prepared statement');
}
equal(await one("select count(*) from pg_prepared_statements where name in ('send', 'board')"), '2', 'which is prepared on the server');
await elsewhere('select leadstream.alter_stream($1, rule => $2)', ['Js demo', "exists(form_submit where form = 'Call me')"]);
let who = await contact('Nell', 'DK');
await insert(who, 'Request a demo');
equal(await board(who), null, 'the old rule is heeded no more');
await insert(who, 'Call me');
equal(await board(who), 'Js demo', 'the new one is');
await elsewhere("select leadstream.create_team('Node two'); select leadstream.alter_stream('Js demo', teams => '{Node,Node two}')");
who = await contact('Ned');
await insert(who, 'Call me');
equal(await leadsOf(who), 2, 'a team more, and the prepared insert makes a lead more');
await elsewhere("select leadstream.disable('Js demo')");
who = await contact('Nan');
await insert(who, 'Call me');
equal(await leadsOf(who), 0, 'none once the stream is disabled');
await elsewhere("select leadstream.enable('Js demo')");

// --------------------------------------------------------------------------
// Errors and notices as the driver shows them
// --------------------------------------------------------------------------

const unknown = await fails(db.query('select leadstream.create_stream($1, $2)', ['Js bad', "countri = 'SE'"]), 'an unknown field',
  { code: '42703', severity: 'ERROR' });
ok(unknown.hint?.startsWith('Perhaps you meant country. Fields of contact: contact_id, email, '), 'an unknown field: hint');
await fails(db.query('select leadstream.create_stream($1, $2)', ['Js bad', "country = = 'SE'"]), 'a syntax error',
  { code: '42601', message: 'syntax error in rule at or near "="' });
await fails(db.query("select leadstream.create_stream('Js bad', 'country = = 4')"), 'a syntax error in a literal', { code: '42601' });
await fails(db.query('select leadstream.clear($1)', ['Js demo']), 'clear of what is enabled',
  { code: '55000', hint: "Disable it first: select leadstream.disable('Js demo');" });
await fails(db.query('select leadstream.move($1, $2)', ['1000000000000', 'Won']), 'no such lead', { code: 'P0002' });
notices.length = 0;
await db.query('select leadstream.move($1, $2)', [lead, 'MQL']);
equal(notices, ['00000'], 'there already is a notice');

// --------------------------------------------------------------------------
// A pool of connections, one contact
// --------------------------------------------------------------------------

const pool = new pg.Pool({ max: 8 });
who = await contact('Nat');
await Promise.all(Array.from({ length: 32 }, () =>
  pool.query({ name: 'send', text: 'insert into form_submit (contact_id, form) values ($1, $2)', values: [who, 'Call me'] })));
equal(await leadsOf(who), 2, 'a pool of eight makes one lead for each team');
await pool.end();

// --------------------------------------------------------------------------
// The feed
// --------------------------------------------------------------------------

let cursor = null;
const fed = [];
for (;;) {
  const { rows: page } = await db.query({ name: 'feed', text: 'select * from leadstream.leads_since($1, $2)', values: [cursor, 3] });
  if (page.length === 0) break;
  fed.push(...page.map(l => Number(l.lead_id)));
  cursor = page[page.length - 1].cursor;
}
equal(fed.sort((a, b) => a - b), await one('select json_agg(lead_id order by lead_id) from leadstream.leads'), 'the feed has each lead once');
await fails(one('select leadstream.leads_since($1)', ['yesterday']), 'a cursor that is none', { code: '22P02' });

// --------------------------------------------------------------------------
// The lead is worked until it is won
// --------------------------------------------------------------------------

await db.query('select leadstream.create_sales_user($1, email => $2)', ['Ørjan', 'orjan@example.com']);
await db.query('select leadstream.add_member($1, $2)', ['Node', 'Ørjan']);
await db.query('select leadstream.assign($1, $2)', [lead, 'Ørjan']);
await db.query('select leadstream.add_note($1, $2)', [lead, 'Tuesday\n\tat ten; 100 %']);
await db.query('select leadstream.move($1, $2, $3)', [lead, 'Won', null]);
equal((await db.query({ text: 'select what, old, new, note from leadstream.lead_event where lead_id = $1 order by event_id offset 1', values: [lead], rowMode: 'array' })).rows,
  [['assigned', null, 'Ørjan', null], ['note', null, null, 'Tuesday\n\tat ten; 100 %'], ['stage', 'MQL', 'Won', null]], 'what happened to the lead');
equal(await leadsOf(nils), 1, 'it is there still');
equal(await board(nils), null, 'but not on the board');
await db.end();
console.log('done');
