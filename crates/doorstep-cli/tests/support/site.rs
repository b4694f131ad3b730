//! A site behind a gate for tests: a real gate process, real nginx with the configuration of
//! `docs/gate.md`, a page behind both, and browsers that keep cookies.

use super::{Reply, reply, wait};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// 2026-03-02T12:00:00Z.
pub(crate) const NOON: u64 = 1_772_452_800;

/// A gate in a directory that vanishes afterwards.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    children: Vec<Child>,
}

impl Site {
    /// A test gate at noon, without accounts and not running.
    pub(crate) fn new(settings: &str) -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
        site.set_clock(NOON);
        let head = "listen = \"127.0.0.1:0\"\n";
        std::fs::write(site.path("gate.toml"), format!("{head}{settings}")).unwrap();
        site.must(&["gate", "init", "--test"]);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn set_clock(&self, seconds: u64) {
        std::fs::write(self.path("clock.new"), format!("{seconds}\n")).unwrap();
        std::fs::rename(self.path("clock.new"), self.path("clock")).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command
            .arg("--json")
            .args(arguments)
            .current_dir(self.dir.path())
            .env("DOORSTEP_CLOCK", self.path("clock"))
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Reply {
        reply(&self.command(arguments).output().unwrap())
    }

    pub(crate) fn must(&self, arguments: &[&str]) -> Reply {
        let reply = self.run(arguments);
        assert_eq!(reply.status, 0, "{arguments:?}: {} {}", reply.json, reply.stderr);
        reply
    }

    /// An account with an active authenticator; gives back its seed. The code of `now` is spent.
    pub(crate) fn enrolled(&self, name: &str, now: u64) -> String {
        let seed = self.must(&["gate", "add", name]).text("secret");
        self.must(&["gate", "activate", name, &self.code(&seed, now)]);
        seed
    }

    /// What an authenticator shows.
    pub(crate) fn code(&self, seed: &str, now: u64) -> String {
        let key = self.path("seed");
        std::fs::write(&key, seed).unwrap();
        let reply = self.must(&["code", "totp", "--key-file", "seed", "--now", &now.to_string()]);
        reply.json["codes"][0]["code"].as_str().unwrap().to_owned()
    }

    /// A code that is not right around `now`.
    pub(crate) fn wrong(&self, seed: &str, now: u64) -> String {
        let around: Vec<_> = (0..5).map(|step| self.code(seed, now - 60 + 30 * step)).collect();
        (0..).map(|number| format!("{number:06}")).find(|code| !around.contains(code)).unwrap()
    }

    /// Starts a gate; gives back its address.
    pub(crate) fn start(&mut self) -> String {
        self.start_as(self.command(&["gate"]))
    }

    /// Starts a gate by a command of its own; gives back its address.
    pub(crate) fn start_as(&mut self, mut command: Command) -> String {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.children.push(child);
        let listening: Value = serde_json::from_str(&line).expect("the gate did not start");
        listening["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned()
    }

    /// Kills everything that runs, the way a power cut would.
    pub(crate) fn stop(&mut self) {
        for mut child in self.children.drain(..) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts nginx as `docs/gate.md` configures it, in front of a gate and a page; gives back its
    /// address.
    pub(crate) fn nginx(&mut self, gate: &str, page: &str) -> String {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let guide = include_str!("../../../../docs/gate.md");
        let (_, server) = guide.split_once("```nginx\n").unwrap();
        let (server, _) = server.split_once("```").unwrap();
        let server: String = server
            .lines()
            .filter(|line| !line.contains("ssl_"))
            .map(|line| format!("{line}\n"))
            .collect();
        let server = server
            .replace("443 ssl", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:7171", gate)
            .replace("127.0.0.1:8080", page);
        let dir = self.dir.path().display();
        let conf = format!(
            "daemon off;\nmaster_process off;\npid {dir}/nginx.pid;\nerror_log {dir}/nginx.log;\nevents {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path {dir}/body;\nproxy_temp_path {dir}/proxy;\nfastcgi_temp_path {dir}/f;\nuwsgi_temp_path {dir}/u;\nscgi_temp_path {dir}/s;\n{server}\n}}\n"
        );
        std::fs::write(self.path("nginx.conf"), conf).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(self.path("nginx.conf"))
            .env("PATH", "/usr/sbin:/usr/local/sbin:/usr/bin:/sbin:/bin")
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is needed: apt-get install nginx-light");
        self.children.push(child);
        let address = format!("127.0.0.1:{port}");
        wait("nginx to listen", || TcpStream::connect(&address).is_ok());
        address
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A page that says who it was told is there; gives back its address.
pub(crate) fn page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<_> =
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let users: Vec<_> = head
                .iter()
                .filter(|line| line.to_lowercase().starts_with("remote-user:"))
                .cloned()
                .collect();
            let text = format!("the page; {}", users.join(", "));
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    address
}

/// An answer of a server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Sends bytes and reads the answer.
pub(crate) fn send(address: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    // The server may hang up before it has read everything.
    drop(stream.write_all(request));
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: body.to_owned() }
}

/// A browser: it keeps cookies and fills in the form.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) address: String,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), cookies: BTreeMap::new(), headers: Vec::new() }
    }

    /// With a header that it, or a proxy in front of it, sends along.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: wiki.example\r\nconnection: close\r\ncookie: {}\r\n{headers}content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            cookies.join("; "),
            body.len(),
        );
        let answer = send(&self.address, request.as_bytes());
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Opens the page and sends the form.
    pub(crate) fn login(&mut self, path: &str, name: &str, code: &str) -> Answer {
        let page = self.get(path);
        assert_eq!(page.status, 200, "{page:?}");
        self.submit(&page, name, code)
    }

    pub(crate) fn submit(&mut self, page: &Answer, name: &str, code: &str) -> Answer {
        let value = |field: &str| {
            let (_, rest) = page.body.rsplit_once(&format!("name=\"{field}\" value=\"")).unwrap();
            rest.split_once('"').unwrap().0.replace("&amp;", "&")
        };
        let encode =
            |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let body = format!(
            "form={}&return={}&name={}&code={}",
            value("form"),
            encode(&value("return")),
            encode(name),
            encode(code)
        );
        self.ask("POST", "/_doorstep/login", &body)
    }
}
