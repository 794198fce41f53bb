// builder.mjs: what react-querybuilder's core makes of rules, for builder.pl
//
//   node builder.mjs FOLDER SEED COUNT <input >output
//
// FOLDER has the packages in node_modules.  The input is a line of JSON each for
// the fields that the server offers and for rules that it wrote.  The output is
// lines of JSON: {"kind":"same"} is rule n as the library gave it back;
// {"kind":"new"} a rule that it made of a field; {"kind":"where"} a rule made up
// here, with the library's own SQL for it; {"kind":"jquery"} the operators that
// jQuery QueryBuilder has.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, seed, count] = process.argv.slice(2);
const require = createRequire(join(folder, 'package.json'));
const core = require('@react-querybuilder/core');
const { parseSQL } = require('@react-querybuilder/core/parseSQL');
const { parseJsonLogic } = require('@react-querybuilder/core/parseJsonLogic');
const [fields, ...rules] = readFileSync(0, 'utf8').split('\n').filter(l => l !== '').map(l => JSON.parse(l));

const put = o => process.stdout.write(JSON.stringify(o) + '\n');

let state = Number(seed);
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const pick = list => list[Math.floor(random() * list.length)];
const chance = percent => random() * 100 < percent;

// --------------------------------------------------------------------------
// The rules of the server, through the library and back
// --------------------------------------------------------------------------

rules.forEach((query, n) => {
  const same = (what, rule) => put({ kind: 'same', n, what, rule });
  const withIds = core.prepareRuleGroup(query);

  same('ids', withIds);
  same('formatQuery json', JSON.parse(core.formatQuery(withIds, 'json')));
  same('formatQuery json_without_ids', JSON.parse(core.formatQuery(withIds, 'json_without_ids')));
  same('regenerateIDs', core.regenerateIDs(withIds));
  same('independent combinators', core.convertToIC(withIds));
  same('and back', core.convertFromIC(core.convertToIC(withIds)));
  same('transformQuery', core.transformQuery(withIds));
  // edits that are taken back
  const rule = { field: 'a', operator: '=', value: 'x' };
  const added = core.add(withIds, rule, []);
  same('add and remove', core.remove(added, [added.rules.length - 1]));
  const ic = core.convertToIC(withIds);
  const added2 = core.add(ic, rule, []);
  same('add and remove, independent', core.remove(added2, [added2.rules.length - 1]));
  same('disabled', core.update(withIds, 'disabled', true, []));
  same('muted and not', core.update(core.update(withIds, 'muted', true, [0]), 'muted', false, [0]));
  same('insert and remove', core.remove(core.insert(withIds, { combinator: 'or', rules: [rule] }, [0]), [0]));
});

// --------------------------------------------------------------------------
// Rules that the library makes of the fields
// --------------------------------------------------------------------------

const made = (list, wrap) => list.forEach(field => {
  const { optionList } = core.prepareOptionList({ optionList: [field] });
  const modes = core.getMatchModesUtil(optionList[0]).map(m => m.value);
  for (const op of field.operators) {
    const options = {
      fields: optionList,
      getRuleDefaultOperator: () => op.name,
      getValueSources: () => core.toFullOptionList(field.valueSources ?? ['value']),
      getMatchModes: () => core.getMatchModesUtil(optionList[0]),
      getRuleDefaultValue: () => '',
    };
    const rule = core.createRule(options);
    if (op.arity !== 'unary' && modes.length === 0) {
      const one = {
        number: '5', boolean: true, time: field.inputType === 'date' ? '2024-01-31' : '2024-01-31T12:00',
        uuid: '6f2b0a5c-0a3c-4b0e-9d2f-1b1b1b1b1b1b'
      }[field.family] ?? { within: '7 days', 'older than': '1 day' }[field.name] ?? field.values?.[0]?.name ?? 'x';
      rule.value = /etween$/.test(op.name) ? core.joinWith([one, one], ',') : one;
    }
    put({ kind: 'new', what: `${field.name} ${op.name}`, rule: wrap(rule) });
  }
  modes.forEach(mode => {
    const rule = { field: field.name, operator: '=', match: { mode, threshold: 1 }, value: '' };
    // "all" wants something to be true of all
    if (mode !== 'all') put({ kind: 'new', what: `${field.name} ${mode}`, rule: wrap(rule) });
    const spans = ['within', 'older than'];
    const inside = (field.subproperties ?? []).filter(f => mode !== 'all' || !spans.includes(f.name));
    made(inside, r => wrap({ ...rule, value: { combinator: 'and', rules: [r] } }));
  });
});
made(fields, rule => ({ combinator: 'and', rules: [rule] }));

// --------------------------------------------------------------------------
// Rules on the contact, and the library's own SQL
// --------------------------------------------------------------------------

