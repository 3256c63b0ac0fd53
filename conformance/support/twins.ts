import { expect } from "./fixtures.ts";

/** What one back end made of a scenario, without what is its own: outcome classes, hashes, order, identities. */
export type TwinRecord = Readonly<Record<string, unknown>>;

/** A field in which a twin may differ: what it shows instead, and why. */
export type Differences = Readonly<Record<string, { readonly shows: unknown; readonly because: string }>>;

/**
 * Compares the record of another back end with that of the bus. They are equal but for the differences that section 1.1 of
 * 41-scenarios names; a difference that is not there is as wrong as one that is not named.
 */
export function expectTwin(twin: string, record: TwinRecord, bus: TwinRecord, differences: Differences = {}): void {
  const expected = { ...bus, ...Object.fromEntries(Object.entries(differences).map(([field, { shows }]) => [field, shows])) };
  const named = Object.entries(differences).map(([field, { because }]) => `; ${field}: ${because}`);
  expect(record, `the same over ${twin} as over the bus${named.join("")}`).toEqual(expected);
}
