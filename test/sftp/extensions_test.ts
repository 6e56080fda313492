import { Effect } from "effect";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { code, packet } from "../../adapters/ssh/sftp/protocol.ts";
import type { VPath } from "../../src/vpath.ts";
import { it } from "../harness.ts";
import { type Client, connect, type Options } from "./client.ts";
import { bytesOf, type TreeVfs, treeVfs } from "./tree_vfs.ts";
import { attrs, bytes, hex, join, names, Reader, text, u32, u64 } from "./wire.ts";

const READ = 1, WRITE = 2, CREAT = 8;
const user = { username: "anna", uid: 1000, gid: 1001 };

const sftp = (
  name: string,
  files: Record<string, string | Uint8Array<ArrayBuffer>>,
  run: (client: Client, vfs: TreeVfs) => Promise<void>,
  options: Options = { user },
) =>
  it(name, () =>
    Effect.gen(function* () {
      const vfs = treeVfs(files, "/home" as VPath);
      const client = yield* connect(vfs, options);
      yield* Effect.promise(() => run(client, vfs));
      client.end();
      yield* client.exit;
      assert.equal(vfs.openCount, 0);
    }));

sftp(
  "hardlink@openssh.com and lsetstat@openssh.com reach the file and the link",
  { "/f": "x" },
  async (c, vfs) => {
    assert.equal((await c.extended("hardlink@openssh.com", text("/f"), text("/g"))).code, code.ok);
    assert.equal(vfs.nodes.get("/g"), vfs.nodes.get("/f"));
    await c.ask(packet.symlink, text("f"), text("/l"));
    const set = join(u32(4), u32(0o600));
    assert.equal((await c.extended("lsetstat@openssh.com", text("/l"), set)).code, code.ok);
    assert.equal(vfs.nodes.get("/l")?.mode, 0o600);
    assert.equal(vfs.nodes.get("/f")?.mode, 0o644);
  },
);

sftp("fsync@openssh.com syncs after the writes before it (item 26)", {}, async (c, vfs) => {
  const handle = await c.open("/f", WRITE | CREAT);
  let open = () => {};
  const gate = new Promise<void>((resolve) => open = resolve);
  vfs.before = () => gate;
  c.send(packet.write, handle, u64(0), text("x"));
  const synced = c.extended("fsync@openssh.com", handle);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(vfs.synced, 0);
  open();
  assert.equal((await synced).code, code.ok);
  assert.equal(vfs.synced, 1);
  vfs.deny = (op) => op === "sync" ? "Unsupported" : undefined;
  assert.equal((await c.extended("fsync@openssh.com", handle)).code, code.unsupported);
});

sftp("statvfs@openssh.com and fstatvfs@openssh.com answer what the VFS has left (SFTP-02)", {
  "/f": "x",
}, async (c) => {
  const handle = await c.open("/f", READ);
  for (
    const reply of [
      await c.extended("statvfs@openssh.com", text("/")),
      await c.extended("fstatvfs@openssh.com", handle),
    ]
  ) {
    assert.equal(reply.type, packet.extendedReply);
    const reader = new Reader(reply.body);
    const fields = Array.from({ length: 11 }, () => reader.u64());
    assert.deepEqual(fields, [4096, 4096, 262144, 131072, 131072, 1000, 900, 900, 0, 2, 255]);
    assert.equal(reader.left, 0);
  }
});

sftp("limits@openssh.com tells our real sizes (item 26)", {}, async (c) => {
  const reader = new Reader((await c.extended("limits@openssh.com")).body);
  const fields = [reader.u64(), reader.u64(), reader.u64(), reader.u64()];
  assert.deepEqual(fields, [263168, 261120, 261120, 1024]);
});

sftp(
  "expand-path and home-directory know only one's own user",
  { "/home/f": "x", "/p": "y" },
  async (c) => {
    const expand = async (path: string) => {
      const reply = await c.extended("expand-path@openssh.com", text(path));
      return reply.type === packet.name ? names(reply.body)[0]?.name : reply.code;
    };
    assert.equal(await expand("~"), "/home");
    assert.equal(await expand("~/f"), "/home/f");
    assert.equal(await expand("~anna/f"), "/home/f");
    assert.equal(await expand("~root"), code.noSuchFile);
    assert.equal(await expand("f"), "/home/f");
    assert.equal(await expand("/p"), "/p");
    assert.equal(await expand("~/../../.."), "/");
    const home = async (name: string) => {
      const reply = await c.extended("home-directory", text(name));
      return reply.type === packet.name ? names(reply.body)[0]?.name : reply.code;
    };
    assert.equal(await home(""), "/home");
    assert.equal(await home("anna"), "/home");
    assert.equal(await home("root"), code.noSuchFile);
  },
);

