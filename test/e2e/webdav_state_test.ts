import assert from "node:assert/strict";
import { sftpMust } from "./clients.ts";
import { colorOf, curlAs, lock, lockInfo, paint } from "./curl.ts";
import { eventually } from "./process.ts";
import { Server } from "./server.ts";
import { fileWorld } from "./world.ts";

const password = "secret";
const rules = { "/": ["*"], "/keep": ["list", "download"] };
const world = fileWorld([
  { username: "ann", password },
  { username: "bob", password, permissions: rules },
  { username: "tight", password, quota_size: 100_000 },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });

const base = () => `${world().server.http}/dav`;
const ann = curlAs("ann", password);
const put = async (curl: typeof ann, url: string, text: string, ...args: string[]) =>
  (await curl("-X", "PUT", "-H", "Content-Type:", "--data-binary", text, ...args, url)).status;
const move = (curl: typeof ann, method: string, from: string, to: string, ...args: string[]) =>
  curl("-X", method, "-H", `Destination: ${to}`, ...args, from);
/** Names in a home, hidden ones too. */
const names = (user: string, dir = "") =>
  [...Deno.readDirSync(`${world().home(user)}/${dir}`)].map(({ name }) => name).sort();

Deno.test("S6.28: a lock binds by its token, on files, collections and what is to be made", async () => {
  const file = `${base()}/l`;
  assert.equal(await put(ann, file, "old"), 201);
  const token = await lock(ann, file);
  assert.equal(await put(ann, file, "new"), 423);
  assert.equal(await put(ann, file, "new", "-H", "If: (<urn:uuid:wrong>)"), 412);
  assert.equal(await put(ann, file, "new", "-H", `If: <${base()}/other> (<${token}>)`), 412);
  assert.equal((await ann("-X", "DELETE", file)).status, 423);
  assert.equal((await move(ann, "MOVE", file, `${base()}/m`)).status, 423);
  assert.equal((await ann("-X", "LOCK", "--data", lockInfo("shared"), file)).status, 423);
  assert.equal(Deno.readTextFileSync(`${world().home("ann")}/l`), "old");
  assert.equal(await put(ann, file, "new", "-H", `If: (<${token}>)`), 204);
  assert.equal(await put(ann, file, "newer", "-H", `If: (<${token}> ["no such tag"])`), 412);
  assert.equal((await ann("-X", "UNLOCK", "-H", `Lock-Token: <${token}>`, file)).status, 204);
  assert.equal(await put(ann, file, "newest"), 204);

  const dir = `${base()}/ld`;
  assert.equal((await ann("-X", "MKCOL", dir)).status, 201);
  const deep = await lock(ann, dir, "-H", "Depth: infinity");
  assert.equal(await put(ann, `${dir}/new`, "x"), 423);
  assert.equal((await ann("-X", "MKCOL", `${dir}/sub`)).status, 423);
  assert.equal(await put(ann, `${dir}/new`, "x", "-H", `If: <${dir}> (<${deep}>)`), 201);
  assert.equal((await move(ann, "COPY", file, `${dir}/copy`)).status, 423);
});

Deno.test("S6.28: a lock whose time is over binds nobody, and its token is refused", async () => {
  const file = `${base()}/brief`;
  const token = await lock(ann, file, "-H", "Timeout: Second-1");
  await eventually("the lock ends", async () => await put(ann, file, "free") === 204, 5);
  assert.equal(await put(ann, file, "late", "-H", `If: (<${token}>)`), 412);
  assert.equal(Deno.readTextFileSync(`${world().home("ann")}/brief`), "free");
});

Deno.test("a refresh answers the lock without a Lock-Token, which is for new ones", async () => {
  const file = `${base()}/fresh`;
  const token = await lock(ann, file, "-H", "Timeout: Second-60");
  const again = await ann("-X", "LOCK", "-H", `If: (<${token}>)`, "-H", "Timeout: Second-90", file);
  assert.deepEqual([again.status, again.headers.get("lock-token")], [200, undefined]);
  assert.match(again.body, /Second-90/);
  assert.ok(again.body.includes(token));
});

