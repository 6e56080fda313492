import { Effect, type Scope } from "effect";
import type { FsError } from "../../../src/errors.ts";
import type { NewResumable, Resumable } from "../../../src/vfs/resumable.ts";
import type { VPath } from "../../../src/vpath.ts";
import { type ApiError, refuse } from "../failure.ts";
import { milliseconds, parseQuery, resolveClean } from "../request.ts";
import { checksumOf, concatOf, countOf, metadataOf } from "./headers.ts";
import { bodyType, type Desk, prefix, tooLong } from "./protocol.ts";
import { receive } from "./receive.ts";

/**
 * Creation (tus 1.0 sections Creation, Creation With Upload, Concatenation).
 * Metadata say where the file goes: `path`, or `filename` in the start
 * directory; a `path` that ends with a slash is the directory of `filename`.
 * `overwrite` (default true), `mkdir_parents` and `mtime` (Unix milliseconds) as
 * in the file API; `mkdir_parents` also as a parameter of the address.
 */
export const create = (
  desk: Desk,
): Effect.Effect<Resumable, ApiError | FsError, Scope.Scope> =>
  Effect.gen(function* () {
    const { request, uploads } = desk;
    const { headers } = request;
    const concat = yield* concatOf(headers.get("upload-concat"), prefix);
    const length = yield* countOf(headers, "upload-length");
    if (headers.has("upload-defer-length")) {
      return yield* refuse(400, "the length of an upload has to be known");
    }
    const metadata = headers.get("upload-metadata") ?? "";
    const about = yield* metadataOf(metadata);
    const mtime = milliseconds(about.get("mtime"));
    if (Number.isNaN(mtime)) return yield* refuse(400, "the metadata mtime is no time");
    const query = yield* parseQuery(desk.target);
    const wanted = {
      metadata,
      options: {
        overwrite: !/^(?:0|f|false)$/i.test(about.get("overwrite") ?? ""),
        ...(mtime === undefined ? {} : { mtime }),
      },
      parents: isSet(about.get("mkdir_parents") ?? query.get("mkdir_parents")),
    } satisfies Partial<NewResumable>;
    if (concat.kind === "final") {
      if (length !== undefined) return yield* refuse(400, "the parts give the length");
      return yield* uploads.concatenate(
        { ...wanted, path: yield* pathOf(desk, about) },
        concat.parts,
      );
    }
    if (length === undefined) return yield* refuse(400, "Upload-Length is missing");
    const withBody = headers.get("content-type") === bodyType;
    const checksum = yield* checksumOf(headers.get("upload-checksum"));
    if (withBody && tooLong(request, length)) {
      return yield* refuse(413, "more than the upload's length");
    }
    const made = yield* uploads.create({
      ...wanted,
      length,
      ...(concat.kind === "partial" ? {} : { path: yield* pathOf(desk, about) }),
    });
    if (!withBody || made.offset === length) {
      return made;
    }
    const part = yield* uploads.append(made.id, 0, { checked: checksum !== undefined });
    return yield* receive(request, part, checksum);
  });

const isSet = (text: string | undefined): boolean => /^(?:1|t|true)$/i.test(text ?? "");

const pathOf = (
  { vfs }: Desk,
  about: ReadonlyMap<string, string>,
): Effect.Effect<VPath, ApiError | FsError> => {
  const [path = "", name = ""] = [about.get("path"), about.get("filename")];
  const whole = path === "" || /[/\\]$/.test(path) ? path + name : path;
  return name === "" && whole === path && !/[^/\\]$/.test(path)
    ? Effect.fail(refuse(400, "the metadata name no file: filename or path"))
    : resolveClean(vfs, whole);
};
