import { Option } from "effect";

/** Longest command line that is looked at, in UTF-16 units. */
export const maxLine = 32_768;

/** What a POSIX shell acts on, outside of quotes; there is no shell here, so it is refused. */
const operators = new Set("$`;|&<>()\n\r\0");
/** The characters that a backslash escapes inside double quotes (POSIX 2.2.3). */
const escapable = new Set('$`"\\');

/**
 * Splits an SSH `exec` line into words as a POSIX shell would split literal text.
 *
 * Quotes and backslashes work; nothing is ever expanded: `*`, `~` and `{}` are
 * plain characters. None when the line asks for what only a shell can do
 * (substitution, pipes, redirections, several commands), when a quote is left
 * open, or when the line is longer than {@linkcode maxLine}.
 */
export const splitWords = (line: string): Option.Option<ReadonlyArray<string>> => {
  if (line.length > maxLine) return Option.none();
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === " " || char === "\t") {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === "'") {
      const end = line.indexOf("'", at + 1);
      if (end < 0) return Option.none();
      word = (word ?? "") + line.slice(at + 1, end);
      at = end;
    } else if (char === '"') {
      const quoted = doubleQuoted(line, at + 1);
      if (quoted === undefined) return Option.none();
      word = (word ?? "") + quoted.text;
      at = quoted.end;
    } else if (char === "\\") {
      at += 1;
      const next = line.charAt(at);
      if (next === "" || next === "\n" || next === "\0") return Option.none();
      word = (word ?? "") + next;
    } else if (operators.has(char)) {
      return Option.none();
    } else {
      word = (word ?? "") + char;
    }
  }
  if (word !== undefined) words.push(word);
  return words.some((w) => w.includes("\0")) ? Option.none() : Option.some(words);
};

/** The text up to the closing quote and where that quote is; undefined if it cannot be literal. */
const doubleQuoted = (line: string, start: number): { text: string; end: number } | undefined => {
  let text = "";
  for (let at = start; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '"') return { text, end: at };
    if (char === "$" || char === "`") return undefined;
    if (char === "\\" && escapable.has(line.charAt(at + 1))) {
      at += 1;
      text += line.charAt(at);
    } else {
      text += char;
    }
  }
  return undefined;
};