const texts = ['ada', 'bo', "o'hara", 'x,y', '10', 'a', 'b', 'or'];
const dates = ['2024-01-01', '2024-02-15', '2024-03-31', '2025-01-01'];
const columns = {
  name: { value: () => pick(texts), like: true, same: ['city'] },
  city: { value: () => pick(texts), like: true, same: ['name'] },
  score: { value: () => pick([0, 5, '10', 25, '50']), order: true, same: ['level'] },
  level: { value: () => pick([0, 1, '2', '-3', 5]), order: true, same: ['score'] },
  ratio: { value: () => pick([0.5, '0.25', 1, '1.5']), order: true, same: [] },
  born: { value: () => pick(dates), order: true, same: [] },
};
const listOf = (value, n) => {
  const list = Array.from({ length: n }, value);
  return chance(50) ? list : core.joinWith(list.map(String), ',');
};
const column = (name, { value, like, order, same }) => {
  const operators = ['=', '!=', 'in', 'notIn'];
  if (order) operators.push('<', '>', '<=', '>=', 'between', 'notBetween');
  if (like) operators.push('contains', 'beginsWith', 'endsWith', 'doesNotContain', 'doesNotBeginWith', 'doesNotEndWith');
  const operator = pick(operators);
  if (same.length > 0 && chance(15) && !/etween|[iI]n$/.test(operator)) {
    return { field: name, operator, valueSource: 'field', value: pick(same) };
  }
  const rule = { field: name, operator, valueSource: 'value' };
  rule.value = /etween$/.test(operator) ? listOf(value, 2) : /^(in|notIn)$/.test(operator) ? listOf(value, 1 + Math.floor(random() * 3)) : value();
  return rule;
};
const element = () => {
  const operator = pick(['=', '!=', 'contains', 'beginsWith', 'doesNotEndWith', 'in']);
  return { field: chance(50) ? '' : 'value', operator, value: operator === 'in' ? listOf(() => pick(texts), 2) : pick(texts) };
};
const aRule = () => {
  if (chance(8)) return { field: 'vip', operator: pick(['=', '!=']), value: chance(50) };
  if (chance(8)) return { field: 'note', operator: pick(['null', 'notNull']), value: chance(50) ? '' : null };
  if (chance(15)) {
    const mode = pick(['all', 'some', 'none', 'atLeast', 'atMost', 'exactly']);
    return {
      field: 'tags', operator: '=', match: { mode, threshold: pick([0, 1, 2, 3, 0.5, 0.25]) },
      value: { combinator: pick(['and', 'or']), not: chance(20), rules: [element(), ...(chance(40) ? [element()] : [])] },
    };
  }
  const name = pick(Object.keys(columns));
  return column(name, columns[name]);
};
const aGroup = depth => {
  const group = { combinator: pick(['and', 'or']), not: chance(25), rules: [] };
  for (let i = 1 + Math.floor(random() * 3); i > 0; i--) {
    group.rules.push({ ...(depth > 0 && chance(35) ? aGroup(depth - 1) : aRule()), ...(chance(4) && i > 1 ? { muted: true } : {}) });
  }
  return group;
};
const isPlain = group => !JSON.stringify(group).includes('"match"');

for (let n = 0; n < Number(count); n++) {
  const group = aGroup(2);
  const query = chance(30) ? core.convertToIC(group) : chance(50) ? core.prepareRuleGroup(group) : group;
  const sql = core.formatQuery(query, {
    format: 'sql', preset: 'postgresql', fields, parseNumbers: 'strict-limited', preserveValueOrder: true,
    quoteFieldNamesWith: '"', concatOperator: '||',
  });
  put({ kind: 'where', what: 'formatQuery sql', rule: query, sql });
  // the same query, read by the library from its own export
  if (isPlain(query) && !sql.includes('10') && !JSON.stringify(query).includes('"muted":true')) {
    // of two negations in a row it reads one
    if (!/NOT \(NOT/.test(sql)) put({ kind: 'where', what: 'parseSQL', rule: parseSQL(sql, { fields }), sql });
    // of "one field contains another" it makes the opposite there
    if (!sql.includes('||')) put({ kind: 'where', what: 'parseJsonLogic', rule: 
      parseJsonLogic(core.formatQuery(query, { format: 'jsonlogic', fields, parseNumbers: 'strict-limited', preserveValueOrder: true }), { fields }), sql });
  }
}

const source = readFileSync(require.resolve('jQuery-QueryBuilder/dist/js/query-builder.js'), 'utf8');
for (const [, name, inputs] of source.matchAll(/(\w+):\s*\{ type: '\1',\s*nb_inputs: (\d)/g)) {
  put({ kind: 'jquery', what: name, rule: { condition: 'AND', rules: [{ id: 'f', field: 'f', type: 'string', input: 'text', operator: name,
    value: [null, 'x', ['x', 'y']][Number(inputs)] }], valid: true } });
}
