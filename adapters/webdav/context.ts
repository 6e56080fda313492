import { Effect } from "effect";
import type { Exchange } from "../../actors/exchange.ts";
import type { DavState } from "../../src/dav/state.ts";
import type { CatalogError, FsError } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";
import type { User } from "../../src/model/user.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import type { VPath } from "../../src/vpath.ts";
import { type DavError, refuse } from "./status.ts";
import type { Target } from "./paths.ts";

/** One request of a user who is logged in. */
export interface Dav {
  readonly exchange: Exchange;
  readonly request: Request;
  readonly prefix: string;
  readonly target: Target;
  readonly vfs: Vfs;
  readonly user: User;
  readonly state: DavState["Type"];
}

export type DavFailure = FsError | DavError | CatalogError;

/** What is there, undefined for nothing. */
export const entryIfAny = (vfs: Vfs, path: VPath): Effect.Effect<Entry | undefined, FsError> =>
  Effect.catchIf(
    vfs.stat(path),
    (error) => error.reason === "NotFound" || error.reason === "NotDirectory",
    () => Effect.succeed(undefined),
  );

/** What a user is told of a path. */
export interface Seen {
  /** Undefined for nothing, and for what may not be looked at. */
  readonly entry: Entry | undefined;
  /** The user may not look. What else he may do there, and with what, the VFS says when it is done. */
  readonly hidden: boolean;
}

/** What is there, for whoever may look. */
export const seen = (vfs: Vfs, path: VPath): Effect.Effect<Seen, FsError> =>
  orHidden(Effect.map(entryIfAny(vfs, path), (entry) => ({ entry, hidden: false })));

/** The same of what is to be used: it fails where nothing is. */
export const seenSource = (vfs: Vfs, path: VPath): Effect.Effect<Seen, FsError> =>
  orHidden(Effect.map(vfs.stat(path), (entry) => ({ entry, hidden: false })));

const orHidden = (look: Effect.Effect<Seen, FsError>): Effect.Effect<Seen, FsError> =>
  Effect.catchIf(
    look,
    ({ reason }) => reason === "Denied",
    () => Effect.succeed({ entry: undefined, hidden: true }),
  );

/** The modification time that Nextcloud's clients send along (BEHAVIOUR DAV-07), in Unix milliseconds. */
export const mtimeAsked = ({ headers }: Request): number | undefined => {
  const seconds = Number(headers.get("x-oc-mtime") || NaN);
  return seconds > 0 && seconds < 1e11 ? Math.floor(seconds) * 1000 : undefined;
};

/** Reads a request body that is a document and no file, up to `limit` bytes: parsing it holds up the thread. */
export const readText = (request: Request, limit = 64 * 1024): Effect.Effect<string, DavError> =>
  Effect.tryPromise({
    try: async () => {
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of request.body ?? []) {
        size += chunk.length;
        if (size > limit) throw refuse(413, "the document is too large");
        chunks.push(chunk);
      }
      const bytes = new Uint8Array(size);
      let at = 0;
      for (const chunk of chunks) {
        bytes.set(chunk, at);
        at += chunk.length;
      }
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    },
    catch: (error) =>
      typeof error === "object" && error !== null && "_tag" in error
        ? error as DavError
        : refuse(400, "the body is not whole, or not UTF-8"),
  });
