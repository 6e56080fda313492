import { Effect } from "effect";
import assert from "node:assert/strict";
import { memory } from "../../adapters/storage/memory/memory.ts";
import { requests } from "../../adapters/ssh/sftp/dispatch.ts";
import { extensions } from "../../adapters/ssh/sftp/extensions.ts";
import { code, packet } from "../../adapters/ssh/sftp/protocol.ts";
import { live } from "../harness.ts";
import { bench, get, put } from "../vfs/bench.ts";
import { connect, type Reply } from "./client.ts";
import { text, u32, u64 } from "./wire.ts";

const READ = 1, WRITE = 2, CREAT = 8, TRUNC = 16;
const f = text("/f"), n = text("/n"), mode = [u32(4), u32(0o600)] as const;

/** For each request that can change something: its fields, given a handle that was opened to read. */
const attempts: Record<string, (handle: Uint8Array) => ReadonlyArray<ReadonlyArray<Uint8Array>>> = {
  open: () =>
    [WRITE, WRITE | TRUNC, READ | WRITE, CREAT, WRITE | CREAT, WRITE | CREAT | TRUNC]
      .map((flags) => [flags & CREAT ? n : f, u32(flags), u32(0)]),
  write: (handle) => [[handle, u64(0), text("x")]],
  setstat: () => [[f, ...mode], [f, u32(1), u64(0)], [f, u32(8), u32(1), u32(1)]],
  fsetstat: (handle) => [[handle, ...mode], [handle, u32(1), u64(0)]],
  remove: () => [[f]],
  mkdir: () => [[n, u32(0)]],
  rmdir: () => [[text("/d")]],
  rename: () => [[f, n]],
  symlink: () => [[f, n]],
  "posix-rename@openssh.com": () => [[f, n], [f, text("/g")]],
  "hardlink@openssh.com": () => [[f, n]],
  "lsetstat@openssh.com": () => [[f, ...mode]],
  "copy-data": (handle) => [[handle, u64(0), u64(0), handle, u64(9)]],
};
/** Rows that write by nature but have nothing to change here: a carrier, and a flush of nothing. */
const harmless = ["extended", "fsync@openssh.com"];

live(
  "CVE-2017-15906: no request of the table changes anything for a read-only user",
  () =>
    Effect.gen(function* () {
      const rows = [...requests, ...extensions].filter((row) => row.writes);
      assert.deepEqual(
        rows.map((row) => row.name).filter((name) => !harmless.includes(name)).toSorted(),
        Object.keys(attempts).toSorted(),
        "every request that writes is tried",
      );
      const made = yield* bench(memory());
      const owner = yield* made.login();
      yield* put(owner, "/f", "content");
      yield* put(owner, "/g", "other");
      yield* owner.mkdir("/d" as typeof owner.home);
      const c = yield* connect(
        yield* made.login({ permissions: { "/": ["list", "download"] } }),
      );
      yield* Effect.promise(async () => {
        const handle = await c.open("/f", READ);
        for (const { name, type } of rows) {
          for (const fields of attempts[name]?.(handle) ?? []) {
            const reply: Reply = type === packet.extended
              ? await c.extended(name, ...fields)
              : await c.ask(type, ...fields);
            assert.ok(
              reply.code === code.permissionDenied || reply.code === code.failure ||
                reply.code === code.unsupported,
              `${name}: type ${reply.type}, status ${reply.code}`,
            );
          }
        }
      });
      assert.equal(yield* get(owner, "/f"), "content");
      assert.equal(yield* get(owner, "/g"), "other");
      const left = yield* Effect.exit(owner.stat("/n" as typeof owner.home));
      assert.equal(left._tag, "Failure");
    }),
);
