import { logNow } from "./log.ts";

let escaped = 0;
let ending = false;

/** Errors that left every fiber since the start. Not 0 means a bug: tests fail on it. */
export const escapedErrors = (): number => escaped;

/** Counts one that a worker has met, and logged. */
export const countEscape = (): void => {
  escaped += 1;
};

/** Ends this worker thread by an error that nothing holds up; the main thread hears of it. */
export const endThread = (error: Error): void => {
  ending = true;
  setTimeout(() => {
    throw error;
  });
};

/**
 * Keeps the process up when an error gets past every fiber: logs it, counts
 * it, and goes on serving (ARCHITECTURE section 4, SECURITY 8 item 5).
 */
export const watchEscapes = (onEscape: () => void = () => {}): void => {
  const note = (kind: string, error: unknown) => {
    countEscape();
    onEscape();
    const seen = error instanceof Error ? error : new Error(String(error));
    logNow({
      level: "error",
      event: "escaped_error",
      kind,
      message: seen.message,
      stack: seen.stack?.slice(0, 4096),
    });
  };
  globalThis.addEventListener("unhandledrejection", (event) => {
    if (ending) return;
    event.preventDefault();
    note("unhandledrejection", event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    if (ending) return;
    event.preventDefault();
    note("error", event.error ?? event.message);
  });
};
