import assert from "node:assert/strict";
import { Effect, type Scope, Stream } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { memory } from "../../adapters/storage/memory/memory.ts";
import type { FsError } from "../../src/errors.ts";
import type { Permission } from "../../src/model/user.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { matchName, matchPath } from "../../src/vfs/glob.ts";
import { patternsOf } from "../../src/vfs/patterns.ts";
import { type Operation, operations, permissionsOf, type Rule } from "../../src/vfs/policy.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import { live, tempDir } from "../harness.ts";
import { bench, makeUser, path, put, putting, reading, reasonOf, writing } from "./bench.ts";

/** How each operation of the table is done; `d` holds a file, an empty directory and a full one. */
const acts: Record<Operation, (v: Vfs) => Effect.Effect<unknown, FsError, Scope.Scope>> = {
  stat: (v) => v.stat(path("/d/file")),
  lstat: (v) => v.lstat(path("/d/file")),
  list: (v) => Stream.runDrain(v.list(path("/d"))),
  realpath: (v) => v.realpath(path("/d/file")),
  readlink: (v) => v.readlink(path("/d/link")),
  available: (v) => v.available(path("/d")),
  read: (v) => v.open(path("/d/file"), reading),
  checksum: (v) => v.checksum(path("/d/file"), "sha256"),
  create: (v) => put(v, "/d/new", "1"),
  overwrite: (v) => put(v, "/d/file", "2"),
  truncate: (v) => v.setAttributes(path("/d/file"), { size: 1 }),
  chmod: (v) => v.setAttributes(path("/d/file"), { mode: 0o600 }),
  chown: (v) => v.setAttributes(path("/d/file"), { uid: 0, gid: 0 }),
  chtimes: (v) => v.setAttributes(path("/d/file"), { mtime: 1000 }),
  mkdir: (v) => v.mkdir(path("/d/made")),
  remove: (v) => v.remove(path("/d/file")),
  rmdir: (v) => v.rmdir(path("/d/empty")),
  rename_file: (v) => v.rename(path("/d/file"), path("/t/file"), { replace: false }),
  rename_dir: (v) => v.rename(path("/d/empty"), path("/t/empty"), { replace: false }),
  replace: (v) => v.rename(path("/d/file"), path("/t/there"), { replace: true }),
  copy: (v) => v.copy(path("/d/file"), path("/t/copied")),
  copy_dir: (v) => v.copy(path("/d/empty"), path("/t/copied")),
  symlink: (v) => v.symlink("file", path("/d/link2")),
  hardlink: (v) => v.hardLink(path("/d/file"), path("/d/hard")),
};
/** Rules that an operation meets on its way besides its own. */
const also: Partial<Record<Operation, ReadonlyArray<Operation>>> = {
  replace: ["rename_file"],
  copy_dir: ["copy", "mkdir"],
};
const every: ReadonlyArray<Permission> = [
  "list",
  "download",
  "upload",
  "overwrite",
  "delete",
  "delete_files",
  "delete_dirs",
  "rename",
  "rename_files",
  "rename_dirs",
  "create_dirs",
  "create_symlinks",
  "chmod",
  "chown",
  "chtimes",
  "copy",
];

const needed = (operation: Operation): ReadonlySet<Permission> =>
  new Set([operation, ...also[operation] ?? []].flatMap((name) => {
    const { needs, target = [] }: Rule = operations[name];
    return [...needs, ...target];
  }));

const fill = (storage: Storage) =>
  Effect.gen(function* () {
    const { login } = yield* bench(storage);
    const root = yield* login();
    for (const dir of ["/d", "/d/empty", "/t"]) yield* root.mkdir(path(dir));
    yield* put(root, "/d/file", "content");
    yield* put(root, "/t/there", "old");
    if (storage.can.symlinks) yield* storage.symlink("file", "/d/link");
  });

const snapshot = (storage: Storage) =>
  Effect.gen(function* () {
    const seen: string[] = [];
    for (const dir of ["/d", "/t"]) {
      for (const e of yield* Stream.runCollect(storage.list(dir))) {
        seen.push(
          `${dir}/${e.name} ${e.kind} ${e.size} ${e.mode} ${e.kind === "file" ? e.mtime : ""}`,
        );
      }
    }
    return seen.sort();
  });

const stores: Record<string, Effect.Effect<Storage, never, Scope.Scope>> = {
  memory: Effect.sync(() => memory()),
  local: Effect.map(tempDir, (dir) => local({ root: Deno.realPathSync(dir), fsync: false })),
};

