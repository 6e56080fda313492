import { background, exec, freePort, type Maker, type Served, versionOf } from "./servers.ts";

/** What a server of FTP or HTTP alone has of the rest: nothing. */
const bare = { port: 0, key: "", prefix: "", scp: false };

/** vsftpd for one folder, plain and by TLS, as the present user; undefined when there is none. */
export const vsftpd = async (): Promise<Maker | undefined> => {
  const program = "/usr/sbin/vsftpd";
  if (!(await Deno.stat(program).then(() => true, () => false))) return undefined;
  // It writes to its standard input, which is nothing here.
  const version = await versionOf("sh", "-c", `${program} -v 0>&1`) ?? "vsftpd";
  const start = async (dir: string): Promise<Served> => {
    const home = `${dir}/vsftpd`;
    await Deno.mkdir(home, { recursive: true });
    await Deno.mkdir(`${dir}/empty`, { recursive: true });
    const [key, cert] = [`${dir}/vsftpd.key`, `${dir}/vsftpd.crt`];
    if (!(await Deno.stat(cert).catch(() => undefined))) {
      const subject = ["-subj", "/CN=bench", "-days", "2"];
      const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
      await exec("openssl", "req", "-x509", ...made, ...subject, "-keyout", key, "-out", cert);
    }
    const port = freePort();
    // Sessions are not asked for again: its tickets are used up when one curl moves many files.
    const config = [
      ...["listen=YES", "background=NO", "listen_address=127.0.0.1", `listen_port=${port}`],
      ...["run_as_launching_user=YES", "anonymous_enable=YES", "no_anon_password=YES"],
      ...["write_enable=YES", "anon_upload_enable=YES", "anon_mkdir_write_enable=YES"],
      ...["anon_other_write_enable=YES", "anon_world_readable_only=NO", "anon_umask=022"],
      ...[`anon_root=${home}`, "allow_writeable_chroot=YES", `secure_chroot_dir=${dir}/empty`],
      ...["ssl_enable=YES", "allow_anon_ssl=YES", "require_ssl_reuse=NO"],
      ...[`rsa_cert_file=${cert}`, `rsa_private_key_file=${key}`, "seccomp_sandbox=NO"],
      ...["xferlog_enable=NO", "use_sendfile=YES", "max_per_ip=0"],
    ];
    await Deno.writeTextFile(`${dir}/vsftpd.conf`, config.join("\n") + "\n");
    const running = await background(program, [`${dir}/vsftpd.conf`], port);
    const auth = ["--user", "anonymous:bench"];
    const place = { url: `ftp://127.0.0.1:${port}/`, args: auth };
    return {
      ...bare,
      ...running,
      name: "vsftpd",
      user: "anonymous",
      home,
      places: { ftp: place, ftps: { ...place, args: [...auth, "--ssl-reqd", "--insecure"] } },
    };
  };
  return { name: "vsftpd", version, serves: "web", start };
};

/** `rclone serve webdav` on a local folder; undefined when there is none. */
export const rcloneWebdav = async (): Promise<Maker | undefined> => {
  const version = await versionOf("rclone", "version");
  if (version === undefined) return undefined;
  const start = async (dir: string): Promise<Served> => {
    const home = `${dir}/rclone-webdav`;
    await Deno.mkdir(home, { recursive: true });
    const port = freePort();
    const args = [
      ...["serve", "webdav", home, "--addr", `127.0.0.1:${port}`, "--user", "bench"],
      ...["--pass", "bench", "--vfs-cache-mode", "off"],
    ];
    const env = { RCLONE_CONFIG: "/dev/null", HOME: dir, XDG_CACHE_HOME: dir };
    const running = await background("rclone", args, port, { env });
    const place = { url: `http://127.0.0.1:${port}/`, args: ["--user", "bench:bench"] };
    const places = { webdav: place, http: place };
    return { ...bare, ...running, name: "rclone", user: "bench", home, places };
  };
  return { name: "rclone", version, serves: "web", start };
};

/** nginx with its DAV methods, for one folder; undefined when there is none. */
export const nginx = async (): Promise<Maker | undefined> => {
  const program = "/usr/sbin/nginx";
  const version = await versionOf(program, "-v");
  if (version === undefined) return undefined;
  const start = async (dir: string): Promise<Served> => {
    const home = `${dir}/nginx`;
    await Deno.mkdir(home, { recursive: true });
    const port = freePort();
    const user = await exec("id", "-un");
    const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${dir}/nginx-${name};`);
    const config = [
      ...["daemon off;", `pid ${dir}/nginx.pid;`, "error_log /dev/null;", "worker_processes auto;"],
      ...(Deno.uid() === 0 ? [`user ${user};`] : []),
      "events { worker_connections 1024; }",
      "http {",
      ...["access_log off;", "sendfile on;", "tcp_nopush on;", "client_max_body_size 0;", ...temp],
      `server { listen 127.0.0.1:${port} reuseport; root ${home};`,
      "location / { dav_methods PUT DELETE MKCOL; create_full_put_path on; }",
      "} }",
    ];
    await Deno.writeTextFile(`${dir}/nginx.conf`, config.join("\n") + "\n");
    const running = await background(program, ["-c", `${dir}/nginx.conf`], port);
    const place = { url: `http://127.0.0.1:${port}/`, args: [] };
    const places = { webdav: place, http: place };
    return { ...bare, ...running, name: "nginx", user, home, places };
  };
  return { name: "nginx", version, serves: "web", start };
};
