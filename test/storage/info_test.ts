import assert from "node:assert/strict";
import * as fs from "node:fs";
import { entryOf } from "../../adapters/storage/local/entry.ts";
import { codeOf } from "../../adapters/storage/local/errors.ts";
import { infoOf, mayMakeIn, peek, peekOpen } from "../../adapters/storage/local/info.ts";

const folder = () => {
  const dir = Deno.makeTempDirSync();
  return { dir, [Symbol.dispose]: () => Deno.removeSync(dir, { recursive: true }) };
};

Deno.test("peek() answers what the runtime's lstat does", () => {
  using made = folder();
  const at = (name: string) => `${made.dir}/${name}`;
  fs.writeFileSync(at("file"), "12345", { mode: 0o640 });
  fs.mkdirSync(at("folder"), { mode: 0o1751 });
  fs.symlinkSync("nowhere", at("link"));
  fs.linkSync(at("file"), at("second name"));
  fs.writeFileSync(at("ü-漢字-🙂"), "");
  fs.truncateSync(at("ü-漢字-🙂"), 5 * 1024 ** 3);
  fs.utimesSync(at("ü-漢字-🙂"), -1.5, 4_000_000_000.5);
  for (const { name } of Deno.readDirSync(made.dir)) {
    assert.deepEqual(peek(at(name)), infoOf(Deno.lstatSync(at(name))), name);
  }
  for (const path of ["/", "/proc", "/dev/null"]) {
    assert.deepEqual(peek(path), infoOf(Deno.lstatSync(path)), path);
  }
});

Deno.test("peek() answers undefined for nothing, and throws what else is wrong", () => {
  using made = folder();
  fs.writeFileSync(`${made.dir}/file`, "");
  assert.equal(peek(`${made.dir}/nothing`), undefined);
  assert.equal(peek(`${made.dir}/nothing/below`), undefined);
  const codes = [
    [`${made.dir}/file/below`, "ENOTDIR"],
    [`${made.dir}/${"x".repeat(256)}`, "ENAMETOOLONG"],
    [`${made.dir}${"/x".repeat(3000)}`, "ENAMETOOLONG"],
  ] as const;
  for (const [path, code] of codes) {
    assert.throws(() => peek(path), (cause) => codeOf(cause) === code, code);
  }
});

Deno.test("peekOpen() answers for the open file, whatever its name stands for", () => {
  using made = folder();
  const path = `${made.dir}/file`;
  fs.writeFileSync(path, "12345");
  const fd = fs.openSync(path, "r");
  const before = peek(path);
  fs.renameSync(path, `${made.dir}/moved`);
  fs.writeFileSync(path, "another");
  const { links: _, ...open } = peekOpen(fd);
  assert.equal(open.ino, before?.ino);
  assert.equal(open.size, 5);
  assert.notEqual(open.ino, peek(path)?.ino);
  fs.closeSync(fd);
});

Deno.test("mayMakeIn() says no to what is no directory, or not there", () => {
  using made = folder();
  assert.equal(mayMakeIn(made.dir), Deno.build.os === "linux");
  assert.equal(mayMakeIn(`${made.dir}/nothing`), false);
});

Deno.test("entryOf() gives a time that a Date can hold, whatever the disk has", () => {
  using made = folder();
  const info = { ...infoOf(Deno.lstatSync(made.dir)), mtime: 9_999_999_999_999_000 };
  assert.equal(new Date(entryOf("a", info).mtime).toISOString(), "+275760-09-13T00:00:00.000Z");
});
