import { Either } from "effect";

/** Longest control line, in bytes without its newline. */
export const maxLineBytes = 8192;

/** Times of a `T` line, in Unix milliseconds. */
export interface Times {
  readonly mtime: number;
  readonly atime: number;
}

/** One control line of the legacy SCP protocol, as the sending side writes it. */
export type ScpLine =
  | { readonly _tag: "File"; readonly size: number; readonly name: string }
  | { readonly _tag: "Dir"; readonly name: string }
  | { readonly _tag: "End" }
  | { readonly _tag: "Times"; readonly times: Times };

/**
 * Why a line was refused. After `file` only the named file is lost, as the
 * peer skips what it was refused; after `breach` the streams are no longer in
 * step and the transfer ends.
 */
export interface LineRefusal {
  readonly level: "file" | "breach";
  readonly text: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses one line without its newline: `Cmmmm size name`, `Dmmmm size name`,
 * `E`, `Tmtime usec atime usec`.
 *
 * Nothing is trimmed or guessed. Names are one path component (SECURITY 2.4,
 * CVE-2019-6111); mode bits are checked for form and dropped (SCP-02).
 */
export const parseScpLine = (bytes: Uint8Array): Either.Either<ScpLine, LineRefusal> => {
  const text = decode(bytes);
  if (text === undefined) {
    // 0x43 C, 0x44 D: the peer waits for an answer and skips the file when refused.
    const names = bytes[0] === 0x43 || bytes[0] === 0x44;
    return refuse(names ? "file" : "breach", "file name is not UTF-8");
  }
  if (text === "E") return Either.right({ _tag: "End" });
  if (text.startsWith("T")) return parseTimes(text);
  const match = /^([CD])([0-7]{4}) (\d{1,19}) (.*)$/s.exec(text);
  const [, kind, , digits = "", name = ""] = match ?? [];
  if (!match) return refuse("breach", "protocol error: malformed control line");
  const size = Number(digits);
  if (!Number.isSafeInteger(size)) return refuse("breach", "protocol error: size out of range");
  const bad = nameRefusal(name);
  if (bad) return Either.left(bad);
  return Either.right(kind === "C" ? { _tag: "File", size, name } : { _tag: "Dir", name });
};

/** What is wrong with a name that is to be one path component, or undefined. */
export const nameRefusal = (name: string): LineRefusal | undefined => {
  if (name === "" || name === "." || name === ".." || /[/\0\n]/.test(name)) {
    return { level: "breach", text: "protocol error: unexpected file name" };
  }
  // A backslash separates paths here (BEHAVIOUR ARCH-05), so it cannot be in a name.
  return /[\\\p{Cc}\p{Surrogate}\ufffd]/u.test(name)
    ? { level: "file", text: "file name has a character that is not allowed" }
    : undefined;
};

const parseTimes = (text: string): Either.Either<ScpLine, LineRefusal> => {
  const match = /^T(\d{1,11}) (\d{1,6}) (\d{1,11}) (\d{1,6})$/.exec(text);
  if (!match) return refuse("breach", "protocol error: malformed times");
  const [mtime = 0, mtimeMicros = 0, atime = 0, atimeMicros = 0] = match.slice(1).map(Number);
  return Either.right({
    _tag: "Times",
    times: {
      mtime: mtime * 1000 + Math.floor(mtimeMicros / 1000),
      atime: atime * 1000 + Math.floor(atimeMicros / 1000),
    },
  });
};

const refuse = (level: LineRefusal["level"], text: string) => Either.left({ level, text });

const decode = (bytes: Uint8Array): string | undefined =>
  Either.getOrUndefined(Either.try(() => decoder.decode(bytes)));
