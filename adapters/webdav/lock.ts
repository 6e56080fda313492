import { Effect } from "effect";
import { checkConditions } from "../../actors/http_conditions.ts";
import type { Lock } from "../../src/dav/state.ts";
import { toReplace } from "../../src/vfs/vfs.ts";
import { parent } from "../../src/vpath.ts";
import { mayChange, submittedTokens } from "./conditions.ts";
import { type Dav, type DavFailure, entryIfAny, readText } from "./context.ts";
import { href } from "./paths.ts";
import { activeLock } from "./properties.ts";
import { readDocument, xmlHeaders } from "./propfind.ts";
import { refuse } from "./status.ts";
import { elementsOf, writeXml } from "./xml.ts";

const DEFAULT_SECONDS = 600;
const MOST_SECONDS = 24 * 3600;

/** LOCK (RFC 4918 section 9.10): takes one, or with an empty body starts its time anew. */
export const lock = (dav: Dav): Effect.Effect<Response, DavFailure, never> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path, slash }, state, user, prefix } = dav;
    const seconds = timeout(request.headers.get("timeout"));
    const text = yield* readText(request);
    const tokens = yield* submittedTokens(dav);
    if (text === "") {
      const [token] = tokens;
      if (token === undefined || tokens.size !== 1) {
        return yield* refuse(400, "a refresh names one lock in its If header");
      }
      const again = yield* state.refresh(user.username, path, token, seconds);
      return again ? answer(again, prefix, 200, false) : yield* refuse(412);
    }
    const depth = (request.headers.get("depth") ?? "infinity").trim().toLowerCase();
    if (depth !== "0" && depth !== "infinity") {
      return yield* refuse(400, "Depth is 0 or infinity");
    }
    const root = yield* readDocument(text, "lockinfo");
    const [scope] = elementsOf(root, "lockscope").flatMap((e) => elementsOf(e));
    const [type] = elementsOf(root, "locktype").flatMap((e) => elementsOf(e));
    if (type?.name !== "write" || (scope?.name !== "exclusive" && scope?.name !== "shared")) {
      return yield* refuse(400, "a write lock is exclusive or shared");
    }
    const owner = elementsOf(root, "owner")[0];
    const contact = owner ? writeXml(owner) : "";
    if (contact.length > 4096) return yield* refuse(413, "the owner is too long");
    const before = yield* entryIfAny(vfs, path);
    if (checkConditions(request, before) !== undefined) return yield* refuse(412);
    if (!before) {
      if (slash) return yield* refuse(409, "there is no such collection");
      yield* mayChange(dav, parent(path), tokens);
      const above = yield* entryIfAny(vfs, parent(path));
      if (above?.kind !== "dir") return yield* refuse(409, "the parent does not exist");
    }
    const taken = yield* state.lock(user.username, {
      path,
      deep: depth === "infinity",
      exclusive: scope.name === "exclusive",
      owner: contact,
      seconds,
    });
    if ("refusal" in taken) {
      if (taken.refusal === "too_many") return yield* refuse(507, "too many locks");
      const root = href(prefix, taken.by?.path ?? path, false);
      return yield* refuse(
        423,
        undefined,
        `<D:no-conflicting-lock><D:href>${root}</D:href></D:no-conflicting-lock>`,
      );
    }
    // RFC 4918 section 7.3: a name that is locked becomes an empty file.
    if (!before) {
      yield* Effect.tapError(
        makeEmpty(dav),
        () => state.unlock(user.username, path, taken.lock.token),
      );
    }
    return answer(taken.lock, prefix, before ? 200 : 201);
  });

const makeEmpty = ({ vfs, target }: Dav) =>
  Effect.scoped(Effect.flatMap(
    vfs.open(target.path, { ...toReplace, truncate: false, exclusive: true }),
    (handle) => handle.close(),
  ));

/** A Lock-Token is told of a new lock alone (RFC 4918 section 9.10.2). */
const answer = (lock: Lock, prefix: string, status: number, isNew = true): Response => {
  const body = `<?xml version="1.0" encoding="utf-8"?>\n<D:prop xmlns:D="DAV:">` +
    `<D:lockdiscovery>${activeLock(lock, prefix)}</D:lockdiscovery></D:prop>\n`;
  return new Response(body, {
    status,
    headers: { ...xmlHeaders, ...(isNew ? { "lock-token": `<${lock.token}>` } : {}) },
  });
};

/** The first usable value of a Timeout header, within what the server gives. */
const timeout = (header: string | null): number => {
  for (const value of (header ?? "").split(",")) {
    if (/^\s*infinite\s*$/i.test(value)) return MOST_SECONDS;
    const seconds = /^\s*second-(\d{1,10})\s*$/i.exec(value)?.[1];
    if (seconds !== undefined) return Math.min(MOST_SECONDS, Math.max(1, Number(seconds)));
  }
  return DEFAULT_SECONDS;
};

/** UNLOCK (RFC 4918 section 9.11). */
export const unlock = (dav: Dav): Effect.Effect<Response, DavFailure> =>
  Effect.gen(function* () {
    const { request, target: { path }, state, user } = dav;
    const token = /^\s*<([^<>\s]+)>\s*$/.exec(request.headers.get("lock-token") ?? "")?.[1];
    if (token === undefined) return yield* refuse(400, "Lock-Token is needed");
    const gone = yield* state.unlock(user.username, path, token);
    return gone
      ? new Response(null, { status: 204 })
      : yield* refuse(409, undefined, "<D:lock-token-matches-request-uri/>");
  });
