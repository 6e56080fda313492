import { Effect } from "effect";
import { createHash } from "node:crypto";
import { FsError } from "../../../src/errors.ts";
import type { ChecksumAlgorithm } from "../../../src/vfs/vfs.ts";
import type { Body } from "./body.ts";
import { breath } from "./copy_data.ts";
import { Encoder } from "./encoder.ts";
import type { OpenFile } from "./handles.ts";
import { code, limits, packet } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { ExtensionRow, Handler } from "./table.ts";

const digestBytes = {
  md5: 16,
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
} as const satisfies Partial<Record<ChecksumAlgorithm, number>>;
type Algorithm = keyof typeof digestBytes;

interface Wanted {
  readonly algorithm: Algorithm;
  readonly offset: number;
  /** Infinity: to the end of the file. */
  readonly length: number;
  /** 0: one digest over all of it. */
  readonly block: number;
}

/** Smallest block of draft-ietf-secsh-filexfer-extensions-00 section 3. */
const smallestBlock = 256;

/** Reads the fields after the name or handle; a text says why the request is refused. */
const wanted = (body: Body): Wanted | string => {
  const names = body.text().split(",");
  const offset = body.u64();
  const length = body.u64();
  const block = body.u32();
  const algorithm = names.find((name): name is Algorithm => Object.hasOwn(digestBytes, name));
  if (!algorithm) {
    return `No known hash algorithm; there are ${Object.keys(digestBytes).join(", ")}`;
  }
  if (block !== 0 && block < smallestBlock) {
    return `The block size is 0 or at least ${smallestBlock} bytes`;
  }
  return { algorithm, offset, length: length === 0 ? Infinity : length, block };
};

/** `check-file-name`: hashes a file by its path, beside the other requests. */
const byName: Handler = (session, id, body) => {
  const raw = body.text();
  const request = wanted(body);
  if (session.refused(id, body)) return;
  if (typeof request === "string") return session.status(id, code.failure, request);
  const { algorithm, offset, length, block } = request;
  session.apart(
    id,
    Effect.gen(function* () {
      const path = yield* session.path(raw);
      // One digest always fits, and so whoever may download but not list gets it (PERM-03).
      if (block !== 0) yield* fits(request, (yield* session.vfs.stat(path)).size, path);
      const digests = yield* session.vfs.checksum(path, algorithm, {
        offset,
        ...(length !== Infinity && { length }),
        ...(block !== 0 && { block }),
      });
      return answer(id, algorithm, digests.map((hex) => Uint8Array.fromHex(hex)));
    }),
  );
};

/** `check-file-handle`: hashes through the handle, so that an upload is seen as it is. */
const byHandle: Handler = (session, id, body) => {
  const raw = body.bytes();
  const request = wanted(body);
  if (session.refused(id, body)) return;
  if (typeof request === "string") return session.status(id, code.failure, request);
  const file = session.file(id, raw);
  if (!file) return;
  const turn = file.turns.alone();
  session.apart(
    id,
    Effect.gen(function* () {
      yield* Effect.promise(() => turn);
      const { size } = yield* file.handle.stat();
      yield* fits(request, size, file.handle.path);
      const digests = yield* Effect.tryPromise({
        try: (signal) => hash(session, file, request, signal),
        catch: (error) => error,
      }).pipe(
        Effect.catchAll((e) => e instanceof FsError ? Effect.fail(e) : Effect.die(e)),
      );
      return answer(id, request.algorithm, digests);
    }),
    () => file.turns.leaveAlone(),
  );
};

/** Refuses a request whose digests would not fit in one reply. */
const fits = (
  { algorithm, offset, length, block }: Wanted,
  size: number,
  path: string,
): Effect.Effect<void, FsError> => {
  const bytes = Math.max(0, Math.min(length, size - offset));
  const blocks = block === 0 ? 1 : Math.ceil(bytes / block);
  if (blocks * digestBytes[algorithm] <= limits.announced) return Effect.void;
  const detail = "Too many blocks for one reply; ask for larger blocks or a smaller range";
  return new FsError({ reason: "TooLarge", op: "checksum", path, detail });
};

const hash = async (
  session: Session,
  file: OpenFile,
  { algorithm, offset, length, block }: Wanted,
  signal: AbortSignal,
): Promise<ReadonlyArray<Uint8Array>> => {
  const piece = new Uint8Array(limits.piece);
  const digests: Uint8Array[] = [];
  let digest = createHash(algorithm);
  let inBlock = 0;
  for (let at = 0; at < length && !signal.aborted && !session.ended;) {
    const room = Math.min(piece.length, length - at);
    const count = await file.handle.read(offset + at, piece.subarray(0, room));
    if (count === 0) break;
    for (let used = 0; used < count;) {
      const take = block === 0 ? count : Math.min(count - used, block - inBlock);
      digest.update(piece.subarray(used, used + take));
      used += take;
      inBlock += take;
      if (inBlock !== block) continue;
      digests.push(digest.digest());
      digest = createHash(algorithm);
      inBlock = 0;
    }
    at += count;
    await breath();
  }
  if (inBlock > 0 || block === 0) digests.push(digest.digest());
  return digests;
};

const answer = (id: number, algorithm: string, digests: ReadonlyArray<Uint8Array>): Uint8Array => {
  const encoder = new Encoder(packet.extendedReply, id, 64 + digests.length * 64);
  encoder.text("check-file").text(algorithm);
  for (const digest of digests) encoder.raw(digest);
  return encoder.finish();
};

const row = (name: string, handler: Handler, data?: string): ExtensionRow => ({
  type: packet.extended,
  name,
  data,
  handler,
  writes: false,
});

/** `check-file` alone is what paramiko sends for the handle variant. */
export const checkFileRows: ReadonlyArray<ExtensionRow> = [
  row("check-file", byHandle, "1"),
  row("check-file-handle", byHandle, "1"),
  row("check-file-name", byName, "1"),
];
