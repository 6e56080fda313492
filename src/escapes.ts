import { logNow } from "./log.ts";

let escaped = 0;

/** Errors that left every fiber since the start. Not 0 means a bug: tests fail on it. */
export const escapedErrors = (): number => escaped;

/**
 * Keeps the process up when an error gets past every fiber: logs it, counts
 * it, and goes on serving (ARCHITECTURE section 4, SECURITY 8 item 5).
 */
export const watchEscapes = (): void => {
  const note = (kind: string, error: unknown) => {
    escaped += 1;
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
    event.preventDefault();
    note("unhandledrejection", event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    note("error", event.error ?? event.message);
  });
};
