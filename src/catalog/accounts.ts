import { Effect, Schema as S } from "effect";
import { CatalogError } from "../errors.ts";
import type { NewEvent } from "../events/event.ts";
import { insertEvents } from "../events/store.ts";
import type { Executor } from "./catalog.ts";
import type { Db } from "./database.ts";

/** What the catalog keeps by name. */
export type ObjectType = "user" | "admin" | "folder" | "group" | "ip_list_entry";

/** Says who changed which account. */
export const changeEvent = (
  action: "add" | "update" | "delete",
  object: { readonly type: ObjectType; readonly name: string },
  by: Executor,
): NewEvent => ({
  action: `provider.${action}`,
  status: 1,
  username: by.name,
  ...(by.ip === undefined ? {} : { ip: by.ip }),
  object_type: object.type,
  object_name: object.name,
});

/** Records a change inside its own transaction (SECURITY section 5). */
export const recordChange = (
  trx: Db,
  action: "add" | "update" | "delete",
  object: { readonly type: ObjectType; readonly name: string },
  by: Executor,
  at: number,
): Effect.Effect<void, CatalogError> =>
  insertEvents(trx, [{ event: changeEvent(action, object, by), at }]);

export const noSuch = (op: string, type: ObjectType, name: string): CatalogError =>
  new CatalogError({
    reason: "NotFound",
    op,
    detail: `there is no ${type} ${JSON.stringify(name)}`,
  });

/** Names the account in what the database calls a broken unique index. */
export const nameDuplicate = (type: ObjectType, name: string) => (error: CatalogError) =>
  error.reason === "Duplicate"
    ? new CatalogError({
      reason: "Duplicate",
      op: error.op,
      detail: `${type === "user" || type === "admin" ? "username" : "name"}: ${type} ${
        JSON.stringify(name)
      } exists already`,
    })
    : error;

/** Reads a stored account; what does not read as one is damage, not an absent account. */
export const readStored = <A, I>(
  schema: S.Schema<A, I>,
  type: ObjectType,
  row: { readonly username: string; readonly settings: string },
  columns: Readonly<Record<string, unknown>>,
): Effect.Effect<A, CatalogError> =>
  Effect.try({
    try: () =>
      S.decodeUnknownSync(schema)({
        ...JSON.parse(row.settings),
        ...columns,
      }),
    catch: (cause) =>
      new CatalogError({
        reason: "Corrupt",
        op: `read ${type}`,
        detail: `the stored ${type} ${JSON.stringify(row.username)} cannot be read`,
        cause,
      }),
  });

/** Second factors have methods of their own: an edit keeps those that are stored (BEHAVIOUR USER-39). */
export const withFactors = <
  F extends { readonly totp_config?: unknown; readonly recovery_codes: ReadonlyArray<unknown> },
>(given: F, stored: F | undefined): F => {
  const { totp_config: _, recovery_codes: __, ...rest } = given;
  return {
    ...rest,
    ...(stored?.totp_config !== undefined && { totp_config: stored.totp_config }),
    recovery_codes: stored?.recovery_codes ?? [],
  } as unknown as F;
};
