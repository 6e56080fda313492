import { statSync } from "node:fs";
import { mkdir, readdir, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Effect, Layer } from "effect";
import { Config } from "../../src/config/config.ts";
import type { ConfigError } from "../../src/errors.ts";
import { KeyFileError } from "../../src/identity/key_files.ts";
import { TokenStore } from "../../src/identity/token_store.ts";
import { secretFile } from "./secret_file.ts";

/** Longer than any token lives; the disk's clock may differ from ours. */
const keptFor = 24 * 60 * 60 * 1000;

/**
 * Keeps `<data_dir>/token.key`, and an empty file in `<data_dir>/revoked_tokens`
 * for each token that was given back: every thread sees it at once, and the
 * next start too.
 */
export const layer: Layer.Layer<TokenStore, ConfigError, Config> = Layer.effect(
  TokenStore,
  Effect.gen(function* () {
    const { data_dir } = yield* Config;
    const key = yield* secretFile(join(data_dir, "token.key"));
    const folder = join(data_dir, "revoked_tokens");
    const unusable = (cause: unknown) =>
      new KeyFileError({ path: folder, what: "cannot be used", cause });
    const attempt = <A>(work: () => Promise<A>) =>
      Effect.tryPromise({ try: work, catch: unusable });
    return TokenStore.of({
      key,
      revoke: (id) =>
        attempt(async () => {
          await mkdir(folder, { recursive: true, mode: 0o700 });
          await writeFile(join(folder, fileName(id)), "", { mode: 0o600 });
          await clear(folder);
        }),
      // Each request asks, and mostly for a name that is not there: 20 µs, where the thread pool takes 200.
      isRevoked: (id) =>
        Effect.try({
          try: () => statSync(join(folder, fileName(id)), { throwIfNoEntry: false }) !== undefined,
          catch: unusable,
        }),
    });
  }),
);

const fileName = (id: string): string => {
  if (/^[0-9a-f]{32}$/.test(id)) return id;
  throw new Error("not the id of a token");
};

/** Removes what has ended long ago; another thread may do the same at this moment. */
const clear = async (folder: string): Promise<void> => {
  const before = Date.now() - keptFor;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const old = await stat(path).then(({ mtimeMs }) => mtimeMs < before, () => false);
    if (old) await unlink(path).catch(() => {});
  }
};
