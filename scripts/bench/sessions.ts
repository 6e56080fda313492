import { Buffer } from "node:buffer";
import { op, RawSftp, str } from "../../test/e2e/raw_sftp.ts";
import type { Plan, Task } from "./plan.ts";
import { pssOf } from "./process_tree.ts";
import type { Served } from "./servers.ts";

const open = (server: Served) =>
  RawSftp.open({ port: server.port, user: server.user, key: server.key });

const MiB = 1024 ** 2;

/** A folder of many entries, read by a client that asks again as soon as it has an answer. */
export const listing = (plan: Plan): ReadonlyArray<Task> => [{
  title: `list ${plan.entries} entries`,
  rows: [{
    id: "list-first",
    group: "list",
    title: `listing of ${plan.entries} entries, first entry`,
    unit: "ms",
    better: "less",
    must: [{ value: 150 }],
    aim: [{ value: 50 }],
    value: (m) => m.own["first"],
  }, {
    id: "list-total",
    group: "list",
    title: `listing of ${plan.entries} entries, total`,
    unit: "ms",
    better: "less",
    must: [{ peer: "rclone", times: 1.5 }],
    aim: [{ peer: "rclone", times: 1 }],
    value: (m) => m.own["total"],
  }, {
    id: "list-rss",
    group: "list",
    title: `listing of ${plan.entries} entries, RSS above idle`,
    unit: "MiB",
    better: "less",
    must: [{ value: 64 }],
    aim: [],
    value: (m) => (m.rssPeak - m.rssIdle) / MiB,
  }],
  prepare: async (_bed, server) => {
    await Deno.mkdir(`${server.home}/many`);
    for (let i = 0; i < plan.entries; i++) {
      Deno.writeTextFileSync(`${server.home}/many/entry-${String(i).padStart(6, "0")}.dat`, "");
    }
  },
  run: async (_bed, server) => {
    await using sftp = await open(server);
    const began = performance.now();
    const opened = await sftp.request(op.opendir, str(`${server.prefix}many`));
    if (opened.type !== 102) throw new Error(`${server.name}: opendir: ${opened.message}`);
    const handle = str(opened.body.subarray(4));
    let found = 0;
    let first = NaN;
    for (;;) {
      const reply = await sftp.request(op.readdir, handle);
      if (reply.type !== 104) break;
      if (found === 0) first = performance.now() - began;
      found += reply.body.readUInt32BE(0);
    }
    const total = performance.now() - began;
    await sftp.request(op.close, handle);
    // Some servers list `.` and `..` as well.
    if (found < plan.entries || found > plan.entries + 2) {
      throw new Error(`${server.name}: ${found} entries of ${plan.entries}`);
    }
    return { first, total };
  },
}];

/** Logs in so many sessions, twenty at a time, each with its SFTP channel open. */
const openMany = async (server: Served, count: number): Promise<RawSftp[]> => {
  const opened: RawSftp[] = [];
  while (opened.length < count) {
    const some = Math.min(20, count - opened.length);
    opened.push(...await Promise.all(Array.from({ length: some }, () => open(server))));
  }
  return opened;
};

/** Milliseconds without a lower figure after which a server is idle, and at which to stop waiting for that. */
const calm = 8000;
const patience = 60_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Bytes of a server that does nothing. What a burst of logins or the start left
 * behind is collected when the engine likes, so the least is waited for: a
 * figure taken earlier, before or after the sessions, would be garbage.
 */
const atRest = async (server: Served): Promise<number> => {
  let least = Infinity;
  const end = performance.now() + patience;
  for (let since = performance.now(); performance.now() < Math.min(since + calm, end);) {
    const now = pssOf(server.pid);
    if (now < least - MiB / 4) since = performance.now();
    least = Math.min(least, now);
    await pause(500);
  }
  return least;
};

/** Sessions that log in, ask one thing and then do nothing. */
export const idle = (plan: Plan): ReadonlyArray<Task> => [{
  title: `${plan.sessions} idle sessions`,
  rows: [{
    id: "idle",
    group: "idle",
    title: `memory of an idle session, of ${plan.sessions}`,
    unit: "KiB",
    better: "less",
    must: [{ value: 150 }],
    aim: [{ value: 60 }],
    value: (m) => m.own["each"],
  }],
  rounds: 1,
  run: async (_bed, server, warmUp) => {
    const count = server.name === "OpenSSH" ? plan.forkedSessions : plan.sessions;
    // The first ones pay for what all share.
    if (warmUp) {
      const some = await openMany(server, Math.ceil(count / 10));
      for (const session of some) await session[Symbol.asyncDispose]();
      return;
    }
    const some = await openMany(server, Math.ceil(count / 10));
    const before = await atRest(server);
    const many = await openMany(server, count);
    const each = (await atRest(server) - before) / count / 1024;
    for (const session of many) {
      const answer = await session.request(op.realpath, str(Buffer.from(".")));
      if (answer.type !== 104) throw new Error(`${server.name}: a session was lost`);
    }
    for (const session of [...many, ...some]) await session[Symbol.asyncDispose]();
    return { each };
  },
}];
