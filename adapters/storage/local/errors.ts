import { FsError, type FsReason } from "../../../src/errors.ts";

/** What an errno of the kernel means to a client. Anything else is Unavailable. */
const reasons: Readonly<Record<string, readonly [FsReason, string?]>> = {
  ENOENT: ["NotFound"],
  EACCES: ["Denied"],
  EPERM: ["Denied"],
  EROFS: ["ReadOnly"],
  EEXIST: ["AlreadyExists"],
  ENOTEMPTY: ["NotEmpty"],
  EISDIR: ["IsDirectory"],
  ENOTDIR: ["NotDirectory"],
  ELOOP: ["Denied", "too many or forbidden symbolic links"],
  EINVAL: ["Unsupported"],
  ENAMETOOLONG: ["NameTooLong"],
  ENOSPC: ["Unavailable", "no space left on the server's disk"],
  EDQUOT: ["Unavailable", "the server's disk quota is used up"],
  EFBIG: ["TooLarge"],
  EMFILE: ["Busy", "the server has too many files open"],
  ENFILE: ["Busy", "the server has too many files open"],
  EBUSY: ["Busy"],
  ETXTBSY: ["Busy"],
  EXDEV: ["Unsupported", "source and target are on different volumes"],
  EMLINK: ["Unsupported", "too many links"],
  EOPNOTSUPP: ["Unsupported"],
  ENOTSUP: ["Unsupported"],
  ENOSYS: ["Unsupported"],
  EIO: ["Unavailable", "the server's disk reported an error"],
};

/** Deno's own error classes carry no errno in a few places. */
const classes: Readonly<Record<string, string>> = {
  NotFound: "ENOENT",
  PermissionDenied: "EACCES",
  NotCapable: "EACCES",
  AlreadyExists: "EEXIST",
  NotADirectory: "ENOTDIR",
  IsADirectory: "EISDIR",
  FilesystemLoop: "ELOOP",
  Busy: "EBUSY",
};

const field = (cause: unknown, name: string): string => {
  const value = typeof cause === "object" && cause !== null ? Reflect.get(cause, name) : undefined;
  return typeof value === "string" ? value : "";
};

/** errno name of a thrown value, `""` when it has none. */
export const codeOf = (cause: unknown): string =>
  field(cause, "code") || classes[field(cause, "name")] || "";

/** The one place where system errors become {@linkcode FsError}. */
export const toFsError = (op: string, key: string) => (cause: unknown): FsError => {
  if (cause instanceof FsError) return cause;
  const [reason, detail] = reasons[codeOf(cause)] ?? ["Unavailable"];
  return new FsError({ reason, op, path: key, ...(detail ? { detail } : {}), cause });
};
