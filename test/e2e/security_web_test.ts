import assert from "node:assert/strict";
import { fingerprint } from "./files.ts";
import { apiUsers, curl } from "./http_client.ts";
import { pause } from "./process.ts";
import { fileWorld } from "./world.ts";

const password = "pa:ss+wör/d";
const world = fileWorld([
  { username: "ann", password },
  { username: "bob", password },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });
const { as, base } = apiUsers(world, password);

/** A folder beside the homes, with one file in it. */
const outside = async (name: string) => {
  const dir = `${world().dir}/${name}`;
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/f`, "of someone else");
  return dir;
};

const octets = ["-H", "Content-Type: application/offset+octet-stream"];
const tus = (...args: string[]) => as("ann", "-H", "Tus-Resumable: 1.0.0", ...args);
/** Makes an upload of `length` bytes with a first part; answers its address, or the status. */
const begin = async (path: string, length: number, part: string) => {
  const folder = path.includes("/") ? `,path ${btoa(path)}` : "";
  const made = await tus(
    ...["-X", "POST", "-H", `Upload-Length: ${length}`, ...octets, "--data-binary", part],
    ...["-H", `Upload-Metadata: filename ${btoa(path)}${folder}`, `${base()}/tus`],
  );
  const where = made.headers.get("location");
  return { status: made.status, url: where && new URL(where, world().server.http).href };
};
const goOn = (url: string, offset: number, part: string) =>
  tus("-X", "PATCH", ...octets, "-H", `Upload-Offset: ${offset}`, "--data-binary", part, url);

Deno.test("SECURITY 6.6: links planted on disk, also where uploads are kept, and folders swapped between the parts of an upload let nobody out by tus", async () => {
  const dir = await outside("outside");
  const home = world().home("ann");
  const before = await fingerprint(dir);
  const same = async (what: string) => assert.deepEqual(await fingerprint(dir), before, what);
  await Deno.symlink(dir, `${home}/link`);
  await Deno.symlink(`${dir}/f`, `${home}/leaf`);
  for (const name of ["leaf", "link/f", "link/new"]) {
    const { status, url } = await begin(name, 8, "mine");
    if (url) await goOn(url, 4, "more");
    assert.ok(status >= 400 || name === "leaf", `${name}: ${status}`);
    await same(name);
  }
  for (const name of ["link", "leaf"]) await Deno.remove(`${home}/${name}`).catch(() => {});

  // The folder becomes a link between the parts; and the other way round.
  await Deno.mkdir(`${home}/real`);
  const begun = await begin("real/late", 8, "mine");
  assert.equal(begun.status, 201);
  await Deno.rename(`${home}/real`, `${home}/kept`);
  await Deno.symlink(dir, `${home}/real`);
  const ended = await goOn(begun.url ?? "", 4, "more");
  assert.ok(ended.status >= 400, `${ended.status}`);
  await same("a folder that became a link");
  await Deno.remove(`${home}/real`);
  await Deno.rename(`${home}/kept`, `${home}/real`);

  // Where the parts of uploads are kept, root has laid a link.
  const kept = [...Deno.readDirSync(home)].find(({ name }) => name.startsWith(".sluice-"))?.name;
  if (kept) await Deno.rename(`${home}/${kept}`, `${world().dir}/moved`);
  const name = kept ?? ".sluice-upload.0000000000000000.kept";
  await Deno.symlink(dir, `${home}/${name}`);
  assert.ok((await begin("real/other", 8, "mine")).status >= 400);
  await same("a link where uploads are kept");
  await Deno.remove(`${home}/${name}`);
  if (kept) await Deno.rename(`${world().dir}/moved`, `${home}/${kept}`);

  let over = false;
  let turns = 0;
  const swapping = (async () => {
    for (; !over; turns++) {
      await Deno.symlink(dir, `${home}/lure`).catch(() => {});
      await Deno.rename(`${home}/real`, `${home}/aside`).catch(() => {});
      await Deno.rename(`${home}/lure`, `${home}/real`).catch(() => {});
      await pause(turns % 3);
      await Deno.remove(`${home}/real`).catch(() => {});
      await Deno.rename(`${home}/aside`, `${home}/real`).catch(() => {});
      await pause((turns % 4) * 20);
    }
  })();
  let whole = 0;
  const upload = async (lane: number) => {
    for (let i = 0; i < 12; i++) {
      const { url } = await begin(`real/f${lane}-${i}`, 8, "mine");
      if (url && (await goOn(url, 4, "more")).status === 204) whole++;
    }
  };
  await Promise.all([0, 1, 2].map(upload));
  over = true;
  await swapping;
  await same(`${turns} swaps, ${whole} uploads`);
  assert.ok(turns > 10 && whole > 0, `${turns} swaps, ${whole} uploads`);
});

Deno.test("SECURITY 6.34: two Authorization headers are 400 on WebDAV, whichever is right, and do nothing", async () => {
  const url = `${world().server.http}/dav/twice`;
  const secret = (user: string, word = password) =>
    btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${word}`)));
  const header = (value: string) => ["-H", `Authorization: ${value}`];
  const right = `Basic ${secret("ann")}`;
  const make = async (...headers: string[]) => (await curl(...headers, "-X", "MKCOL", url)).status;
  const others = [
    right,
    `Basic ${secret("bob")}`,
    `Basic ${secret("ann", "wrong")}`,
    "Bearer e30.e30.e30",
    "x",
  ];
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    for (const other of others) {
      for (const [first, second] of [[right, other], [other, right]]) {
        const status = await make(version, ...header(first ?? ""), ...header(second ?? ""));
        assert.equal(status, 400, `${version} ${first} and ${second}`);
      }
    }
    // One header that looks like two.
    assert.equal(await make(version, ...header(`${right}, ${right}`)), 400);
    assert.equal(await make(version, ...header(`${right},`)), 400);
  }
  for (const user of ["ann", "bob"]) {
    assert.ok([...Deno.readDirSync(world().home(user))].every(({ name }) => name !== "twice"));
  }
  assert.equal(await make(...header(right)), 201, "one is enough");
});
