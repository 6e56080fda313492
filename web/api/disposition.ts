/** Types that a browser shows without running anything of them. */
const shown: Readonly<Record<string, string>> = {
  pdf: "application/pdf",
  avif: "image/avif",
  bmp: "image/bmp",
  gif: "image/gif",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  mp3: "audio/mpeg",
  ogg: "audio/ogg",
  wav: "audio/wav",
  mov: "video/quicktime",
  mp4: "video/mp4",
  ogv: "video/ogg",
  webm: "video/webm",
  txt: "text/plain; charset=utf-8",
};

/**
 * Headers by which a file of a user never acts as a page of the server
 * (BEHAVIOUR SEC-05). Asked for inline, only what cannot hold a script is
 * shown; all else is saved, as a stranger to every viewer.
 */
export const contentHeaders = (name: string, inline: boolean): Record<string, string> => {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? "";
  const type = inline && Object.hasOwn(shown, ending) ? shown[ending] : undefined;
  return {
    "content-type": type ?? "application/octet-stream",
    "content-disposition": disposition(type === undefined ? "attachment" : "inline", name),
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
  };
};

/** `Content-Disposition` (RFC 6266): a plain name for old clients, and the exact one (RFC 8187). */
export const disposition = (kind: "attachment" | "inline", name: string): string => {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const exact = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${kind}; filename="${plain}"; filename*=UTF-8''${exact}`;
};
