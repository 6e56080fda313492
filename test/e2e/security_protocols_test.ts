import assert from "node:assert/strict";
import { fingerprint } from "./files.ts";
import { scp } from "./clients.ts";
import { dialog } from "./raw_ftp.ts";
import { apiUsers, curl } from "./http_client.ts";
import { type Mixed, mixedWorld, password, ways } from "./mixed.ts";
import { must, pause, run } from "./process.ts";

const SECRET = "of someone else";

const world = () =>
  mixedWorld([
    { username: "ann" },
    {
      username: "exact",
      permissions: { "/": ["list", "download"], "/Share": ["*"] },
    },
  ], { config: { ftpd: { bindings }, common: { max_per_host_connections: 0 } } });
const bindings = [0, 2].map((tls_mode) => ({ address: "127.0.0.1", port: 0, tls_mode }));

/** A folder beside the homes, with one file in it. */
const outside = async (w: Mixed) => {
  const dir = `${w.dir}/outside`;
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/f`, SECRET);
  return dir;
};

const got = (path: string) => Deno.readTextFile(path).catch(() => "");

/** Sends bytes as they are, and reads until the server ends the connection or says no more. */
const raw = async (port: number, text: string): Promise<string> => {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(65536);
  let answer = "";
  const reading = (async () => {
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      answer += new TextDecoder().decode(buffer.subarray(0, n));
    }
  })().catch(() => {});
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    const n = await conn.write(bytes.subarray(at)).catch(() => bytes.length);
    at += n;
  }
  await Promise.race([reading, pause(700)]);
  return answer;
};

Deno.test("SECURITY 6.6: links planted on disk, and folders swapped for links under way, let nobody out on any protocol", async () => {
  await using w = await world();
  const dir = await outside(w);
  const home = w.home("ann");
  const before = await fingerprint(dir);
  await Deno.writeTextFile(`${w.dir}/mine`, "mine");
  for (const way of ways) {
    await Deno.symlink(dir, `${home}/link`);
    await Deno.symlink(`${dir}/f`, `${home}/leaf`);
    for (const name of ["leaf", "link/f"]) {
      await w.get(way, { user: "ann" }, name, `${w.dir}/got`);
      assert.notEqual(await got(`${w.dir}/got`), SECRET, `${way} ${name}`);
      await w.put(way, { user: "ann" }, `${w.dir}/mine`, name);
      assert.deepEqual(await fingerprint(dir), before, `${way} ${name}`);
    }
    for (const name of ["link", "leaf"]) await Deno.remove(`${home}/${name}`).catch(() => {});
  }
  await Deno.mkdir(`${home}/real`);
  await Deno.writeTextFile(`${home}/real/f`, "inside");
  let over = false;
  const swapping = (async () => {
    for (let i = 0; !over; i++) {
      await Deno.symlink(dir, `${home}/lure`).catch(() => {});
      await Deno.rename(`${home}/real`, `${home}/kept`).catch(() => {});
      await Deno.rename(`${home}/lure`, `${home}/real`).catch(() => {});
      await pause(i % 3);
      await Deno.remove(`${home}/real`).catch(() => {});
      await Deno.rename(`${home}/kept`, `${home}/real`).catch(() => {});
      await pause(i % 3);
    }
  })();
  for (let turn = 0; turn < 3; turn++) {
    await Promise.all(ways.map(async (way) => {
      const to = `${w.dir}/got-${way}-${turn}`;
      await w.get(way, { user: "ann" }, "real/f", to);
      assert.notEqual(await got(to), SECRET, way);
      await w.put(way, { user: "ann" }, `${w.dir}/mine`, `real/new-${way}`);
    }));
  }
  over = true;
  await swapping;
  assert.deepEqual(await fingerprint(dir), before);
});

Deno.test("SECURITY 6.10: rights of /Share say nothing of /share and /Share2 on any protocol", async () => {
  await using w = await world();
  for (const name of ["Share", "share", "Share2"]) await Deno.mkdir(`${w.home("exact")}/${name}`);
  await Deno.writeTextFile(`${w.dir}/mine`, "mine");
  for (const way of ways) {
    const put = async (folder: string) =>
      (await w.put(way, { user: "exact" }, `${w.dir}/mine`, `${folder}/${way}`)).ok;
    assert.equal(await put("Share"), true, way);
    assert.equal(await put("share"), false, way);
    assert.equal(await put("Share2"), false, way);
  }
});

Deno.test("SECURITY 6.39: an upload while its parent is renamed over WebDAV ends one way, told truly, on each protocol", async () => {
  await using w = await world();
  const home = w.home("ann");
  const bytes = new Uint8Array(8 * 1024 * 1024).fill(7);
  await Deno.writeFile(`${w.dir}/big`, bytes);
  for (const way of ways) {
    await Deno.mkdir(`${home}/d`);
    const upload = w.put(way, { user: "ann" }, `${w.dir}/big`, "d/f");
    await pause(150);
    const moved = await curl(
      ...["-u", `ann:${password}`, "-X", "MOVE", "-H", "Destination: /dav/e"],
      `${w.server.http}/dav/d`,
    );
    const { ok } = await upload;
    const sizes = await Promise.all(
      ["d/f", "e/f"].map((name) => Deno.stat(`${home}/${name}`).then(({ size }) => size, () => -1)),
    );
    const whole = sizes.filter((size) => size >= 0);
    assert.deepEqual(whole, ok ? [bytes.length] : [], `${way} ${moved.status} ${sizes}`);
    const left = [...Deno.readDirSync(home)].map(({ name }) => name).sort();
    // Who creates missing folders may have made the old name anew.
    assert.ok(left.every((name) => name === "d" || name === "e"), left.join());
    for (const name of left) await Deno.remove(`${home}/${name}`, { recursive: true });
  }
});

Deno.test("SECURITY 6.31: requests that two readers would split apart, and absurd heads, are refused or closed", async () => {
  await using w = await world();
  const port = Number(new URL(w.server.http).port);
  const secret = btoa(`ann:${password}`);
  const head = `PUT /dav/x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ${secret}\r\n`;
  const inner = "DELETE /dav/kept HTTP/1.1\r\nHost: a\r\n" +
    `Authorization: Basic ${secret}\r\n\r\n`;
  await Deno.writeTextFile(`${w.home("ann")}/kept`, "kept");
  const broken: Readonly<Record<string, string>> = {
    "both lengths":
      `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    "two lengths": `${head}Content-Length: 0\r\nContent-Length: 4\r\n\r\n${inner}`,
    "a list of lengths": `${head}Content-Length: 0, 4\r\n\r\n${inner}`,
    "a signed length": `${head}Content-Length: +0\r\n\r\n${inner}`,
    "a negative length": `${head}Content-Length: -1\r\n\r\n${inner}`,
    "chunked not last": `${head}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n${inner}`,
    "an odd encoding": `${head}Transfer-Encoding: xchunked\r\n\r\n${inner}`,
    "a space before the colon": `${head}Content-Length : 4\r\n\r\n${inner}`,
    "a folded line": `${head}X: a\r\n Content-Length: 4\r\n\r\n${inner}`,
    "NUL in a header": `${head}X: a\0b\r\nContent-Length: 0\r\n\r\n`,
    "a bare CR": `${head}X: a\rContent-Length: 4\r\n\r\n${inner}`,
    "a bad chunk size": `${head}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${inner}`,
    "a negative chunk": `${head}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n${inner}`,
    "a huge chunk": `${head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n${inner}`,
    "no version": "GET /dav/kept\r\n\r\n",
    "a foreign protocol": "SSH-2.0-x\r\n\r\n",
    "a huge line": `GET /${"a".repeat(2 ** 20)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    "a huge header": `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(2 ** 21)}\r\n\r\n`,
    "10,000 headers": `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(10_000)}\r\n`,
  };
  const taken: string[] = [];
  for (const [what, text] of Object.entries(broken)) {
    const answer = await raw(port, text);
    if (/^HTTP\/1\.1 2/.test(answer)) taken.push(`${what}: ${answer.slice(0, 60)}`);
    assert.equal(await got(`${w.home("ann")}/kept`), "kept", `${what}: ${answer}`);
    assert.equal((await curl(w.server.http)).status, 404, what);
  }
  assert.deepEqual(taken, []);
  assert.deepEqual([...Deno.readDirSync(w.home("ann"))].map(({ name }) => name), ["kept"]);
});

Deno.test("SECURITY 2.3: FTPS refuses who wants to speak HTTP in TLS, and HTTP in clear ends at once", async () => {
  await using w = await world();
  const greet = async (...more: string[]) =>
    (await run("openssl", ["s_client", "-connect", `127.0.0.1:${w.ports.ftps}`, ...more], {
      stdin: "",
      timeout: 10,
    })).stdout;
  assert.match(await greet(), /New, TLSv1\.3/);
  assert.match(await greet("-alpn", "http/1.1"), /New, \(NONE\)/);
  const answer = await raw(w.ports.ftp, "GET / HTTP/1.1\r\nHost: a\r\n\r\nUSER ann\r\n");
  assert.doesNotMatch(answer, /331/);
  assert.match(
    await must("curl", [
      "-sS",
      "-k",
      "--ssl-reqd",
      "-u",
      `ann:${password}`,
      `ftp://127.0.0.1:${w.ports.ftp}/`,
      "-w",
      "fine",
    ]),
    /fine/,
  );
});