for (const [name, make] of Object.entries(stores)) {
  for (const operation of Object.keys(operations) as Operation[]) {
    live(
      `PERM: ${operation} needs exactly what the table says (${name})`,
      () =>
        Effect.gen(function* () {
          const can = (yield* make).can;
          if (!can.symlinks && ["readlink", "symlink"].includes(operation)) return;
          if (!can.hardLinks && operation === "hardlink") return;
          const needs = [...needed(operation)];
          const fresh = Effect.gen(function* () {
            const storage = yield* make;
            yield* fill(storage);
            return yield* bench(storage, { symlink_mode: 1 });
          });
          const with_ = (permissions: ReadonlyArray<Permission>) =>
            Effect.scoped(Effect.gen(function* () {
              const { storage, login } = yield* fresh;
              const vfs = yield* login({
                permissions: { "/": ["list"], "/d": permissions, "/t": permissions },
              });
              const before = yield* snapshot(storage);
              const outcome = yield* reasonOf(Effect.scoped(acts[operation](vfs)));
              if (outcome !== "ok") {
                assert.deepEqual(yield* snapshot(storage), before, "no side effect");
              }
              return outcome;
            }));
          assert.equal(yield* with_(needs), "ok", `with ${needs}`);
          for (const missing of needs) {
            const covered = every.filter((p) => p !== missing && p !== summaryOf(missing));
            assert.equal(yield* with_(covered), "Denied", `without ${missing}`);
          }
          for (const need of needs) {
            const summary = summaryOf(need);
            if (summary) {
              assert.equal(yield* with_(needs.map((n) => n === need ? summary : n)), "ok", summary);
            }
          }
          if (needs.length > 0) assert.equal(yield* with_([]), "Denied", "PERM-19");
        }),
    );
  }
}
const summaryOf = (p: Permission): Permission | undefined =>
  p.startsWith("delete_") ? "delete" : p.startsWith("rename_") ? "rename" : undefined;

Deno.test("PERM-18: the nearest directory wins whole, exact keys before patterns, longest pattern first", () => {
  const p = permissionsOf({
    permissions: {
      "/": ["list"],
      "/a/*": ["download"],
      "/a/b": ["upload"],
      "/*/b*": ["delete"],
      "/a/b?": ["rename"],
      "/closed": [],
    },
  });
  assert.ok(p.has("list", path("/a")));
  assert.ok(p.has("upload", path("/a/b")) && !p.has("list", path("/a/b")));
  assert.ok(p.has("delete_files", path("/a/bc")), "longest pattern, then by code point");
  assert.ok(p.has("download", path("/a/c/deep/er")));
  assert.ok(!p.has("list", path("/closed/below")));
  assert.ok(p.has("list", path("/closed2")));
});

Deno.test("PERM-18: the answer does not depend on the order of the keys", () => {
  const keys: ReadonlyArray<readonly [string, ReadonlyArray<Permission>]> = [
    ["/", ["list"]],
    ["/x*", ["upload"]],
    ["/*y", ["download"]],
  ];
  const a = permissionsOf({ permissions: Object.fromEntries(keys) });
  const b = permissionsOf({ permissions: Object.fromEntries([...keys].reverse()) });
  for (const p of every) assert.equal(a.has(p, path("/xy")), b.has(p, path("/xy")));
});

Deno.test("matchName() matches like a shell, in linear time", () => {
  const yes = [["*", ""], ["a*c", "abbc"], ["?", "é"], ["[a-c]x", "bx"], ["[^a]", "b"], [
    "\\*",
    "*",
  ], ["[]]", "]"]];
  const no = [["a?c", "ac"], ["[a-c]", "d"], ["[a", "a"], ["\\*", "x"], ["", "a"]];
  for (const [p, n] of yes) assert.ok(matchName(p as string, n as string), `${p} ${n}`);
  for (const [p, n] of no) assert.ok(!matchName(p as string, n as string), `${p} ${n}`);
  const started = performance.now();
  assert.ok(!matchName("*a".repeat(30) + "b", "a".repeat(250)));
  assert.ok(performance.now() - started < 500);
  assert.ok(matchPath("/a/*", "/a/b") && !matchPath("/a/*", "/a/b/c"));
});

const filters = (...file_patterns: ReadonlyArray<Record<string, unknown>>) =>
  patternsOf(makeUser({ filters: { file_patterns } }));

