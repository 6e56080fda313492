import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { link, open, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Effect, Layer } from "effect";
import { Config } from "../../src/config/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { MasterKey } from "../../src/identity/sealed.ts";

const keyLength = 32;

/**
 * Reads `<data_dir>/master.key`, or makes it on the first start, mode 0600.
 *
 * Refuses a file that others may read and one that is damaged: it never
 * replaces a key, because what it sealed would be lost.
 */
export const layer: Layer.Layer<MasterKey, ConfigError, Config> = Layer.effect(
  MasterKey,
  Effect.gen(function* () {
    const path = join((yield* Config).data_dir, "master.key");
    const problem = (what: string) => new ConfigError({ problems: [{ where: path, what }] });
    const attempt = <A>(work: () => Promise<A>) =>
      Effect.tryPromise({ try: work, catch: (cause) => problem(reasonOf(cause)) });

    yield* attempt(() => makeUnlessThere(path));
    const { mode } = yield* attempt(() => stat(path));
    if ((mode & 0o077) !== 0) {
      return yield* problem("others may read it; run `chmod 600` on it");
    }
    const text = (yield* attempt(() => readFile(path, "utf8"))).trim();
    if (!/^[0-9a-f]{64}$/.test(text)) {
      return yield* problem("is not a key (64 hex digits); restore it from a backup");
    }
    const bytes = new Uint8Array(Buffer.from(text, "hex"));
    const id = createHash("sha256").update("sluice master key").update(bytes).digest("hex");
    return MasterKey.of({ id: id.slice(0, 16), bytes });
  }),
);

/** Writes a new key beside and links it into place: whole or not at all, and never over another. */
const makeUnlessThere = async (path: string): Promise<void> => {
  const there = await stat(path).then(() => true, (cause) => {
    if (codeOf(cause) === "ENOENT") return false;
    throw cause;
  });
  if (there) return;
  const fresh = `${path}.${randomBytes(6).toString("hex")}`;
  const file = await open(fresh, "wx", 0o600);
  try {
    await file.writeFile(`${randomBytes(keyLength).toString("hex")}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(fresh, path);
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST") throw cause;
  } finally {
    await unlink(fresh);
  }
};

const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause ? String(cause.code) : undefined;

const reasonOf = (cause: unknown): string => {
  const code = codeOf(cause);
  return `cannot be read or made${
    code ? ` (${code})` : ""
  }; check the data folder's owner and rights`;
};
