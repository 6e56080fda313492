/**
 * What ftp-srv 4.6.3 does at the bars of SECURITY 3.2 and of issue 4 (docs/decisions/0017).
 *
 * "passes" and "fails" are seen from the bar; the assertion pins what the package does, so
 * that a version that mends it is looked at again.
 */
import assert from "node:assert/strict";
import { createConnection } from "node:net";
import { once } from "node:events";
import { start, testsOf } from "./engine.ts";
import { all, connect, data, login } from "./line_client.ts";

const test = await testsOf("npm:ftp-srv@4.6.3", "ftp_srv.ts");
const program = "ftp_srv.ts";

test("ftp-srv fails: a password over two packets is whole", async () => {
  await using server = await start(program);
  using lines = await connect(server.port);
  await lines.ask("USER anna");
  await lines.send("PASS sec");
  assert.equal((await server.saw("login"))["password"], "sec");
  assert.match(await lines.answer(), /^230 /);
  await lines.send("ret\r\n");
  assert.equal(await lines.answer(), "502 Command not allowed: RET", "the rest is echoed");
});

test("ftp-srv passes behind its undocumented connect event: our reader, our parser", async () => {
  await using server = await start(program, { ownReader: true });
  using lines = await connect(server.port);
  await lines.send("US");
  await lines.send('ER anna\r\nPASS a"b ');
  await lines.send("-x c\r\nPWD\r\n");
  assert.match(await lines.answer(), /^331 /);
  assert.match(await lines.answer(), /^230 /);
  assert.match(await lines.answer(), /^257 /);
  assert.equal((await server.saw("login"))["password"], 'a"b -x c');
});

test("ftp-srv fails: a line without end is refused once and the connection closed", async () => {
  await using server = await start(program);
  using lines = await connect(server.port);
  const megabyte = "x".repeat(1 << 20);
  await lines.send(megabyte);
  let echoed = 0;
  while (echoed < megabyte.length) {
    const [, echo = ""] = /^502 Command not allowed: (X+)$/.exec(await lines.answer()) ?? [];
    assert.notEqual(echo, "");
    echoed += echo.length;
  }
  assert.match(await lines.ask("NOOP"), /^(502|200) /, "and it goes on");
});

test("ftp-srv fails: commands of one connection run one after the other", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  await lines.send("DELE slow\r\n");
  await server.saw("delete");
  assert.match(await lines.ask("NOOP"), /^200 /, "DELE has not been answered yet");
  await lines.send("SIZE release\r\n");
  const answers = [await lines.answer(), await lines.answer()].map((a) => a.slice(0, 3));
  assert.deepEqual(answers.sort(), ["213", "250"]);
});

test("ftp-srv fails: arguments arrive as they were sent", async () => {
  await using server = await start(program);
  using lines = await connect(server.port);
  await lines.ask("USER anna");
  await lines.ask('PASS a"b -x c');
  assert.equal((await server.saw("login"))["password"], "ab c");
  await lines.ask("DELE -r f");
  assert.equal((await server.saw("delete"))["file"], "f", "DELE -r f deletes f");
});

test("ftp-srv fails: a line feed cannot write a line of the answer", async () => {
  await using server = await start(program);
  using lines = await connect(server.port);
  assert.equal(
    await lines.ask("X\n230 welcome"),
    "502 Command not allowed: X\n230",
  );
});

test("ftp-srv fails: RMD and DELE are different; a name is required", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  assert.match(await lines.ask("DELE"), /^250 /);
  assert.equal((await server.saw("delete"))["file"], null, "and the file system gets null");
  assert.match(await lines.ask("RMD plain-file"), /^250 /);
});

test("ftp-srv fails: every command is answered", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  await lines.send("PORT\r\n");
  assert.match(String((await server.saw("rejection"))["error"]), /TypeError/);
  assert.match(await lines.ask("NOOP"), /^200 /, "the first answer is that of NOOP");
});

test("ftp-srv fails: wrong passwords and unknown commands end the connection", async () => {
  await using server = await start(program);
  using lines = await connect(server.port);
  for (let i = 0; i < 50; i++) assert.match(await lines.ask("GET / HTTP/1.1"), /^502 /);
  await lines.ask("USER anna");
  assert.match(await lines.ask("USER berta"), /^530 Username already set/, "nor a second USER");
});

