import { Either } from "effect";
import { configShape, nearest, type Shape } from "./shape.ts";

const prefix = "SLUICE_";

/** Variables that are not settings: read by the command line itself. */
export const reserved: ReadonlySet<string> = new Set([
  "SLUICE_CONFIG",
  "SLUICE_ADMIN_USERNAME",
  "SLUICE_ADMIN_PASSWORD",
  "SLUICE_FAILPOINTS",
  "SLUICE_CIPHERS",
]);

/** Short names of settings. */
const short: Readonly<Record<string, string>> = { SLUICE_WORKERS: "SLUICE_COMMON__WORKERS" };

type Found =
  | { readonly key: ReadonlyArray<string>; readonly shape: Shape }
  | { readonly unknown: true; readonly nearest: string | undefined };

/**
 * Reads the name of an environment variable: `SLUICE_COMMON__GRACE_TIME` is
 * `common.grace_time`, `SLUICE_SFTPD__BINDINGS__0__PORT` is one member of a
 * list (BEHAVIOUR CFG-02). Undefined when the variable is none of ours.
 */
export const envKeys = (name: string): Found | undefined => {
  if (!name.startsWith(prefix) || reserved.has(name) || name.startsWith("SLUICE_TEST_")) {
    return undefined;
  }
  const key = (short[name] ?? name).slice(prefix.length).toLowerCase().split("__");
  let shape: Shape | undefined = configShape;
  for (const part of key) {
    shape = shape?.kind === "section"
      ? shape.keys.get(part)
      : shape?.kind === "list" && /^\d{1,2}$/.test(part)
      ? shape.item
      : undefined;
  }
  return shape && shape.kind !== "section"
    ? { key, shape }
    : { unknown: true, nearest: nearest(name, envNames()) };
};

/** Turns the text of a variable into the kind of value that its place holds; the left side says what is wrong. */
export const envValue = (shape: Shape, raw: string): Either.Either<unknown, string> => {
  const text = raw.trim();
  switch (shape.kind) {
    case "number":
      return text !== "" && Number.isFinite(Number(text))
        ? Either.right(Number(text))
        : Either.left(`must be a number, not ${JSON.stringify(raw)}`);
    case "flag":
      return text === "true" || text === "1"
        ? Either.right(true)
        : text === "false" || text === "0"
        ? Either.right(false)
        : Either.left(`must be true or false, not ${JSON.stringify(raw)}`);
    case "list":
      return shape.item.kind === "section" ? jsonList(text) : Either.all(
        text === "" ? [] : text.split(",").map((one) => envValue(shape.item, one.trim())),
      );
    default:
      return Either.right(raw);
  }
};

const jsonList = (text: string): Either.Either<unknown, string> =>
  Either.try({
    try: () => JSON.parse(text) as unknown,
    catch: () => "must be a JSON list, or be set by index (..__0__PORT=2022)",
  });

/** Every variable that sets one value; for suggestions and the guide. */
export const envNames = (): ReadonlyArray<string> => {
  const names: string[] = [];
  const walk = (shape: Shape, at: string): void => {
    if (shape.kind !== "section") names.push(at);
    if (shape.kind === "list" && shape.item.kind === "section") walk(shape.item, `${at}__0`);
    if (shape.kind === "section") {
      for (const [key, inner] of shape.keys) {
        walk(inner, at === prefix ? prefix + key.toUpperCase() : `${at}__${key.toUpperCase()}`);
      }
    }
  };
  walk(configShape, prefix);
  return names;
};
