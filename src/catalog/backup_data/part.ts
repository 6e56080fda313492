import type { Effect, Schema as S } from "effect";
import type { Selectable } from "kysely";
import type { Settings } from "../../config/config.ts";
import type { CatalogError } from "../../errors.ts";
import type { Passwords } from "../../identity/passwords.ts";
import type { MasterKey } from "../../identity/sealed.ts";
import type { ObjectType } from "../accounts.ts";
import { decodeObject, type Placed, type Read } from "./decode.ts";
import type { Scope } from "./shape.ts";

/** Columns of one row, as they are stored. */
export type Row = Readonly<Record<string, string | number>>;
/** A row of one table. */
export type RowOf<Table> = Row & Selectable<Table>;

/** What checks and merges go by. */
export interface Ground {
  readonly config: Settings;
  readonly passwords: typeof Passwords.Service;
  readonly key: typeof MasterKey.Service;
  /** Unix milliseconds. */
  readonly now: number;
}

/** An object of the file that was found good. */
export interface Prepared {
  readonly place: string;
  /** As messages and events call it. */
  readonly name: string;
  /** The row that it would be if it were new; the hash is missing where `plain` is given. */
  readonly row: Row;
  /** A password to be hashed. */
  readonly plain?: string;
  /** The file says nothing about the password: the stored one stays. */
  readonly keepsPassword?: boolean;
  /** Groups and folders that have to be there: field and name. */
  readonly needs: ReadonlyArray<Need>;
}

export interface Need {
  readonly scope: "groups" | "folders";
  readonly field: string;
  readonly name: string;
}

/** One kind of object: how it is read, checked, stored and compared. */
export interface Part {
  /** The table is called so too. */
  readonly scope: Scope;
  readonly type: ObjectType;
  /** Primary or unique columns. */
  readonly keys: ReadonlyArray<string>;
  /** Columns that are members of the object; `settings` holds the others. */
  readonly members: ReadonlyArray<string>;
  /** Columns that an update sets. Those of `row` that are not here are kept. */
  readonly changeable: ReadonlyArray<string>;
  /** Paths that the stored form leaves out: something in them would be lost unseen. */
  readonly unkept: ReadonlyArray<string>;
  /** Reads an object of the file and checks what could be read of it; see {@linkcode reading}. */
  readonly read: (given: Placed, ground: Ground) => Read<Checked>;
  /** A stored row in the spelling of today; it was perhaps written by an older version. */
  readonly canonical: (row: Row) => Effect.Effect<Row, CatalogError>;
  /** What the file leaves open is taken from the stored row; `hash` is the answer to `plain`. */
  readonly merge: (given: Prepared, stored: Row | undefined, hash: string, ground: Ground) => Row;
  /** What is missing in a new one. */
  readonly lacking: (row: Row) => string | undefined;
}

export type Checked = Omit<Prepared, "place"> & { readonly problems: ReadonlyArray<string> };

/** How objects of one schema are read and then checked. */
export const reading =
  <A, I>(schema: S.Schema<A, I>, check: (input: A, ground: Ground) => Checked): Part["read"] =>
  (given, ground) => {
    const { value, ...rest } = decodeObject(schema, given);
    return { ...rest, value: value && check(value, ground) };
  };

/** The object in a row: what two rows are compared by. */
export const docOf = (part: Pick<Part, "members">, row: Row): Record<string, unknown> => ({
  ...(row["settings"] === undefined ? {} : JSON.parse(String(row["settings"]))),
  ...Object.fromEntries(part.members.map((member) => [memberName(member), row[member]])),
});

const memberName = (column: string) => column === "password_hash" ? "password" : column;

export const keyOf = (part: Pick<Part, "keys">, row: Row): string =>
  JSON.stringify(part.keys.map((key) => row[key]));

/** Paths of the members in which two objects differ; lists count as one. */
export const changedFields = (one: unknown, other: unknown, path = ""): ReadonlyArray<string> => {
  if (!isPlain(one) || !isPlain(other)) return same(one, other) ? [] : [path];
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((key) => {
    const name = /^\w+$/.test(key) ? (path && ".") + key : `[${JSON.stringify(key)}]`;
    // A second factor is named as a whole: its members are secrets.
    return key === "totp_config"
      ? same(one[key], other[key]) ? [] : [path + name]
      : changedFields(one[key], other[key], path + name);
  });
};

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const same = (one: unknown, other: unknown): boolean => {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, i) => same(item, other[i]));
  }
  if (!isPlain(one) || !isPlain(other)) return one === other;
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].every((key) => same(one[key], other[key]));
};
