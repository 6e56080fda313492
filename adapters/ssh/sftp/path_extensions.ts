import { Effect } from "effect";
import { FsError } from "../../../src/errors.ts";
import { printable } from "../../../src/vpath.ts";
import { success } from "./files.ts";
import { pathPacket } from "./names.ts";
import { canonical, hardlink, lsetstat, posixRename } from "./paths.ts";
import { packet } from "./protocol.ts";
import type { ExtensionRow, Handler } from "./table.ts";

/** `fsync@openssh.com` (OpenSSH PROTOCOL 4.6): after what was written before, never a pretence. */
const fsync: Handler = (session, id, body) => {
  const raw = body.bytes();
  if (session.refused(id, body)) return;
  const file = session.file(id, raw);
  if (file) session.control(id, Effect.as(file.handle.sync(), success(id)), file);
};

const unknownUser = (op: string, name: string) =>
  new FsError({ reason: "NotFound", op, path: printable(name), detail: "No such user" });

/**
 * `expand-path@openssh.com` (OpenSSH PROTOCOL 4.10): `~` and `~name` are the
 * start directory; other users are never named.
 */
const expandPath: Handler = (session, id, body) => {
  const raw = body.text();
  if (session.refused(id, body)) return;
  const match = /^~([^/\\]*)(.*)$/su.exec(raw);
  const user = match?.[1] ?? "";
  if (user !== "" && user !== session.context.user?.username) {
    return session.control(id, Effect.fail(unknownUser("expand-path", user)));
  }
  const path = match ? `${session.vfs.home}/${match[2]}` : raw;
  session.control(id, canonical(session, id, path));
};

/** `home-directory` (draft-ietf-secsh-filexfer-extensions-00 section 5): one's own only. */
const homeDirectory: Handler = (session, id, body) => {
  const user = body.text();
  if (session.refused(id, body)) return;
  const own = user === "" || user === session.context.user?.username;
  session.control(
    id,
    own
      ? Effect.succeed(pathPacket(id, session.vfs.home))
      : Effect.fail(unknownUser("home-directory", user)),
  );
};

const row = (name: string, handler: Handler, writes: boolean): ExtensionRow => ({
  type: packet.extended,
  name,
  data: "1",
  handler,
  writes,
});

export const pathRows: ReadonlyArray<ExtensionRow> = [
  row("posix-rename@openssh.com", posixRename, true),
  row("hardlink@openssh.com", hardlink, true),
  row("lsetstat@openssh.com", lsetstat, true),
  row("fsync@openssh.com", fsync, true),
  row("expand-path@openssh.com", expandPath, false),
  row("home-directory", homeDirectory, false),
];
