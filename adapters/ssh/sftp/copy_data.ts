import { Effect } from "effect";
import { setImmediate } from "node:timers";
import { FsError } from "../../../src/errors.ts";
import { statusPacket } from "./encoder.ts";
import { success } from "./files.ts";
import type { OpenFile } from "./handles.ts";
import { code, limits, packet } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { ExtensionRow, Handler } from "./table.ts";

/**
 * `copy-data` (draft-ietf-secsh-filexfer-extensions-00 section 7): copies
 * between two open files, in pieces, beside the other requests.
 *
 * A length of 0 copies to the end of the file; a length beyond it copies what
 * there is and answers EOF. Two ranges of one file that overlap are refused,
 * and so are two handles of one path, as OpenSSH does.
 */
const copyData: Handler = (session, id, body) => {
  const fromHandle = body.bytes();
  const readAt = body.u64();
  const length = body.u64();
  const toHandle = body.bytes();
  const writeAt = body.u64();
  if (session.refused(id, body)) return;
  const from = session.file(id, fromHandle);
  if (!from) return;
  const to = session.file(id, toHandle);
  if (!to) return;
  const left = length === 0 ? Infinity : length;
  const overlapping = readAt < writeAt + left && writeAt < readAt + left;
  if (from === to ? overlapping : from.handle.path === to.handle.path) {
    return session.status(id, code.failure, "Source and target overlap");
  }
  if (length > 0 && !Number.isSafeInteger(Math.max(readAt, writeAt) + length)) {
    return session.status(id, code.failure, "The offset or size is too large");
  }
  const files = from === to ? [from] : [from, to];
  const turns = Promise.all(files.map((file) => file.turns.alone()));
  const done = () => {
    for (const file of files) file.turns.leaveAlone();
  };
  session.apart(
    id,
    Effect.tryPromise({
      try: async (signal) => {
        await turns;
        const whole = await copy(session, from, to, readAt, writeAt, left, signal);
        return whole || length === 0 ? success(id) : statusPacket(id, code.eof, "End of file");
      },
      catch: (error) => error,
    }).pipe(
      Effect.catchAll((error) => error instanceof FsError ? Effect.fail(error) : Effect.die(error)),
    ),
    done,
  );
};

/** Answers whether all of `left` bytes were there. */
const copy = async (
  session: Session,
  from: OpenFile,
  to: OpenFile,
  readAt: number,
  writeAt: number,
  left: number,
  signal: AbortSignal,
): Promise<boolean> => {
  const piece = new Uint8Array(Math.min(limits.piece, left));
  for (let at = 0; at < left;) {
    if (session.ended || signal.aborted) return false;
    const count = await from.handle.read(
      readAt + at,
      piece.subarray(0, Math.min(limits.piece, left - at)),
    );
    if (count === 0) return false;
    await to.handle.write(writeAt + at, piece.subarray(0, count));
    at += count;
    await breath();
  }
  return true;
};

/** Lets everyone else run: storages may answer without ever leaving the current turn. */
export const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const copyDataRows: ReadonlyArray<ExtensionRow> = [
  { type: packet.extended, name: "copy-data", data: "1", handler: copyData, writes: true },
];
