import { Effect, Layer } from "effect";
import { Users } from "../src/catalog/catalog.ts";
import type { NewEvent } from "../src/events/event.ts";
import { type Intent, Journal, type Prepared, type QuotaDelta } from "../src/events/journal.ts";
import { Passwords } from "../src/identity/passwords.ts";
import { type Handlers, Hub } from "./rpc.ts";

/** What workers ask of the catalog and the password hashes. */
export const serviceHandlers: Effect.Effect<Handlers, never, Users | Passwords | Journal> = Effect
  .gen(function* () {
    const users = yield* Users;
    const passwords = yield* Passwords;
    const journal = yield* Journal;
    const prepared = new Map<number, Prepared>();
    let last = 0;
    const over = (id: number) => {
      const found = prepared.get(id);
      prepared.delete(id);
      return found;
    };
    return {
      "users.find": users.find,
      "users.list": users.list,
      "users.setPasswordHash": users.setPasswordHash,
      "users.touchLastLogin": users.touchLastLogin,
      "users.touchFirst": users.touchFirst,
      "users.useTotpStep": users.useTotpStep,
      "users.setUsage": users.setUsage,
      "passwords.hash": passwords.hash,
      "passwords.verify": passwords.verify,
      "passwords.waste": passwords.waste,
      "journal.record": journal.record,
      "journal.flush": () => journal.flush,
      "journal.prepare": (event: NewEvent, intent: Intent, quota?: QuotaDelta) =>
        Effect.map(journal.prepare(event, intent, quota), (handle) => {
          prepared.set(++last, handle);
          return last;
        }),
      "journal.settle": (id: number, result: Partial<NewEvent>, quota?: QuotaDelta) =>
        over(id)?.settle(result, quota) ?? Effect.void,
      "journal.cancel": (id: number) => over(id)?.cancel() ?? Effect.void,
    };
  });

const notHere = (what: string) => () => Effect.dieMessage(`${what} is not for a worker`);

export const remoteServices: Layer.Layer<Users | Passwords | Journal, never, Hub> = Layer.mergeAll(
  Layer.effect(
    Users,
    Effect.map(Hub, (hub) =>
      Users.of({
        find: (name) => hub.call("users.find", name),
        list: (page) => hub.call("users.list", page),
        add: notHere("users.add"),
        update: notHere("users.update"),
        remove: notHere("users.remove"),
        setPasswordHash: (...args) => hub.call("users.setPasswordHash", ...args),
        touchLastLogin: (name) => hub.call("users.touchLastLogin", name),
        touchFirst: (...args) => hub.call("users.touchFirst", ...args),
        useTotpStep: (...args) => hub.call("users.useTotpStep", ...args),
        setTotp: notHere("users.setTotp"),
        setUsage: (...args) => hub.call("users.setUsage", ...args),
      })),
  ),
  Layer.effect(
    Passwords,
    Effect.map(Hub, (hub) =>
      Passwords.of({
        hash: (plain) => hub.call("passwords.hash", plain),
        verify: (...args) => hub.call("passwords.verify", ...args),
        waste: (plain) => hub.call("passwords.waste", plain),
        recognises: () => false,
      })),
  ),
  Layer.effect(
    Journal,
    Effect.map(Hub, (hub) =>
      Journal.of({
        record: (event) => Effect.sync(() => hub.send("journal.record", event)),
        prepare: (...args) =>
          Effect.map(hub.call<number>("journal.prepare", ...args), (id) => ({
            settle: (...result) => Effect.sync(() => hub.send("journal.settle", id, ...result)),
            cancel: () => Effect.sync(() => hub.send("journal.cancel", id)),
          })),
        query: () => {
          throw new Error("journal.query is not for a worker");
        },
        follow: () => {
          throw new Error("journal.follow is not for a worker");
        },
        unsettled: Effect.succeed([]),
        flush: hub.call("journal.flush"),
      })),
  ),
);