sftp("users-groups-by-id@openssh.com names oneself and nobody else", {}, async (c) => {
  const ids = (...all: number[]) => bytes(join(...all.map(u32)));
  const ask = (uids: Uint8Array, gids: Uint8Array) =>
    c.extended("users-groups-by-id@openssh.com", uids, gids);
  const reader = new Reader((await ask(ids(0, 1000), ids(1001))).body);
  const users = new Reader(reader.bytes());
  assert.deepEqual([users.text(), users.text(), users.left], ["", "anna", 0]);
  const groups = new Reader(reader.bytes());
  assert.deepEqual([groups.text(), groups.left], ["anna", 0]);
  assert.equal((await ask(bytes(Uint8Array.of(1, 2)), ids())).code, code.badMessage);
  const flood = ids(...new Array<number>(40_000).fill(1000));
  assert.equal((await ask(flood, ids())).message, "Too many ids");
});

const copy = (
  c: Client,
  from: Uint8Array,
  at: number,
  length: number,
  to: Uint8Array,
  into: number,
) => c.extended("copy-data", from, u64(at), u64(length), to, u64(into));
const big = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 31) >>> 3);

sftp("copy-data copies a range, or to the end, and EOF says that there was less", {
  "/f": big(700_000),
}, async (c, vfs) => {
  const from = await c.open("/f", READ);
  const to = await c.open("/t", WRITE | CREAT);
  assert.equal((await copy(c, from, 0, 0, to, 5)).code, code.ok);
  await c.ask(packet.close, to);
  const all = vfs.nodes.get("/t")!.bytes;
  assert.equal(all.length, 700_005);
  assert.deepEqual(all.subarray(5), big(700_000));
  const part = await c.open("/p", WRITE | CREAT);
  assert.equal((await copy(c, from, 10, 20, part, 0)).code, code.ok);
  assert.equal((await copy(c, from, 699_990, 20, part, 20)).code, code.eof);
  await c.ask(packet.close, part);
  assert.equal(vfs.nodes.get("/p")?.bytes.length, 30);
});

sftp("copy-data refuses overlaps, two handles of one file and handles without the right", {
  "/f": "0123456789",
}, async (c, vfs) => {
  const both = await c.open("/f", READ | WRITE);
  const again = await c.open("/f", READ);
  assert.equal((await copy(c, both, 0, 4, both, 2)).message, "Source and target overlap");
  assert.equal((await copy(c, both, 0, 0, both, 50)).message, "Source and target overlap");
  assert.equal((await copy(c, again, 0, 0, both, 0)).message, "Source and target overlap");
  assert.equal((await copy(c, both, 0, 4, both, 6)).code, code.ok);
  assert.equal((await copy(c, both, 2 ** 53 - 1, 9, both, 0)).code, code.failure);
  const down = await c.open("/f", READ);
  const up = await c.open("/t", WRITE | CREAT);
  assert.equal((await copy(c, up, 0, 4, up, 9)).code, code.permissionDenied);
  assert.equal((await copy(c, down, 0, 4, again, 9)).message, "Source and target overlap");
  await c.ask(packet.close, both);
  assert.equal(new TextDecoder().decode(vfs.nodes.get("/f")?.bytes), "0123450123");
});

sftp("copy-data lets other requests through and holds back only its own files", {
  "/f": big(3_000_000),
  "/o": "x",
}, async (c) => {
  const from = await c.open("/f", READ);
  const to = await c.open("/t", WRITE | CREAT);
  const other = await c.open("/o", READ);
  const order: string[] = [];
  const copied = copy(c, from, 0, 0, to, 0).then(() => order.push("copy"));
  const read = c.ask(packet.read, other, u64(0), u32(1)).then(() => order.push("read"));
  const stat = c.ask(packet.stat, text("/o")).then(() => order.push("stat"));
  const close = c.ask(packet.close, to).then(() => order.push("close"));
  await Promise.all([copied, read, stat, close]);
  assert.deepEqual(order.slice(2), ["copy", "close"]);
});

