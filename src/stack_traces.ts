/**
 * Lets errors be told without a descriptor left.
 *
 * The first stack that names a module makes Deno open that module's source map;
 * without a descriptor it translates the module anew instead, and Deno 2.9.6
 * panics over that [measured]: any error in a crowd of clients would end the
 * process (SECURITY 7.5). A stack has no lines then.
 */
export const tellErrorsSafely = (): void => {
  Reflect.set(Error, "prepareStackTrace", (error: unknown, frames: ReadonlyArray<unknown>) => {
    const head = headOf(error);
    return frames.length === 0 || !mayOpen()
      ? head
      : [head, ...frames.map((frame) => `    at ${frame}`)].join("\n");
  });
};

const headOf = (error: unknown): string => {
  try {
    return String(error);
  } catch {
    return "<error>";
  }
};

const mayOpen = (): boolean => {
  try {
    Deno.openSync("/dev/null").close();
    return true;
  } catch (error) {
    // That it may not be opened, or is not there, says nothing of descriptors.
    const code = (error as { readonly code?: unknown }).code;
    return code !== "EMFILE" && code !== "ENFILE";
  }
};