Deno.test("SECURITY 6.1-6.5: names that climb, are too long or hold control bytes make nothing by scp, HTTP and tus; odd ones are kept", async () => {
  await using w = await world();
  const home = w.home("ann");
  const { as, url, base } = apiUsers(() => w, password);
  await Deno.writeTextFile(`${w.dir}/mine`, "mine");
  const target = { port: w.server.port, user: "ann", password };
  const by: Readonly<Record<string, (name: string) => Promise<boolean>>> = {
    scp: async (name) => (await scp(target, ["-O", `${w.dir}/mine`, `REMOTE:${name}`])).code === 0,
    http: async (name) =>
      (await as("ann", "--data-binary", "mine", url("files/upload", { path: name }))).status ===
        201,
    tus: async (name) => {
      const encoded = btoa(String.fromCharCode(...new TextEncoder().encode(name)));
      const made = await as(
        "ann",
        ...["-X", "POST", "-H", "Tus-Resumable: 1.0.0", "-H", "Upload-Length: 4"],
        ...["-H", `Upload-Metadata: filename ${encoded}`, "--data-binary", "mine"],
        ...["-H", "Content-Type: application/offset+octet-stream", `${base()}/tus`],
      );
      return made.status === 201;
    },
  };
  const odd = ["n".repeat(255), "a.", "CON", "😀", "e\u0301", "\u00e9", "a+b", "q%41"];
  const bad = ["../../../out", "/../../../out", "n".repeat(256), "d/".repeat(2100) + "f"];
  const unprintable = ["a\nb", "a\rb", "a\x1bb", "a\x7fb"];
  for (const [way, put] of Object.entries(by)) {
    for (const name of odd) {
      assert.equal(await put(name), true, `${way} ${name}`);
      assert.equal(await got(`${home}/${name}`), "mine", `${way} ${name}`);
      await Deno.remove(`${home}/${name}`);
    }
    const names = () => [...Deno.readDirSync(home)].map(({ name }) => name);
    for (const name of [...bad, ...unprintable]) {
      const taken = await put(name);
      // A climb that ends at the root may make a file there, and nowhere else.
      if (taken) assert.ok(name.includes("..") && names().join() === "out", `${way} ${name}`);
      for (const left of names()) await Deno.remove(`${home}/${left}`, { recursive: true });
    }
    await assert.rejects(Deno.stat(`${w.server.dataDir}/out`), Deno.errors.NotFound);
  }
});

