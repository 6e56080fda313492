/** Protocol names as the incumbent's API spells them (API-V2.md, EventProtocols). */
export type Protocol = "SSH" | "SFTP" | "SCP" | "FTP" | "DAV" | "HTTP" | "HTTPShare";

/** Who is behind a session, once logged in. Travels with every VFS call and event. */
export interface Principal {
  readonly sessionId: string;
  readonly username: string;
  readonly protocol: Protocol;
  /** Client address without port; IPv4-mapped IPv6 is shown as IPv4. */
  readonly ip: string;
}

/** A transfer in progress, for `sessions list` (API-V2.md, Transfer). */
export interface TransferInfo {
  readonly operation_type: "upload" | "download";
  readonly path: string;
  /** Unix milliseconds. */
  readonly start_time: number;
  /** Bytes moved so far. */
  readonly size: number;
}

/** A live session, for `sessions list` (API-V2.md, ConnectionStatus). */
export interface SessionInfo {
  readonly connection_id: string;
  readonly username: string;
  readonly client_version: string;
  readonly remote_address: string;
  readonly connection_time: number;
  readonly last_activity: number;
  readonly protocol: Protocol;
  readonly command: string;
  readonly active_transfers: ReadonlyArray<TransferInfo>;
}