Deno.test("PAT-02, PAT-03: allowed before denied, nearest entry only, names without case", () => {
  const p = filters(
    { path: "/", allowed_patterns: ["*.JPG"], denied_patterns: ["secret*"] },
    { path: "/free/", denied_patterns: ["*.zip"] },
  );
  assert.equal(p.verdict(path("/secret.jpg")), "allow");
  assert.equal(p.verdict(path("/secret.txt")), "deny");
  assert.equal(p.verdict(path("/x.txt")), "deny");
  assert.equal(p.verdict(path("/free/x.txt")), "allow");
  assert.equal(p.verdict(path("/free/deep/X.ZIP")), "deny");
  assert.equal(p.verdict(path("/")), "allow");
});

Deno.test("PAT-04, PAT-06: only one directory visible, everything inside it free", () => {
  const p = filters({
    path: "/",
    allowed_patterns: ["open"],
    denied_patterns: ["*"],
    deny_policy: 1,
  });
  assert.equal(p.verdict(path("/open")), "allow");
  assert.equal(p.verdict(path("/open/any/thing.exe")), "allow");
  assert.equal(p.verdict(path("/other")), "hide");
  assert.equal(p.verdict(path("/other/open")), "hide");
});

live(
  "PAT-05: a denied name stays listed, and operations on it are denied",
  () =>
    Effect.gen(function* () {
      const storage = memory();
      yield* fill(storage);
      const { login } = yield* bench(storage);
      const vfs = yield* login({
        filters: { file_patterns: [{ path: "/d", denied_patterns: ["f*"] }] },
      });
      assert.equal((yield* Stream.runCollect(vfs.list(path("/d")))).length, 2);
      assert.equal(yield* reasonOf(vfs.stat(path("/d/file"))), "ok");
      for (
        const act of [
          "read",
          "overwrite",
          "remove",
          "rename_file",
          "copy",
          "checksum",
          "chmod",
        ] as const
      ) {
        assert.equal(yield* reasonOf(Effect.scoped(acts[act](vfs))), "Denied", act);
      }
      assert.equal(yield* reasonOf(vfs.mkdir(path("/d/fresh"))), "Denied");
      assert.equal(
        yield* reasonOf(vfs.rename(path("/t/there"), path("/d/fun"), { replace: false })),
        "Denied",
      );
      assert.equal(yield* reasonOf(vfs.removeTree(path("/d"))), "Denied");
      assert.equal(
        yield* reasonOf(vfs.rename(path("/d"), path("/t/d"), { replace: false })),
        "Denied",
      );
    }),
);

live(
  "SECURITY 2.4: a user without upload leaves no empty file behind",
  () =>
    Effect.gen(function* () {
      const storage = memory();
      const { login } = yield* bench(storage);
      const vfs = yield* login({ permissions: { "/": ["list", "download"] } });
      for (
        const how of [putting, writing, { ...writing, exclusive: true }, {
          ...putting,
          append: true,
        }]
      ) {
        assert.equal(yield* reasonOf(Effect.scoped(vfs.open(path("/x"), how))), "Denied");
      }
      assert.equal((yield* Stream.runCollect(storage.list("/"))).length, 0);
    }),
);

live(
  "realpath() tells an upload-only user where it is, and nothing else",
  () =>
    Effect.gen(function* () {
      const { login } = yield* bench(memory());
      const vfs = yield* login({
        permissions: { "/": ["upload"] },
        filters: { start_directory: "/in" },
      });
      assert.equal(vfs.home, "/in");
      assert.equal(yield* vfs.realpath(path("/in")), "/in");
      assert.equal(yield* vfs.realpath(path("/")), "/");
      assert.equal(yield* reasonOf(vfs.realpath(path("/other"))), "Denied");
    }),
);

live(
  "SECURITY 5: a refusal is journalled once, and tells who, what and where",
  () =>
    Effect.gen(function* () {
      const storage = memory();
      yield* fill(storage);
      const { login, journal } = yield* bench(storage);
      const vfs = yield* login({ permissions: { "/": ["list"] } });
      const refused = {
        download: acts.read,
        upload: acts.create,
        mkdir: acts.mkdir,
        delete: acts.remove,
        rmdir: acts.rmdir,
        rename: acts.rename_file,
        copy: acts.copy,
      };
      for (const [action, act] of Object.entries(refused)) {
        const before = journal.events.length;
        assert.equal(yield* reasonOf(Effect.scoped(act(vfs))), "Denied");
        const added = journal.events.slice(before);
        assert.deepEqual(added.map((e) => [e.action, e.status, e.username]), [[
          action,
          2,
          "alice",
        ]]);
      }
    }),
);
