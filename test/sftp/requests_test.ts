import { Effect, Exit } from "effect";
import assert from "node:assert/strict";
import { code, packet } from "../../adapters/ssh/sftp/protocol.ts";
import type { VPath } from "../../src/vpath.ts";
import { it } from "../harness.ts";
import { connect } from "./client.ts";
import { bytesOf, treeVfs } from "./tree_vfs.ts";
import { attrs, bytes, hex, join, names, Reader, text, u32, u64 } from "./wire.ts";

const READ = 1, WRITE = 2, APPEND = 4, CREAT = 8, TRUNC = 16, EXCL = 32;
const none = u32(0);
const content = (vfs: ReturnType<typeof treeVfs>, path: string) =>
  new TextDecoder().decode(vfs.nodes.get(path)?.bytes);

/** One engine on one tree, driven by promises. */
const sftp = (
  name: string,
  files: Record<string, string>,
  run: (
    client: Effect.Effect.Success<ReturnType<typeof connect>>,
    vfs: ReturnType<typeof treeVfs>,
  ) => Promise<void>,
) =>
  it(name, () =>
    Effect.gen(function* () {
      const vfs = treeVfs(files);
      const client = yield* connect(vfs);
      yield* Effect.promise(() => run(client, vfs));
      client.end();
      assert.deepEqual(yield* client.exit, Exit.succeed(0));
      assert.deepEqual(client.breaches, []);
      assert.equal(vfs.openCount, 0);
    }));

sftp(
  "INIT is answered with version 3 and every extension (SECURITY 3.1 item 21)",
  {},
  async (c) => {
    const reader = new Reader((await c.version()).body);
    assert.equal(reader.u32(), 3);
    const announced: Record<string, string> = {};
    while (reader.left > 0) announced[reader.text()] = reader.text();
    assert.deepEqual(announced, {
      "posix-rename@openssh.com": "1",
      "hardlink@openssh.com": "1",
      "lsetstat@openssh.com": "1",
      "fsync@openssh.com": "1",
      "expand-path@openssh.com": "1",
      "home-directory": "1",
      "statvfs@openssh.com": "2",
      "fstatvfs@openssh.com": "2",
      "limits@openssh.com": "1",
      "users-groups-by-id@openssh.com": "1",
      "copy-data": "1",
      "check-file": "1",
      "check-file-handle": "1",
      "check-file-name": "1",
    });
  },
);

sftp("OPEN, WRITE and CLOSE store a file; nothing shows before CLOSE", {}, async (c, vfs) => {
  const handle = await c.open("/a.txt", WRITE | CREAT | TRUNC);
  assert.equal((await c.ask(packet.write, handle, u64(0), text("hello "))).code, code.ok);
  assert.equal((await c.ask(packet.write, handle, u64(6), text("world"))).code, code.ok);
  assert.equal(vfs.nodes.has("/a.txt"), false);
  assert.equal((await c.ask(packet.close, handle)).code, code.ok);
  assert.equal(content(vfs, "/a.txt"), "hello world");
});

sftp(
  "READ answers the range, a short one at the end and EOF after it",
  { "/f": "0123456789" },
  async (c) => {
    const handle = await c.open("/f", READ);
    const part = await c.ask(packet.read, handle, u64(2), u32(3));
    assert.equal(part.type, packet.data);
    assert.deepEqual(new Reader(part.body).text(), "234");
    assert.equal(new Reader((await c.ask(packet.read, handle, u64(8), u32(99))).body).text(), "89");
    const end = await c.ask(packet.read, handle, u64(10), u32(1));
    assert.equal(end.code, code.eof);
    assert.equal((await c.ask(packet.read, handle, u64(0), u32(0))).code, code.eof);
    await c.ask(packet.close, handle);
  },
);

sftp("OPEN reads its flags as bits (SECURITY 3.1 item 23)", { "/f": "old" }, async (c, vfs) => {
  const ask = (flags: number, path = "/f") => c.ask(packet.open, text(path), u32(flags), none);
  assert.equal((await ask(WRITE | CREAT | EXCL)).code, code.failure);
  assert.equal((await ask(WRITE, "/no")).code, code.noSuchFile);
  assert.equal((await ask(CREAT, "/no")).code, code.failure, "CREAT without WRITE makes no file");
  assert.equal((await ask(READ | TRUNC)).code, code.failure);
  assert.equal(content(vfs, "/f"), "old");
  const odd = await c.open("/f", READ | WRITE | APPEND | CREAT | 0x40);
  await c.ask(packet.write, odd, u64(0), text("er"));
  await c.ask(packet.close, odd);
  assert.equal(content(vfs, "/f"), "older");
  await c.ask(packet.close, await c.open("/f", 0));
});

