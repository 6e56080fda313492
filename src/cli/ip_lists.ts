import { type Command } from "commander";
import { Effect, Either } from "effect";
import { GuardStore } from "../catalog/guard.ts";
import {
  type GuardedProtocol,
  type IpListEntry,
  IpListInput,
  type IpListType,
  ipListTypes,
  protocolBits,
} from "../model/ip_list.ts";
import { type Env, orUsage, run } from "./command.ts";
import { tryServer } from "./control_client.ts";
import { notFound, usage } from "./failure.ts";
import { describe, table, time } from "./output.ts";
import { readJsonInput } from "./user_flags.ts";
import { commandLine, withCatalog } from "./users.ts";
import { parseCount } from "./values.ts";

interface Flags {
  readonly mode?: string;
  readonly protocols?: string;
  readonly description?: string;
  readonly jsonInput?: string;
}

/** `allow`, `defender` or `ratelimit`, or its number. */
const parseType = (text: string): Either.Either<IpListType, string> => {
  const found = Object.entries(ipListTypes)
    .find(([name, type]) => text === name || text === String(type));
  return found
    ? Either.right(found[1])
    : Either.left(`list ${JSON.stringify(text)} is not allow, defender or ratelimit`);
};

const parseMode = (text: string): Either.Either<1 | 2, string> =>
  text === "allow" || text === "1"
    ? Either.right(1)
    : text === "deny" || text === "2"
    ? Either.right(2)
    : Either.left(`--mode: ${JSON.stringify(text)} is not allow or deny`);

const parseProtocols = (text: string): Either.Either<number, string> => {
  let bits = 0;
  for (const name of text.split(",").map((part) => part.trim().toUpperCase()).filter(Boolean)) {
    if (name === "ALL") return Either.right(0);
    if (!Object.hasOwn(protocolBits, name)) {
      return Either.left(`--protocols: ${JSON.stringify(name)} is not SSH, FTP, DAV or HTTP`);
    }
    bits |= protocolBits[name as GuardedProtocol];
  }
  return Either.right(bits);
};

const protocolNames = (bits: number): string =>
  bits === 0
    ? "all"
    : Object.entries(protocolBits).filter(([, bit]) => bits & bit).map(([name]) => name).join(",");

/** A running server goes by what was changed at once; others, and without one, at their next look. */
export const tellServer = (env: Env) =>
  Effect.ignore(tryServer(env.settings.data_dir, "POST", "/v1/guard/refresh"));

const asked = (base: IpListEntry, flags: Flags) =>
  Effect.gen(function* () {
    return {
      ...base,
      ...(flags.mode === undefined ? {} : { mode: yield* orUsage(parseMode(flags.mode)) }),
      ...(flags.protocols === undefined
        ? {}
        : { protocols: yield* orUsage(parseProtocols(flags.protocols)) }),
      ...(flags.description === undefined ? {} : { description: flags.description }),
    };
  });

const fromJson = (type: IpListType, ipornet: string, file: string) =>
  Effect.gen(function* () {
    const entry = yield* readJsonInput(IpListInput, file);
    if (entry.type !== type) {
      return yield* usage(`--json-input: type is ${entry.type}, but LIST is ${type}`);
    }
    if (entry.ipornet !== ipornet) {
      return yield* usage(`--json-input: ipornet is ${entry.ipornet}, but IPORNET is ${ipornet}`);
    }
    return entry;
  });

const existing = (type: IpListType, ipornet: string) =>
  Effect.gen(function* () {
    const store = yield* GuardStore;
    return (yield* store.findEntry(type, ipornet)) ??
      (yield* notFound(`${ipornet} is not in this list`));
  });

const add = (env: Env, type: IpListType, ipornet: string, flags: Flags) =>
  Effect.gen(function* () {
    const fresh: IpListEntry = {
      ...{ ipornet, type, mode: 1, protocols: 0, description: "" },
      ...{ created_at: 0, updated_at: 0 },
    };
    const base = flags.jsonInput === undefined
      ? fresh
      : yield* fromJson(type, ipornet, flags.jsonInput);
    const store = yield* GuardStore;
    const entry = yield* store.addEntry(yield* asked(base, flags), commandLine);
    yield* tellServer(env);
    yield* env.show(entry, () => `added ${entry.ipornet}`);
  });

