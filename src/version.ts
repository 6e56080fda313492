/** The version that `--version`, the control socket and the metrics name; deno.json says the same. */
export const version = "0.1.0";
