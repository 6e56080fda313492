import type { Provider, Suite } from "./port.ts";
import { flawOf } from "./self_test.ts";
import { labelOf, suites } from "./suites.ts";

export type ProviderName = Provider["name"];

/** Fastest first, for each suite that several have (docs/decisions/0008). */
const bySpeed: ReadonlyArray<ProviderName> = ["libcrypto", "sodium", "node"];

/** A provider that was looked for: there, or why it is not. */
export interface Candidate {
  readonly name: ProviderName;
  /** Undefined: was not loaded, as something faster serves. */
  readonly found: Provider | Error | undefined;
}

/** What serves one suite, and why the others do not. */
export interface Choice {
  readonly suite: Suite;
  readonly provider: Provider;
  readonly others: ReadonlyArray<{ readonly name: ProviderName; readonly why: string }>;
  /** A provider is broken, or the one that was asked for does not serve. */
  readonly complaint?: string;
}

/** Reads `SLUICE_CIPHERS`; an Error names a value that is none of the providers. */
export const wantedProvider = (value: string | undefined): ProviderName | undefined | Error => {
  if (value === undefined || value === "") return undefined;
  return bySpeed.find((name) => name === value) ??
    new Error(`${JSON.stringify(value)} is none of ${bySpeed.join(", ")}`);
};

/**
 * Picks a provider for each suite: the wanted one where it has the suite and passes the self-test,
 * `node` where the wanted one does not; the fastest that passes where none is wanted.
 */
export const choose = (
  candidates: ReadonlyArray<Candidate>,
  wanted: ProviderName | undefined,
): ReadonlyMap<string, Choice> => {
  const order = wanted === undefined ? bySpeed : [...new Set([wanted, "node" as const])];
  const found = (name: ProviderName) => candidates.find((c) => c.name === name)?.found;
  return new Map(suites.map((suite) => {
    const others: { name: ProviderName; why: string }[] = [];
    let provider: Provider | undefined;
    let complaint: string | undefined;
    for (const name of [...order, ...bySpeed.filter((name) => !order.includes(name))]) {
      const candidate = found(name);
      const pass = (why: string) => void others.push({ name, why });
      if (!order.includes(name)) pass(`SLUICE_CIPHERS=${wanted}`);
      else if (candidate instanceof Error) {
        pass(candidate.message);
        if (name === wanted) complaint = `${name} is asked for, but ${candidate.message}`;
      } else if (candidate === undefined) pass("not loaded: slower");
      else if (!candidate.supports(suite)) pass("does not have it");
      else if (provider) pass("slower");
      else {
        const flaw = flawOf(candidate, suite);
        if (flaw === undefined) provider = candidate;
        else {
          pass(`failed its self-test: ${flaw}`);
          complaint = `${name} failed its self-test for ${labelOf(suite)}: ${flaw}`;
        }
      }
    }
    if (!provider) throw new Error(`no provider passes its self-test for ${labelOf(suite)}`);
    const choice = { suite, provider, others, ...(complaint === undefined ? {} : { complaint }) };
    return [labelOf(suite), choice];
  }));
};
