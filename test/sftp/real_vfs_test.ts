import { Effect, type Scope } from "effect";
import assert from "node:assert/strict";
import { memory } from "../../adapters/storage/memory/memory.ts";
import { code, packet } from "../../adapters/ssh/sftp/protocol.ts";
import type { FsError } from "../../src/errors.ts";
import { live } from "../harness.ts";
import { type Bench, bench, onDisk } from "../vfs/bench.ts";
import { type Client, connect } from "./client.ts";
import { attrs, bytes, names, Reader, text, u32, u64 } from "./wire.ts";

const READ = 1, WRITE = 2, APPEND = 4, CREAT = 8, TRUNC = 16, EXCL = 32;

const stores: Record<string, Effect.Effect<Bench, never, Scope.Scope>> = {
  memory: Effect.suspend(() => bench(memory())),
  disk: onDisk(),
};

/** One engine on the real VFS, over each storage. */
const sftp = (
  name: string,
  run: (client: Client, bench: Bench) => Promise<void>,
  settings: Record<string, unknown> = {},
) => {
  for (const [kind, made] of Object.entries(stores)) {
    live(
      `${name} (${kind})`,
      (): Effect.Effect<void, FsError, Scope.Scope> =>
        Effect.gen(function* () {
          const bench = yield* made;
          const client = yield* connect(yield* bench.login(settings));
          yield* Effect.promise(() => run(client, bench));
          client.end();
          const exit = yield* client.exit;
          assert.equal(exit._tag, "Success");
          assert.equal(bench.journal.open.size, 0, "nothing is left prepared");
        }),
    );
  }
};

const put = async (c: Client, path: string, content: string, flags = WRITE | CREAT | TRUNC) => {
  const handle = await c.open(path, flags);
  const written = await c.ask(packet.write, handle, u64(0), text(content));
  return written.code || (await c.ask(packet.close, handle)).code;
};
const get = async (c: Client, path: string) => {
  const handle = await c.open(path, READ);
  const reply = await c.ask(packet.read, handle, u64(0), u32(1 << 20));
  await c.ask(packet.close, handle);
  return reply.type === packet.data ? new Reader(reply.body).text() : "";
};

sftp("a file goes up, is renamed, listed, changed and removed", async (c, { journal }) => {
  assert.equal((await c.ask(packet.mkdir, text("/d"), u32(0))).code, code.ok);
  assert.equal(await put(c, "/d/a", "content"), code.ok);
  assert.equal(await get(c, "/d/a"), "content");
  assert.equal((await c.ask(packet.rename, text("/d/a"), text("/d/b"))).code, code.ok);
  const handle = (await c.ask(packet.opendir, text("d"))).body;
  const page = names((await c.ask(packet.readdir, handle)).body);
  assert.deepEqual(page.map(({ name }) => name), [".", "..", "b"]);
  assert.match(page[2]?.long ?? "", /^-rw.* 7 .* b$/);
  await c.ask(packet.close, handle);
  const times = [u32(8), u32(1_500_000_000), u32(1_500_000_001)];
  assert.equal((await c.ask(packet.setstat, text("/d/b"), ...times)).code, code.ok);
  const stat = attrs(new Reader((await c.ask(packet.stat, text("/d/b"))).body));
  assert.deepEqual([stat.size, stat.mtime], [7, 1_500_000_001]);
  assert.equal((await c.ask(packet.rmdir, text("/d"))).message, "Directory not empty");
  assert.equal((await c.ask(packet.remove, text("/d/b"))).code, code.ok);
  assert.equal((await c.ask(packet.rmdir, text("/d"))).code, code.ok);
  const actions = journal.events.filter((event) => event.status === 1).map((e) => e.action);
  assert.deepEqual(actions, ["mkdir", "upload", "download", "rename", "delete", "rmdir"]);
});

sftp("SFTP-06: a resumed upload keeps what was there; APPEND adds to it", async (c) => {
  await put(c, "/r", "0123456789");
  const handle = await c.open("/r", WRITE | CREAT);
  await c.ask(packet.write, handle, u64(10), text("abc"));
  assert.equal((await c.ask(packet.close, handle)).code, code.ok);
  assert.equal(await get(c, "/r"), "0123456789abc");
  const more = await c.open("/r", WRITE | APPEND);
  await c.ask(packet.write, more, u64(0), text("!"));
  await c.ask(packet.write, more, u64(0), text("?"));
  await c.ask(packet.close, more);
  assert.equal(await get(c, "/r"), "0123456789abc!?");
  assert.equal((await c.ask(packet.open, text("/r"), u32(WRITE | CREAT | EXCL), u32(0))).code, 4);
});

