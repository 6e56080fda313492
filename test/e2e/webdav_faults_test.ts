import assert from "node:assert/strict";
import { curlAs } from "./curl.ts";
import { eventually, run } from "./process.ts";
import { usageAgrees } from "./quota_usage.ts";
import { needs } from "./tools.ts";
import { fileWorld, makeWorld } from "./world.ts";

const password = "secret";
const world = fileWorld([
  { username: "ann", password },
  { username: "full", password, quota_size: 1_000_000 },
  { username: "large", password, filters: { max_upload_file_size: 1_000_000 } },
  { username: "pair", password, max_sessions: 2 },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });

const base = () => `${world().server.http}/dav`;
const left = (user: string) =>
  [...Deno.readDirSync(world().home(user))].map(({ name }) => name).sort();

Deno.test("S6.38: an upload beyond the quota gives 507, keeps the old file, and the counter is right", async () => {
  const { dir, home, server } = world();
  const full = curlAs("full", password);
  assert.equal((await full("-X", "PUT", "--data-binary", "old", `${base()}/f`)).status, 201);
  await Deno.writeFile(`${dir}/three`, new Uint8Array(3_000_000));
  for (const more of [[], ["-H", "Transfer-Encoding: chunked"]]) {
    assert.equal((await full("-T", `${dir}/three`, ...more, `${base()}/f`)).status, 507);
    assert.equal((await full("-T", `${dir}/three`, ...more, `${base()}/new`)).status, 507);
  }
  assert.equal(Deno.readTextFileSync(`${home("full")}/f`), "old");
  assert.deepEqual(left("full"), ["f"]);
  await usageAgrees(server, "full");
  const large = curlAs("large", password);
  assert.equal((await large("-T", `${dir}/three`, `${base()}/f`)).status, 413);
  assert.deepEqual(left("large"), []);
});

/** Sends part of an upload, and then ends the connection as `how` says. */
const cutter = `
import base64, socket, struct, sys
port, how, framing = int(sys.argv[1]), sys.argv[2], sys.argv[3]
s = socket.create_connection(("127.0.0.1", port))
auth = base64.b64encode(b"ann:secret").decode()
head = "Content-Length: 3000000" if framing == "length" else "Transfer-Encoding: chunked"
s.sendall(f"PUT /dav/cut HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Basic {auth}\\r\\n{head}\\r\\n\\r\\n".encode())
part = b"n" * 1000000
s.sendall(part if framing == "length" else b"f4240\\r\\n" + part + b"\\r\\n")
sys.stdin.readline()
if how == "rst":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
elif how == "fin":
    s.shutdown(socket.SHUT_WR)
    print(s.recv(1000)[9:12].decode())
else:
    s.sendall(b"zz\\r\\nnot a size\\r\\n")
    print(s.recv(1000)[9:12].decode())
`;