sftp("OPEN and MKDIR pass the mode of their attributes through the umask", {}, async (c, vfs) => {
  const mode = (bits: number) => [u32(4), u32(bits)];
  for (const [path, asked] of [["/x", 0o100600], ["/y", 0o100666]] as const) {
    const reply = await c.ask(packet.open, text(path), u32(WRITE | CREAT), ...mode(asked));
    await c.ask(packet.close, reply.body);
  }
  await c.ask(packet.mkdir, text("/z"), ...mode(0o777));
  const made = ["/x", "/y", "/z"].map((path) => vfs.nodes.get(path)?.mode);
  assert.deepEqual(made, [0o600, 0o644, 0o755]);
});

sftp("STAT, LSTAT and FSTAT answer ATTRS", { "/d/f": "four" }, async (c, vfs) => {
  await Effect.runPromise(vfs.symlink("f", "/d/l" as VPath));
  const seconds = Date.UTC(2026, 10, 20, 10, 30) / 1000;
  const stat = await c.ask(packet.stat, text("/d/l"));
  assert.deepEqual(attrs(new Reader(stat.body)), {
    flags: 15,
    size: 4,
    uid: 1000,
    gid: 1000,
    mode: 0o100644,
    atime: seconds,
    mtime: seconds,
  });
  assert.equal(attrs(new Reader((await c.ask(packet.lstat, text("/d/l"))).body)).mode, 0o120777);
  assert.equal(attrs(new Reader((await c.ask(packet.stat, text("/d"))).body)).mode, 0o040755);
  const handle = await c.open("/d/f", READ);
  assert.equal(attrs(new Reader((await c.ask(packet.fstat, handle)).body)).size, 4);
  await c.ask(packet.close, handle);
});

sftp(
  "golden packets: STATUS, DATA, HANDLE, NAME and ATTRS are byte for byte",
  { "/f": "abc" },
  async (c) => {
    const status = await c.ask(packet.stat, text("/no"));
    assert.equal(
      hex(status.body),
      "00000002" + "00000019" + hex(bytesOf("No such file or directory")) + "00000000",
    );
    const handle = await c.open("/f", READ);
    assert.equal(hex(handle.subarray(0, 8)), "00000008" + "00000000");
    assert.equal(handle.length, 12);
    const data = await c.ask(packet.read, handle, u64(0), u32(3));
    assert.equal(hex(data.body), "00000003616263");
    const name = await c.ask(packet.realpath, text("./f"));
    assert.equal(hex(name.body), "00000001" + "000000022f66" + "000000022f66" + "00000000");
    const stat = await c.ask(packet.fstat, handle);
    const time = u32(Date.UTC(2026, 10, 20, 10, 30) / 1000).toHex();
    assert.equal(
      hex(stat.body),
      "0000000f" + "0000000000000003" + "000003e8" + "000003e8" + "000081a4" + time + time,
    );
    assert.equal(
      hex((await c.ask(packet.close, handle)).body),
      "00000000" + "00000007" +
        hex(bytesOf("Success")) + "00000000",
    );
  },
);

sftp("SETSTAT and FSETSTAT change what the flags name; times are 32 bits (item 23)", {
  "/f": "12345678",
}, async (c, vfs) => {
  const set = join(
    u32(1 | 2 | 4 | 8),
    u64(4),
    u32(7),
    u32(8),
    u32(0o100640),
    u32(1),
    u32(0xffffffff),
  );
  assert.equal((await c.ask(packet.setstat, text("/f"), set)).code, code.ok);
  const after = vfs.nodes.get("/f")!;
  assert.deepEqual(
    {
      size: after.bytes.length,
      uid: after.uid,
      gid: after.gid,
      mode: after.mode,
      mtime: after.mtime,
    },
    { size: 4, uid: 7, gid: 8, mode: 0o640, mtime: 0xffffffff * 1000 },
  );
  const handle = await c.open("/f", WRITE);
  assert.equal((await c.ask(packet.fsetstat, handle, u32(1), u64(2))).code, code.ok);
  await c.ask(packet.close, handle);
  assert.equal(content(vfs, "/f"), "12");
  const extended = join(u32(0x80000004), u32(0o600), u32(1), text("a@b"), text("c"));
  assert.equal((await c.ask(packet.setstat, text("/f"), extended)).code, code.ok);
  assert.equal(vfs.nodes.get("/f")?.mode, 0o600);
});

sftp("REMOVE, MKDIR and RMDIR answer OK and their refusals", { "/d/f": "x" }, async (c, vfs) => {
  assert.equal((await c.ask(packet.rmdir, text("/d"))).message, "Directory not empty");
  assert.equal((await c.ask(packet.rmdir, text("/d/f"))).message, "Not a directory");
  assert.equal((await c.ask(packet.remove, text("/d"))).message, "Is a directory");
  assert.equal((await c.ask(packet.remove, text("/d/f"))).code, code.ok);
  assert.equal((await c.ask(packet.remove, text("/d/f"))).code, code.noSuchFile);
  assert.equal((await c.ask(packet.rmdir, text("/d"))).code, code.ok);
  assert.equal((await c.ask(packet.mkdir, text("/n"), u32(4), u32(0o700))).code, code.ok);
  assert.equal(vfs.nodes.get("/n")?.mode, 0o700);
  assert.equal((await c.ask(packet.mkdir, text("/n"), none)).code, code.failure);
});

