import { scp, sftp } from "../../test/e2e/clients.ts";
import { noiseFile, sha256 } from "../../test/e2e/files.ts";
import { pause } from "../../test/e2e/process.ts";
import { isBytes, RawSftp } from "../../test/e2e/raw_sftp.ts";
import { dial } from "../../test/e2e/ssh2_client.ts";
import { batch, compare, killedBatch, type Load, MiB, source, sshFlags } from "./clients.ts";

const discard = (path: string) => Deno.remove(path, { recursive: true }).catch(() => {});

/** Large and small files by sftp, there and back. */
const bulk = async (load: Load) => {
  const name = `b${load.dice.int(0, 9)}`;
  const from = await source(load, "bulk", 64 * MiB);
  const { size } = await Deno.stat(from);
  if (await batch(load, `put of ${size}`, `put ${from} ${name}`)) {
    await compare(load, `put of ${size}`, from, `${load.home}/${name}`);
    load.tally.did("sftp put", size);
  }
  if (await batch(load, `get of ${size}`, `get ${name} ${load.dir}/back`)) {
    await compare(load, `get of ${size}`, from, `${load.dir}/back`);
    load.tally.did("sftp get", size);
  }
  await discard(`${load.dir}/back`);
};

/** A batch of small files that are put, renamed, listed, fetched and removed. */
const small = async (load: Load) => {
  const count = load.dice.int(10, 120);
  const files = `${load.dir}/files`;
  const back = `${load.dir}/files-back`;
  await Deno.mkdir(files);
  await Deno.mkdir(back);
  for (let i = 0; i < count; i++) {
    await noiseFile(`${files}/f${i}`, load.dice.size(40_000), load.dice.int(1, 1e6));
  }
  const step = load.dice.int(2, 7);
  const moved = Array.from({ length: count }, (_, i) => i).filter((i) => i % step === 0);
  const there = await batch(
    load,
    "small files",
    [
      "mkdir box",
      `put ${files}/* box/`,
      ...moved.map((i) => `rename box/f${i} box/moved${i}`),
      "ls -l box",
      `get box/* ${back}/`,
    ].join("\n"),
  );
  if (there) {
    for (let i = 0; i < count; i++) {
      const name = i % step === 0 ? `moved${i}` : `f${i}`;
      await compare(load, "small file", `${files}/f${i}`, `${back}/${name}`);
    }
    load.tally.did("small files", 0);
    if (await batch(load, "rm of small files", "rm box/*\nrmdir box")) load.tally.did("removals");
  } else await discard(`${load.home}/box`);
  await discard(files);
  await discard(back);
};

/** scp there and back, by the protocol of old and by SFTP. */
const copy = async (load: Load) => {
  const from = await source(load, "copy", 32 * MiB);
  const { size } = await Deno.stat(from);
  const back = `${load.dir}/copy-back`;
  const way = load.dice.chance(0.5) ? ["-O"] : ["-s"];
  const flags = [...way, ...sshFlags(load.dice)];
  for (const [what, args] of [["put", [from, "REMOTE:c"]], ["get", ["REMOTE:c", back]]] as const) {
    const { code, stderr } = await scp(load.target, [...flags, ...args], { timeout: 300 });
    if (code !== 0) {
      load.tally.failed(`scp ${flags.join(" ")} ${what}: exit ${code}: ${stderr.slice(0, 300)}`);
      return;
    }
    await compare(load, `scp ${what}`, from, what === "put" ? `${load.home}/c` : back);
    load.tally.did(`scp ${way[0]} ${what}`, size);
  }
  await discard(back);
};

/** Clients that are killed in mid-transfer: what they uploaded is whole or not there. */
const killed = async (load: Load) => {
  const big = `${load.dir}/big`;
  const there = await Deno.stat(big).then(() => true, () => false);
  if (!there) {
    await noiseFile(big, 96 * MiB, 7);
    await batch(load, "put of a source", `put ${big} big-source`);
  }
  if (load.dice.chance(0.5)) {
    await killedBatch(load, `get big-source /dev/null`);
    load.tally.did("killed get");
    return;
  }
  const name = `k${load.dice.int(0, 3)}`;
  const known = await sha256(big);
  await killedBatch(load, `put ${big} ${name}`);
  load.tally.did("killed put");
  const stored = await sha256(`${load.home}/${name}`).catch(() => undefined);
  if (stored !== undefined && stored !== known) load.tally.failed(`killed put left half a ${name}`);
  // By the server, so that its count of the usage stays true.
  await sftp(load.target, `-rm ${name}`);
};