Deno.test("a lock and properties outlive kill -9; who comes without the token is refused", async () => {
  const { home } = world();
  await using before = await Server.start({
    dataDir: await Deno.makeTempDir({ prefix: "sluice-e2e-" }),
    args: ["--http", "127.0.0.1:0", "--workers", "2"],
    before: async (dataDir) => {
      const { addUser } = await import("./server.ts");
      await addUser(dataDir, { username: "ann", password, home_dir: home("ann") });
    },
  });
  const file = `${before.http}/dav/locked`;
  assert.equal(await put(ann, file, "old"), 201);
  await paint(ann, file, "red");
  const token = await lock(ann, file);
  await before.kill9();
  try {
    await using server = await Server.start({
      dataDir: before.dataDir,
      args: ["--http", "127.0.0.1:0", "--workers", "2"],
    });
    const again = `${server.http}/dav/locked`;
    assert.equal(await put(ann, again, "new"), 423);
    assert.equal(await colorOf(ann, again), "red");
    assert.equal(await put(ann, again, "new", "-H", `If: (<${token}>)`), 204);
    assert.equal((await ann("-X", "UNLOCK", "-H", `Lock-Token: <${token}>`, again)).status, 204);
  } finally {
    await Deno.remove(before.dataDir, { recursive: true });
  }
});

Deno.test("what SFTP removes or renames takes locks and properties along", async () => {
  const { target, dir } = world();
  const file = `${base()}/s`;
  assert.equal(await put(ann, file, "1"), 201);
  await paint(ann, file, "blue");
  await lock(ann, file);
  await Deno.writeTextFile(`${dir}/s2`, "2");
  await sftpMust(target("ann"), `rm s\nput ${dir}/s2 s\n`);
  await eventually("the lock went with its file", async () => await put(ann, file, "3") === 204, 5);
  assert.equal(await colorOf(ann, file), undefined);

  assert.equal((await ann("-X", "MKCOL", `${base()}/sd`)).status, 201);
  assert.equal(await put(ann, `${base()}/sd/f`, "1"), 201);
  await paint(ann, `${base()}/sd/f`, "green");
  await sftpMust(target("ann"), "rename sd se\n");
  const moved = async () => await colorOf(ann, `${base()}/se/f`) === "green";
  await eventually("the property followed", moved, 5);
  assert.equal((await ann("-X", "MKCOL", `${base()}/sd`)).status, 201);
  assert.equal(await put(ann, `${base()}/sd/f`, "1"), 201);
  assert.equal(await colorOf(ann, `${base()}/sd/f`), undefined);
});

Deno.test("properties follow COPY and MOVE at once, and go with DELETE", async () => {
  const at = (name: string) => `${base()}/${name}`;
  assert.equal((await ann("-X", "MKCOL", at("p"))).status, 201);
  assert.equal(await put(ann, at("p/f"), "1"), 201);
  await paint(ann, at("p/f"), "red");
  assert.equal((await move(ann, "COPY", at("p"), at("q"))).status, 201);
  assert.equal(await colorOf(ann, at("q/f")), "red");
  assert.equal((await move(ann, "MOVE", at("q"), at("r"))).status, 201);
  assert.equal(await colorOf(ann, at("r/f")), "red");
  await paint(ann, at("p/f"), "black");
  // Onto a collection, and onto a file.
  assert.equal((await move(ann, "COPY", at("p"), at("r"))).status, 204);
  assert.equal(await colorOf(ann, at("r/f")), "black");
  assert.equal(await put(ann, at("plain"), "1"), 201);
  assert.equal((await move(ann, "MOVE", at("plain"), at("r/f"))).status, 204);
  assert.equal(await colorOf(ann, at("r/f")), undefined);
  assert.equal((await ann("-X", "DELETE", at("p"))).status, 204);
  assert.equal((await ann("-X", "MKCOL", at("p"))).status, 201);
  assert.equal(await put(ann, at("p/f"), "1"), 201);
  assert.equal(await colorOf(ann, at("p/f")), undefined);
});

