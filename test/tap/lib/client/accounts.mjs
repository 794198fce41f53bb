// README's module for an application of many customers.
//
//   node accounts.mjs MODULE

import { pathToFileURL } from 'node:url';
import { createRequire } from 'node:module';
import { equal, fails } from './tap.mjs';

const { inAccount, moveLead } = await import(pathToFileURL(process.argv[2]));
const pg = createRequire(process.argv[2])('pg');
const db = new pg.Client();
await db.connect();

const accounts = ['n1', 'n2', "n'3", 'ñ4'];
const form = async (client, account, kind = 'Request a demo') => {
  const { rows: [{ contact_id: who }] } = await client.query('insert into contact (account_id) values ($1) returning contact_id', [account]);
  await client.query('insert into form_submit (contact_id, form) values ($1, $2)', [who, kind]);
  const { rows } = await client.query('select lead_id from leadstream.leads where contact_id = $1', [who]);
  return rows[0]?.lead_id;
};

// The same names in each; all at once
await Promise.all(accounts.map(account => inAccount(account, async client => {
  await client.query("select leadstream.create_team('Sales')");
  await client.query("select leadstream.create_stream('Demo', $1, '{Sales}')", ["exists(form_submit where form = 'Request a demo')"]);
  await client.query("select leadstream.enable('Demo')");
})));
const { rows } = await db.query('select account, team from leadstream.team where account = any ($1) order by 1, 2', [accounts]);
equal(rows, [...accounts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).map(account => ({ account, team: 'Sales' })),
  'each account has its team');

const leads = await Promise.all(Array.from({ length: 40 }, (_, i) => form(db, accounts[i % 4])));
await Promise.all(leads.map((lead, i) => moveLead(accounts[i % 4], lead, 'SQL', `reason ${i}`)));
const moved = await db.query("select account, count(*)::integer from leadstream.leads where account = any ($1) and stage = 'SQL' group by 1", [accounts]);
equal(new Map(moved.rows.map(r => [r.account, r.count])), new Map(accounts.map(a => [a, 10])), 'leads are moved, forty at a time');
await fails(moveLead(accounts[0], leads[1], 'Won'), "another account's lead", { code: 'P0002' });
const gone = inAccount(accounts[0], async client => {
  await form(client, accounts[0]);
  throw new Error('changed my mind');
});
await fails(gone, 'what throws', { message: 'changed my mind' });
const { rows: [{ count }] } = await db.query('select count(*)::integer from leadstream.leads where account = any ($1)', [accounts]);
equal(count, 40, 'leaves nothing behind');
const left = await Promise.all(Array.from({ length: 3 }, async () => {   // at once, so on all three connections of the server
  const client = new pg.Client();
  await client.connect();
  await client.query('begin');
  const { rows: [{ account }] } = await client.query("select current_setting('leadstream.account', true) as account, pg_sleep(0.2)");
  await client.query('commit');
  await client.end();
  return account ?? '';
}));
equal(left, ['', '', ''], 'the setting ends with its transaction');
await db.end();
console.log('done');
process.exit();   // README's pool stays open
