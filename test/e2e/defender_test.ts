import assert from "node:assert/strict";
import { scratch } from "./files.ts";
import { clientsOf, mixedOptions, mixedWorld, says, type Way } from "./mixed.ts";
import { eventually, run } from "./process.ts";
import { dialog } from "./raw_ftp.ts";
import { addUser, Server, sluiceMust } from "./server.ts";

const on = { SLUICE_COMMON__DEFENDER__ENABLED: "true" };
const password = "right horse";
const doors = ["sftp", "ftp", "dav", "http"] as const;
/** How each protocol turns a banned address away. */
const shut: Readonly<Record<typeof doors[number], RegExp>> = {
  sftp: /Connection (closed|reset)/i,
  ftp: /^< 421 /m,
  dav: /status 403/,
  http: /status 403/,
};

const banOf = async (server: Server, ip: string): Promise<number> => {
  const { code, stdout } = await server.sluice("defender", "show", ip, "--json");
  assert.equal(code, 0, stdout);
  return Date.parse(JSON.parse(stdout).ban_time);
};

for (const workers of ["1", "2"]) {
  Deno.test(`DEF-04, DEF-05: 20 wrong passwords over mixed protocols ban an address everywhere, ${workers} workers`, async () => {
    const { dir: dataDir, [Symbol.asyncDispose]: done } = await scratch();
    await using _ = { [Symbol.asyncDispose]: done };
    await addUser(dataDir, { username: "ann", password });
    await sluiceMust(dataDir, ["iplist", "add", "defender", "127.0.0.8/32"]);
    const options = mixedOptions({ dataDir, env: on, args: ["--workers", workers] });
    const bad = { user: "ann", password: "wrong", from: "127.0.0.7" };
    const good = { user: "ann", from: "127.0.0.7" };
    let until = 0;
    {
      await using server = await Server.start(options);
      const { look } = clientsOf(server);
      const mix: ReadonlyArray<Way> = ["sftp", "ftp", "dav", "http"];
      for (let i = 0; i < 5; i++) {
        await Promise.all(
          [bad, { ...bad, from: "127.0.0.8" }].flatMap((who) => mix.map((way) => look(way, who))),
        );
      }
      const grown = async () => {
        const before = until;
        await eventually("the ban is stored, longer than it was", async () => {
          until = await banOf(server, "127.0.0.7");
          return until > before;
        });
      };
      await grown();
      for (const way of doors) {
        const what = await look(way, good);
        assert.equal(what.ok, false, `${way}: a banned address got in`);
        says(what, shut[way], way);
        await grown();
        const spared = await look(way, { ...good, from: "127.0.0.8" });
        assert.ok(spared.ok, `${way}: an allowed address is spared: ${spared.text}`);
        const other = await look(way, { ...good, from: "127.0.0.9" });
        assert.ok(other.ok, `${way}: another address is untouched: ${other.text}`);
      }
      assert.notEqual((await server.sluice("defender", "show", "127.0.0.8")).code, 0);
      const events = await server.events("--kind", "defender");
      assert.deepEqual(
        events.map(({ action, ip, username }) => [action, ip, username]),
        [["defender.banned", "127.0.0.7", ""]],
        "one event a ban, and none for the spared address",
      );
      await server.kill9();
    }
    await using server = await Server.start(options);
    const { look } = clientsOf(server);
    assert.ok(await banOf(server, "127.0.0.7") >= until, "the restart kept the ban");
    for (const way of doors) says(await look(way, good), shut[way], `${way} after the restart`);
    assert.equal((await server.sluice("defender", "remove", "127.0.0.7")).code, 0);
    for (const way of doors) {
      const what = await look(way, good);
      assert.ok(what.ok, `${way}: the ban was lifted: ${what.text}`);
    }
  });
}

