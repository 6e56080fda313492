import { Effect } from "effect";
import { etagOf } from "../../actors/http_conditions.ts";
import type { DeadProperty, Lock } from "../../src/dav/state.ts";
import type { Entry } from "../../src/model/entry.ts";
import type { VPath } from "../../src/vpath.ts";
import type { Dav } from "./context.ts";
import { mediaType } from "./media_type.ts";
import { href } from "./paths.ts";
import { statusLine } from "./status.ts";
import { escapeXml } from "./xml.ts";

/** A property by name. */
export interface Name {
  readonly ns: string;
  readonly name: string;
}

/** What a PROPFIND asks for (RFC 4918 section 9.1). */
export type Asked =
  | { readonly kind: "all"; readonly also: ReadonlyArray<Name> }
  | { readonly kind: "names" }
  | { readonly kind: "some"; readonly names: ReadonlyArray<Name> };

/** One resource with all that its properties are made of. */
export interface Resource {
  readonly path: VPath;
  readonly entry: Entry;
  readonly dead: ReadonlyArray<DeadProperty>;
  readonly locks: ReadonlyArray<Lock>;
  readonly quota?: { readonly used: number; readonly available: number };
}

type Live = (resource: Resource, prefix: string) => string | undefined;

const isDir = ({ entry }: Resource) => entry.kind === "dir";
const date = (ms: number) => new Date(ms);

const supportedLocks = ["exclusive", "shared"].map((scope) =>
  `<D:lockentry><D:lockscope><D:${scope}/></D:lockscope>` +
  `<D:locktype><D:write/></D:locktype></D:lockentry>`
).join("");

/** Properties that the server makes; undefined where a resource has none. */
const live: Readonly<Record<string, Live>> = {
  resourcetype: (r) => isDir(r) ? "<D:collection/>" : "",
  displayname: (r) => escapeXml(r.entry.name),
  getcontentlength: (r) => isDir(r) ? undefined : String(r.entry.size),
  getcontenttype: (r) => isDir(r) ? undefined : mediaType(r.entry.name),
  getetag: (r) => isDir(r) ? undefined : escapeXml(etagOf(r.entry)),
  getlastmodified: (r) => date(r.entry.mtime).toUTCString(),
  creationdate: (r) => date(r.entry.mtime).toISOString().replace(/\.\d+Z$/, "Z"),
  supportedlock: () => supportedLocks,
  lockdiscovery: (r, prefix) => r.locks.map((lock) => activeLock(lock, prefix)).join(""),
  "quota-available-bytes": (r) => r.quota && String(r.quota.available),
  "quota-used-bytes": (r) => r.quota && String(r.quota.used),
};

/** RFC 4331 section 2: quota is told only to who asks for it. */
const onRequest = new Set(["quota-available-bytes", "quota-used-bytes"]);

export const isLive = ({ ns, name }: Name): boolean => ns === "DAV:" && Object.hasOwn(live, name);

/** One lock as lockdiscovery shows it (RFC 4918 section 14.1). */
export const activeLock = (lock: Lock, prefix: string): string =>
  `<D:activelock><D:locktype><D:write/></D:locktype>` +
  `<D:lockscope><D:${lock.exclusive ? "exclusive" : "shared"}/></D:lockscope>` +
  `<D:depth>${lock.deep ? "infinity" : "0"}</D:depth>${lock.owner}` +
  `<D:timeout>Second-${lock.seconds}</D:timeout>` +
  `<D:locktoken><D:href>${lock.token}</D:href></D:locktoken>` +
  `<D:lockroot><D:href>${href(prefix, lock.path, false)}</D:href></D:lockroot></D:activelock>`;

const empty = ({ ns, name }: Name) =>
  ns === "DAV:" ? `<D:${name}/>` : `<${name} xmlns="${escapeXml(ns)}"/>`;

/** One property that is asked for, ready to be written for any resource. */
interface Wanted extends Name {
  readonly make: Live | undefined;
  /** Left out, and not missing, where a resource has none. */
  readonly optional: boolean;
  readonly empty: string;
}

const usual = Object.keys(live).filter((name) => !onRequest.has(name));
const wantedOf = (wanted: Name, optional: boolean): Wanted => ({
  ...wanted,
  make: isLive(wanted) ? live[wanted.name] : undefined,
  optional,
  empty: empty(wanted),
});
const part = (props: string, status: string) =>
  `<D:propstat><D:prop>${props}</D:prop><D:status>${status}</D:status></D:propstat>`;
const ok = statusLine(200);
const notFound = statusLine(404);

/** Makes what writes the `response` element of a resource: once an answer, since it may have 100,000 of them. */
export const describer = (asked: Asked, prefix: string): (resource: Resource) => string => {
  const wanted = asked.kind === "some"
    ? asked.names.map((name) => wantedOf(name, false))
    : usual.map((name) => wantedOf({ ns: "DAV:", name }, true));
  const extra = asked.kind === "all"
    ? asked.also.filter(({ name }) => onRequest.has(name)).map((name) => wantedOf(name, false))
    : [];
  const names = asked.kind === "names";
  const write = (resource: Resource, list: ReadonlyArray<Wanted>) => {
    let found = "";
    let missing = "";
    for (const { ns, name, make, optional, empty } of list) {
      const value = make?.(resource, prefix);
      if (value !== undefined) {
        found += value === "" || names ? `<D:${name}/>` : `<D:${name}>${value}</D:${name}>`;
      } else if (!optional) {
        const dead = resource.dead.find((p) => p.ns === ns && p.name === name);
        if (dead) found += dead.value;
        else missing += empty;
      }
    }
    return { found, missing };
  };
  return (resource) => {
    let { found, missing } = write(resource, wanted);
    if (names) found += resource.dead.map(empty).join("");
    else if (asked.kind === "all") {
      const more = write(resource, extra);
      found += resource.dead.map(({ value }) => value).join("") + more.found;
      missing += more.missing;
    }
    return `<D:response><D:href>${href(prefix, resource.path, isDir(resource))}</D:href>` +
      (found !== "" || missing === "" ? part(found, ok) : "") +
      (missing === "" ? "" : part(missing, notFound)) + "</D:response>\n";
  };
};

/** Whether the answer needs the quota. */
export const asksQuota = (asked: Asked): boolean =>
  asked.kind !== "names" &&
  (asked.kind === "all" ? asked.also : asked.names).some((n) =>
    n.ns === "DAV:" && onRequest.has(n.name)
  );

/** Space used and left, of the user or of the disk. */
export const quotaOf = (dav: Dav, path: VPath) =>
  dav.vfs.available(path).pipe(
    Effect.map(({ totalBytes, freeBytes }) => ({
      quota: { available: freeBytes, used: Math.max(0, totalBytes - freeBytes) },
    })),
    Effect.catchAll(() => Effect.succeed({})),
  );
