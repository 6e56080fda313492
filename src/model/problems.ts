import { Either, ParseResult, Schema as S } from "effect";
import { CatalogError } from "../errors.ts";
import { printable } from "../vpath.ts";
import { AdminInput } from "./admin.ts";
import { UserInput } from "./user.ts";

/** What is wrong with an object, one sentence per problem, each beginning with the field's path. */
export class Problems {
  readonly found: string[] = [];
  add(field: string, what: string): void {
    this.found.push(`${field}: ${what}`);
  }
}

/** The error that carries all of them. */
export const invalid = (op: string, problems: ReadonlyArray<string>): CatalogError =>
  new CatalogError({ reason: "Invalid", op, detail: problems.join("; ") });

/** Text as it may be shown in a message: quoted, without control characters, short. */
export const quoted = (text: string): string =>
  `"${printable(text.length > 80 ? `${text.slice(0, 80)}...` : text)}"`;

/** Reads a User object of the API. Unknown and ill-typed fields are all named. */
export const decodeUser = (json: unknown): Either.Either<UserInput, ReadonlyArray<string>> =>
  decode(UserInput, json);

/** Reads an Admin object of the API. */
export const decodeAdmin = (json: unknown): Either.Either<AdminInput, ReadonlyArray<string>> =>
  decode(AdminInput, json);

const decode = <A, I>(
  schema: S.Schema<A, I>,
  json: unknown,
): Either.Either<A, ReadonlyArray<string>> =>
  Either.mapLeft(
    S.decodeUnknownEither(schema, { errors: "all", onExcessProperty: "error" })(json),
    (error) =>
      ParseResult.ArrayFormatter.formatErrorSync(error).map(({ path, message, _tag }) => {
        const what = _tag === "Unexpected" ? "unknown field" : printable(message);
        return `${fieldName(path)}: ${what}`;
      }),
  );

/** `["filters", "allowed_ip", 1]` becomes `filters.allowed_ip[1]`. */
export const fieldName = (path: ReadonlyArray<PropertyKey>): string =>
  path.map((part, i) =>
    typeof part === "number" || !/^\w+$/.test(String(part))
      ? `[${JSON.stringify(part)}]`
      : (i > 0 ? "." : "") + String(part)
  ).join("") || "object";
