import { choose, type ProviderName, wantedProvider } from "./choice.ts";
import { loadAll } from "./providers.ts";
import { cipherLabel } from "./suites.ts";

/** What serves a cipher, with every MAC alike. */
export interface Surveyed {
  readonly cipher: string;
  readonly provider: ProviderName;
  /** Why the others do not serve. */
  readonly others: ReadonlyArray<{ readonly name: ProviderName; readonly why: string }>;
  readonly complaint?: string;
}

/**
 * Loads and tests every provider, and tells what a server started with `SLUICE_CIPHERS=value` uses.
 * An Error says that `value` names no provider.
 */
export const surveyCiphers = async (
  value: string | undefined,
): Promise<ReadonlyArray<Surveyed> | Error> => {
  const wanted = wantedProvider(value);
  if (wanted instanceof Error) return wanted;
  const lines = new Map<string, Surveyed>();
  for (const { suite, provider, others, complaint } of choose(await loadAll(), wanted).values()) {
    const line = {
      cipher: cipherLabel(suite.cipher),
      provider: provider.name,
      others,
      ...(complaint === undefined ? {} : { complaint }),
    };
    // A cipher has several lines only if its MACs fare differently.
    lines.set([line.cipher, line.provider, complaint].join(" "), line);
  }
  return [...lines.values()];
};
