import { type Candidate, type Choice, choose, type ProviderName } from "./choice.ts";
import { libcryptoProvider } from "./libcrypto_provider.ts";
import { loadLibcrypto } from "./libcrypto.ts";
import { nodeProvider } from "./node_provider.ts";
import { loadPoly1305 } from "./poly1305_wasm.ts";
import { loadSodium, sodiumProvider } from "./sodium_provider.ts";

const libcrypto = (): Candidate => {
  const lib = loadLibcrypto();
  return { name: "libcrypto", found: lib instanceof Error ? lib : libcryptoProvider(lib) };
};

const sodium = async (): Promise<Candidate> => {
  const loaded = await loadSodium();
  return { name: "sodium", found: loaded instanceof Error ? loaded : sodiumProvider(loaded) };
};

const node = async (): Promise<Candidate> => ({
  name: "node",
  found: nodeProvider(await loadPoly1305()),
});

/** Looks for every provider; for `doctor` and the tests. */
export const loadAll = async (): Promise<ReadonlyArray<Candidate>> => [
  libcrypto(),
  await sodium(),
  await node(),
];

/** Loads what `wanted` needs, sodium only if it is used, and picks a provider for each suite. */
export const pickProviders = async (
  wanted: ProviderName | undefined,
): Promise<ReadonlyMap<string, Choice>> => {
  const candidates: Candidate[] = [await node()];
  if (wanted === undefined || wanted === "libcrypto") candidates.push(libcrypto());
  const chacha = (found: Candidate["found"]) =>
    found !== undefined && !(found instanceof Error) &&
    found.supports({ cipher: "chacha20-poly1305" });
  const fast = candidates.some(({ name, found }) => name === "libcrypto" && chacha(found));
  const needed = wanted === "sodium" || (wanted === undefined && !fast);
  candidates.push(needed ? await sodium() : { name: "sodium", found: undefined });
  return choose(candidates, wanted);
};
