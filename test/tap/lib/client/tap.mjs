// What run_client() in ClientWorld.pm reads: what was looked at, and how it was.

import { isDeepStrictEqual } from 'node:util';

export function ok(good, what) {
  console.log(`${good ? 'ok' : 'not ok'} - ${what}`);
  return good;
}

export function equal(got, expected, what) {
  if (!ok(isDeepStrictEqual(got, expected), what))
    console.log(`#      got: ${JSON.stringify(got)}\n# expected: ${JSON.stringify(expected)}`);
}

// The error that a promise ends with, as pg shows it.
export async function fails(promise, what, expected) {
  const error = await promise.then(() => ({}), e => e);
  for (const [name, value] of Object.entries(expected)) equal(error[name], value, `${what}: ${name}`);
  return error;
}
