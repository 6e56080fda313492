// The worker of cipher_workers_test.ts: hammers the provider it is told of, and answers what went wrong.
import type { ProviderName } from "../../adapters/ssh/ciphers/choice.ts";
import { pickProviders } from "../../adapters/ssh/ciphers/providers.ts";
import { flawOf } from "../../adapters/ssh/ciphers/self_test.ts";

const parent = globalThis as unknown as MessagePort;
parent.onmessage = async ({ data }: MessageEvent<ProviderName>) => {
  const choices = [...(await pickProviders(data)).values()];
  parent.postMessage("busy");
  const wrong: string[] = [];
  for (let round = 0; round < 12; round++) {
    for (const { suite, provider } of choices) {
      const flaw = flawOf(provider, suite);
      if (flaw !== undefined) wrong.push(flaw);
    }
  }
  parent.postMessage({ wrong, used: choices.map(({ provider }) => provider.name) });
};