sftp("an overwrite that is cut leaves the old file whole", async (c) => {
  await put(c, "/f", "old");
  const handle = await c.open("/f", WRITE | CREAT | TRUNC);
  await c.ask(packet.write, handle, u64(0), text("new"));
  assert.equal(await get(c, "/f"), "old");
});

sftp("writes out of order and pipelined are put together", async (c) => {
  const handle = await c.open("/p", WRITE | CREAT | TRUNC);
  const piece = (i: number) => new Uint8Array(40_000).fill(i);
  const order = Array.from({ length: 60 }, (_, i) => (i * 7) % 60);
  const ids = order.map((i) => c.send(packet.write, handle, u64(i * 40_000), bytes(piece(i))));
  const closed = c.ask(packet.close, handle);
  for (const id of ids) assert.equal((await c.answer(id)).code, code.ok);
  assert.equal((await closed).code, code.ok);
  const down = await c.open("/p", READ);
  for (let i = 0; i < 60; i++) {
    const reply = await c.ask(packet.read, down, u64(i * 40_000), u32(40_000));
    assert.deepEqual(new Reader(reply.body).bytes(), piece(i));
  }
});

sftp("QUOTA-13: statvfs answers from the quota, and a write beyond it says so", async (c) => {
  await put(c, "/f", "x".repeat(4096));
  const reader = new Reader((await c.extended("statvfs@openssh.com", text("/"))).body);
  const [block, , total, free] = [reader.u64(), reader.u64(), reader.u64(), reader.u64()];
  assert.deepEqual([block, total, free], [4096, 3, 2]);
  const handle = await c.open("/g", WRITE | CREAT);
  const refused = await c.ask(packet.write, handle, u64(0), bytes(new Uint8Array(9000)));
  assert.equal(refused.code, code.failure);
  assert.match(refused.message, /quota/i);
}, { quota_size: 3 * 4096 });

sftp("CVE-2017-15906: a read-only user makes nothing, whatever the request", async (c) => {
  const text1 = text("/new"), text2 = text("/other");
  for (
    const reply of [
      await c.ask(packet.open, text1, u32(WRITE | CREAT), u32(0)),
      await c.ask(packet.open, text1, u32(READ | CREAT), u32(0)),
      await c.ask(packet.open, text1, u32(CREAT), u32(0)),
      await c.ask(packet.open, text1, u32(APPEND | CREAT), u32(0)),
      await c.ask(packet.mkdir, text1, u32(0)),
      await c.ask(packet.symlink, text("/"), text1),
      await c.extended("hardlink@openssh.com", text2, text1),
    ]
  ) assert.notEqual(reply.code, code.ok);
  const handle = (await c.ask(packet.opendir, text("/"))).body;
  assert.equal(names((await c.ask(packet.readdir, handle)).body).length, 2);
}, { permissions: { "/": ["list", "download"] } });

sftp("an upload-only user can start, upload and nothing else", async (c) => {
  assert.equal((await c.ask(packet.realpath, text("."))).type, packet.name);
  assert.equal(await put(c, "/up", "x"), code.ok);
  assert.equal((await c.ask(packet.opendir, text("/"))).code, code.permissionDenied);
  assert.equal(
    (await c.ask(packet.open, text("/up"), u32(READ), u32(0))).code,
    code.permissionDenied,
  );
}, { permissions: { "/": ["upload"] } });

sftp("copy-data and check-file agree on the content", async (c) => {
  await put(c, "/f", "some content");
  const from = await c.open("/f", READ);
  const to = await c.open("/t", WRITE | CREAT | TRUNC);
  const copied = await c.extended("copy-data", from, u64(0), u64(0), to, u64(0));
  assert.equal(copied.code, code.ok);
  assert.equal((await c.ask(packet.close, to)).code, code.ok);
  const sum = async (kind: string, subject: Uint8Array) =>
    (await c.extended(kind, subject, text("sha256"), u64(0), u64(0), u32(0))).body.toHex();
  assert.equal(await sum("check-file-handle", from), await sum("check-file-name", text("/t")));
});
