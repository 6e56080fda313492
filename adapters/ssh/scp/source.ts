import { Chunk, Effect, Option, Scope, Stream } from "effect";
import { FsError } from "../../../src/errors.ts";
import type { Entry } from "../../../src/model/entry.ts";
import { type Handle, toRead } from "../../../src/vfs/vfs.ts";
import { basename, child, type VPath } from "../../../src/vpath.ts";
import { emit } from "./emit.ts";
import { nameRefusal } from "./lines.ts";
import { maxDepth, type Refusal, type Transfer, withHandle } from "./session.ts";
import { type Breach, ClientGone } from "./wire.ts";

type Sourced<A> = Effect.Effect<A, Refusal | Breach | ClientGone, Scope.Scope>;
type Told<A> = Effect.Effect<A, Breach | ClientGone, Scope.Scope>;

/**
 * Serves `scp -f`: sends files, and with `-r` trees (BEHAVIOUR SCP-03).
 *
 * Paths are literal, no pattern is expanded. What cannot be read is reported
 * and left out; links and special files below a directory are left out silently.
 */
export const source = (transfer: Transfer): Told<void> =>
  Effect.gen(function* () {
    const { vfs, wire, options } = transfer;
    yield* wire.answer;
    for (const raw of options.paths) {
      const sent = vfs.resolve(raw).pipe(
        Effect.flatMap((path) =>
          transfer.control(vfs.stat(path)).pipe(
            Effect.map((entry) => send(transfer, path, entry, 0)),
            // PERM-03: who may download but not list fetches a file by its name; opening it decides.
            Effect.catchTag("FsError", (error) =>
              error.reason === "Denied"
                ? Effect.succeed(sendFile(transfer, path))
                : Effect.fail(error)),
            Effect.flatten,
          )
        ),
      );
      yield* reported(transfer, raw, sent);
    }
  });

const reported = (transfer: Transfer, subject: string, sent: Sourced<void>): Told<void> =>
  Effect.catchTags(sent, {
    FsError: (error) => transfer.refuse(subject, error),
    ActorBusy: (error) => transfer.refuse(subject, error),
  });

const send = (transfer: Transfer, path: VPath, entry: Entry, depth: number): Sourced<void> => {
  if (entry.kind === "file") return sendFile(transfer, path);
  const detail = entry.kind !== "dir" || !transfer.options.recursive
    ? "not a regular file"
    : depth > maxDepth
    ? `directories are nested more than ${maxDepth} deep`
    : undefined;
  return detail === undefined
    ? sendDir(transfer, path, entry, depth)
    : new FsError({ reason: "Unsupported", op: "scp", path, detail });
};

const sendFile = (transfer: Transfer, path: VPath): Sourced<void> =>
  withHandle(transfer, path, toRead, (handle) =>
    Effect.gen(function* () {
      const entry = yield* transfer.control(handle.stat());
      if (entry.kind !== "file") {
        return yield* new FsError({ reason: "Unsupported", op: "scp", path });
      }
      const mode = octal(entry.mode ?? 0o644);
      if (!(yield* announced(transfer, entry, `C${mode} ${entry.size} ${basename(path)}`))) return;
      yield* sendData(transfer, path, handle, entry.size);
      // Only a download that is closed counts as one in the journal.
      yield* transfer.control(handle.close());
    }));

const sendData = (
  { wire, refuse, note }: Transfer,
  path: VPath,
  handle: Handle,
  size: number,
): Effect.Effect<void, Breach | ClientGone> =>
  Effect.gen(function* () {
    const sent = yield* Effect.tryPromise({
      try: (signal) => emit(wire, handle, size, signal),
      catch: (cause) => new ClientGone({ cause }),
    });
    if (sent.failure !== undefined) yield* refuse(path, sent.failure);
    else if (sent.shrunk) yield* refuse(path, "file changed size while it was read");
    else yield* wire.ok;
    if (!(yield* wire.answer).ok) note();
  });

const sendDir = (
  transfer: Transfer,
  path: VPath,
  entry: Entry,
  depth: number,
): Sourced<void> =>
  Effect.scoped(Effect.gen(function* () {
    const { vfs, wire, control } = transfer;
    const page = yield* Stream.toPull(vfs.list(path));
    // One page at a time through the session actor, none at the end.
    const next = control(Effect.catchAll(page, (end) =>
      Option.match(end, {
        onNone: () => Effect.succeed(Chunk.empty<Entry>()),
        onSome: (error) => Effect.fail(error),
      })));
    // The first page comes before the D line: a folder that cannot be listed is not announced.
    let entries = yield* next;
    const name = basename(path) || rootName;
    if (!(yield* announced(transfer, entry, `D${octal(entry.mode ?? 0o755)} 0 ${name}`))) return;
    const rest = Effect.gen(function* () {
      while (Chunk.isNonEmpty(entries)) {
        for (const inner of entries) {
          const plain = inner.kind === "file" || inner.kind === "dir";
          if (!plain || nameRefusal(inner.name)) continue;
          const at = child(path, inner.name);
          yield* reported(transfer, at, send(transfer, at, inner, depth + 1));
        }
        entries = yield* next;
      }
    });
    yield* reported(transfer, path, rest);
    yield* wire.send("E");
    if (!(yield* wire.answer).ok) transfer.note();
  }));

/** What the root is called on the other side, where a name is needed. */
const rootName = "root";

/** Sends times with `-p`, then the line. False: the client does not want this entry. */
const announced = (
  { wire, options, note }: Transfer,
  entry: Entry,
  line: string,
): Effect.Effect<boolean, Breach | ClientGone> =>
  Effect.gen(function* () {
    for (const each of options.preserve ? [timesLine(entry), line] : [line]) {
      yield* wire.send(each);
      if ((yield* wire.answer).ok) continue;
      note();
      return false;
    }
    return true;
  });

const timesLine = ({ mtime, atime }: Entry): string => {
  const seconds = (time: number) => Math.max(0, Math.floor(time / 1000));
  return `T${seconds(mtime)} 0 ${seconds(atime ?? mtime)} 0`;
};

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0");
