import assert from "node:assert/strict";
import * as fs from "node:fs";
import { openDirents } from "../../adapters/storage/local/dirents.ts";
import { entryOf } from "../../adapters/storage/local/entry.ts";
import { infoOf } from "../../adapters/storage/local/info.ts";
import { plainPages } from "../../adapters/storage/local/list.ts";
import type { Entry } from "../../src/model/entry.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };
const sorted = (entries: Iterable<Entry>) => [...entries].sort((a, b) => a.name < b.name ? -1 : 1);
/** Descriptors of this process, other tests' included, that stand for `path`. */
const descriptorsOf = (path: string) =>
  [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${name}`) === path;
    } catch {
      return false;
    }
  }).length;

/** A folder with every kind of entry; removed with the scope of the test. */
const folder = () => {
  const dir = Deno.makeTempDirSync();
  fs.writeFileSync(`${dir}/file`, "12345", { mode: 0o640 });
  fs.mkdirSync(`${dir}/folder`, { mode: 0o1751 });
  fs.symlinkSync("nowhere", `${dir}/link`);
  fs.linkSync(`${dir}/file`, `${dir}/second name`);
  fs.writeFileSync(`${dir}/ü-漢字-🙂`, "");
  fs.truncateSync(`${dir}/ü-漢字-🙂`, 5 * 1024 ** 3);
  fs.utimesSync(`${dir}/file`, 1_000_000_000.25, 4_000_000_000.5);
  return { dir, [Symbol.dispose]: () => Deno.removeSync(dir, { recursive: true }) };
};

Deno.test("openDirents() answers what lstat does, of files, folders and links", onLinux, () => {
  using made = folder();
  const look = (name: string) => entryOf(name, infoOf(Deno.lstatSync(`${made.dir}/${name}`)));
  const dirents = openDirents(made.dir);
  assert.ok(dirents);
  const entries = dirents.next(100, () => true, () => assert.fail("nothing has vanished"));
  dirents.close();
  const names = [...Deno.readDirSync(made.dir)].map(({ name }) => name);
  assert.deepEqual(sorted(entries), sorted(names.map(look)));
});

Deno.test("openDirents() comes to the end in pages, and closes its descriptor", onLinux, () => {
  const dir = Deno.makeTempDirSync();
  const wanted = Array.from({ length: 3000 }, (_, i) => `file-${i}-${"x".repeat(i % 90)}`);
  for (const name of wanted) fs.writeFileSync(`${dir}/${name}`, "");
  const dirents = openDirents(dir);
  assert.equal(descriptorsOf(dir), 1);
  const seen: string[] = [];
  for (;;) {
    const page = dirents?.next(256, (name) => !name.startsWith("file-7-"), () => undefined) ?? [];
    assert.ok(page.length <= 256);
    seen.push(...page.map(({ name }) => name));
    if (page.length < 256) break;
  }
  assert.deepEqual(dirents?.next(1, () => true, () => undefined), []);
  dirents?.close();
  assert.equal(descriptorsOf(dir), 0);
  assert.deepEqual(seen.sort(), wanted.filter((name) => !name.startsWith("file-7-")).sort());
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("openDirents() asks for what vanished, and opens no link and no file", onLinux, () => {
  using made = folder();
  const dirents = openDirents(made.dir);
  const asked: string[] = [];
  const entries = dirents?.next(
    100,
    (name) => (fs.rmSync(`${made.dir}/${name}`, { recursive: true, force: true }), true),
    (name) => void asked.push(name),
  );
  dirents?.close();
  assert.deepEqual(entries, []);
  assert.deepEqual(asked.sort(), ["file", "folder", "link", "second name", "ü-漢字-🙂"]);
  fs.mkdirSync(`${made.dir}/real`);
  fs.symlinkSync("real", `${made.dir}/alias`);
  assert.equal(openDirents(`${made.dir}/alias`), undefined);
  assert.equal(openDirents(`${made.dir}/missing`), undefined);
});

Deno.test("plainPages() answers the same as openDirents()", onLinux, async () => {
  using made = folder();
  const look = (name: string) => entryOf(name, infoOf(Deno.lstatSync(`${made.dir}/${name}`)));
  const dirents = openDirents(made.dir);
  const fast = dirents?.next(100, () => true, look) ?? [];
  dirents?.close();
  const plain: Entry[] = [];
  for await (const page of plainPages(made.dir, look)) plain.push(...page);
  assert.deepEqual(sorted(fast), sorted(plain));
});
