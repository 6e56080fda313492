import { Buffer } from "node:buffer";
import { chmod, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import { Effect } from "effect";
import { ConfigError } from "../../src/errors.ts";
import { generateKey, type KeyKind, readPrivateKey } from "./key_file.ts";
import type { HostKey } from "./patches.ts";
import { Fields } from "./wire.ts";

/** Host keys by the algorithm that a client negotiates; a certificate's entry names its plain one. */
export type HostKeys = ReadonlyMap<string, { readonly key: HostKey; readonly plain: string }>;

const MADE: Record<string, KeyKind> = { id_ed25519: "ed25519", id_ecdsa: "ecdsa", id_rsa: "rsa" };

/**
 * Reads the host keys, making those named `id_ed25519`, `id_ecdsa` and `id_rsa`
 * that are not there yet, and attaches host certificates (BEHAVIOUR SSH-06).
 *
 * Fails naming the file and the fix when a key cannot be read or parsed, or
 * when others than its owner may read it.
 */
export const loadHostKeys = (options: {
  readonly dataDir: string;
  readonly files: ReadonlyArray<string>;
  readonly certificates: ReadonlyArray<string>;
  readonly algorithms: ReadonlyArray<string>;
}): Effect.Effect<HostKeys, ConfigError> =>
  Effect.gen(function* () {
    const place = (file: string) => isAbsolute(file) ? file : join(options.dataDir, file);
    const files = (options.files.length > 0 ? options.files : Object.keys(MADE)).map(place);
    const keys = yield* Effect.forEach(files, loadKey);
    const certificates = yield* Effect.forEach(options.certificates.map(place), loadCertificate);
    return arrange(keys, certificates, options.algorithms);
  });

const problem = (where: string, what: string) => new ConfigError({ problems: [{ where, what }] });
const text = (error: unknown) => error instanceof Error ? error.message : String(error);

const loadKey = (file: string): Effect.Effect<HostKey, ConfigError> =>
  Effect.gen(function* () {
    const kind = MADE[basename(file)];
    const found = yield* Effect.promise(() => stat(file).catch(() => undefined));
    if (!found) {
      if (!kind) return yield* problem(file, "host key not found; create it or correct the path");
      return yield* makeKey(file, kind);
    }
    if ((found.mode & 0o077) !== 0) {
      const mode = (found.mode & 0o777).toString(8);
      return yield* problem(
        file,
        `host key has mode ${mode}, so others can use it; run: chmod 600 ${file}`,
      );
    }
    return yield* parse(file);
  });

const parse = (file: string): Effect.Effect<HostKey, ConfigError> =>
  Effect.gen(function* () {
    const content = yield* Effect.tryPromise({
      try: () => readFile(file, "utf8"),
      catch: (error) => problem(file, `host key cannot be read (${text(error)}); fix its owner`),
    });
    const key = readPrivateKey(content);
    if (!(key instanceof Error)) return key;
    return yield* problem(
      file,
      `host key cannot be used (${key.message}); restore it, or move it away to have one made`,
    );
  });

/** Written beside its place, checked by reading it back, then renamed: never half a key. */
const makeKey = (file: string, kind: KeyKind): Effect.Effect<HostKey, ConfigError> =>
  Effect.gen(function* () {
    const made = yield* Effect.tryPromise({
      try: () => generateKey(kind, "sluice"),
      catch: (error) => problem(file, `host key cannot be made (${text(error)})`),
    });
    const temporary = `${file}.${crypto.randomUUID()}.new`;
    yield* Effect.tryPromise({
      try: async () => {
        await mkdir(dirname(file), { recursive: true });
        await store(temporary, made.privateKey, 0o600);
      },
      catch: (error) => problem(file, `host key cannot be written (${text(error)})`),
    });
    const key = yield* Effect.tapError(
      parse(temporary),
      () => Effect.promise(() => rm(temporary, { force: true })),
    );
    yield* Effect.tryPromise({
      try: async () => {
        await store(`${file}.pub`, made.publicKey, 0o644);
        await rename(temporary, file);
      },
      catch: (error) => problem(file, `host key cannot be written (${text(error)})`),
    });
    yield* Effect.logInfo("made a host key").pipe(Effect.annotateLogs({ file, kind }));
    return key;
  });

const store = async (file: string, content: string, mode: number): Promise<void> => {
  const handle = await open(file, "w", mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await chmod(file, mode);
};

interface Certificate {
  readonly type: string;
  readonly blob: Buffer;
  /** Blob of the plain key that it certifies. */
  readonly certified: Buffer;
}

/** Fields of the certified key, by certificate type (PROTOCOL.certkeys of OpenSSH). */
const KEY_FIELDS: Record<string, number> = {
  "ssh-rsa": 2,
  "ssh-ed25519": 1,
  "ecdsa-sha2-nistp256": 2,
  "ecdsa-sha2-nistp384": 2,
  "ecdsa-sha2-nistp521": 2,
};
const SUFFIX = "-cert-v01@openssh.com";
const HOST = 2;

const loadCertificate = (file: string): Effect.Effect<Certificate, ConfigError> =>
  Effect.gen(function* () {
    const content = yield* Effect.tryPromise({
      try: () => readFile(file, "utf8"),
      catch: (error) => problem(file, `host certificate cannot be read (${text(error)})`),
    });
    return yield* Effect.try({
      try: () => parseCertificate(content),
      catch: (error) => problem(file, `not a usable host certificate (${text(error)})`),
    });
  });

const parseCertificate = (line: string): Certificate => {
  const blob = Buffer.from(line.trim().split(/\s+/)[1] ?? "", "base64");
  const fields = new Fields(blob);
  const type = fields.string().toString("latin1");
  const base = type.endsWith(SUFFIX) ? type.slice(0, -SUFFIX.length) : "";
  const count = KEY_FIELDS[base];
  if (count === undefined) throw new Error(`its type is ${JSON.stringify(type)}`);
  fields.string();
  const from = fields.position;
  for (let index = 0; index < count; index++) fields.string();
  const name = Buffer.alloc(4 + base.length);
  name.writeUInt32BE(base.length, 0);
  name.write(base, 4, "latin1");
  const certified = Buffer.concat([name, blob.subarray(from, fields.position)]);
  fields.uint32();
  fields.uint32();
  if (fields.uint32() !== HOST) throw new Error("it certifies a user; sign it with ssh-keygen -h");
  return { type, blob, certified };
};

const arrange = (
  keys: ReadonlyArray<HostKey>,
  certificates: ReadonlyArray<Certificate>,
  algorithms: ReadonlyArray<string>,
): HostKeys => {
  const entries = new Map<string, { key: HostKey; plain: string }>();
  for (const algorithm of algorithms) {
    const certified = algorithm.endsWith(SUFFIX);
    const plain = certified ? algorithm.slice(0, -SUFFIX.length) : algorithm;
    const type = plain.startsWith("rsa-sha2-") ? "ssh-rsa" : plain;
    const key = keys.find((candidate) => candidate.type === type);
    if (!key) continue;
    if (!certified) {
      entries.set(algorithm, { key, plain });
      continue;
    }
    const certificate = certificates.find((c) => c.certified.equals(key.getPublicSSH()));
    if (!certificate) continue;
    const shown: HostKey = {
      type,
      getPublicSSH: () => certificate.blob,
      sign: (data, hash) => key.sign(data, hash),
    };
    entries.set(algorithm, { key: shown, plain });
  }
  return entries;
};
