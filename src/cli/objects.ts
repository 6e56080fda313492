import { type Command } from "commander";
import { Effect, type Schema as S } from "effect";
import type { Folders, Groups, Named } from "../catalog/catalog.ts";
import { type Env, orUsage, run } from "./command.ts";
import { notFound, usage } from "./failure.ts";
import { type Column, describe, table } from "./output.ts";
import { readJsonInput } from "./user_flags.ts";
import { commandLine, withCatalog } from "./users.ts";
import { parseCount } from "./values.ts";

/** What differs between the kinds. */
export interface Kind<
  A extends { readonly name: string },
  I,
  F extends { readonly jsonInput?: string },
> {
  readonly noun: "folder" | "group";
  readonly about: string;
  readonly store: Effect.Effect<Named<A>, never, Folders | Groups>;
  readonly schema: S.Schema<A, I>;
  readonly empty: (name: string) => A;
  readonly flags: (command: Command) => Command;
  readonly apply: (base: A, flags: F) => Effect.Effect<A, unknown>;
  readonly columns: ReadonlyArray<Column>;
  readonly row: (object: A) => ReadonlyArray<string>;
  readonly example: string;
}

/** `sluice NOUN add|update|list|show|remove`, with the flags and exit codes of `user`. */
export const objectCommands = <
  A extends { readonly name: string },
  I,
  F extends { readonly jsonInput?: string },
>(program: Command, kind: Kind<A, I, F>): Command => {
  const { noun, store } = kind;
  const parent = program.command(noun).description(kind.about);
  const existing = (name: string) =>
    Effect.gen(function* () {
      return (yield* (yield* store).find(name)) ??
        (yield* notFound(`no ${noun} ${JSON.stringify(name)}`));
    });
  const change = (env: Env, name: string, flags: F, verb: "add" | "update") =>
    Effect.gen(function* () {
      const objects = yield* store;
      const old = verb === "add" ? kind.empty(name) : yield* existing(name);
      const base = flags.jsonInput === undefined
        ? old
        : yield* readJsonInput(kind.schema, flags.jsonInput);
      if (base.name !== name) {
        return yield* usage(`--json-input: name is ${base.name}, but NAME is ${name}`);
      }
      const input = yield* kind.apply(base, flags);
      const done = verb === "add"
        ? yield* objects.add(input, commandLine)
        : yield* objects.update(name, input, commandLine);
      yield* env.show(done, () => `${verb === "add" ? "added" : "updated"} ${noun} ${done.name}`);
    });
  for (const verb of ["add", "update"] as const) {
    kind.flags(parent.command(`${verb} <name>`).description(`${verb} a ${noun}`))
      .option("--description <text>", "free text")
      .option("--json-input <file>", `a whole ${noun} object (API v2) from a file, or -`)
      .addHelpText("after", `\nExample:\n  sluice ${noun} ${verb} ${kind.example}`)
      .action((name: string, flags: F, command: Command) =>
        run(command, (env) => withCatalog(env, change(env, name, flags, verb)))
      );
  }
  parent.command("list").description(`list ${noun}s`)
    .option("--limit <n>", "at most so many", "500").option("--offset <n>", "skip so many", "0")
    .addHelpText("after", `\nExample:\n  sluice ${noun} list --json`)
    .action((flags: { limit: string; offset: string }, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.gen(function* () {
            const limit = yield* orUsage(parseCount(flags.limit, "--limit", 1));
            const offset = yield* orUsage(parseCount(flags.offset, "--offset"));
            const found = yield* (yield* store).list({ limit, offset });
            yield* env.show(found, () =>
              found.length === 0
                ? `no ${noun}s; add one with: sluice ${noun} add ${kind.example}`
                : table(kind.columns, found.map(kind.row)));
          }),
        ))
    );
  parent.command("show <name>").description(`show one ${noun}`)
    .addHelpText("after", `\nExample:\n  sluice ${noun} show NAME --json`)
    .action((name: string, _: unknown, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.flatMap(existing(name), (found) => env.show(found, () => describe(found))),
        ))
    );
  parent.command("remove <name>").description(`remove a ${noun} that nothing refers to`)
    .addHelpText("after", `\nExample:\n  sluice ${noun} remove NAME`)
    .action((name: string, _: unknown, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.gen(function* () {
            yield* existing(name);
            yield* (yield* store).remove(name, commandLine);
            yield* env.show({ name, removed: true }, () => `removed ${noun} ${name}`);
          }),
        ))
    );
  return parent;
};
