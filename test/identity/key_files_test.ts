import assert from "node:assert/strict";
import { Effect, Exit, Layer, Schema } from "effect";
import { layer as filesLayer } from "../../adapters/keys/key_files.ts";
import { layer as masterLayer } from "../../adapters/keys/master_key.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import { KeyFiles } from "../../src/identity/key_files.ts";
import { MasterKey } from "../../src/identity/sealed.ts";
import { live, tempDir } from "../harness.ts";

const configured = (dir: string) =>
  Layer.succeed(Config, Schema.decodeUnknownSync(ConfigSchema)({ data_dir: dir }));
const master = (dir: string) =>
  Effect.provide(MasterKey, Layer.provide(masterLayer, configured(dir)));

live("MasterKey is made once, 0600, and read again", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const [first, second] = yield* Effect.all([master(dir), master(dir)], { concurrency: 2 });
    assert.equal(first.bytes.length, 32);
    assert.deepEqual(first, second);
    assert.deepEqual(yield* master(dir), first);
    const { mode } = yield* Effect.promise(() => Deno.stat(`${dir}/master.key`));
    assert.equal(mode! & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["master.key"]);
  }));

live(
  "MasterKey refuses a file that others may read, or a damaged one, and leaves it",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const path = `${dir}/master.key`;
      yield* master(dir);
      const text = Deno.readTextFileSync(path);
      for (const mode of [0o640, 0o604, 0o660]) {
        Deno.chmodSync(path, mode);
        const exit = yield* Effect.exit(master(dir));
        assert.ok(Exit.isFailure(exit) && exit.cause._tag === "Fail");
        assert.match(exit.cause.error.message, /master\.key: others may read it.*chmod 600/);
      }
      Deno.chmodSync(path, 0o600);
      for (const damaged of ["", text.slice(0, 20), "z".repeat(64)]) {
        Deno.writeTextFileSync(path, damaged);
        const exit = yield* Effect.exit(master(dir));
        assert.ok(Exit.isFailure(exit) && exit.cause._tag === "Fail");
        assert.match(exit.cause.error.message, /not a key/);
        assert.equal(Deno.readTextFileSync(path), damaged);
      }
      const gone = yield* Effect.exit(master(`${dir}/missing`));
      assert.ok(Exit.isFailure(gone) && gone.cause._tag === "Fail");
      assert.match(gone.cause.error.message, /ENOENT.*data folder/);
    }),
);

live(
  "SSH-12: KeyFiles reads relative to the data folder, and again after a change",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const files = yield* Effect.provide(KeyFiles, Layer.provide(filesLayer, configured(dir)));
      assert.ok(Exit.isFailure(yield* Effect.exit(files.read("list"))));
      Deno.writeTextFileSync(`${dir}/list`, "one");
      assert.equal(yield* files.read("list"), "one");
      Deno.writeTextFileSync(`${dir}/list`, "longer");
      assert.equal(yield* files.read("list"), "longer");
      assert.equal(yield* files.read(`${dir}/list`), "longer");
      Deno.writeFileSync(`${dir}/list`, new Uint8Array(5 * 1024 * 1024 + 1));
      assert.ok(Exit.isFailure(yield* Effect.exit(files.read("list"))));
      assert.ok(Exit.isFailure(yield* Effect.exit(files.read("."))));
      Deno.removeSync(`${dir}/list`);
      assert.ok(Exit.isFailure(yield* Effect.exit(files.read("list"))));
    }),
);
