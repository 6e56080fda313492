import { Chunk, Clock, Effect, Option, Scope, Stream } from "effect";
import type { FsError } from "../../../src/errors.ts";
import type { Entry } from "../../../src/model/entry.ts";
import { parent, type VPath } from "../../../src/vpath.ts";
import { decodeInitial } from "./attrs.ts";
import { statusPacket } from "./encoder.ts";
import { inSlot, success } from "./files.ts";
import type { OpenDirectory } from "./handles.ts";
import { NamesPage } from "./names.ts";
import { code } from "./protocol.ts";
import type { Control, Session } from "./session.ts";
import type { Handler } from "./table.ts";

/**
 * OPENDIR (section 6.7). Pulls the first page at once, so that a missing or
 * forbidden directory is refused here; the rest waits for READDIR.
 */
export const opendir: Handler = (session, id, body) => {
  const raw = body.text();
  if (session.refused(id, body)) return;
  session.control(
    id,
    inSlot(session, id, (scope) =>
      Effect.gen(function* () {
        const path = yield* session.path(raw);
        const pull = yield* Scope.extend(Stream.toPull(session.vfs.list(path)), scope);
        const directory: OpenDirectory = {
          kind: "directory",
          scope,
          pull,
          entries: [],
          at: 0,
          ended: undefined,
        };
        yield* more(directory);
        if (directory.ended?.error) return yield* directory.ended.error;
        const dots = [
          { ...(yield* folder(session, path)), name: "." },
          { ...(yield* folder(session, parent(path))), name: ".." },
        ];
        directory.entries = [...dots, ...directory.entries];
        return directory;
      })),
  );
};

/** READDIR (section 6.7). Two that are pipelined follow each other: control requests keep their order. */
export const readdir: Handler = (session, id, body) => {
  const raw = body.bytes();
  if (session.refused(id, body)) return;
  const directory = session.directory(id, raw);
  if (directory) session.control(id, page(directory, id));
};

/** MKDIR (section 6.6). */
export const mkdir: Handler = (session, id, body) => {
  const raw = body.text();
  const attributes = decodeInitial(body);
  if (session.refused(id, body)) return;
  session.control(
    id,
    session.path(raw).pipe(
      Effect.flatMap((path) => session.vfs.mkdir(path, attributes)),
      Effect.as(success(id)),
    ),
  );
};

/** RMDIR (section 6.6). */
export const rmdir: Handler = (session, id, body) => {
  const raw = body.text();
  if (session.refused(id, body)) return;
  session.control(
    id,
    session.path(raw).pipe(
      Effect.flatMap((path) => session.vfs.rmdir(path)),
      Effect.as(success(id)),
    ),
  );
};

const page = (directory: OpenDirectory, id: number): Control =>
  Effect.gen(function* () {
    const names = new NamesPage(id, yield* Clock.currentTimeMillis);
    for (;;) {
      for (; directory.at < directory.entries.length; directory.at++) {
        if (!names.add(directory.entries[directory.at]!)) return names.finish();
      }
      if (directory.ended) break;
      yield* more(directory);
    }
    if (names.count > 0) return names.finish();
    // A listing that broke off must not look like a whole one.
    if (directory.ended.error) return yield* directory.ended.error;
    return statusPacket(id, code.eof, "End of file");
  });

/** Pulls the next chunk of the listing, or notes its end. */
const more = (directory: OpenDirectory): Effect.Effect<void> =>
  Effect.matchEffect(directory.pull, {
    onFailure: (end: Option.Option<FsError>) =>
      Effect.sync(() => {
        directory.entries = [];
        directory.at = 0;
        directory.ended = Option.match(end, {
          onNone: () => ({}),
          onSome: (error) => ({ error }),
        });
      }),
    onSuccess: (chunk) =>
      Effect.sync(() => {
        directory.entries = Chunk.toReadonlyArray(chunk);
        directory.at = 0;
      }),
  });

/** What `.` and `..` show; plain when the user may not ask. */
const folder = (session: Session, path: VPath): Effect.Effect<Entry> =>
  Effect.catchAll(
    session.vfs.stat(path),
    () => Effect.succeed<Entry>({ name: "", kind: "dir", size: 0, mtime: 0 }),
  );
