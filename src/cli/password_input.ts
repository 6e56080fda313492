import { type Command } from "commander";
import { Effect } from "effect";
import { Refusal, usage } from "./failure.ts";

/** SECURITY 5: longer ones are refused before they are hashed. */
const maxBytes = 1024;

export interface PasswordFlags {
  readonly passwordStdin?: boolean;
  readonly passwordFile?: string;
}

/** Adds the flags of {@linkcode PasswordFlags} to a command. */
export const passwordFlags = (command: Command): Command =>
  command
    .option("--password-stdin", "read the password from standard input")
    .option("--password-file <file>", "read the password from a file");

const checked = (text: string, from: string) => {
  const password = text.replace(/\r?\n$/, "");
  const bytes = new TextEncoder().encode(password).length;
  if (bytes === 0) return Effect.fail(usage(`${from}: the password is empty`));
  if (bytes > maxBytes) {
    return Effect.fail(usage(`${from}: the password is longer than ${maxBytes} bytes`));
  }
  return Effect.succeed(password);
};

/**
 * Takes a password from stdin, a file, or a prompt without echo.
 *
 * There is no `--password` flag: other users of the machine could read it.
 * Answers undefined when neither flag is given and it is not `required`.
 */
export const readPassword = (
  flags: PasswordFlags,
  required: boolean,
): Effect.Effect<string | undefined, Refusal> =>
  Effect.gen(function* () {
    if (flags.passwordStdin && flags.passwordFile !== undefined) {
      return yield* usage("give --password-stdin or --password-file, not both");
    }
    if (flags.passwordStdin) {
      const text = yield* Effect.promise(() => new Response(Deno.stdin.readable).text());
      return yield* checked(text, "--password-stdin");
    }
    if (flags.passwordFile !== undefined) {
      const file = flags.passwordFile;
      const text = yield* Effect.tryPromise({
        try: () => Deno.readTextFile(file),
        catch: () => usage(`--password-file ${file}: cannot be read`),
      });
      return yield* checked(text, `--password-file ${file}`);
    }
    if (!required) return undefined;
    if (!Deno.stdin.isTerminal()) {
      return yield* usage("a password is needed: give --password-stdin or --password-file FILE");
    }
    const first = yield* prompt("Password: ");
    if (first !== (yield* prompt("Again: "))) return yield* usage("the passwords differ");
    return yield* checked(first, "prompt");
  });

/** Reads one line from the terminal without showing it. */
const prompt = (label: string): Effect.Effect<string, Refusal> =>
  Effect.acquireUseRelease(
    Effect.sync(() => Deno.stdin.setRaw(true, { cbreak: false })),
    () =>
      Effect.promise(async () => {
        const say = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
        say(label);
        const bytes: number[] = [];
        const one = new Uint8Array(1);
        while ((await Deno.stdin.read(one)) !== null) {
          const byte = one[0] ?? 0;
          if (byte === 3) return undefined;
          if (byte === 10 || byte === 13 || byte === 4) break;
          // Backspace takes a whole character, not one byte of it.
          if (byte === 127 || byte === 8) { while (((bytes.pop() ?? 0) & 0xc0) === 0x80); }
          else bytes.push(byte);
        }
        say("\n");
        return new TextDecoder().decode(new Uint8Array(bytes));
      }),
    () => Effect.sync(() => Deno.stdin.setRaw(false)),
  ).pipe(
    Effect.flatMap((text) =>
      text === undefined
        ? Effect.fail(new Refusal({ exit: 1, message: "cancelled" }))
        : Effect.succeed(text)
    ),
  );
