import { Either } from "effect";
import type { User, VirtualFolderMapping } from "../model/user.ts";
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

const types = { primary: 1, secondary: 2, membership: 3 } as const;

/** Reads `NAME[:primary|secondary|membership]`, by default secondary. One `""` is no group. */
export const parseMemberships = (
  specs: ReadonlyArray<string>,
): Either.Either<User["groups"], string> =>
  Either.all(
    specs.filter((spec) => spec !== "").map((spec) => {
      const [name = "", kind = "secondary"] = spec.split(":");
      const type = Object.entries(types).find(([word]) => word === kind)?.[1];
      return type === undefined
        ? Either.left(`--group: ${JSON.stringify(kind)} is not ${Object.keys(types).join(", ")}`)
        : Either.right({ name, type });
    }),
  );
