import { Either } from "effect";
import type { VirtualFolderMapping } from "../model/user.ts";
import { parseCount, parseSize } from "./values.ts";

const flag = "--folder";

/** Reads `/path=NAME[/subpath][:size[:files]]`; `:user` counts in the user's quota. One `""` is no mount. */
export const parseMounts = (
  specs: ReadonlyArray<string>,
): Either.Either<ReadonlyArray<VirtualFolderMapping>, string> =>
  Either.all(specs.filter((spec) => spec !== "").map(parseMount));

const parseMount = (spec: string): Either.Either<VirtualFolderMapping, string> => {
  const match = /^(\/[^=]*)=([^/:]+)(?:\/([^:]*))?(?::([^:]*)(?::(\d+))?)?$/.exec(spec);
  if (!match) {
    return Either.left(`${flag}: ${JSON.stringify(spec)} is not /path=NAME[/subpath][:size]`);
  }
  const [, virtual_path = "", name = "", subpath = "", limit = "0", files = "0"] = match;
  const mount = { virtual_path, name, subpath };
  if (limit === "user") return Either.right({ ...mount, quota_size: -1, quota_files: -1 });
  return Either.flatMap(
    parseSize(limit || "0", flag),
    (quota_size) =>
      Either.map(parseCount(files, flag), (quota_files) => ({ ...mount, quota_size, quota_files })),
  );
};
