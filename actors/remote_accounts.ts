import { Effect, Layer } from "effect";
import { Users } from "../src/catalog/catalog.ts";
import type { CatalogError } from "../src/errors.ts";
import { Passwords } from "../src/identity/passwords.ts";
import { SecondFactor } from "../src/identity/second_factor.ts";
import { Accounts, type Owner, type Place } from "../src/vfs/account_book.ts";
import type { Usage } from "../src/vfs/quota.ts";
import { type Handlers, Hub } from "./rpc.ts";

/** What workers ask of users, password hashes, second factors and quota accounts. */
export const accountHandlers: Effect.Effect<
  Handlers,
  never,
  Users | Passwords | SecondFactor | Accounts
> = Effect
  .gen(function* () {
    const users = yield* Users;
    const passwords = yield* Passwords;
    const accounts = yield* Accounts;
    const secondFactor = yield* SecondFactor;
    return {
      "users.find": users.find,
      "users.effective": users.effective,
      "users.usage": users.usage,
      "users.list": users.list,
      "users.setPasswordHash": users.setPasswordHash,
      "users.touchLastLogin": users.touchLastLogin,
      "users.touchFirst": users.touchFirst,
      "users.addTransfer": users.addTransfer,
      "users.useTotpStep": users.useTotpStep,
      "users.setUsage": users.setUsage,
      "passwords.hash": passwords.hash,
      "passwords.verify": passwords.verify,
      "passwords.waste": passwords.waste,
      // Wrong codes are counted here, over all workers.
      "secondFactor.refusal": secondFactor.refusal,
      "accounts.open": accounts.open,
      "accounts.set": accounts.set,
      "accounts.setCounted": accounts.setCounted,
      "accounts.setTransfer": accounts.setTransfer,
    };
  });

const notHere = (what: string) => () => Effect.dieMessage(`${what} is the main thread's`);

const users = Layer.effect(
  Users,
  Effect.map(Hub, (hub) =>
    Users.of({
      find: (name) => hub.call("users.find", name),
      effective: (name) => hub.call("users.effective", name),
      usage: (name) => hub.call("users.usage", name),
      list: (page) => hub.call("users.list", page),
      add: notHere("users.add"),
      update: notHere("users.update"),
      remove: notHere("users.remove"),
      setPasswordHash: (...args) => hub.call("users.setPasswordHash", ...args),
      touchLastLogin: (name) => hub.call("users.touchLastLogin", name),
      touchFirst: (...args) => hub.call("users.touchFirst", ...args),
      addTransfer: (...args) => hub.call("users.addTransfer", ...args),
      useTotpStep: (...args) => hub.call("users.useTotpStep", ...args),
      setTotp: notHere("users.setTotp"),
      setTransfer: notHere("users.setTransfer"),
      setUsage: (...args) => hub.call("users.setUsage", ...args),
    })),
);

const passwords = Layer.effect(
  Passwords,
  Effect.map(Hub, (hub) =>
    Passwords.of({
      hash: (plain) => hub.call("passwords.hash", plain),
      verify: (...args) => hub.call("passwords.verify", ...args),
      waste: (plain) => hub.call("passwords.waste", plain),
      // Asked when a user is stored, which only the main thread does.
      recognises: () => false,
    })),
);

const accounts = Layer.effect(
  Accounts,
  Effect.map(Hub, (hub) =>
    Accounts.of({
      open: (owner: Owner) => hub.call<Place>("accounts.open", owner),
      set: (username: string, usage: Usage) =>
        hub.call<void, CatalogError>("accounts.set", username, usage),
      setTransfer: (...args) => hub.call("accounts.setTransfer", ...args),
      setCounted: (...args) => hub.call<boolean, CatalogError>("accounts.setCounted", ...args),
    })),
);

const secondFactor = Layer.effect(
  SecondFactor,
  Effect.map(Hub, (hub) =>
    SecondFactor.of({
      refusal: (user, code) =>
        hub.call<string | undefined, CatalogError>("secondFactor.refusal", user, code),
    })),
);

/** In a worker: users, password hashes, second factors and quota accounts of the main thread. */
export const remoteAccounts: Layer.Layer<
  Users | Passwords | SecondFactor | Accounts,
  never,
  Hub
> = Layer.mergeAll(
  users,
  passwords,
  secondFactor,
  accounts,
);