Deno.test("SECURITY 6.4: names that are no UTF-8 make nothing over FTP, scp and WebDAV", async () => {
  await using w = await world();
  const made = () => [...Deno.readDirSync(w.home("ann"))].map(({ name }) => name);
  using ftp = await dialog(w.ports.ftp);
  await ftp.answer();
  await ftp.ask("USER ann");
  assert.match(await ftp.ask(`PASS ${password}`), /^230/);
  await Deno.writeTextFile(`${w.dir}/mine`, "mine");
  // No argument of `Deno.Command` holds such bytes, printf's octal does.
  const send = async (octal: string) =>
    (await run("sh", [
      "-c",
      `exec "$0" -O -P ${w.server.port} -i ${w.key} -o BatchMode=yes -o StrictHostKeyChecking=no ` +
      `-o UserKnownHostsFile=/dev/null "$1" "ann@127.0.0.1:$(printf '${octal}')"`,
      "scp",
      `${w.dir}/mine`,
    ])).code;
  assert.equal(await send("f\\151ne"), 0);
  await Deno.remove(`${w.home("ann")}/fine`);
  for (const bytes of [[0xff], [0xfe], [0xc0, 0xae, 0xc0, 0xae, 0x2f, 0x78], [0xed, 0xa0, 0x80]]) {
    const line = [...new TextEncoder().encode("MKD "), ...bytes, 13, 10];
    ftp.sendBytes(Uint8Array.from(line));
    assert.match(await ftp.answer(), /^5/, `FTP ${bytes}`);
    const escaped = bytes.map((b) => `%${b.toString(16)}`).join("");
    const basic = ["-u", `ann:${password}`, "-X", "MKCOL"];
    assert.equal((await curl(...basic, `${w.server.http}/dav/${escaped}`)).status, 400);
    const octal = bytes.map((b) => `\\${b.toString(8)}`).join("");
    assert.notEqual(await send(octal), 0, `scp ${bytes}`);
    assert.deepEqual(made(), []);
  }
});
