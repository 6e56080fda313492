import { Either, Option } from "effect";
import fc from "fast-check";
import assert from "node:assert/strict";
import { splitWords } from "../../adapters/ssh/commands/words.ts";
import { parseScpLine } from "../../adapters/ssh/scp/lines.ts";
import { parseScpOptions } from "../../adapters/ssh/scp/options.ts";
import { it } from "../harness.ts";
import { memoryVfs, tree } from "../scp/memory_vfs.ts";
import { talk } from "../scp/run.ts";
import { Effect } from "effect";

const shellish = fc.string({
  unit: fc.constantFrom(..."ab 'X\"\\$`;|&<>()\n\t\0*-é".split("")),
});

Deno.test("splitWords() never throws and never lets a word hold NUL", () => {
  fc.assert(
    fc.property(fc.oneof(shellish, fc.string({ unit: "binary" })), (line) => {
      const words = Option.getOrElse(splitWords(line), () => []);
      assert.ok(words.every((word) => !word.includes("\0")));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("parseScpOptions() never throws", () => {
  const word = fc.oneof(fc.constantFrom("-t", "-f", "-rp", "--", "-", "-d"), fc.string());
  fc.assert(fc.property(fc.array(word), (words) => void parseScpOptions(words)));
});

Deno.test("parseScpLine() never throws and never passes a name that leaves its folder", () => {
  const named = fc.string({ unit: fc.constantFrom(..."./\\a\0\r ~".split("")) }).map((name) =>
    new TextEncoder().encode(`C0644 1 ${name}`)
  );
  fc.assert(
    fc.property(fc.oneof(named, fc.uint8Array()), (bytes) => {
      const line = Either.getOrUndefined(parseScpLine(bytes));
      if (line?._tag !== "File" && line?._tag !== "Dir") return;
      assert.ok(!/[/\\\p{Cc}]/u.test(line.name), JSON.stringify(line.name));
      assert.ok(!["", ".", ".."].includes(line.name));
    }),
    { numRuns: 2000 },
  );
});

const part = fc.oneof(
  fc.constantFrom("C0644 3 a\n", "D0755 0 d\n", "E\n", "T1 0 1 0\n", "abc\0", "\0", "\x01no\n"),
  fc.constantFrom("C0644 5 ../x\n", "C0644 -1 x\n", "\x02bye\n", "D0755 0 ..\n", "xyz"),
  fc.uint8Array({ maxLength: 40 }),
);

it("scp -t leaves no open handle and nothing outside its folder, whatever is sent", () =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(fc.array(part), async (parts) => {
        const vfs = memoryVfs({ "/in": "<dir>", "/other": "same" });
        const { status } = await Effect.runPromise(talk("scp -r -t /in", vfs, parts));
        assert.ok(status === 0 || status === 1);
        assert.equal(vfs.openHandles(), 0);
        const outside = Object.entries(tree(vfs)).filter(([path]) => !/^\/in(\/|$)/.test(path));
        assert.deepEqual(outside, [["/other", "same"]]);
      }),
      { numRuns: 300 },
    )
  ));
