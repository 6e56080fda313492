import { Chunk, Effect, Either, Option, Runtime, type Scope, Stream } from "effect";
import type { Entry } from "../../src/model/entry.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import { child, type VPath } from "../../src/vpath.ts";
import { covers } from "../../src/dav/state.ts";
import { type Dav, type DavFailure, readText } from "./context.ts";
import { paged } from "./paged.ts";
import { type Asked, asksQuota, describer, type Name, quotaOf } from "./properties.ts";
import { refuse } from "./status.ts";
import { type Element, elementsOf, isDav, parseXml } from "./xml.ts";

const opening = `<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n`;
const closing = `</D:multistatus>\n`;

export const xmlHeaders = { "content-type": "application/xml; charset=utf-8" };

/** A multistatus of parts that are known already. */
export const multistatus = (parts: ReadonlyArray<string>): Response =>
  new Response(opening + parts.join("") + closing, { status: 207, headers: xmlHeaders });

/**
 * PROPFIND (RFC 4918 section 9.1). A directory is sent as it is read, so its
 * size costs no memory; Depth infinity is refused with its own condition.
 */
export const propfind = (dav: Dav): Effect.Effect<Response, DavFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path } } = dav;
    const depth = (request.headers.get("depth") ?? "infinity").trim().toLowerCase();
    if (depth === "infinity") {
      return yield* refuse(403, undefined, "<D:propfind-finite-depth/>");
    }
    if (depth !== "0" && depth !== "1") return yield* refuse(400, "Depth is 0, 1 or infinity");
    const asked = yield* readAsked(yield* readText(request));
    const entry = yield* vfs.stat(path);
    return yield* list(dav, entry, asked, depth === "1");
  });

/** The multistatus of an entry and, where asked, of its children. */
export const list = (
  dav: Dav,
  entry: Entry,
  asked: Asked,
  children: boolean,
): Effect.Effect<Response, DavFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { vfs, target: { path }, prefix, state, user } = dav;
    const deep = children && entry.kind === "dir";
    const quota = asksQuota(asked) ? yield* quotaOf(dav, path) : {};
    const dead = yield* state.properties(user.username, path, deep);
    const locks = yield* state.locks(user.username, path, deep);
    const write = describer(asked, prefix);
    const none: ReadonlyArray<never> = [];
    const show = (at: VPath, what: Entry) =>
      write({
        path: at,
        entry: what,
        dead: dead.get(at) ?? none,
        locks: locks.length === 0 ? none : locks.filter((lock) => covers(lock, at)),
        ...quota,
      });
    const first = opening + show(path, entry);
    if (!deep) return new Response(first + closing, { status: 207, headers: xmlHeaders });
    const runtime = yield* Effect.runtime<never>();
    const pull = yield* Stream.toPull(vfs.list(path));
    let page: ReadonlyArray<Entry> | undefined;
    // Answers nothing: dead fibers hold what they answered, and V8 keeps some until its next full collection.
    const read = pull.pipe(
      Effect.flatMap((entries): Effect.Effect<ReadonlyArray<Entry>> =>
        Chunk.some(entries, isLink)
          ? Effect.forEach(
            entries,
            (found) =>
              isLink(found) ? target(vfs, child(path, found.name), found) : Effect.succeed(found),
          )
          : Effect.succeed(Chunk.toReadonlyArray(entries))
      ),
      Effect.map((entries) => {
        page = entries;
      }),
      Effect.catchAll(Option.match({ onNone: () => Effect.void, onSome: Effect.fail })),
    );
    // While the status can still say why not.
    yield* read;
    let ahead = true;
    const body = paged<Entry>({
      first,
      last: closing,
      next: async () => {
        if (ahead) {
          ahead = false;
          return page;
        }
        page = undefined;
        await Runtime.runPromise(runtime)(read);
        return page;
      },
      show: (found) =>
        found.kind === "file" || found.kind === "dir" ? show(child(path, found.name), found) : "",
    });
    return new Response(body, { status: 207, headers: xmlHeaders });
  });

const isLink = ({ kind }: Entry) => kind === "symlink";

/** What a link leads to, under the link's own name; itself, which does not show, where it leads nowhere (BEHAVIOUR DAV-10). */
const target = (vfs: Vfs, path: VPath, link: Entry): Effect.Effect<Entry> =>
  Effect.match(vfs.stat(path), {
    onFailure: () => link,
    onSuccess: (entry) => ({ ...entry, name: link.name }),
  });

const nameOf = ({ ns, name }: Element): Name => ({ ns, name });

/** Names in one PROPFIND: each is answered for each entry. */
const MOST_NAMES = 200;

const readAsked = (text: string): Effect.Effect<Asked, DavFailure> =>
  Effect.gen(function* () {
    if (text === "") return { kind: "all", also: [] };
    const root = yield* readDocument(text, "propfind");
    const has = (name: string) => elementsOf(root, name)[0];
    const prop = has("prop");
    const kinds = [has("allprop"), has("propname"), prop].filter((e) => e !== undefined);
    if (kinds.length !== 1) {
      return yield* refuse(400, "one of allprop, propname and prop is needed");
    }
    if (has("propname")) return { kind: "names" };
    const names = elementsOf(prop ?? has("include") ?? root).map(nameOf);
    if (names.length > MOST_NAMES) {
      return yield* refuse(400, `at most ${MOST_NAMES} properties are told at once`);
    }
    return prop ? { kind: "some", names } : { kind: "all", also: names };
  });

/** Parses a body whose root is `name` in `DAV:`; 400 otherwise. */
export const readDocument = (text: string, name: string): Effect.Effect<Element, DavFailure> =>
  Either.match(parseXml(text), {
    onLeft: (why) => Effect.fail(refuse(400, `not usable XML: ${why}`)),
    onRight: (root) =>
      isDav(root, name) ? Effect.succeed(root) : Effect.fail(refuse(400, `no ${name} element`)),
  });
