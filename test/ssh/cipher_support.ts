import { randomBytes } from "node:crypto";
import type { Candidate } from "../../adapters/ssh/ciphers/choice.ts";
import { type Keys, type Provider, shapeOf, type Suite } from "../../adapters/ssh/ciphers/port.ts";
import { loadAll } from "../../adapters/ssh/ciphers/providers.ts";
import { testKeys } from "../../adapters/ssh/ciphers/self_test.ts";
import { labelOf, suites } from "../../adapters/ssh/ciphers/suites.ts";
import { testIf } from "../e2e/tools.ts";

/** Every provider, and why it is missing where it is. */
export const candidates: ReadonlyArray<Candidate> = await loadAll();

/** The providers of this machine. */
export const providers: ReadonlyArray<Provider> = candidates.flatMap(({ found }) =>
  found === undefined || found instanceof Error ? [] : [found]
);

/** The fastest provider of this machine that has `suite`. */
export const serving = (suite: Suite): Provider => {
  const found = providers.find((provider) => provider.supports(suite));
  if (!found) throw new Error(`nothing serves ${labelOf(suite)}`);
  return found;
};

export const randomKeys = (suite: Suite, sequence = randomBytes(4).readUInt32BE()): Keys => {
  const { key, iv } = testKeys(suite);
  return {
    key: randomBytes(key.length),
    iv: randomBytes(iv.length),
    macKey: randomBytes(suite.mac ? shapeOf(suite).overhead : 0),
    sequence,
  };
};

/** One test for each provider; a step for each suite that it has. */
export const forEachSuite = (name: string, body: (provider: Provider, suite: Suite) => void) => {
  for (const { name: providerName, found } of candidates) {
    const there = found !== undefined && !(found instanceof Error);
    testIf(there, `${providerName} is not installed`, `${name}, by ${providerName}`, () => {
      if (!there) return Promise.resolve();
      for (const suite of suites) {
        if (!found.supports(suite)) continue;
        try {
          body(found, suite);
        } catch (error) {
          throw new Error(`${labelOf(suite)}: ${error}`, { cause: error });
        }
      }
      return Promise.resolve();
    });
  }
};
