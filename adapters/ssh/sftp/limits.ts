import { Encoder } from "./encoder.ts";
import { limits, packet } from "./protocol.ts";
import type { ExtensionRow, Handler } from "./table.ts";

/** `limits@openssh.com` (OpenSSH PROTOCOL 4.8): our real sizes. */
const answer: Handler = (session, id) => {
  const reply = new Encoder(packet.extendedReply, id, 41)
    .u64(limits.packet).u64(limits.announced).u64(limits.announced)
    .u64(session.context.settings.max_handles);
  session.reply(reply.finish(), session.cost);
};

export const limitsRows: ReadonlyArray<ExtensionRow> = [
  { type: packet.extended, name: "limits@openssh.com", data: "1", handler: answer, writes: false },
];
