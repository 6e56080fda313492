import assert from "node:assert/strict";
import { mixedWorld, says } from "./mixed.ts";
import { must, run } from "./process.ts";

Deno.test("AUTH-16: anonymous users list and download by FTP and WebDAV, with any password or none", async () => {
  await using w = await mixedWorld([
    {
      username: "anonymous",
      permissions: { "/": ["*"], "/in": ["upload"] },
      filters: { is_anonymous: true },
    },
  ], { args: ["--workers", "2"] });
  const home = w.home("anonymous");
  await Deno.writeTextFile(`${home}/f`, "for all");
  await Deno.mkdir(`${home}/in`);
  const file = `${w.dir}/mine`;
  await Deno.writeTextFile(file, "mine");
  for (const secret of ["", "me@example.com", "x".repeat(300)]) {
    const who = { user: "anonymous", password: secret };
    for (const way of ["ftp", "ftps", "dav"] as const) {
      says(await w.look(way, who), way === "dav" ? /status 207/ : /^< 226 /m, way);
      const got = await w.get(way, who, "f", `${w.dir}/got`);
      assert.ok(got.ok, `${way}: ${got.text}`);
      assert.equal(await Deno.readTextFile(`${w.dir}/got`), "for all");
      for (const name of ["new", "f", "in/new"]) {
        const put = await w.put(way, who, file, name);
        assert.equal(put.ok, false, `${way} ${name}`);
        says(put, way === "dav" ? /status 403/ : /^< 550 /m, `${way} ${name}`);
      }
    }
    if (secret.length < 100) says(await w.look("sftp", who), /denied/, "sftp");
    says(await w.look("http", who), /status 401/, "http");
  }
  const url = `${w.server.http}/dav/f`;
  for (const [method, ...more] of [["DELETE"], ["MKCOL"], ["MOVE", "-H", "Destination: /dav/g"]]) {
    const { stdout } = await run("curl", [
      ...["-s", "-u", "anonymous:", "-o", "/dev/null", "-w", "%{http_code}", "-X", method ?? ""],
      ...[...more, method === "MKCOL" ? `${url}2` : url],
    ]);
    assert.equal(stdout, "403", method);
  }
  // What curl sends of its own accord where nobody is named.
  assert.match(await must("curl", ["-sS", `ftp://127.0.0.1:${w.ports.ftp}/`]), / f\r?\n/);
  assert.deepEqual([...Deno.readDirSync(home)].map(({ name }) => name).sort(), ["f", "in"]);
});
