import { FsError } from "../errors.ts";
import type { PreparedNow } from "../events/journal.ts";
import { endProcess, fault } from "../failpoint.ts";
import type { Logged } from "../storage/storage.ts";
import { nameOf } from "./access.ts";
import { storedNow } from "./look.ts";
import { changeOf, claim, factsOf } from "./publish.ts";
import type { Usage } from "./quota.ts";
import type { UploadHandle } from "./upload_handle.ts";

/**
 * Commits an upload as {@linkcode publish} does, in one turn of the event loop:
 * a small file, whose only wait is the flush of the intent log. Answers false,
 * and nothing is done, where something else has to be waited for.
 *
 * Throws FsError.
 */
export const publishNow = (handle: UploadHandle): boolean => {
  const { access, path, writer } = handle;
  const { services: { journal, late, locks, quota, uploads } } = access;
  const spot = access.at(path);
  const { storage: { atOnce, identity }, key } = spot;
  const payer = access.payer(spot);
  const account = quota.atHand(payer);
  if (!atOnce || !account || !journal.keepsContent || !writer.redo) return false;
  if (access.isFirst("first_upload")) return false;
  const name = nameOf(spot);
  const unlock = locks.take(name);
  if (!unlock) return false;
  account.touch(1);
  try {
    if (late.others([name])) return false;
    const old = uploads.counted(identity, key, storedNow(atOnce, key, true)?.size);
    if (!claim(handle, old)) return false;
    const log = writer.redo(handle.pending);
    return log !== undefined && commit(handle, old, log);
  } finally {
    account.touch(-1);
    unlock();
  }

  function commit(handle: UploadHandle, old: number | undefined, log: Logged): boolean {
    const usage = changeOf(old, writer.size);
    const prepared = prepare(handle, usage, log);
    if (!prepared) return false;
    const { entry, unflushed } = done(handle, prepared, log);
    const moved = handle.parts.lease.settle(usage);
    uploads.recount(identity, key, entry.size);
    prepared.settle(
      { file_size: entry.size, elapsed: handle.elapsed() },
      { username: payer.username, ...moved },
      late.enter(name, unflushed),
    );
    return true;
  }
};

const prepare = (
  handle: UploadHandle,
  usage: Usage,
  { redo, content }: Logged,
): PreparedNow | undefined => {
  const { access, path, writer } = handle;
  const spot = access.at(path);
  const { username } = access.payer(spot);
  const { staged } = writer;
  try {
    return access.services.journal.prepareNow(
      access.event("upload", path, { ...factsOf(handle), file_size: writer.size }),
      access.intent({ kind: "publish", key: spot.key, redo, ...(staged && { staged }) }, spot),
      { username, ...usage },
      content,
    );
  } catch (cause) {
    throw access.unprepared("upload", path, cause);
  }
};

const done = (
  { path }: UploadHandle,
  prepared: PreparedNow,
  log: Logged,
): ReturnType<Logged["commit"]> => {
  if (fault("publish.before_commit", path) === "kill") endProcess();
  try {
    const committed = log.commit();
    if (fault("publish.after_commit", path) === "kill") endProcess();
    return committed;
  } catch (cause) {
    prepared.cancel();
    throw cause instanceof FsError
      ? cause
      : new FsError({ reason: "Unavailable", op: "close", path, cause });
  }
};
