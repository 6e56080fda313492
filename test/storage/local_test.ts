import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Effect, type Scope, Stream } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { toFsError } from "../../adapters/storage/local/errors.ts";
import type { FsError } from "../../src/errors.ts";
import { isStagedName, stagedName } from "../../src/storage/staged.ts";
import { live, tempDir } from "../harness.ts";

const reason = <A, R>(effect: Effect.Effect<A, FsError, R>) =>
  Effect.match(effect, { onSuccess: () => "ok", onFailure: (e) => e.reason as string });

/** A home with links that lead out of it, planted as by someone with access to the disk. */
const trapped = Effect.gen(function* () {
  const dir = Deno.realPathSync(yield* tempDir);
  const root = dir + "/home";
  fs.mkdirSync(root + "/in", { recursive: true });
  fs.mkdirSync(dir + "/out");
  fs.writeFileSync(dir + "/out/secret", "secret");
  fs.writeFileSync(root + "/in/file", "mine");
  fs.symlinkSync("../out/secret", root + "/leaf");
  fs.symlinkSync(dir + "/out/secret", root + "/absolute");
  fs.symlinkSync("../out", root + "/parent");
  fs.symlinkSync("in/../../out", root + "/twisted");
  fs.symlinkSync("loop", root + "/loop");
  fs.symlinkSync("in/file", root + "/fine");
  return { root, out: dir + "/out", storage: local({ root, fsync: false }) };
});

const outside = (out: string) =>
  [...Deno.readDirSync(out)].map((e) => [e.name, Deno.readTextFileSync(`${out}/${e.name}`)]);

for (
  const [where, key] of [
    ["leaf", "/leaf"],
    ["leaf, absolute", "/absolute"],
    ["leaf, loop", "/loop"],
    ["parent", "/parent/secret"],
    ["parent, twisted", "/twisted/secret"],
  ] as const
) {
  live(
    `SECURITY 6.6: a link that leads out is refused for every operation (${where})`,
    () =>
      Effect.gen(function* () {
        const { storage: s, out } = yield* trapped;
        const write = (mode: "create" | "replace" | "update") =>
          Effect.scoped(Effect.gen(function* () {
            const writer = yield* s.writer(key, { mode });
            yield* Effect.promise(() => writer.writeAt(0, new Uint8Array([88])));
            yield* Effect.promise(() => writer.commit());
          }));
        const leaf = !where.startsWith("parent");
        const all: Record<string, Effect.Effect<unknown, FsError, Scope.Scope>> = {
          get: Effect.scoped(s.reader(key)),
          put: write("replace"),
          resume: write("update"),
          stat: s.stat(key),
          list: Stream.runDrain(s.list(leaf ? key : key.replace("/secret", ""))),
          copy: s.copy(key, "/in/copied"),
          copyTo: leaf ? s.copy("/in/file", key) : s.copy("/in/file", key + "2"),
          setattr: s.setAttributes(key, { mode: 0o777, size: 0 }, { follow: true }),
          realpath: s.realpath(key),
          ...(leaf ? {} : {
            renameFrom: s.rename(key, "/in/stolen", { replace: true }),
            renameTo: s.rename("/in/file", key, { replace: true }),
            remove: s.remove(key),
            mkdir: s.mkdir(key + "dir"),
            lstat: s.lstat(key),
            link: s.hardLink(key, "/in/linked"),
          }),
        };
        for (const [name, operation] of Object.entries(all)) {
          assert.equal(yield* reason(operation), "Denied", name);
        }
        if (leaf) {
          assert.equal(yield* reason(write("create")), "AlreadyExists");
          assert.equal(yield* reason(s.hardLink(key, "/in/linked")), "Unsupported");
          yield* s.rename(key, "/in/moved", { replace: false });
          yield* s.remove("/in/moved");
        }
        assert.deepEqual(outside(out), [["secret", "secret"]]);
        assert.equal(Deno.readTextFileSync(out + "/../home/in/file"), "mine");
      }),
  );
}

