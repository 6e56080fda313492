import { LibsqlError } from "@libsql/client";
import { CatalogError, type CatalogReason } from "../../src/errors.ts";

/** Turns whatever the client library threw into the catalog's closed set of reasons. */
export const toCatalogError = (op: string, cause: unknown): CatalogError => {
  if (cause instanceof CatalogError) return cause;
  const code = cause instanceof LibsqlError ? cause.code : "";
  const extended = cause instanceof LibsqlError ? cause.extendedCode ?? code : "";
  const reason = reasons[code] ?? (isUnique(cause, extended) ? "Duplicate" : isOurs(cause, code));
  return new CatalogError({ reason, op, detail: sentences[reason] ?? plain(cause), cause });
};

const reasons: Readonly<Record<string, CatalogReason>> = {
  SQLITE_BUSY: "Busy",
  SQLITE_LOCKED: "Busy",
  SQLITE_CORRUPT: "Corrupt",
  SQLITE_NOTADB: "Corrupt",
};

const sentences: Partial<Record<CatalogReason, string>> = {
  Busy: "another process holds the database; try again",
  Corrupt: "the database file is damaged; stop the server and run `sluice restore` with a backup",
  Duplicate: "this already exists",
};

const isUnique = (cause: unknown, extended: string): boolean =>
  extended === "SQLITE_CONSTRAINT_UNIQUE" || extended === "SQLITE_CONSTRAINT_PRIMARYKEY" ||
  // A remote server sends the message only.
  cause instanceof LibsqlError && cause.message.includes("UNIQUE constraint failed");

/** The statement or a value in it can never work, as opposed to a database that cannot work now. */
const isOurs = (cause: unknown, code: string): CatalogReason =>
  cause instanceof RangeError || code === "SQLITE_CONSTRAINT" || code === "SQLITE_MISMATCH" ||
    code === "SQLITE_RANGE" || code === "SQLITE_TOOBIG"
    ? "Invalid"
    : "Unavailable";

const plain = (cause: unknown): string =>
  `the database did not take the request: ${cause instanceof Error ? cause.message : cause}`;
