import { Effect, Layer } from "effect";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { intentLog } from "../../adapters/intents/layer.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { localStorages } from "../../adapters/storage/local/layer.ts";
import { Users } from "../../src/catalog/catalog.ts";
import { Config } from "../../src/config/config.ts";
import { vfsFactory } from "../../src/vfs/factory.ts";
import { quotaAccounts } from "../../src/vfs/quota_accounts.ts";
import { VfsFactory } from "../../src/vfs/vfs.ts";
import { operator, quickPasswords, settings, user } from "../catalog/world.ts";
import { live, tempDir } from "../harness.ts";
import { text } from "./memory_vfs.ts";
import { opensshScp } from "./openssh.ts";
import { cross, start, talk } from "./run.ts";

const files = (dir: string) =>
  vfsFactory.pipe(
    Layer.provideMerge(Layer.mergeAll(quotaAccounts, localStorages)),
    Layer.provideMerge(libsqlLayer),
    Layer.provideMerge(intentLog("hub")),
    Layer.provideMerge(Layer.merge(Layer.succeed(Config, settings(dir)), quickPasswords)),
  );

/** The views of two users on real folders. */
const views = (more: Record<string, unknown> = {}) =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const services = yield* Layer.build(files(dir));
    const view = (name: string, fields: Record<string, unknown>) =>
      Effect.gen(function* () {
        const home = `${dir}/home-${name}`;
        Deno.mkdirSync(home);
        const users = yield* Users;
        const created = yield* users.add(user(name, { home_dir: home, ...fields }), operator);
        const factory = yield* VfsFactory;
        const principal = { sessionId: "s", username: name, protocol: "SCP", ip: "::1" } as const;
        return { home, vfs: yield* factory.forSession(created, principal) };
      }).pipe(Effect.provide(services));
    return { alice: yield* view("alice", {}), bob: yield* view("bob", more) };
  });

const big = new Uint8Array(5_000_003).map((_, at) => (at * 31) ^ (at >> 8));
const names = (dir: string) => [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();

live(
  "scp carries a tree between two users' folders unchanged, times included",
  () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* views();
      Deno.mkdirSync(`${alice.home}/d/e`, { recursive: true });
      Deno.writeFileSync(`${alice.home}/d/big`, big);
      Deno.writeTextFileSync(`${alice.home}/d/e/é ü`, "22");
      Deno.utimeSync(`${alice.home}/d/big`, 1_000_000_000, 1_000_000_000);
      const source = yield* start("scp -r -p -f d", alice.vfs);
      const sink = yield* start("scp -r -p -d -t .", bob.vfs);
      yield* cross(source.client, sink.client);
      assert.deepEqual([yield* source.status, yield* sink.status], [0, 0]);
      assert.deepEqual(Deno.readFileSync(`${bob.home}/d/big`), big);
      assert.equal(Deno.readTextFileSync(`${bob.home}/d/e/é ü`), "22");
      assert.equal(Deno.statSync(`${bob.home}/d/big`).mtime?.getTime(), 1_000_000_000_000);
    }),
);

live("OpenSSH's scp -O moves a tree to a real folder and back", () =>
  Effect.gen(function* () {
    const { alice } = yield* views();
    const { scp, dir } = yield* opensshScp(alice.vfs);
    Deno.mkdirSync(`${dir}/d/e`, { recursive: true });
    Deno.writeFileSync(`${dir}/d/big`, big);
    Deno.writeTextFileSync(`${dir}/d/e/a b`, "22");
    assert.deepEqual(yield* scp("-rp", "d", "h:up"), { code: 0, stderr: "" });
    assert.deepEqual(Deno.readFileSync(`${alice.home}/up/big`), big);
    assert.deepEqual(yield* scp("-rp", "h:up", "back"), { code: 0, stderr: "" });
    assert.deepEqual(Deno.readFileSync(`${dir}/back/big`), big);
    assert.equal(Deno.readTextFileSync(`${dir}/back/e/a b`), "22");
  }));