live("local() follows links that stay inside, at most 10", () =>
  Effect.gen(function* () {
    const { storage, root } = yield* trapped;
    assert.equal((yield* storage.stat("/fine")).size, 4);
    for (let i = 0; i < 11; i++) fs.symlinkSync(i === 0 ? "fine" : `h${i - 1}`, `${root}/h${i}`);
    assert.equal((yield* storage.stat("/h8")).size, 4);
    assert.equal(yield* reason(storage.stat("/h9")), "Denied");
    yield* Effect.scoped(Effect.gen(function* () {
      const writer = yield* storage.writer("/fine", { mode: "replace" });
      yield* Effect.promise(() => writer.writeAt(0, new Uint8Array([65])));
      yield* Effect.promise(() => writer.commit());
    }));
    assert.ok(fs.lstatSync(root + "/fine").isSymbolicLink());
    assert.equal(fs.readFileSync(root + "/in/file", "utf8"), "A");
  }));

live("local() never opens special files", () =>
  Effect.gen(function* () {
    const { storage, root } = yield* trapped;
    const made = new Deno.Command("mkfifo", { args: [root + "/pipe"] }).outputSync();
    assert.ok(made.success);
    assert.equal(yield* reason(Effect.scoped(storage.reader("/pipe"))), "Denied");
    assert.equal(
      yield* reason(Effect.scoped(storage.writer("/pipe", { mode: "update" }))),
      "Denied",
    );
    assert.equal((yield* storage.lstat("/pipe")).kind, "other");
  }));

live("SECURITY 6.3: names of 255 bytes work, 256 do not", () =>
  Effect.gen(function* () {
    const { storage } = yield* trapped;
    const put = (name: string) =>
      Effect.scoped(Effect.gen(function* () {
        const writer = yield* storage.writer(`/in/${name}`, { mode: "create" });
        yield* Effect.promise(() => writer.commit());
      }));
    yield* put("n".repeat(255));
    yield* put("é".repeat(127));
    assert.equal(yield* reason(put("n".repeat(256))), "NameTooLong");
    assert.ok(new TextEncoder().encode(stagedName("é".repeat(127))).length <= 255);
    assert.ok(isStagedName(stagedName("é".repeat(127))));
  }));

live(
  "replacing a file keeps its mode; umask and rmdir over orphans work",
  () =>
    Effect.gen(function* () {
      const dir = Deno.realPathSync(yield* tempDir);
      const storage = local({ root: dir, fsync: false, umask: 0o027 });
      const put = Effect.scoped(Effect.gen(function* () {
        const writer = yield* storage.writer("/f", { mode: "replace" });
        yield* Effect.promise(() => writer.commit());
      }));
      yield* put;
      assert.equal((yield* storage.stat("/f")).mode, 0o640);
      yield* storage.setAttributes("/f", { mode: 0o600 }, { follow: true });
      yield* put;
      assert.equal((yield* storage.stat("/f")).mode, 0o600);
      yield* storage.mkdir("/d");
      assert.equal((yield* storage.stat("/d")).mode, 0o750);
      fs.writeFileSync(`${dir}/d/${stagedName("x")}`, "");
      yield* storage.rmdir("/d");
    }),
);

Deno.test("toFsError() maps what the kernel says", () => {
  const map = (code: string) => toFsError("op", "/k")(Object.assign(new Error(), { code }));
  assert.equal(map("ENOSPC").reason, "Unavailable");
  assert.match(map("ENOSPC").message, /no space left on the server's disk/);
  assert.equal(map("EMFILE").reason, "Busy");
  assert.equal(map("ENAMETOOLONG").reason, "NameTooLong");
  assert.equal(map("EROFS").reason, "ReadOnly");
  assert.equal(map("EWHATEVER").reason, "Unavailable");
});