Deno.test("RL-03, RL-04: each protocol has its rate; WebDAV and HTTP are told when to come again", async () => {
  const limiter = (protocol: string) => ({
    average: 1,
    period: 60_000,
    burst: 2,
    type: 2,
    protocols: [protocol],
  });
  await using w = await mixedWorld([{ username: "ann" }], {
    args: ["--workers", "2"],
    config: {
      ...mixedOptions().config,
      common: { rate_limiters: ["SSH", "FTP", "DAV", "HTTP"].map(limiter) },
    },
  });
  const ann = { user: "ann", from: "127.0.0.7" };
  for (const way of doors) {
    for (let i = 0; i < 2; i++) {
      const what = await w.look(way, ann);
      assert.ok(what.ok, `${way} ${i}: ${what.text}`);
    }
    const over = await w.look(way, ann);
    assert.equal(over.ok, false, way);
    const web = way === "dav" || way === "http";
    says(over, web ? /status 429/ : shut[way], way);
    if (!web) continue;
    const after = Number(/^< retry-after: (\d+)/im.exec(over.text)?.[1]);
    const exact = Number(/^< x-retry-in: ([\d.]+)s/im.exec(over.text)?.[1]);
    // A token comes each minute; a request may wait for half of that, but for 10 s at most.
    assert.ok(after >= 40 && after <= 50, over.text);
    assert.ok(exact > after - 1 && exact <= after, over.text);
  }
});

Deno.test("RL-06: who is too fast over and over is banned, by every protocol", async () => {
  const fast = { average: 1, period: 60_000, burst: 1, type: 2, generate_defender_events: true };
  await using w = await mixedWorld([{ username: "ann" }], {
    env: on,
    args: ["--workers", "2"],
    config: { ...mixedOptions().config, common: { rate_limiters: [fast] } },
  });
  // 3 points each: the fifth refusal makes 15.
  for (let i = 0; i < 6; i++) {
    await run("curl", ["-s", "--interface", "127.0.0.7", `${w.server.http}/dav/`]);
  }
  for (const way of doors) {
    says(await w.look(way, { user: "ann", from: "127.0.0.7" }), shut[way], way);
  }
});

Deno.test("a session that is open when its address is banned may go on, but nobody logs in from there", async () => {
  await using w = await mixedWorld([{ username: "ann" }], { env: on });
  const from = "127.0.0.1";
  using before = await dialog(w.ports.ftp);
  await before.answer();
  assert.match(await before.ask("USER ann"), /^331/);
  using inside = await dialog(w.ports.ftp);
  await inside.answer();
  await inside.ask("USER ann");
  assert.match(await inside.ask(`PASS ${password}`), /^230/);
  for (let i = 0; i < 8; i++) {
    await Promise.all(
      [1, 2].map(() => w.look("dav", { user: `stranger${i}`, password: "x", from })),
    );
  }
  says(await w.look("dav", { user: "ann", from }), /status 403/, "the address is banned");
  assert.match(await before.ask(`PASS ${password}`), /^530/);
  assert.match(await inside.ask("PWD"), /^257/);
});

Deno.test("IPL-01, DEF-07: lists hold for the protocols that they name", async () => {
  await using w = await mixedWorld([{ username: "ann" }], {
    env: { ...on, SLUICE_COMMON__ALLOWLIST_STATUS: "1" },
    args: ["--workers", "2"],
    before: async (dataDir) => {
      const add = (...args: string[]) => sluiceMust(dataDir, ["iplist", "add", ...args]);
      await add("allow", "127.0.0.7", "--protocols", "ftp");
      await add("allow", "127.0.0.8/31");
      await add("defender", "127.0.0.8", "--mode", "deny", "--protocols", "dav,ssh");
    },
  });
  const open: Readonly<Record<string, ReadonlyArray<Way>>> = {
    "127.0.0.7": ["ftp"],
    "127.0.0.8": ["ftp", "http"],
    "127.0.0.9": doors,
    "127.0.0.10": [],
  };
  for (const [from, letIn] of Object.entries(open)) {
    for (const way of doors) {
      const what = await w.look(way, { user: "ann", from });
      assert.equal(what.ok, letIn.includes(way), `${way} from ${from}: ${what.text}`);
      if (!what.ok) says(what, shut[way], `${way} from ${from}`);
    }
  }
});
