import { Effect } from "effect";
import type { PropertyChange } from "../../src/dav/state.ts";
import { mayChange, submittedTokens } from "./conditions.ts";
import { type Dav, type DavFailure, readText } from "./context.ts";
import { href } from "./paths.ts";
import { isLive } from "./properties.ts";
import { multistatus, readDocument } from "./propfind.ts";
import { refuse, statusLine } from "./status.ts";
import { type Element, elementsOf, escapeXml, isDav, textOf, writeXml } from "./xml.ts";

/** Modification times by other names, which Windows and others set (BEHAVIOUR DAV-06). */
const isTime = ({ ns, name }: Element) =>
  (ns === "urn:schemas-microsoft-com:" && name === "Win32LastModifiedTime") ||
  (ns === "DAV:" && name === "getlastmodified");

/** PROPPATCH (RFC 4918 section 9.2): all changes or none. */
export const proppatch = (dav: Dav): Effect.Effect<Response, DavFailure> =>
  Effect.gen(function* () {
    const { request, vfs, target: { path }, state, user, prefix } = dav;
    const root = yield* readDocument(yield* readText(request), "propertyupdate");
    const entry = yield* vfs.stat(path);
    const tokens = yield* submittedTokens(dav);
    yield* mayChange(dav, path, tokens);
    const steps = elementsOf(root).filter((e) => isDav(e, "set") || isDav(e, "remove"));
    const changes: Array<{ readonly set: boolean; readonly property: Element }> = steps.flatMap((
      step,
    ) =>
      elementsOf(step, "prop").flatMap((prop) => elementsOf(prop)).map((property) => ({
        set: isDav(step, "set"),
        property,
      }))
    );
    if (changes.length === 0) return yield* refuse(400, "nothing to change");
    const bad = new Set(
      changes.filter(({ set, property }) =>
        isTime(property) ? !set || Number.isNaN(Date.parse(textOf(property))) : isLive(property)
      ).map(({ property }) => property),
    );
    let failure = 0;
    if (bad.size === 0) {
      const time = changes.findLast(({ property }) => isTime(property));
      // Whoever may change times may change properties. The time of reading asks for that and alters no version.
      yield* vfs.setAttributes(path, { atime: entry.atime ?? entry.mtime });
      const dead = changes.filter(({ property }) => !isTime(property)).map(
        ({ set, property }): PropertyChange => ({
          ns: property.ns,
          name: property.name,
          ...(set ? { value: writeXml(property) } : {}),
        }),
      );
      if (!(yield* state.change(user.username, path, dead))) failure = 507;
      else if (time) yield* vfs.setAttributes(path, { mtime: Date.parse(textOf(time.property)) });
    }
    const status = (property: Element) =>
      failure !== 0 ? failure : bad.size === 0 ? 200 : bad.has(property) ? 403 : 424;
    const parts = changes.map(({ property }) =>
      `<D:propstat><D:prop>${
        property.ns === "DAV:"
          ? `<D:${property.name}/>`
          : `<${property.name} xmlns="${escapeXml(property.ns)}"/>`
      }</D:prop><D:status>${statusLine(status(property))}</D:status></D:propstat>`
    );
    return multistatus([
      `<D:response><D:href>${href(prefix, path, entry.kind === "dir")}</D:href>${
        parts.join("")
      }</D:response>\n`,
    ]);
  });
