import { Effect, Layer } from "effect";
import assert from "node:assert/strict";
import { Registry } from "../../actors/registry.ts";
import { intentLog } from "../../adapters/intents/layer.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { commandEngine } from "../../adapters/ssh/commands/commands.ts";
import { serveSsh } from "../../adapters/ssh/server.ts";
import { serveSftp } from "../../adapters/ssh/sftp/sftp.ts";
import { localStorages } from "../../adapters/storage/local/layer.ts";
import { Users } from "../../src/catalog/catalog.ts";
import { Config } from "../../src/config/config.ts";
import { Guard } from "../../src/guard/guard.ts";
import { Identity, type LoginOutcome } from "../../src/identity/identity.ts";
import { vfsFactory } from "../../src/vfs/factory.ts";
import { quotaAccounts } from "../../src/vfs/quota_accounts.ts";
import { operator, quickPasswords, settings, user } from "../catalog/world.ts";
import { live, tempDir } from "../harness.ts";

/** Lets everybody in as alice, by the method `none`: logins are tested elsewhere. */
const openDoor = Layer.effect(
  Identity,
  Effect.map(Users, (users) => {
    const enter = (): Effect.Effect<LoginOutcome> =>
      Effect.map(
        Effect.orDie(users.find("alice")),
        (found) =>
          found
            ? { _tag: "Accepted", user: found, method: "none" }
            : { _tag: "Refused", next: [], exhausted: true },
      );
    return Identity.of({
      begin: () =>
        Effect.succeed({
          none: enter,
          password: enter,
          publicKey: enter,
          certificate: enter,
          keyboardInteractive: enter,
          methods: Effect.succeed(["password"]),
          abandoned: Effect.void,
        }),
      stillAllowed: () => Effect.succeed(true),
    });
  }),
);

/** The SSH server on a free port, and the programs of OpenSSH against it. */
const server = Effect.gen(function* () {
  const dir = yield* tempDir;
  const home = `${dir}/home`;
  Deno.mkdirSync(home);
  const base = settings(dir);
  const config = {
    ...base,
    sftpd: {
      ...base.sftpd,
      bindings: [{ address: "127.0.0.1", port: 0 }],
      enabled_ssh_commands: ["*"],
    },
  };
  const layer = Layer.mergeAll(openDoor, Registry.layer, vfsFactory).pipe(
    Layer.provideMerge(Layer.mergeAll(quotaAccounts, localStorages)),
    Layer.provideMerge(libsqlLayer),
    Layer.provideMerge(intentLog("hub")),
    Layer.provideMerge(
      Layer.mergeAll(Layer.succeed(Config, config), quickPasswords, Guard.open),
    ),
  );
  const services = yield* Layer.build(layer);
  const users = yield* Effect.provide(Users, services);
  yield* users.add(user("alice", { home_dir: home }), operator);
  const { addresses } = yield* Effect.provide(
    serveSsh({ sftp: serveSftp, exec: commandEngine }),
    services,
  );
  const port = addresses[0]?.split(":").at(-1) ?? "";
  const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    .flatMap((option) => ["-o", option]);
  const run = (program: string, args: ReadonlyArray<string>) =>
    Effect.promise(async () => {
      const command = new Deno.Command(program, {
        args: [...options, ...args],
        cwd: dir,
        stdin: "null",
      });
      const { code, stdout, stderr } = await command.output();
      const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: decode(stdout), stderr: decode(stderr) };
    });
  return {
    dir,
    home,
    scp: (...args: string[]) => run("scp", ["-P", port, ...args]),
    ssh: (line: string) => run("ssh", ["-p", port, "alice@127.0.0.1", line]),
  };
});

const big = new Uint8Array(20_000_003).map((_, at) => (at * 31) ^ (at >> 8));
const done = { code: 0, stdout: "", stderr: "" };

live(
  "SCP-01: scp -O moves a tree to the server and back over SSH",
  () =>
    Effect.gen(function* () {
      const { dir, home, scp } = yield* server;
      Deno.mkdirSync(`${dir}/d/e`, { recursive: true });
      Deno.writeFileSync(`${dir}/d/big`, big);
      Deno.writeTextFileSync(`${dir}/d/e/a b`, "22");
      Deno.utimeSync(`${dir}/d/big`, 1_000_000_000, 1_000_000_000);
      assert.deepEqual(yield* scp("-O", "-rp", "d", "alice@127.0.0.1:up"), done);
      assert.deepEqual(Deno.readFileSync(`${home}/up/big`), big);
      assert.equal(Deno.statSync(`${home}/up/big`).mtime?.getTime(), 1_000_000_000_000);
      assert.deepEqual(yield* scp("-O", "-rp", "alice@127.0.0.1:up", "back"), done);
      assert.deepEqual(Deno.readFileSync(`${dir}/back/big`), big);
      assert.equal(Deno.readTextFileSync(`${dir}/back/e/a b`), "22");
    }),
);

live("SECURITY 6.19: ssh runs only commands of the table", () =>
  Effect.gen(function* () {
    const { home, ssh } = yield* server;
    Deno.writeTextFileSync(`${home}/a`, "abc");
    const sum = yield* ssh("md5sum a");
    assert.deepEqual(sum, { ...done, stdout: "900150983cd24fb0d6963f7d28e17f72  a\n" });
    assert.deepEqual(yield* ssh("pwd"), { ...done, stdout: "/\n" });
    const missing = yield* ssh("md5sum nothing");
    assert.equal(missing.stderr, "md5sum: nothing: No such file or directory\n");
    assert.equal(missing.code, 1);
    for (const line of ["sh", "rsync --server . /", "scp -t $(id)", "pwd; id"]) {
      const refused = yield* ssh(line);
      assert.notEqual(refused.code, 0, line);
      assert.equal(refused.stdout, "");
    }
    assert.deepEqual([...Deno.readDirSync(home)].map((entry) => entry.name), ["a"]);
  }));
