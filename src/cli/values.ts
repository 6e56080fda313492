import { Either } from "effect";
import { Permission } from "../model/user.ts";
import { nearest } from "../config/shape.ts";

const multiples: Readonly<Record<string, number>> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

/** Reads bytes: `1048576`, `10M`, `1.5GiB`. */
export const parseSize = (text: string, flag: string): Either.Either<number, string> => {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = Math.round(
    Number(match?.[1]) * (multiples[(match?.[2] ?? "").toUpperCase()] ?? NaN),
  );
  return Number.isSafeInteger(bytes)
    ? Either.right(bytes)
    : Either.left(`${flag}: ${JSON.stringify(text)} is not a size; write bytes, or 500M, 10G`);
};

/** Reads a whole number of at least `least`. */
export const parseCount = (
  text: string,
  flag: string,
  least = 0,
): Either.Either<number, string> => {
  const value = Number(text);
  return /^-?\d+$/.test(text.trim()) && Number.isSafeInteger(value) && value >= least
    ? Either.right(value)
    : Either.left(`${flag}: ${JSON.stringify(text)} is not a whole number of at least ${least}`);
};

const spans: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/** Reads a moment as Unix milliseconds: ISO 8601, or a span before `now` such as `90s`, `1h`, `7d`. */
export const parseTime = (
  text: string,
  flag: string,
  now: number,
): Either.Either<number, string> => {
  const span = /^(\d+)([smhdw])$/.exec(text.trim());
  if (span) return Either.right(now - Number(span[1]) * (spans[span[2] ?? ""] ?? 0));
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at)
    ? Either.left(
      `${flag}: ${JSON.stringify(text)} is not a time; write 2026-01-31T12:00:00Z or 1h, 7d ago`,
    )
    : Either.right(at);
};

type Permissions = Record<string, ReadonlyArray<Permission>>;

/** Reads `list,download` (for `/`) and `/dir=list,download`; `/dir=` takes the entry away. */
export const parsePermissions = (
  specs: ReadonlyArray<string>,
  base: Readonly<Permissions>,
): Either.Either<Permissions, string> => {
  const result: Permissions = { ...base };
  for (const spec of specs) {
    const [dir, names] = spec.startsWith("/") && spec.includes("=")
      ? [spec.slice(0, spec.indexOf("=")), spec.slice(spec.indexOf("=") + 1)]
      : ["/", spec];
    const granted: Permission[] = [];
    for (const name of names.split(",").map((n) => n.trim()).filter(Boolean)) {
      const known = Permission.literals.find((p) => p === name);
      if (!known) {
        const near = nearest(name, Permission.literals);
        return Either.left(
          `--permissions: unknown permission ${JSON.stringify(name)}` +
            (near ? `; did you mean ${near}?` : `; known: ${Permission.literals.join(", ")}`),
        );
      }
      granted.push(known);
    }
    if (granted.length > 0) result[dir] = granted;
    else if (dir !== "/") delete result[dir];
    else return Either.left("--permissions: / needs at least one permission");
  }
  return Either.right(result);
};

/** Reads `host:port`, `[v6]:port`, `:port`, `port`; port 0 picks a free one. */
export const parseBinding = (text: string, flag: string) => {
  const match = /^(?:(?:\[([^\]]+)\]|([^:\[\]]*)):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  return match && port <= 65535
    ? Either.right({ address: match[1] ?? match[2] ?? "", port })
    : Either.left(`${flag}: ${JSON.stringify(text)} is not an address; write host:port, or off`);
};

/** Reads every value of a repeatable listener flag: addresses, or `off` alone. */
export const parseBindings = (values: ReadonlyArray<string>, flag: string) =>
  values.includes("off")
    ? values.length === 1 ? Either.right([]) : Either.left(`${flag}: off stands alone`)
    : Either.all(values.map((value) => parseBinding(value, flag)));
