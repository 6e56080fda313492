import assert from "node:assert/strict";
import { chart } from "../../scripts/bench/chart.ts";
import { replaceMarked } from "../../scripts/bench/files.ts";
import type { Figure } from "../../scripts/bench/measure.ts";
import { readOptions } from "../../scripts/bench/options.ts";
import type { Row } from "../../scripts/bench/plan.ts";
import { cpuOf, rssOf, treeOf } from "../../scripts/bench/process_tree.ts";
import { lines, margin, met, ratio, warnings } from "../../scripts/bench/verdict.ts";

const row = (better: "more" | "less", more: Partial<Row> = {}): Row => ({
  id: "r",
  group: "g",
  title: "a row",
  unit: "u",
  better,
  must: [{ peer: "OpenSSH", times: 1.1 }],
  aim: [],
  value: (m) => m.seconds,
  ...more,
});

const figure = (row: Row, server: string, median: number, more: Partial<Figure> = {}): Figure => ({
  row,
  server,
  median,
  min: median,
  max: median,
  cpu: 1,
  rssIdle: 0,
  rssPeak: 0,
  ...more,
});

const lineOf = (...figures: Figure[]) => lines(figures)[0] ?? assert.fail("no line");

Deno.test("margin() is above 1 when more is better and the ratio is above the bound", () => {
  const r = row("more");
  const line = lineOf(figure(r, "Sluice", 120), figure(r, "OpenSSH", 100));
  assert.equal(ratio(line, "OpenSSH"), 1.2);
  assert.ok((margin(line, { peer: "OpenSSH", times: 1.1 }) ?? 0) > 1);
  assert.equal(met(line, r.must), true);
  assert.equal(met(line, [{ peer: "OpenSSH", times: 1.3 }]), false);
});

Deno.test("margin() is above 1 when less is better and the ratio is below the bound", () => {
  const r = row("less", { must: [{ peer: "OpenSSH", times: 2 }] });
  const line = lineOf(figure(r, "Sluice", 3), figure(r, "OpenSSH", 2));
  assert.equal(met(line, r.must), true);
  assert.equal(met(line, [{ peer: "OpenSSH", times: 1.3 }]), false);
  assert.equal(met(line, [{ value: 4 }]), true);
  assert.equal(met(line, [{ value: 2.9 }]), false);
});

Deno.test("met() is undefined when a peer was not there", () => {
  const r = row("more");
  assert.equal(met(lineOf(figure(r, "Sluice", 1)), r.must), undefined);
});

Deno.test("warnings() names a figure when its rounds lie apart", () => {
  const r = row("more");
  const calm = figure(r, "Sluice", 10, { min: 9, max: 11 });
  const wild = figure(r, "OpenSSH", 10, { min: 8, max: 11 });
  assert.deepEqual(warnings([calm, wild]).map((w) => w.includes("OpenSSH")), [true]);
});

Deno.test("replaceMarked() keeps what people wrote when it writes again", () => {
  const once = replaceMarked("# Title\n\nBefore.\n", "one");
  const page = replaceMarked(`${once}\nAfter.\n`, "two");
  assert.match(page, /Before\.[^]*two[^]*After\./);
  assert.ok(!page.includes("one"));
});

Deno.test("chart() is well-formed when a name holds a sign of XML", () => {
  const r = row("more", { title: "a < b & c" });
  const svg = chart([figure(r, "Sluice", 2), figure(r, "OpenSSH", 1)], ["OpenSSH"], "t");
  assert.match(svg, /a &lt; b &amp; c/);
  assert.match(svg, /2\.00/);
});

Deno.test("readOptions() reads lists and refuses what it does not know", () => {
  const read = readOptions(["--only", "sftp,small", "--quick", "--rounds", "3", "--workers", "2"]);
  assert.deepEqual(read.only, ["sftp", "small"]);
  assert.equal(read.quick, true);
  assert.equal(read.rounds, 3);
  assert.equal(read.workers, 2);
  assert.throws(() => readOptions(["--rounds", "0"]));
  assert.throws(() => readOptions(["--fast"]));
});

Deno.test({
  name: "cpuOf() counts children that ended when a known load ran in them",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    // `times` tells what the shell's children used: the very figure that must come out.
    const burn = "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done";
    const child = new Deno.Command("sh", {
      args: ["-c", `sh -c 'sh -c "$BURN"; :'; times; read hold`],
      env: { BURN: burn },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let told = "";
    while (told.split("\n").length < 3) told += (await reader.read()).value ?? "";
    const seconds = [...told.matchAll(/(\d+)m([\d.]+)s/g)].map((m) => +m[1]! * 60 + +m[2]!);
    const used = seconds.reduce((a, b) => a + b, 0);
    assert.deepEqual(treeOf(child.pid), [child.pid], "what ended is not in the tree");
    assert.ok(rssOf(child.pid) > 0);
    assert.ok(Math.abs(cpuOf(child.pid) - used) <= 0.05, `${cpuOf(child.pid)} s of ${used} s`);
    assert.ok(used > 0.05, `the load took ${used} s`);
    await reader.cancel();
    await child.stdin.close();
    await child.status;
  },
});