(await needs("python3"))(
  "S6.31: an upload cut by RST, FIN or a bad chunk never becomes the file",
  async () => {
    const { dir, home, server } = world();
    await Deno.writeTextFile(`${dir}/cut.py`, cutter);
    const port = server.http.split(":").at(-1) ?? "";
    const uploading = async () => {
      const { stdout } = await server.sluice("sessions", "list", "--json");
      return (JSON.parse(stdout) as Array<{ command: string }>).some((r) => r.command === "PUT");
    };
    for (
      const [how, framing] of [
        ["rst", "length"],
        ["rst", "chunked"],
        ["fin", "length"],
        ["fin", "chunked"],
        ["bad", "chunked"],
      ] as const
    ) {
      await curlAs("ann", password)("-X", "PUT", "--data-binary", "old", `${base()}/cut`);
      const child = new Deno.Command("python3", {
        args: [`${dir}/cut.py`, port, how, framing],
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      await eventually("the upload is under way", uploading, 20);
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("\n"));
      await writer.close();
      const said = new TextDecoder().decode((await child.output()).stdout).trim();
      assert.ok(!said.startsWith("2"), `${how} ${framing}: ${said}`);
      await eventually("the upload is over", async () => !(await uploading()), 20);
      assert.equal(Deno.readTextFileSync(`${home("ann")}/cut`), "old", `${how} ${framing}`);
      assert.deepEqual(left("ann"), ["cut"], `${how} ${framing}`);
    }
    await usageAgrees(server, "ann");
  },
);

Deno.test("of three requests at once, a user with two sessions gets two", async () => {
  const { home, server } = world();
  await Deno.writeFile(`${home("pair")}/large`, new Uint8Array(100_000_000));
  const slow = () =>
    new Deno.Command("curl", {
      args: [
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--limit-rate",
        "200k",
        "--max-time",
        "6",
        "-u",
        `pair:${password}`,
        `${base()}/large`,
      ],
      stdout: "piped",
      stderr: "null",
    }).output();
  // The login is known first, so that all three come to the door at one time.
  assert.equal((await curlAs("pair", password)(`${base()}/`)).status, 207);
  const codes = (await Promise.all([slow(), slow(), slow()]))
    .map(({ stdout }) => new TextDecoder().decode(stdout));
  assert.deepEqual(codes.sort(), ["200", "200", "429"]);
  await eventually("the seats are given back", async () => {
    const { stdout } = await server.sluice("sessions", "list", "--json");
    return (JSON.parse(stdout) as unknown[]).length === 0;
  }, 20);
});

Deno.test("S7.7: slow readers cost little memory", async () => {
  await using own = await makeWorld([{ username: "ann", password }], {
    args: ["--http", "127.0.0.1:0", "--workers", "1"],
    config: { common: { max_per_host_connections: 0 } },
  });
  const { server, home } = own;
  await Deno.writeFile(`${home("ann")}/large`, new Uint8Array(200_000_000));
  const url = `${server.http}/dav/large`;
  const ann = curlAs("ann", password);
  await run("curl", ["-s", "-o", "/dev/null", "-u", `ann:${password}`, url]);
  const before = server.rss;
  const readers = Array.from({ length: 20 }, () =>
    new Deno.Command("curl", {
      args: ["-s", "-o", "/dev/null", "--limit-rate", "1k", "-u", `ann:${password}`, url],
      stdout: "null",
      stderr: "null",
    }).spawn());
  try {
    await eventually("all are served", async () => {
      const { stdout } = await server.sluice("sessions", "list", "--json");
      return (JSON.parse(stdout) as unknown[]).length === 20;
    }, 30);
    const most = server.rss - before;
    assert.ok(most < 50 * 1024 * 1024, `${Math.round(most / 2 ** 20)} MiB for 20 slow readers`);
    assert.equal(
      (await ann("-X", "PROPFIND", "-H", "Depth: 0", `${server.http}/dav/`)).status,
      207,
    );
  } finally {
    for (const reader of readers) reader.kill();
    await Promise.all(readers.map((reader) => reader.status));
  }
});

Deno.test("SIGTERM lets a download finish and refuses newcomers", async () => {
  await using own = await makeWorld([{ username: "ann", password }], {
    args: ["--http", "127.0.0.1:0", "--workers", "2"],
  });
  const { server, home, dir } = own;
  await Deno.writeFile(`${home("ann")}/large`, new Uint8Array(60_000_000).fill(3));
  const download = run("curl", [
    "-sS",
    "-o",
    `${dir}/got`,
    "--limit-rate",
    "20M",
    "-u",
    `ann:${password}`,
    `${server.http}/dav/large`,
  ]);
  await eventually("it has begun", () => {
    try {
      return Deno.statSync(`${dir}/got`).size > 0;
    } catch {
      return false;
    }
  }, 20);
  const stopped = server.stop();
  assert.equal((await download).code, 0);
  assert.equal(Deno.statSync(`${dir}/got`).size, 60_000_000);
  await stopped;
});

Deno.test("S6.39: uploads of one name at once leave one of them, whole, and true counters", async () => {
  const { dir, home, server } = world();
  const ann = curlAs("ann", password);
  const letters = ["a", "b", "c", "d"];
  for (const letter of letters) {
    await Deno.writeTextFile(`${dir}/${letter}`, letter.repeat(700_000));
  }
  const codes = await Promise.all(
    letters.map(async (letter) => (await ann("-T", `${dir}/${letter}`, `${base()}/same`)).status),
  );
  assert.ok(codes.every((code) => code === 201 || code === 204), String(codes));
  const text = Deno.readTextFileSync(`${home("ann")}/same`);
  assert.ok(letters.some((letter) => text === letter.repeat(700_000)));
  await usageAgrees(server, "ann");
});

Deno.test("S7.14: noise on the port harms nobody", async () => {
  const { server } = world();
  const port = Number(server.http.split(":").at(-1));
  const before = server.descriptors;
  const heads = ["", "GET ", "PROPFIND /dav/ HTTP/1.1\r\n", "PUT /dav/n HTTP/1.1\r\nHost: x\r\n"];
  const basic = `Authorization: Basic ${btoa(`ann:${password}`)}\r\n`;
  const noise = async (i: number) => {
    const conn = await Deno.connect({ port });
    try {
      const bytes = crypto.getRandomValues(new Uint8Array(1 + (i * 37) % 4000));
      const head = new TextEncoder().encode((heads[i % 4] ?? "") + (i % 8 > 3 ? basic : ""));
      await conn.write(head);
      await conn.write(bytes);
      await conn.closeWrite();
      await conn.read(new Uint8Array(1000));
    } catch {
      // It was cut, which is an answer too.
    } finally {
      conn.close();
    }
  };
  for (let i = 0; i < 200; i += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, j) => noise(i + j)));
  }
  assert.equal((await curlAs("ann", password)(`${base()}/`)).status, 207);
  await eventually("nothing is left open", () => server.descriptors <= before + 2, 20);
});
