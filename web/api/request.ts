import { Effect, Either } from "effect";
import type { FsError } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import type { VPath } from "../../src/vpath.ts";
import { type ApiError, refuse } from "./failure.ts";

/** Bodies that are documents and no files (BEHAVIOUR HTTP-07). */
const mostDocumentBytes = 1024 * 1024;

export type Query = ReadonlyMap<string, string>;

/**
 * Reads the query of a request target. What does not decode as UTF-8, or comes
 * twice, is refused: to guess there would be to name another file.
 */
export const parseQuery = (target: string): Either.Either<Query, ApiError> => {
  const query = new Map<string, string>();
  const mark = target.indexOf("?");
  const text = mark < 0 ? "" : target.slice(mark + 1).replace(/#.*$/s, "");
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const cut = pair.indexOf("=");
    try {
      const read = (raw: string) => decodeURIComponent(raw.replaceAll("+", " "));
      const name = read(cut < 0 ? pair : pair.slice(0, cut));
      if (query.has(name)) return Either.left(refuse(400, "a parameter comes twice"));
      query.set(name, cut < 0 ? "" : read(pair.slice(cut + 1)));
    } catch {
      return Either.left(refuse(400, "the query is not valid UTF-8"));
    }
  }
  return Either.right(query);
};

/** A boolean parameter as the incumbent reads it; absent is false. */
export const flagOf = (query: Query, name: string): boolean =>
  /^(?:1|t|true)$/i.test(query.get(name) ?? "");

/**
 * A path parameter. `..` is refused in any spelling: no client means it well,
 * and the answer is the same on every route.
 */
export const pathOf = (
  vfs: Vfs,
  query: Query,
  name: string,
): Effect.Effect<VPath, ApiError | FsError> => {
  const raw = query.get(name);
  if (raw === undefined || raw === "") {
    return Effect.fail(refuse(400, `the parameter ${name} is missing`));
  }
  return resolveClean(vfs, raw);
};

/** The same for a path that may be left out: the user's start directory. */
export const pathOrHome = (
  vfs: Vfs,
  query: Query,
  name: string,
): Effect.Effect<VPath, ApiError | FsError> => resolveClean(vfs, query.get(name) || ".");

export const resolveClean = (vfs: Vfs, raw: string): Effect.Effect<VPath, ApiError | FsError> =>
  raw.split(/[/\\]/).includes("..")
    ? Effect.fail(refuse(400, "the path holds .."))
    : vfs.resolve(raw);

/** What a path is, undefined for who may not look there: what they may do is asked by doing it. */
export const lookIfAllowed = (
  vfs: Vfs,
  path: VPath,
): Effect.Effect<Entry | undefined, FsError> =>
  Effect.catchIf(
    vfs.lstat(path),
    ({ reason }) => reason === "Denied",
    () => Effect.succeed(undefined),
  );

/** A header of ours, under its two names (API-V2). */
export const ownHeader = (request: Request, name: string): string | null =>
  request.headers.get(`x-sluice-${name}`) ?? request.headers.get(`x-sftpgo-${name}`);

/** Unix milliseconds of a client; undefined is none, NaN one that cannot be. */
export const milliseconds = (value: unknown): number | undefined => {
  if (value === undefined || value === null || value === "") return undefined;
  const time = typeof value === "string" && !/^\d{1,15}$/.test(value) ? NaN : Number(value);
  return Number.isInteger(time) && time >= 0 && time <= 8.64e15 ? time : NaN;
};

/** Reads a body of JSON, at most 1 MB. */
export const readJson = (request: Request): Effect.Effect<unknown, ApiError> =>
  Effect.tryPromise({
    try: async () => {
      const decoder = new TextDecoder("utf-8", { fatal: true });
      let text = "";
      let size = 0;
      for await (const chunk of request.body ?? []) {
        size += chunk.length;
        if (size > mostDocumentBytes) throw refuse(413, "the body is larger than 1 MB");
        text += decoder.decode(chunk, { stream: true });
      }
      return JSON.parse(text + decoder.decode()) as unknown;
    },
    catch: (error) =>
      typeof error === "object" && error !== null && "_tag" in error
        ? error as ApiError
        : refuse(400, "the body is no JSON, or not whole"),
  });