sftp("RENAME fails when the target exists; posix-rename replaces it (item 26, SECURITY 6 item 7)", {
  "/a": "new",
  "/b": "old",
}, async (c, vfs) => {
  assert.equal((await c.ask(packet.rename, text("/a"), text("/b"))).code, code.failure);
  assert.equal(content(vfs, "/b"), "old");
  const replaced = await c.extended("posix-rename@openssh.com", text("/a"), text("/b"));
  assert.equal(replaced.code, code.ok);
  assert.equal(content(vfs, "/b"), "new");
  assert.equal(vfs.nodes.has("/a"), false);
  assert.equal((await c.ask(packet.rename, text("/b"), text("/c"))).code, code.ok);
});

sftp(
  "SYMLINK reads the target first (item 24); READLINK answers it",
  { "/f": "x" },
  async (c, vfs) => {
    assert.equal((await c.ask(packet.symlink, text("f"), text("/link"))).code, code.ok);
    assert.equal(vfs.nodes.get("/link")?.target, "f");
    assert.equal(names((await c.ask(packet.readlink, text("/link"))).body)[0]?.name, "f");
  },
);

sftp(
  "REALPATH cleans, and allows a missing last name but no missing parent",
  { "/d/f": "x" },
  async (c) => {
    const real = async (path: string) =>
      names((await c.ask(packet.realpath, text(path))).body)[0]?.name;
    assert.equal(await real("."), "/");
    assert.equal(await real(""), "/");
    assert.equal(await real("d/../d//./f"), "/d/f");
    assert.equal(await real("/../../etc"), "/etc");
    assert.equal(await real("/d/new"), "/d/new");
    assert.equal((await c.ask(packet.realpath, text("/no/new"))).code, code.noSuchFile);
  },
);

it("REALPATH answers the start directory even to a user who may not list it", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/drop/f": "x" }, "/drop" as VPath);
    vfs.deny = () => "Denied";
    const c = yield* connect(vfs);
    const home = yield* Effect.promise(() => c.ask(packet.realpath, text(".")));
    assert.equal(names(home.body)[0]?.name, "/drop");
    const other = yield* Effect.promise(() => c.ask(packet.realpath, text("/drop/f")));
    assert.equal(other.code, code.permissionDenied);
  }));

sftp(
  "a name that is not UTF-8, or has control bytes, is refused with text (SECURITY 6 items 2, 4)",
  {},
  async (c) => {
    const bad = await c.ask(packet.stat, bytes(Uint8Array.of(0x2f, 0xc0, 0xaf)));
    assert.deepEqual([bad.code, bad.message], [code.failure, "The name is not valid UTF-8"]);
    for (const name of ["/a\0b", "/a\nb", "/a\r", "/\u0085"]) {
      const reply = await c.ask(packet.open, text(name), u32(WRITE | CREAT), none);
      assert.equal(reply.code, code.failure);
      assert.match(reply.message, /control/);
    }
    const long = await c.ask(packet.mkdir, text("/" + "n".repeat(256)), none);
    assert.match(long.message, /longer than 255/);
  },
);

sftp(
  "SFTP-19: every refusal has a status and a sentence, and never the cause",
  { "/f": "x" },
  async (c, vfs) => {
    const expected = {
      NotFound: 2,
      Denied: 3,
      ReadOnly: 3,
      AlreadyExists: 4,
      NotEmpty: 4,
      IsDirectory: 4,
      NotDirectory: 4,
      InvalidPath: 4,
      NameTooLong: 4,
      QuotaExceeded: 4,
      TooLarge: 4,
      Locked: 4,
      Busy: 4,
      Unsupported: 8,
      Conflict: 4,
      Aborted: 4,
      Unavailable: 4,
      Corrupt: 4,
    } as const;
    for (const reason of Object.keys(expected) as Array<keyof typeof expected>) {
      vfs.deny = (op) => op === "remove" ? reason : undefined;
      const reply = await c.ask(packet.remove, text("/f"));
      assert.equal(reply.code, expected[reason], reason);
      assert.match(reply.message, /^[A-Z].{4,}/);
    }
  },
);

sftp(
  "a failing WRITE or CLOSE is answered with its reason and the handle is gone",
  {},
  async (c, vfs) => {
    vfs.deny = (op) => op === "write" ? "QuotaExceeded" : op === "close" ? "Conflict" : undefined;
    const handle = await c.open("/q", WRITE | CREAT);
    const refused = await c.ask(packet.write, handle, u64(0), text("x"));
    assert.deepEqual([refused.code, refused.message], [code.failure, "Quota exceeded"]);
    assert.equal((await c.ask(packet.close, handle)).code, code.failure);
    assert.equal((await c.ask(packet.close, handle)).message, "No such handle");
    assert.equal(vfs.nodes.has("/q"), false);
    assert.equal(vfs.aborted, 1);
  },
);