const update = (env: Env, type: IpListType, ipornet: string, flags: Flags) =>
  Effect.gen(function* () {
    const old = yield* existing(type, ipornet);
    const base = flags.jsonInput === undefined
      ? old
      : yield* fromJson(type, ipornet, flags.jsonInput);
    const store = yield* GuardStore;
    const entry = yield* store.updateEntry(yield* asked(base, flags), commandLine);
    yield* tellServer(env);
    yield* env.show(entry, () => `updated ${entry.ipornet}`);
  });

const list = (env: Env, type: IpListType, flags: { limit: string; from: string }) =>
  Effect.gen(function* () {
    const limit = yield* orUsage(parseCount(flags.limit, "--limit", 1));
    const store = yield* GuardStore;
    const entries = yield* store.listEntries({ type, limit, from: flags.from });
    yield* env.show(entries, () =>
      entries.length === 0 ? "the list is empty" : table(
        ["IP OR NET", "MODE", "PROTOCOLS", "UPDATED", "DESCRIPTION"].map((title) => ({ title })),
        entries.map((e) => [
          e.ipornet,
          e.mode === 1 ? "allow" : "deny",
          protocolNames(e.protocols),
          time(e.updated_at),
          e.description,
        ]),
      ));
  });

const remove = (env: Env, type: IpListType, ipornet: string) =>
  Effect.gen(function* () {
    const store = yield* GuardStore;
    yield* store.removeEntry(type, ipornet, commandLine);
    yield* tellServer(env);
    yield* env.show({ ipornet, type, removed: true }, () => `removed ${ipornet}`);
  });

const withFlags = (command: Command): Command =>
  command
    .option("--mode <mode>", "allow or deny; deny is for the defender's list")
    .option("--protocols <list>", "SSH,FTP,DAV,HTTP or all")
    .option("--description <text>", "what it is for")
    .option("--json-input <file>", "an IPListEntry object as JSON; - reads standard input");

/** `sluice iplist ...` */
export const ipListCommands = (program: Command): void => {
  const lists = program.command("iplist").description(
    "addresses: who may connect (allow), whom the defender spares or bars (defender), " +
      "whom no rate limits (ratelimit)",
  );
  /** Runs a command on one list. */
  const on = (
    command: Command,
    text: string,
    body: (env: Env, type: IpListType) => Effect.Effect<void, unknown, GuardStore>,
  ) =>
    run(
      command,
      (env) =>
        Effect.flatMap(orUsage(parseType(text)), (type) => withCatalog(env, body(env, type))),
    );

  withFlags(lists.command("add <list> <ipornet>").description("add an address or a CIDR range"))
    .addHelpText(
      "after",
      `
Examples:
  sluice iplist add defender 192.0.2.0/24 --description office
  sluice iplist add defender 203.0.113.9 --mode deny --protocols SSH,FTP
  sluice iplist add allow 2001:db8::/32        (with common.allowlist_status 1)`,
    )
    .action((type: string, ipornet: string, flags: Flags, command: Command) =>
      on(command, type, (env, t) => add(env, t, ipornet, flags))
    );
  withFlags(lists.command("update <list> <ipornet>").description("change an entry"))
    .addHelpText("after", "\nExample:\n  sluice iplist update defender 192.0.2.0/24 --mode deny")
    .action((type: string, ipornet: string, flags: Flags, command: Command) =>
      on(command, type, (env, t) => update(env, t, ipornet, flags))
    );
  lists.command("list <list>").description("list entries")
    .option("--limit <n>", "at most so many", "500")
    .option("--from <ipornet>", "those behind this one", "")
    .addHelpText("after", "\nExample:\n  sluice iplist list defender --json")
    .action((type: string, flags: { limit: string; from: string }, command: Command) =>
      on(command, type, (env, t) => list(env, t, flags))
    );
  lists.command("show <list> <ipornet>").description("show one entry")
    .addHelpText("after", "\nExample:\n  sluice iplist show defender 192.0.2.0/24")
    .action((type: string, ipornet: string, _: unknown, command: Command) =>
      on(
        command,
        type,
        (env, t) =>
          Effect.flatMap(
            existing(t, ipornet),
            (entry) => env.show(entry, () => describe(entry)),
          ),
      )
    );
  lists.command("remove <list> <ipornet>").description("remove an entry")
    .addHelpText("after", "\nExample:\n  sluice iplist remove defender 192.0.2.0/24")
    .action((type: string, ipornet: string, _: unknown, command: Command) =>
      on(command, type, (env, t) => remove(env, t, ipornet))
    );
};
