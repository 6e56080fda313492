import * as fs from "node:fs";
import { constants } from "node:os";
import { FsError } from "../../../src/errors.ts";
import { fault } from "../../../src/failpoint.ts";
import { dirOf, keyOf, locate, nameOf } from "./confine.ts";
import { closeQuietly, publish } from "./disk.ts";
import { peekOpen } from "./info.ts";
import { AT_FDCWD, libc } from "./libc.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/**
 * Publishes a finished file that comes from another directory as `target`. The
 * target's directory is held open, and is what a walk from the root finds now: so
 * nobody with access to the disk leads the file elsewhere by a swap (SECURITY
 * 6.6). A temporary file beside its target needs no such care: it is lost with
 * the directory that was swapped.
 *
 * @throws FsError Denied where the walk ends in another place; or a system error.
 */
export const publishFromAfar = (
  root: string,
  file: string,
  target: string,
  exclusive: boolean,
): void => {
  const directory = dirOf(target);
  const fd = fs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const held = peekOpen(fd);
    const place = locate(root, keyOf(root, directory), "commit", false);
    const same = place.path === directory && place.info?.dev === held.dev &&
      place.info.ino === held.ino;
    if (!same) {
      throw new FsError({
        reason: "Denied",
        op: "commit",
        path: keyOf(root, target),
        detail: "the path changed during the upload",
      });
    }
    // Without the calls that take a descriptor the moment after the walk stays.
    if (!moveInto(fd, file, target, exclusive)) publish(file, target, exclusive);
  } finally {
    closeQuietly(fd);
  }
};

const encoder = new TextEncoder();

/** False where this cannot be done here. */
const moveInto = (fd: number, file: string, target: string, exclusive: boolean): boolean => {
  const c = libc();
  if (!c) return false;
  if (fault("local.rename", target)) throw Object.assign(new Error("injected"), { code: "EIO" });
  const name = nameOf(target);
  const from = encoder.encode(`${file}\0`);
  const to = encoder.encode(`${name}\0`);
  const failed = exclusive
    ? c.linkat(AT_FDCWD, from, fd, to, 0) !== 0
    : c.renameat(AT_FDCWD, from, fd, to) !== 0;
  if (!failed) {
    if (exclusive) Deno.removeSync(file);
    return true;
  }
  const code = nameOfError(c.errno[0] ?? 0);
  // A volume without hard links.
  if (exclusive && noLinks.has(code)) return false;
  throw Object.assign(new Error(`${code}: ${exclusive ? "link" : "rename"}`), { code });
};

const noLinks: ReadonlySet<string> = new Set(["EPERM", "EOPNOTSUPP", "ENOTSUP"]);

const nameOfError = (errno: number): string =>
  Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? "EIO";
