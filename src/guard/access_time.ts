/** One weekly window: Sunday is 0, times are `HH:MM` in UTC, both ends included. */
export interface AccessWindow {
  readonly day_of_week: number;
  readonly from: string;
  readonly to: string;
}

/**
 * Whether `now` (Unix milliseconds) is in one of the windows; no windows is always.
 *
 * The minute named by `to` still counts, so `00:00`-`23:59` is a whole day
 * (BEHAVIOUR AUTH-22). A window that cannot be read never matches.
 */
export const withinAccessTime = (windows: ReadonlyArray<AccessWindow>, now: number): boolean => {
  if (windows.length === 0) return true;
  const date = new Date(now);
  const minute = date.getUTCHours() * 60 + date.getUTCMinutes();
  return windows.some((window) => {
    const from = minutes(window.from);
    const to = minutes(window.to);
    return window.day_of_week === date.getUTCDay() && from !== undefined && to !== undefined &&
      minute >= from && minute <= to;
  });
};

/** Minutes since midnight; `24:00` is the end of the day. */
const minutes = (text: string): number | undefined => {
  const found = /^(\d{1,2}):(\d{2})$/.exec(text);
  if (!found) return undefined;
  const value = Number(found[1]) * 60 + Number(found[2]);
  return Number(found[2]) < 60 && value <= 24 * 60 ? value : undefined;
};