test("ftp-srv fails: ABOR in mid-transfer answers 426, then 226", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  const conn = await data(lines);
  assert.match(await lines.ask("RETR big"), /^150 /);
  await lines.send("ABOR\r\n");
  assert.equal((await all(conn)).length, 512 * 65536, "the file comes whole");
  assert.match(await lines.answer(), /^226 /);
  assert.match(await lines.answer(), /^225 /, "then ABOR is read, and there is nothing to abort");
});

test("ftp-srv passes: EPSV, APPE, REST then RETR, refusal of a foreign PORT", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  const down = await data(lines);
  assert.match(await lines.ask("RETR f"), /^150 /);
  assert.equal(await all(down), "a\nb\n");
  assert.match(await lines.answer(), /^226 /);
  const up = await data(lines);
  assert.match(await lines.ask("APPE f"), /^150 /);
  await up.write(new TextEncoder().encode("more"));
  up.close();
  assert.match(await lines.answer(), /^226 /);
  assert.equal((await server.saw("final"))["bytes"], 4);
  assert.match(await lines.ask("REST 3"), /^350 /);
  assert.match(await lines.ask("PORT 10,1,2,3,4,5"), /^500 The given address is not yours/);
});

test("ftp-srv fails: EPRT takes one spelling of an address", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  assert.match(await lines.ask("EPRT |1|127.0.0.01|9|"), /^200 /);
  assert.match(await lines.ask("PORT 127,0,0,1,0,9"), /^200 /, "and ports below 1024");
});

test("ftp-srv fails: TYPE A converts line ends", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  assert.match(await lines.ask("TYPE A"), /^200 .*ascii/);
  const conn = await data(lines);
  await lines.ask("RETR f");
  assert.equal(await all(conn), "a\nb\n", "not a\\r\\nb\\r\\n");
});

test("ftp-srv fails: RFC 2389, 3659, 7151 and draft-bryan-ftp-hash", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  for (const verb of ["MLSD", "MLST", "MFMT", "MFF", "HASH", "AVBL", "CLNT", "HOST", "CCC"]) {
    assert.match(await lines.ask(`${verb} x`), /^502 /, verb);
  }
  const features = await lines.ask("FEAT");
  assert.match(features, /UTF8/);
  for (const missing of ["REST STREAM", "MLST", "EPSV"]) assert.ok(!features.includes(missing));
});

test("ftp-srv passes: a verb can be added to its table", async () => {
  await using server = await start(program, { ownMlsd: true });
  using lines = await login(server.port);
  assert.equal(await lines.ask("MLSD x"), "250 ours");
  assert.match(await lines.ask("FEAT"), /MLST type\*;/);
});

test("ftp-srv fails: one listener a session, at random ports", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  const ports: number[] = [];
  for (let i = 0; i < 12; i++) {
    ports.push(Number(/\|\|\|(\d+)\|/.exec(await lines.ask("EPSV"))?.[1]));
  }
  assert.deepEqual(ports, [...ports].sort((a, b) => a - b), "they count up");
  for (const port of ports) (await Deno.connect({ hostname: "127.0.0.1", port })).close();
});

test("ftp-srv fails: a stranger at the passive port does not hurt the session", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  const port = Number(/\|\|\|(\d+)\|/.exec(await lines.ask("EPSV"))?.[1]);
  const stranger = createConnection({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
  stranger.on("error", () => {});
  await once(stranger, "close");
  assert.match(await lines.answer(), /^550 Remote addresses do not match/);
  assert.match(await lines.answer(), /^421 /, "the session is closed");
});

test("ftp-srv fails: a listing of 150,000 entries", async () => {
  await using server = await start(program);
  using lines = await login(server.port);
  const conn = await data(lines);
  await lines.send("LIST many\r\n");
  const answers = [await lines.answer(), await lines.answer()];
  assert.match(answers[1] ?? "", /^451 Maximum call stack size exceeded/, answers.join());
  assert.equal(await all(conn), "");
});

test("ftp-srv fails: it leaves the signals of the process alone", async () => {
  await using server = await start(program, { ownSignals: true });
  Deno.kill(server.pid, "SIGTERM");
  assert.equal((await server.ended()).code, 0, "exit(0) long before our own handler's 42");
});
