import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { link, open, readFile, stat, unlink } from "node:fs/promises";
import { Effect } from "effect";
import { ConfigError } from "../../src/errors.ts";

const keyLength = 32;

/**
 * Reads a key of 32 bytes, or makes it on the first start, mode 0600.
 *
 * Refuses a file that others may read and one that is damaged: it never
 * replaces a key, because what it sealed would be lost.
 */
export const secretFile = (path: string): Effect.Effect<Uint8Array, ConfigError> =>
  Effect.gen(function* () {
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
    return new Uint8Array(Buffer.from(text, "hex"));
  });

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

/** `ENOENT` and the like. */
export const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause ? String(cause.code) : undefined;

const reasonOf = (cause: unknown): string => {
  const code = codeOf(cause);
  return `cannot be read or made${
    code ? ` (${code})` : ""
  }; check the data folder's owner and rights`;
};