live(
  "SECURITY 6.18: a broken upload leaves the old file and no trace in a real folder",
  () =>
    Effect.gen(function* () {
      const { alice } = yield* views();
      Deno.writeTextFileSync(`${alice.home}/old`, "old content");
      const broken = [
        ["C0644 5 ../x\n", "hello\0"],
        ["C0644 five x\n", "hello\0"],
        ["C0644 5 new\n", "hello"],
        ["C0644 5 old\n", "hello"],
        ["C0644 5 old\n", "hel"],
        ["C0644 4 old\n", "hello\0"],
      ];
      for (const input of broken) {
        assert.equal((yield* talk("scp -t .", alice.vfs, input)).status, 1);
        assert.deepEqual(names(alice.home), ["old"]);
        assert.equal(Deno.readTextFileSync(`${alice.home}/old`), "old content");
      }
    }),
);

live(
  "SCP-02: uploads obey permissions, patterns and quota as over SFTP",
  () =>
    Effect.gen(function* () {
      const { bob } = yield* views({
        quota_size: 100,
        permissions: { "/": ["list", "upload", "download"], "/in": ["upload"], "/ro": ["list"] },
        filters: { file_patterns: [{ path: "/", denied_patterns: ["*.exe"] }] },
      });
      for (const dir of ["in", "ro"]) Deno.mkdirSync(`${bob.home}/${dir}`);
      Deno.writeTextFileSync(`${bob.home}/old`, "old");
      const put = (line: string, name: string, data = "hello") =>
        Effect.map(
          talk(line, bob.vfs, [`C0644 ${data.length} ${name}\n`, `${data}\0`]),
          (t) => t.status,
        );
      assert.equal(yield* put("scp -t .", "a"), 0);
      assert.equal(yield* put("scp -d -t in", "a"), 0);
      assert.equal(yield* put("scp -t in", "b"), 0);
      assert.equal(yield* put("scp -t .", "old"), 1);
      assert.equal(yield* put("scp -t ro", "a"), 1);
      assert.equal(yield* put("scp -t .", "a.exe"), 1);
      assert.equal(yield* put("scp -t .", "large", "x".repeat(200)), 1);
      assert.equal((yield* talk("scp -r -t .", bob.vfs, ["D0755 0 new\n"])).status, 1);
      assert.deepEqual(names(bob.home), ["a", "in", "old", "ro"]);
      assert.deepEqual(names(`${bob.home}/in`), ["a", "b"]);
      assert.equal(Deno.readTextFileSync(`${bob.home}/old`), "old");
      const read = yield* talk("scp -f in/a", bob.vfs, ["\0\0\0\0"]);
      assert.deepEqual([read.status, read.output.includes("hello")], [1, false]);
    }),
);

live(
  "scp -f never cuts the old file while a new one is being uploaded over it",
  () =>
    Effect.gen(function* () {
      const { alice } = yield* views();
      Deno.writeTextFileSync(`${alice.home}/f`, "old content");
      const upload = yield* start("scp -t f", alice.vfs);
      yield* Effect.promise(() => upload.client.write(text("C0644 900 f\nnew")));
      yield* Effect.promise(() => upload.client.read());
      yield* Effect.promise(() => upload.client.read());
      const got = yield* talk("scp -f f", alice.vfs, ["\0".repeat(9)]);
      const whole = /^C0\d{3} 11 f\nold content\0$/.test(got.output);
      assert.ok(whole || got.status === 1 && !got.output.includes("old"), got.output);
      upload.client.cut();
      assert.equal(yield* upload.status, 1);
    }),
);

live("CMD-02, CMD-04, CMD-05: commands work on a real folder", () =>
  Effect.gen(function* () {
    const { alice } = yield* views();
    Deno.mkdirSync(`${alice.home}/d/e`, { recursive: true });
    Deno.writeFileSync(`${alice.home}/d/big`, big);
    Deno.writeTextFileSync(`${alice.home}/d/e/x`, "1");
    const hex = createHash("sha256").update(big).digest("hex");
    const sum = yield* talk("sha256sum d/big", alice.vfs, []);
    assert.deepEqual(sum, { output: `${hex}  d/big\n`, status: 0, stderr: "" });
    assert.equal((yield* talk("sluice-copy d/ new", alice.vfs, [])).status, 0);
    assert.deepEqual(names(`${alice.home}/new`), ["big", "e"]);
    assert.deepEqual(names(`${alice.home}/new/e`), ["x"]);
    assert.equal((yield* talk("sluice-copy d new", alice.vfs, [])).status, 0);
    assert.deepEqual(names(`${alice.home}/new/d`), ["big", "e"]);
    assert.equal((yield* talk("sluice-remove d", alice.vfs, [])).status, 0);
    assert.deepEqual(names(alice.home), ["new"]);
  }));