it("copy-data stops when the channel ends, and the target is aborted", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/f": big(20_000_000) });
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const from = await c.open("/f", READ);
      const to = await c.open("/t", WRITE | CREAT);
      c.extended("copy-data", from, u64(0), u64(0), to, u64(0));
      await new Promise((resolve) => setTimeout(resolve, 0));
    });
    c.cut();
    yield* c.exit;
    assert.deepEqual([vfs.openCount, vfs.aborted], [0, 1]);
  }));

const digest = (algorithm: string, data: Uint8Array) =>
  createHash(algorithm).update(data).digest("hex");

sftp("check-file hashes by name and by handle, whole, in ranges and in blocks", {
  "/f": big(600_000),
}, async (c) => {
  const handle = await c.open("/f", READ);
  const data = big(600_000);
  const parse = (body: Uint8Array) => {
    const reader = new Reader(body);
    return { name: reader.text(), algorithm: reader.text(), digests: hex(reader.rest()) };
  };
  const kinds: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["check-file-name", text("/f")],
    ["check-file-handle", handle],
    ["check-file", handle],
  ];
  for (const [kind, subject] of kinds) {
    const ask = (list: string, at: number, length: number, block: number) =>
      c.extended(kind, subject, text(list), u64(at), u64(length), u32(block));
    for (const algorithm of ["sha256", "sha512", "md5", "sha1"]) {
      const whole = parse((await ask(`crc32,${algorithm},md5`, 0, 0, 0)).body);
      assert.deepEqual(whole, {
        name: "check-file",
        algorithm,
        digests: digest(algorithm, data),
      });
    }
    const range = parse((await ask("md5", 100, 300_000, 0)).body);
    assert.equal(range.digests, digest("md5", data.subarray(100, 300_100)));
    const blocks = parse((await ask("md5", 0, 1000, 256)).body);
    const parts = [0, 256, 512, 768].map((at) => data.subarray(at, Math.min(1000, at + 256)));
    assert.equal(blocks.digests, parts.map((part) => digest("md5", part)).join(""));
    assert.match((await ask("md5", 0, 0, 255)).message, /at least 256/);
    assert.match((await ask("crc32", 0, 0, 0)).message, /No known hash algorithm/);
    const tail = parse((await ask("md5", 700_000, 0, 0)).body);
    assert.equal(tail.digests, digest("md5", new Uint8Array(0)));
  }
  assert.equal(
    (await c.extended("check-file-name", text("/no"), text("md5"), u64(0), u64(0), u32(0))).code,
    code.noSuchFile,
  );
});

sftp(
  "check-file refuses more digests than a reply can hold",
  { "/f": new Uint8Array(4_000_000) },
  async (c) => {
    const reply = await c.extended(
      "check-file-name",
      text("/f"),
      text("sha512"),
      u64(0),
      u64(0),
      u32(256),
    );
    assert.deepEqual(reply.code, code.failure);
    assert.match(reply.message, /Too many blocks/);
  },
);

sftp("check-file on an upload's handle sees what was written so far", {}, async (c) => {
  const handle = await c.open("/n", READ | WRITE | CREAT);
  c.send(packet.write, handle, u64(0), text("abc"));
  const reply = await c.extended(
    "check-file-handle",
    handle,
    text("sha256"),
    u64(0),
    u64(0),
    u32(0),
  );
  assert.equal(hex(reply.body.slice(-32)), digest("sha256", bytesOf("abc")));
});

sftp(
  "every extended request with a body cut short is a BAD_MESSAGE, or is answered",
  {},
  async (c) => {
    const reader = new Reader((await c.version()).body.slice(4));
    while (reader.left > 0) {
      const name = reader.text();
      reader.text();
      const reply = await c.extended(name, u32(99));
      if (name !== "limits@openssh.com") assert.equal(reply.code, code.badMessage, name);
    }
    assert.equal(attrs(new Reader((await c.ask(packet.stat, text("/"))).body)).mode, 0o040755);
  },
);
