import { Effect } from "effect";
import type { FsError } from "../../../src/errors.ts";
import { basename, child, parent, type VPath } from "../../../src/vpath.ts";
import { decodeAttributes } from "./attrs.ts";
import { attrsPacket, success } from "./files.ts";
import { pathPacket } from "./names.ts";
import type { Session } from "./session.ts";
import type { Handler } from "./table.ts";

/** STAT and LSTAT (section 6.8): the second shows a link itself. */
const look = (follow: boolean): Handler => (session, id, body) => {
  const raw = body.text();
  if (session.refused(id, body)) return;
  const entry = session.free ? session.vfs.statNow(raw, follow) : undefined;
  if (entry) return session.reply(attrsPacket(id, entry), session.cost);
  session.control(
    id,
    session.path(raw).pipe(
      Effect.flatMap((path) => follow ? session.vfs.stat(path) : session.vfs.lstat(path)),
      Effect.map((entry) => attrsPacket(id, entry)),
    ),
  );
};
export const stat = look(true);
export const lstat = look(false);

/** SETSTAT (section 6.9), and `lsetstat@openssh.com`, which does not follow a link. */
const setAttributes = (follow: boolean): Handler => (session, id, body) => {
  const raw = body.text();
  const attributes = decodeAttributes(body);
  if (session.refused(id, body)) return;
  session.control(
    id,
    session.path(raw).pipe(
      Effect.flatMap((path) => session.vfs.setAttributes(path, attributes, { follow })),
      Effect.as(success(id)),
    ),
  );
};
export const setstat = setAttributes(true);
export const lsetstat = setAttributes(false);

/** REMOVE (section 6.5). */
export const remove: Handler = (session, id, body) => {
  const raw = body.text();
  if (session.refused(id, body)) return;
  session.control(
    id,
    session.path(raw).pipe(
      Effect.flatMap((path) => session.vfs.remove(path)),
      Effect.as(success(id)),
    ),
  );
};

/** A request with two paths, in the order of the packet. */
const pair = (
  act: (session: Session, from: VPath, to: VPath) => Effect.Effect<void, FsError>,
): Handler =>
(session, id, body) => {
  const from = body.text();
  const to = body.text();
  if (session.refused(id, body)) return;
  session.control(
    id,
    Effect.gen(function* () {
      yield* act(session, yield* session.path(from), yield* session.path(to));
      return success(id);
    }),
  );
};

/** RENAME (section 6.5) fails when the target exists; posix-rename replaces it (SECURITY 3.1 item 26). */
export const rename = pair(({ vfs }, from, to) => vfs.rename(from, to, { replace: false }));
export const posixRename = pair(({ vfs }, from, to) => vfs.rename(from, to, { replace: true }));
export const hardlink = pair(({ vfs }, from, to) => vfs.hardLink(from, to));

/**
 * SYMLINK. Section 6.10 puts the link first, OpenSSH's server and with it
 * nearly every client puts the target first: so do we (SECURITY 3.1 item 24).
 */
export const symlink: Handler = (session, id, body) => {
  const target = body.text();
  const link = body.text();
  if (session.refused(id, body)) return;
  session.control(
    id,
    session.path(link).pipe(
      Effect.flatMap((path) => session.vfs.symlink(target, path)),
      Effect.as(success(id)),
    ),
  );
};

/** READLINK (section 6.10). */
export const readlink: Handler = (session, id, body) => {
  const raw = body.text();
  if (session.refused(id, body)) return;
  session.control(
    id,
    session.path(raw).pipe(
      Effect.flatMap((path) => session.vfs.readlink(path)),
      Effect.map((target) => pathPacket(id, target)),
    ),
  );
};

/** REALPATH (section 6.11). */
export const realpath: Handler = (session, id, body) => {
  const raw = body.text();
  if (session.refused(id, body)) return;
  session.control(id, canonical(session, id, raw));
};

/**
 * NAME with the canonical form of `raw`. The last component need not exist, as
 * with OpenSSH. The start directory is answered to everyone: a user who may
 * only upload cannot list it, and no client starts without it (SFTP-20).
 */
export const canonical = (
  session: Session,
  id: number,
  raw: string,
): Effect.Effect<Uint8Array, FsError> =>
  Effect.gen(function* () {
    const { vfs } = session;
    const path = yield* session.path(raw);
    const found = yield* Effect.catchTag(vfs.realpath(path), "FsError", (error) => {
      if (error.reason === "Denied" && path === vfs.home) return Effect.succeed(path);
      if (error.reason !== "NotFound" || path === "/") return Effect.fail(error);
      return Effect.map(vfs.realpath(parent(path)), (above) => child(above, basename(path)));
    });
    return pathPacket(id, found);
  });
