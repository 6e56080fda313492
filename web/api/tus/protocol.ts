import type { Resumable, Resumables } from "../../../src/vfs/resumable.ts";
import type { Vfs } from "../../../src/vfs/vfs.ts";
import { checksums } from "./headers.ts";

/** Where uploads are made, and their addresses begin. */
export const prefix = "/api/v2/user/tus";
export const version = "1.0.0";
export const bodyType = "application/offset+octet-stream";

/** One request of a user who is logged in. */
export interface Desk {
  readonly request: Request;
  /** As it was sent, without scheme and host. */
  readonly target: string;
  readonly vfs: Vfs;
  readonly uploads: Resumables;
}

/** What the server can (tus 1.0 section OPTIONS). */
export const abilities: Readonly<Record<string, string>> = {
  "tus-version": version,
  "tus-extension": "creation,creation-with-upload,expiration,checksum,termination,concatenation",
  "tus-checksum-algorithm": Object.keys(checksums).join(","),
};

/** Whether a body says of itself that it is longer than `most`. */
export const tooLong = (request: Request, most: number): boolean =>
  Number(request.headers.get("content-length") ?? 0) > most;

/** How an upload stands, for HEAD. */
export const describe = (upload: Resumable): Record<string, string> => ({
  ...progress(upload),
  "upload-length": String(upload.length),
  ...(upload.metadata === "" ? {} : { "upload-metadata": upload.metadata }),
  ...(upload.kind === "partial" ? { "upload-concat": "partial" } : {}),
  ...(upload.kind === "final"
    ? { "upload-concat": `final;${upload.parts.map((id) => `${prefix}/${id}`).join(" ")}` }
    : {}),
});

/** How far it is. */
export const progress = ({ offset, expires }: Resumable): Record<string, string> => ({
  "upload-offset": String(offset),
  ...(expires === undefined ? {} : { "upload-expires": new Date(expires).toUTCString() }),
});
