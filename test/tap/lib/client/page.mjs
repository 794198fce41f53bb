// The page of README's rule builder, drawn by react-querybuilder as a server does.
//
//   node page.mjs FOLDER FILE      FILE has the element, as README.md shows it

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { equal, ok } from './tap.mjs';

const [folder, file] = process.argv.slice(2);
const require = createRequire(join(folder, 'package.json'));
const pg = require('pg');
const React = require('react');
const { renderToStaticMarkup } = require('react-dom/server');
const { QueryBuilder } = require('react-querybuilder');
const { transform } = require('sucrase');

const rule = "country in ('SE', 'NO') and count(page_visit where url starts with '/pricing' within 7 days) >= 3";
const db = new pg.Client();
await db.connect();
const { rows: [{ fields, query }] } = await db.query('select leadstream.builder_fields() as fields, $1::leadstream.rule::jsonb as query', [rule]);

let changed = query;
const setQuery = q => { changed = q; };
const { code } = transform(readFileSync(file, 'utf8'), { transforms: ['jsx'], jsxRuntime: 'classic', production: true });
const element = new Function('React', 'QueryBuilder', 'fields', 'query', 'setQuery', `return (${code.trim().replace(/;$/, '')})`)(
  React, QueryBuilder, fields, query, setQuery);
const html = renderToStaticMarkup(element);

for (const name of ['country', 'page_visit', 'url', 'sum(purchase.amount)'])
  ok(html.includes(`value="${name}"`), `the form offers ${name}`);
ok(/<option[^>]* value="country" selected|selected="" value="country"|value="country" selected=""/.test(html), 'country is chosen');
ok(html.includes('value="/pricing"'), 'the value of the inner condition is shown');
ok((html.match(/class="[^"]*\brule\b/g) ?? []).length >= 4, 'there is a line for each condition');
equal(typeof element.props.onQueryChange, 'function', 'changes are taken');
element.props.onQueryChange({ ...query, not: true });
const { rows: [{ saved }] } = await db.query('select $1::jsonb::leadstream.rule as saved', [changed]);
equal(saved, `not (${rule})`, 'and saved');
await db.end();
console.log('done');
