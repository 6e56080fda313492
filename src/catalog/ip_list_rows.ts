import { Effect, Either, Schema as S } from "effect";
import type { Selectable } from "kysely";
import { CatalogError } from "../errors.ts";
import { formatCidr, parseCidr } from "../guard/cidr.ts";
import { checkEntry, type IpListEntry, IpListInput } from "../model/ip_list.ts";
import { invalid } from "../model/problems.ts";
import { decode } from "./named_rows.ts";
import { exact, type IpListsTable } from "./rows.ts";

const Stored = S.typeSchema(IpListInput);

/** Reads a stored entry; what does not read as one is damage. */
export const decodeEntry = (
  row: Selectable<IpListsTable>,
): Effect.Effect<IpListEntry, CatalogError> =>
  decode(Stored, "ip_list_entry", row.ipornet, () => ({
    ...row,
    created_at: exact(row.created_at),
    updated_at: exact(row.updated_at),
  }));

/** The one spelling of an address or network. Fails with Invalid for what is neither. */
export const spelled = (op: string, ipornet: string): Effect.Effect<string, CatalogError> =>
  Either.match(parseCidr(ipornet), {
    onLeft: (what) => Effect.fail(invalid(op, [`ipornet: ${what}`])),
    onRight: (range) => Effect.succeed(formatCidr(range)),
  });

/** The entry in its stored form. Fails with Invalid. */
export const checked = (op: string, entry: IpListEntry): Effect.Effect<IpListEntry, CatalogError> =>
  Either.match(checkEntry(entry), {
    onLeft: (what) => Effect.fail(invalid(op, [what])),
    onRight: (good) => Effect.succeed(good),
  });

export const notListed = (op: string, ipornet: string): CatalogError =>
  new CatalogError({ reason: "NotFound", op, detail: `${ipornet} is not in this list` });