Deno.test("S6.7: a COPY or MOVE that is refused leaves the target as it was", async () => {
  const { home } = world();
  const bob = curlAs("bob", password);
  const tight = curlAs("tight", password);
  const at = (name: string) => `${base()}/${name}`;
  await Deno.mkdir(`${home("bob")}/keep/sub`, { recursive: true });
  await Deno.writeTextFile(`${home("bob")}/keep/sub/f`, "kept");
  assert.equal((await bob("-X", "MKCOL", at("d"))).status, 201);
  assert.equal(await put(bob, at("d/f"), "mine"), 201);
  assert.equal(await put(bob, at("x"), "x"), 201);
  const before = names("bob");
  // Nothing goes onto /keep, nothing leaves it, and what is not there replaces nothing.
  for (
    const [method, from, to, status] of [
      ["MOVE", "d", "keep", 403],
      ["COPY", "d", "keep", 403],
      ["MOVE", "x", "keep/sub", 403],
      ["MOVE", "keep/sub", "d", 403],
      ["COPY", "keep/sub", "d", 403],
      ["MOVE", "none", "d", 404],
      ["COPY", "none", "x", 404],
      ["MOVE", "d", "d/inside", 403],
      ["COPY", "d", "d", 403],
    ] as const
  ) {
    assert.equal((await move(bob, method, at(from), at(to))).status, status, `${method} ${from}`);
    assert.deepEqual(names("bob"), before, `${method} ${from} ${to}`);
    assert.equal(Deno.readTextFileSync(`${home("bob")}/d/f`), "mine");
    assert.equal(Deno.readTextFileSync(`${home("bob")}/keep/sub/f`), "kept");
  }
  assert.equal((await bob("-X", "DELETE", base() + "/")).status, 403);

  assert.equal((await tight("-X", "MKCOL", at("a"))).status, 201);
  assert.equal((await tight("-X", "MKCOL", at("b"))).status, 201);
  assert.equal(await put(tight, at("a/f"), "a".repeat(60_000)), 201);
  assert.equal(await put(tight, at("b/f"), "b"), 201);
  assert.equal((await move(tight, "COPY", at("a"), at("b"))).status, 507);
  assert.deepEqual(names("tight"), ["a", "b"]);
  assert.equal(Deno.readTextFileSync(`${home("tight")}/b/f`), "b");
  assert.equal((await move(tight, "COPY", at("a/f"), at("b/f"))).status, 507);
  assert.equal(Deno.readTextFileSync(`${home("tight")}/b/f`), "b");
  // What fits replaces the whole collection, and its old content is gone.
  assert.equal((await move(tight, "MOVE", at("a"), at("b"))).status, 204);
  assert.deepEqual(names("tight"), ["b"]);
  assert.deepEqual(names("tight", "b"), ["f"]);
  assert.equal(Deno.readTextFileSync(`${home("tight")}/b/f`).length, 60_000);
});

Deno.test("S6.28: of two uploads that rest on one version, one is refused", async () => {
  const file = `${base()}/version`;
  assert.equal(await put(ann, file, "0"), 201);
  const tag = (await ann("-I", file)).headers.get("etag") ?? "";
  const both = await Promise.all(
    ["1", "2"].map((text) => put(ann, file, text, "-H", `If-Match: ${tag}`)),
  );
  assert.deepEqual(both.sort(), [204, 412]);
  const first = await Promise.all(
    ["1", "2"].map((text) => put(ann, `${base()}/first`, text, "-H", "If-None-Match: *")),
  );
  assert.deepEqual(first.sort(), [201, 412]);
});
