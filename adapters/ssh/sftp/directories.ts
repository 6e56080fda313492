import { Chunk, Clock, Effect, Fiber, Option, Scope, Stream } from "effect";
import type { FsError } from "../../../src/errors.ts";
import type { Entry } from "../../../src/model/entry.ts";
import { parent, type VPath } from "../../../src/vpath.ts";
import { decodeInitial } from "./attrs.ts";
import { statusPacket } from "./encoder.ts";
import { inSlot, success } from "./files.ts";
import type { OpenDirectory, Piece } from "./handles.ts";
import { NamesPage } from "./names.ts";
import { code, limits } from "./protocol.ts";
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
          piece: { entries: [], ended: undefined },
          at: 0,
          ahead: undefined,
        };
        yield* more(directory);
        const { entries, ended } = directory.piece;
        if (ended?.error) return yield* ended.error;
        const dots = [
          { ...(yield* folder(session, path)), name: "." },
          { ...(yield* folder(session, parent(path))), name: ".." },
        ];
        directory.piece = { entries: [...dots, ...entries], ended };
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
    const expected = directory.piece.entries.length;
    const names = new NamesPage(id, yield* Clock.currentTimeMillis, expected);
    for (;;) {
      const { entries, ended } = directory.piece;
      for (; directory.at < entries.length; directory.at++) {
        if (names.add(entries[directory.at]!)) continue;
        yield* readAhead(directory);
        return names.finish();
      }
      if (ended) break;
      yield* more(directory);
    }
    if (names.count > 0) return names.finish();
    // A listing that broke off must not look like a whole one.
    const { ended } = directory.piece;
    if (ended?.error) return yield* ended.error;
    return statusPacket(id, code.eof, "End of file");
  });

/** Goes on to the next piece of the listing. */
const more = (directory: OpenDirectory): Effect.Effect<void> =>
  Effect.map(
    Effect.suspend(() => directory.ahead ? Fiber.join(directory.ahead) : pulled(directory)),
    (piece) => {
      directory.ahead = undefined;
      directory.piece = piece;
      directory.at = 0;
    },
  );

const pulled = (directory: OpenDirectory): Effect.Effect<Piece> =>
  Effect.match(directory.pull, {
    onFailure: (end: Option.Option<FsError>): Piece => ({
      entries: [],
      ended: Option.match(end, { onNone: () => ({}), onSome: (error) => ({ error }) }),
    }),
    onSuccess: (chunk) => ({ entries: Chunk.toReadonlyArray(chunk), ended: undefined }),
  });

/** Fetches the next piece while the client takes in the reply, if what is left will not fill another. */
const readAhead = (directory: OpenDirectory): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { entries, ended } = directory.piece;
    if (directory.ahead || ended || entries.length - directory.at >= limits.namesPerReply) {
      return Effect.void;
    }
    return Effect.andThen(afterReply, pulled(directory)).pipe(
      Effect.forkIn(directory.scope),
      Effect.map((fiber) => {
        directory.ahead = fiber;
      }),
    );
  });

/** The reply is on its way before the thread is taken for the next one. */
const afterReply = Effect.promise<void>(() => new Promise((resolve) => setImmediate(resolve)));

/** What `.` and `..` show; plain when the user may not ask. */
const folder = (session: Session, path: VPath): Effect.Effect<Entry> =>
  Effect.catchAll(
    session.vfs.stat(path),
    () => Effect.succeed<Entry>({ name: "", kind: "dir", size: 0, mtime: 0 }),
  );
