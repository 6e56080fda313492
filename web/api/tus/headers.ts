import { Either } from "effect";
import { type ApiError, refuse } from "../failure.ts";

/** Digests by their names in `Upload-Checksum`, with their bytes. */
export const checksums: Readonly<Record<string, number>> = {
  sha1: 20,
  sha256: 32,
  sha512: 64,
  md5: 16,
};

/** What a chunk must have: the digest of all its bytes. */
export interface Checksum {
  readonly algorithm: string;
  readonly digest: Uint8Array;
}

/** `Upload-Concat`: a piece, or the file that pieces make, named by their addresses. */
export type Concat =
  | { readonly kind: "none" }
  | { readonly kind: "partial" }
  | { readonly kind: "final"; readonly parts: ReadonlyArray<string> };

/** Bytes of metadata that are kept with an upload. */
const mostMetadata = 8192;

type Read<A> = Either.Either<A, ApiError>;
const bad = (text: string): Read<never> => Either.left(refuse(400, text));

/** A count of bytes; undefined for none. */
export const countOf = (headers: Headers, name: string): Read<number | undefined> => {
  const text = headers.get(name);
  if (text === null) return Either.right(undefined);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) {
    return bad(`${name} is not a number of bytes`);
  }
  return Either.right(Number(text));
};

/** `Upload-Metadata`: pairs of a key and base64, the value may be missing. */
export const metadataOf = (header: string | null): Read<ReadonlyMap<string, string>> => {
  const pairs = new Map<string, string>();
  if ((header?.length ?? 0) > mostMetadata) return bad("Upload-Metadata is too long");
  for (const pair of (header ?? "").split(",").map((text) => text.trim())) {
    if (pair === "") continue;
    const [key = "", value = "", more] = pair.split(/ +/);
    if (more !== undefined || pairs.has(key)) return bad("Upload-Metadata is malformed");
    const bytes = base64(value);
    if (!bytes) return bad(`the metadata ${key} is not base64`);
    try {
      pairs.set(key, new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch {
      return bad(`the metadata ${key} is not UTF-8`);
    }
  }
  return Either.right(pairs);
};

export const checksumOf = (header: string | null): Read<Checksum | undefined> => {
  if (header === null) return Either.right(undefined);
  const [, algorithm = "", text = ""] = /^(\S+) +(\S+)$/.exec(header.trim()) ?? [];
  const size = Object.hasOwn(checksums, algorithm) ? checksums[algorithm] : undefined;
  if (size === undefined) return bad("the checksum algorithm is not known here");
  const digest = base64(text);
  return digest?.length === size
    ? Either.right({ algorithm, digest })
    : bad("the checksum is malformed");
};

/** `prefix`: what the addresses of uploads begin with. */
export const concatOf = (header: string | null, prefix: string): Read<Concat> => {
  if (header === null) return Either.right({ kind: "none" });
  if (header === "partial") return Either.right({ kind: "partial" });
  const list = /^final;(.*)$/s.exec(header)?.[1];
  if (list === undefined) return bad("Upload-Concat is malformed");
  const parts: string[] = [];
  for (const address of list.split(" ").filter((text) => text !== "")) {
    const path = address.replace(/^https?:\/\/[^/]*/i, "");
    const id = path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : "";
    if (!/^[0-9a-f]{32}$/.test(id)) return bad("Upload-Concat names no upload of this server");
    parts.push(id);
  }
  return parts.length > 0 && parts.length <= 1000
    ? Either.right({ kind: "final", parts })
    : bad("Upload-Concat names no uploads, or too many");
};

const base64 = (text: string): Uint8Array | undefined => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    return undefined;
  }
};
