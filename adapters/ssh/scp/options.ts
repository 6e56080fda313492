/** What a legacy `scp` server command line asks for. */
export interface ScpOptions {
  readonly role: "sink" | "source";
  readonly recursive: boolean;
  readonly preserve: boolean;
  /** `-d`: the target of an upload must be a directory. */
  readonly directory: boolean;
  readonly paths: ReadonlyArray<string>;
}

/**
 * Parses the arguments after `scp` (BEHAVIOUR SCP-01).
 *
 * Short flags other than t, f, r, p and d are ignored, also in clusters.
 * Answers a sentence when the line cannot be served.
 */
export const parseScpOptions = (words: ReadonlyArray<string>): ScpOptions | string => {
  const flags = new Set<string>();
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--") {
      at += 1;
      break;
    }
    if (!/^-./.test(word)) break;
    if (!/^-[A-Za-z0-9]+$/.test(word)) return "unknown option";
    for (const flag of word.slice(1)) flags.add(flag);
  }
  const paths = words.slice(at);
  if (flags.has("t") === flags.has("f")) return "either -t or -f is needed";
  if (paths.length === 0) return "a path is needed";
  if (flags.has("t") && paths.length > 1) return "ambiguous target";
  return {
    role: flags.has("t") ? "sink" : "source",
    recursive: flags.has("r"),
    preserve: flags.has("p"),
    directory: flags.has("d"),
    paths,
  };
};
