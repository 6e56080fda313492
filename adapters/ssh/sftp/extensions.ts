import { checkFileRows } from "./check_file.ts";
import { copyDataRows } from "./copy_data.ts";
import { Encoder } from "./encoder.ts";
import { limitsRows } from "./limits.ts";
import { ownerRows } from "./owners.ts";
import { pathRows } from "./path_extensions.ts";
import { code, packet } from "./protocol.ts";
import { spaceRows } from "./space.ts";
import type { ExtensionRow, Handler } from "./table.ts";

/** Every extended request, by name. */
export const extensions: ReadonlyArray<ExtensionRow> = [
  ...pathRows,
  ...spaceRows,
  ...limitsRows,
  ...ownerRows,
  ...copyDataRows,
  ...checkFileRows,
];

const byName = new Map(extensions.map((row) => [row.name, row]));

/** EXTENDED (section 8). */
export const extended: Handler = (session, id, body) => {
  const name = body.text();
  if (body.malformed) return void session.refused(id, body);
  const row = byName.get(name);
  if (row) row.handler(session, id, body);
  else session.status(id, code.unsupported, "Unknown extended request");
};

/** VERSION (section 4): version 3 and what is announced (SECURITY 3.1 item 21). */
export const versionPacket = (): Uint8Array => {
  const encoder = new Encoder(packet.version, undefined, 512).u32(3);
  for (const { name, data } of extensions) if (data !== undefined) encoder.text(name).text(data);
  return encoder.finish();
};
