import { type Command } from "commander";
import { Clock, Effect } from "effect";
import { type DefenderHost, GuardStore } from "../catalog/guard.ts";
import { canonicalAddress, parseAddress } from "../guard/address.ts";
import { type Env, run } from "./command.ts";
import { notFound, usage } from "./failure.ts";
import { describe, table, time } from "./output.ts";
import { tellServer } from "./ip_lists.ts";
import { withCatalog } from "./users.ts";

/** A host in the shape of API-V2.md, DefenderEntry: the id is the address in hex. */
const shown = ({ ip, score, until }: DefenderHost) => ({
  id: new TextEncoder().encode(ip).toHex(),
  ip,
  ...(score > 0 ? { score } : {}),
  ...(until > 0 ? { ban_time: new Date(until).toISOString() } : {}),
});

const hosts = (env: Env) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis;
    const store = yield* GuardStore;
    return yield* store.hosts(now - env.settings.common.defender.observation_time * 60_000);
  });

/** An address as it is kept. */
const addressOf = (ip: string) =>
  parseAddress(ip) ? Effect.succeed(canonicalAddress(ip)) : Effect.fail(
    usage(`${JSON.stringify(ip)} is not an IP address`),
  );

const existing = (env: Env, raw: string) =>
  Effect.gen(function* () {
    const ip = yield* addressOf(raw);
    const found = (yield* hosts(env)).find((host) => host.ip === ip);
    return found ?? (yield* notFound(`the defender knows nothing of ${ip}`));
  });

/** `sluice defender ...` */
export const defenderCommands = (program: Command): void => {
  const defender = program.command("defender").description("addresses with points or a ban");

  defender.command("list").description("list what the defender remembers")
    .addHelpText("after", "\nExample:\n  sluice defender list --json")
    .action((_: unknown, command: Command) =>
      run(
        command,
        (env) =>
          withCatalog(
            env,
            Effect.flatMap(hosts(env), (found) =>
              env.show(found.map(shown), () =>
                found.length === 0 ? "no addresses" : table(
                  [{ title: "ADDRESS" }, { title: "SCORE", right: true }, {
                    title: "BANNED UNTIL",
                  }],
                  found.map(({ ip, score, until }) => [ip, String(score), time(until)]),
                ))),
          ),
      )
    );
  defender.command("show <ip>").description("show one address")
    .addHelpText("after", "\nExample:\n  sluice defender show 203.0.113.9")
    .action((ip: string, _: unknown, command: Command) =>
      run(
        command,
        (env) =>
          withCatalog(
            env,
            Effect.flatMap(
              existing(env, ip),
              (host) => env.show(shown(host), () => describe(shown(host))),
            ),
          ),
      )
    );
  defender.command("remove <ip>").description("forget points and lift the ban")
    .addHelpText("after", "\nExample:\n  sluice defender remove 203.0.113.9")
    .action((raw: string, _: unknown, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.gen(function* () {
            const ip = yield* addressOf(raw);
            const store = yield* GuardStore;
            if (!(yield* store.pardon(ip))) {
              return yield* notFound(`the defender knows nothing of ${ip}`);
            }
            yield* tellServer(env);
            yield* env.show({ ip, removed: true }, () => `${ip} may connect again`);
          }),
        ))
    );
};
