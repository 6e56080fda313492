import { Effect, Either } from "effect";
import { checkConditions, etagOf } from "../../actors/http_conditions.ts";
import { covers, type Lock } from "../../src/dav/state.ts";
import type { VPath } from "../../src/vpath.ts";
import { type Dav, type DavFailure, type Seen, seen } from "./context.ts";
import { parseDestination, type Target } from "./paths.ts";
import { type DavError, refuse } from "./status.ts";

/** One condition of an If header: a state token or an entity tag, perhaps negated. */
interface Condition {
  readonly not: boolean;
  readonly token?: string;
  readonly etag?: string;
}
interface List {
  /** The tag in front, undefined for the request's own resource. */
  readonly resource: string | undefined;
  readonly conditions: ReadonlyArray<Condition>;
}

/** Longest If header, and most lists in one: each costs a look at a resource. */
const MAX_IF = 16_384;
const MAX_LISTS = 64;

/** Parses an If header (RFC 4918 section 10.4); undefined when it is none. */
export const parseIf = (header: string): ReadonlyArray<List> | undefined => {
  if (header.length > MAX_IF) return undefined;
  const lists: List[] = [];
  let rest = header.trim();
  let resource: string | undefined;
  const tagged = rest.startsWith("<");
  while (rest !== "") {
    const tag = /^<([^<>\s]*)>\s*/.exec(rest);
    if (tag) {
      if (!tagged) return undefined;
      resource = tag[1];
      rest = rest.slice(tag[0].length);
      if (!rest.startsWith("(")) return undefined;
    }
    // Each way begins with a character of its own: else what does not match costs years.
    const list = /^\(((?:[^()"<>[\]]|<[^<>]*>|\[(?:W\/)?"[^"]*"\])*)\)\s*/.exec(rest);
    if (!list) return undefined;
    rest = rest.slice(list[0].length);
    const conditions: Condition[] = [];
    let inner = (list[1] ?? "").trim();
    while (inner !== "") {
      const one = /^(not\s*)?(?:<([^<>\s]+)>|\[((?:W\/)?"[^"]*")\])\s*/i.exec(inner);
      if (!one) return undefined;
      const [all, not, token, etag] = one;
      conditions.push({
        not: not !== undefined,
        ...(token === undefined ? {} : { token }),
        ...(etag === undefined ? {} : { etag }),
      });
      inner = inner.slice(all.length);
    }
    if (conditions.length === 0 || lists.length === MAX_LISTS) return undefined;
    lists.push({ resource, conditions });
  }
  return lists.length === 0 ? undefined : lists;
};

/** Evaluates the If header: 412 unless one of its lists holds. Answers the tokens it submits. */
export const submittedTokens = (dav: Dav): Effect.Effect<ReadonlySet<string>, DavFailure> =>
  Effect.gen(function* () {
    const tokens = new Set<string>();
    const header = dav.request.headers.get("if");
    if (header === null) return tokens;
    const lists = parseIf(header);
    if (!lists) return yield* refuse(400, "the If header is malformed");
    let holds = false;
    for (const { resource, conditions } of lists) {
      const at = resource === undefined
        ? Either.right(dav.target)
        : parseDestination(resource, dav.request, dav.prefix);
      const path = Either.isRight(at) ? at.right.path : undefined;
      const looks = conditions.some(({ etag }) => etag !== undefined);
      const entry = looks && path !== undefined ? (yield* seen(dav.vfs, path)).entry : undefined;
      const locks = path === undefined
        ? []
        : yield* dav.state.locks(dav.user.username, path, false);
      let all = true;
      for (const { not, token, etag } of conditions) {
        if (token !== undefined && !not) tokens.add(token);
        const is = token !== undefined
          ? locks.some((lock) => lock.token === token)
          : entry?.kind === "file" && etagOf(entry) === etag;
        if (is === not) all = false;
      }
      holds ||= all;
    }
    return holds ? tokens : yield* refuse(412);
  });

/**
 * Fails with 423 unless every lock that stands against a change of `path` was
 * submitted: one that covers it, and with `below` those further down.
 */
export const mayChange = (
  dav: Dav,
  path: VPath,
  tokens: ReadonlySet<string>,
  below = false,
): Effect.Effect<void, DavFailure> =>
  Effect.gen(function* () {
    const locks = yield* dav.state.locks(dav.user.username, path, below);
    // Of shared locks that cover the same, one is enough.
    const covering = locks.filter((lock) => covers(lock, path));
    const inside = locks.filter((lock) => !covering.includes(lock));
    const held = (lock: Lock) => tokens.has(lock.token);
    const free = covering.length === 0 || covering.some(held);
    if (free && inside.every(held)) return;
    return yield* refuse(423, undefined, "<D:lock-token-submitted/>");
  });

/**
 * Fails with 412 unless the conditions of a change hold. Of what may not be
 * looked at none does, but for If-None-Match on a PUT, which the upload itself keeps.
 */
export const checkChange = (
  request: Request,
  { entry, hidden }: Seen,
): Effect.Effect<void, DavError> => {
  const { headers, method } = request;
  const asked = ["if-match", "if-unmodified-since", "if-none-match"];
  const unknown = hidden &&
    asked.some((name) => headers.has(name) && !(name === "if-none-match" && method === "PUT"));
  return unknown || checkConditions(request, entry) !== undefined
    ? Effect.fail(refuse(412))
    : Effect.void;
};

/** The place that a COPY or MOVE goes to. */
export const destination = (dav: Dav): Effect.Effect<Target, DavFailure> =>
  Either.match(parseDestination(dav.request.headers.get("destination"), dav.request, dav.prefix), {
    onLeft: (error) => Effect.fail(error),
    onRight: (target) => Effect.succeed(target),
  });