/** A client that asks for much and reads it late or never. */
const slow = async (load: Load) => {
  const size = load.dice.size(24 * MiB);
  await using raw = await RawSftp.open(load.target);
  const path = `${load.dir}/slow`;
  await noiseFile(path, size, load.dice.int(1, 1e6));
  await raw.put("/slow", await Deno.readFile(path));
  const reading = raw.get("/slow");
  reading.catch(() => {});
  for (let i = load.dice.int(1, 5); i > 0; i--) {
    await pause(load.dice.int(20, 200));
    raw.connection.socket.pause();
    await pause(load.dice.int(100, 1500));
    raw.connection.socket.resume();
  }
  if (load.dice.chance(0.3)) {
    raw.connection.socket.destroy();
    load.tally.did("slow get, given up");
    return;
  }
  const got = await reading;
  if (!isBytes(got)) return load.tally.failed(`slow get: ${got.code} ${got.message}`);
  await Deno.writeFile(`${path}-back`, got);
  await compare(load, "slow get", path, `${path}-back`);
  load.tally.did("slow get", 2 * size);
};

/** A folder of many names, listed and looked at. */
const list = async (load: Load) => {
  const dir = `${load.home}/many`;
  const count = 3000;
  if (!(await Deno.stat(dir).then(() => true, () => false))) {
    await Deno.mkdir(dir);
    for (let i = 0; i < count; i++) Deno.writeTextFileSync(`${dir}/n${i}`, "x");
    await load.world.server.sluice("user", "quota-scan", load.target.user);
  }
  await using raw = await RawSftp.open(load.target);
  for (let i = load.dice.int(1, 4); i > 0; i--) {
    const names = await raw.list("/many");
    if (!Array.isArray(names)) return load.tally.failed("a listing was refused");
    const own = names.filter((n) => n.name.toString().startsWith("n")).length;
    if (own !== count) load.tally.failed(`a listing of ${count} has ${own}`);
    load.tally.did("listing");
  }
};

/** Logins that must fail, and connections that come to nothing. */
const refused = async (load: Load) => {
  const { port } = load.target;
  const kind = load.dice.int(0, 3);
  if (kind === 3) {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port });
    await socket.write(crypto.getRandomValues(new Uint8Array(load.dice.int(1, 3000))));
    await pause(load.dice.int(0, 300));
    socket.close();
    load.tally.did("noise on the port");
    return;
  }
  const config = [{ password: "wrong" }, { user: "nobody", password: "x" }, {
    privateKey: await Deno.readTextFile(`${load.dir}/other`),
  }][kind];
  const user = kind === 1 ? "nobody" : load.target.user;
  await using connection = await dial({ port, user }, config);
  let ready = false;
  connection.client.on("ready", () => ready = true);
  await Promise.race([connection.closed, pause(15_000)]);
  if (ready) load.tally.failed("a login that must fail did not");
  load.tally.did("refused login");
};

/** Sessions that the administrator ends from the command line, while they transfer. */
const kicked = async (load: Load) => {
  const { target, dice, tally, world } = load;
  const sessions = await Promise.all(
    Array.from({ length: dice.int(1, 3) }, () => RawSftp.open(target)),
  );
  const content = crypto.getRandomValues(new Uint8Array(60_000));
  const busy = sessions.map(async (s, i) => {
    for (let n = 0; n < 1000; n++) {
      await s.put(`/kick${i}`, content);
      await pause(20);
    }
  });
  for (const b of busy) b.catch(() => {});
  const { code, stderr } = await world.server.sluice("sessions", "kick", "--user", target.user);
  if (code !== 0) tally.failed(`kick: exit ${code}: ${stderr.slice(0, 300)}`);
  const all = Promise.all(sessions.map((s) => s.ended)).then(() => true);
  if (!(await Promise.race([all, pause(15_000).then(() => false)]))) {
    tally.failed("a session outlived its kick by 15 s");
  }
  for (const s of sessions) await s[Symbol.asyncDispose]();
  await Promise.allSettled(busy);
  tally.did("kick");
  await pause(dice.int(2000, 8000));
};

/** Every kind of load, by the name of its user. */
export const loads: Readonly<Record<string, (load: Load) => Promise<void>>> = {
  bulk,
  small,
  copy,
  killed,
  slow,
  list,
  refused,
  kicked,
};
